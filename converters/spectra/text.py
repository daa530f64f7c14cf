"""What the text formats share: decoding, numbers, and the words that name quantities and units."""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Collection, Iterable, Sequence
from itertools import chain

import numpy as np

from .errors import SpectrumFileError, TruncatedFileError, UnknownFormatError, UnusableSpectrumError
from .spectrum import SIMULATED, Floats, Position, Quantity

MIN_NM, MAX_NM = 200.0, 20000.0
"""Wavelengths outside are no reflectance spectrum of a soil, whatever the file says."""
FARTHEST_NM = 3000.0
"""No field instrument reaches so far in nm; an axis that does and says no unit may be one of wavenumbers."""

MAX_LINE_BYTES, MAX_COLUMNS = 4 << 20, 100_200
"""What one line of a table may be; a line of 2151 bands has some 25 kB."""

MAX_LINES = 100_000
"""Rows of a foreign text file, which is kept in memory; there are tables of soil libraries with 90,000."""

_TEXT_BYTES = bytes({*range(0x20, 0x7F), *range(0x80, 0x100), *b"\t\n\r\f\x1a"})
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")

_SPREAD = re.compile(
    r"(.*?)(?:^|[ _.(-]|(?=[±+-]))(?:[±+-] ?\d?[ *]?)?(?:sd|stds?|std?\.?[ _]?dev|standard[ _]?deviation"
    r"|deviation|variance|sem|std[ _]?err(?:or)?|rsd|cv|sigma|(?:std[ _]?)?errors?"
    r"|uncertainty|(?:std|stand)\.?[ _]?abw|standardabweichung|[eé]cart[ _-]?type"
    r"|desv(?:iaci[oó]n)?[ ._]*(?:est|std|t[ií]pica).*)\.?\)?",
    re.IGNORECASE,
)
_ENDS = re.compile(
    r"(.+?)[ _.(-](?:(?:lower|upper|low|high|lo|hi)[ _.-]*(?:9\d(?:\.\d+)?[ _]?%?|ci|cl|conf\w*|bound|limit)"
    r"|[lu]cl|(?:9\d[ _]?%?[ _]?)?ci(?:[ _]?9\d[ _]?%?)?(?:[ _.-](?:lower|upper|low|high|lo|hi))?)\)?",
    re.IGNORECASE,
)
"""Of an interval around a record, such as "TP109 upper 95" and "TP109 CI low"."""
_END = r"(?: spectrum| reflectance| of all)?"
_MIDDLE = re.compile(rf"(?:mean|average|avg|median|mittel(?:wert)?|moyenne|promedio){_END}", re.IGNORECASE)
_EXTREME = re.compile(
    rf"(?:max(?:imum|imo)?|min(?:imum|imo)?|máximo|mínimo|sum(?:me|a)?|somme|total|range|count|anzahl|nombre){_END}",
    re.IGNORECASE,
)

_QUANTITIES: tuple[tuple[Quantity, str], ...] = (
    ("absorbance", r"absorb|(?<![a-z])abs(?![a-z])|log\W{0,3}1\s*/\s*r"),
    ("reflectance", r"reflect|(?<![a-z])refl(?![a-z])"),
    ("transmittance", r"transm"),
    ("irradiance", r"irrad|(?<![a-z])irr\."),
    ("radiance", r"(?<![a-z])radiance|(?<![a-z])rad\."),
    ("raw_dn", r"(?<![a-z])dn(?![a-z])|(?<![a-z])raw(?![a-z])|(?<![a-z])counts?(?![a-z])|digital number"),
)


def is_text(head: bytes) -> bool:
    """Say whether the start of a file can be text: UTF-16 with its mark, or no control characters."""
    return head.startswith(_UTF16_MARKS) or not head.translate(None, _TEXT_BYTES)


def decode_text(data: bytes, source: str) -> str:
    """Decode UTF-8, UTF-16 with its mark (spreadsheets' "Unicode text"), or else Latin-1.

    Raises:
        UnknownFormatError: the bytes are no text.
    """
    return data.decode(encoding_of([data], source))


def encoding_of(pieces: Iterable[bytes], source: str) -> str:
    """Name the encoding of a text that is read in pieces; see `decode_text`."""
    found, decoder = "", None
    for piece in chain(pieces, (b"",)):
        if decoder is None:
            found = "utf-16" if piece.startswith(_UTF16_MARKS) else "utf-8-sig"
            # Not that of the mark: of a text that is a part of a mark and nothing else it says nothing.
            decoder = codecs.getincrementaldecoder(found.removesuffix("-sig"))()
        if found != "utf-16" and not is_text(piece):
            raise UnknownFormatError(f"{source}: holds control characters, so it is no text, or it is damaged")
        try:
            if found != "latin-1":
                decoder.decode(piece, not piece)
        except UnicodeDecodeError:
            if found == "utf-16":
                raise UnknownFormatError(
                    f"{source}: begins like UTF-16 text but is none; copy the file again"
                ) from None
            found = "latin-1"  # older instruments' software writes "µm" so
    return found


def split_lines(text: str, source: str) -> list[str]:
    """Split text into lines, whatever ends them.

    A text format has no other mark of its own end than the last line's end: without it, the last number may
    have lost digits and would still be a number.

    Raises:
        TruncatedFileError: the text is empty or its last line has no end.
    """
    text = text.rstrip("\x1a")
    if text.count("\n") > MAX_LINES:
        raise SpectrumFileError(
            f"{source}: {text.count(chr(10))} rows; no more than {MAX_LINES} are read of such a file: split it"
        )
    half_an_end = text.endswith("\r") and "\r\n" in text
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if half_an_end or not text.endswith("\n"):
        raise TruncatedFileError(
            f"{source}: the last line has no line end, so it is cut off; "
            "copy the file again (or, if it is whole, save it with a line end)"
        )
    lines = text.split("\n")
    lines.pop()  # "" behind the last line's end
    return lines


def split_csv(line: str, source: str, where: str, delimiter: str = ",") -> list[str]:
    """Split one line of comma-separated values, with quotes as RFC 4180 has them.

    Raises:
        SpectrumFileError: a quote, a control character or a field longer than 128 KiB that cannot be.
    """
    try:
        return next(csv.reader([line], delimiter=delimiter))
    except csv.Error as error:
        raise SpectrumFileError(f"{source}: {where} is damaged ({error})") from None


def to_floats(fields: Sequence[str], source: str, where: str) -> Floats:
    """Convert fields to (len(fields),) numbers; empty fields and NA become not-a-number.

    Args:
        fields: numbers with a decimal point.
        source: the file, named in errors.
        where: the line or row, named in errors.

    Raises:
        UnusableSpectrumError: a field is neither a number nor a usual word for a missing one.
    """
    try:
        values = [*map(float, fields)]
    except ValueError:
        values = []
        for field in fields:
            value = as_float(field)
            if value is None:
                raise UnusableSpectrumError(f"{source}: {where}: {shortened(field)} is not a number") from None
            values.append(value)
    if "_" in "".join(fields):  # Python reads 1_000 as a number; no instrument writes it
        raise UnusableSpectrumError(f"{source}: {where}: a number has an underscore")
    return np.array(values, dtype=np.float64)


def as_float(field: str) -> float | None:
    """Return one field as a number, not-a-number if it says "missing", None if it is something else."""
    field = field.strip()
    if field.lower() in ("", "na", "n/a", "#n/a", "null", "none", "-", "--"):
        return float("nan")
    try:
        return None if "_" in field else float(field)
    except ValueError:
        return None


def shortened(field: str, length: int = 40) -> str:
    """Quote a piece of a file for an error line."""
    return repr(field if len(field) <= length else field[:length] + "...")


def for_spreadsheet(text: str) -> str:
    """Put an apostrophe before a text that a spreadsheet would take for a formula and run; see `from_spreadsheet`.

    Names of files and samples may be anything; `=HYPERLINK(...)` as one shows a button to whoever opens the export.
    """
    return f"'{text}" if _is_formula(text) else text


def from_spreadsheet(text: str) -> str:
    """Give back what `for_spreadsheet` was given."""
    return text[1:] if text.startswith("'") and _is_formula(text) else text


def _is_formula(text: str) -> bool:
    # One more apostrophe before those that are there, so that one can be taken away again.
    begins = text.lstrip("' ")[:1] in ("=", "+", "-", "@") and len(text) > 1
    return begins and as_float(text) is None


def to_nm(wavelengths: Floats, unit: str | None, source: str) -> Floats:
    """Convert wavelengths to nm.

    Args:
        wavelengths: (bands,) in the file's unit.
        unit: "nm", "um" or None where the file is silent. Then 200 to 3000 is taken for nm and 0.2 to 20 for µm,
            which cannot be mistaken for each other; beyond, it may be wavenumbers.
        source: named in errors.

    Raises:
        UnusableSpectrumError: not finite, in neither range, or an axis that may be wavenumbers.
    """
    if not np.isfinite(wavelengths).all():
        raise UnusableSpectrumError(f"{source}: a wavelength is not a number")
    low, high = float(wavelengths.min()), float(wavelengths.max())
    if unit == "um" or (unit is None and low >= 0.2 and high <= 20.0):
        # 0.3501 * 1000 is 350.09999999999997: no file knows its wavelengths to a femtometre.
        wavelengths = np.round(wavelengths * 1000.0, 6)
        low, high = float(wavelengths.min()), float(wavelengths.max())
    if unit is None and high > FARTHEST_NM:
        raise UnusableSpectrumError(
            f"{source}: an axis from {low:g} to {high:g} without a unit: wavenumbers in cm-1, or nm? Convert it to nm, "
            "and write the unit into the header"
        )
    if low < MIN_NM or high > MAX_NM:
        raise UnusableSpectrumError(
            f"{source}: wavelengths from {low:g} to {high:g} {'nm' if unit else 'are neither nm nor µm'}; "
            f"a spectrum lies between {MIN_NM:g} and {MAX_NM:g} nm"
        )
    return wavelengths


def wavelength_unit(text: str, source: str) -> str | None:
    """Find the unit of wavelength in a header: "nm", "um", or None.

    Raises:
        UnusableSpectrumError: the axis is a wavenumber, frequency or energy.
    """
    if re.search(r"wave\s*number|cm\s*\^?-1|1/cm|(?<![a-z])[gt]hz(?![a-z])", text, re.IGNORECASE):
        raise UnusableSpectrumError(
            f"{source}: the axis is no wavelength ({shortened(text.strip())}); convert it to nm"
        )
    if re.search(r"[µμ]m|(?<![a-z])um(?![a-z])|microm|micron", text, re.IGNORECASE):
        return "um"
    if re.search(r"(?<![a-z])nm(?![a-z])|nanom", text, re.IGNORECASE):
        return "nm"
    return None


def joins_in(lines: Iterable[str]) -> tuple[float, ...]:
    """Find the wavelengths at which a header says that detectors join, in nm; () where it says none.

    ViewSpec writes "Join between VNIR and SWIR1 was 1000 nm", others "Splice 1: 1000", "detector joins: 1000, 1800 nm".
    """
    told = "\n".join(line for line in lines if re.search(r"\bjoins?\b|splic", line, re.IGNORECASE))
    found = sorted({float(number) for number in re.findall(r"(?<![\w.])\d{3,4}(?:\.\d+)?(?![\d.])", told)})
    return tuple(found) if len(found) <= 3 and all(MIN_NM < nm < 2600 for nm in found) else ()


def quantity_in(texts: Iterable[str]) -> Quantity | None:
    """Find the quantity that a header names; absorbance and reflectance win over what they are made of."""
    text = "\n".join(texts)
    return next((name for name, words in _QUANTITIES if re.search(words, text, re.IGNORECASE)), None)


def no_soil(name: str, names: Collection[str]) -> str:
    """Say why a record is no soil by its name; "" if it is one as far as its name says.

    A deviation ("TP109 stdev" beside "TP109 mean", or "SD"), or what is made of the other records ("Mean", "Max").

    Args:
        name: of the record.
        names: of all records, in lower case.
    """
    text = name.strip()
    found = _SPREAD.fullmatch(text)
    if found is not None:
        base = found[1].rstrip(" _.-(").lower()
        if not base or _is_there(base, names):
            return "is a deviation by its name, no spectrum"
    ends = _ENDS.fullmatch(text)
    if ends is not None and _is_there(ends[1].rstrip(" _.-(").lower(), names):
        return "is the end of an interval by its name, no spectrum"
    # Alone, or beside a deviation, the mean is what was measured; beside the mean, its extremes are not.
    no_others = (_EXTREME, _SPREAD, _MIDDLE) if _MIDDLE.fullmatch(text) else (_EXTREME, _SPREAD)
    if any(words.fullmatch(text) for words in (_MIDDLE, _EXTREME)) and any(
        not any(words.fullmatch(other.strip()) for words in no_others) for other in names
    ):
        return "is made of the others by its name, no soil"
    return ""


def _is_there(base: str, names: Collection[str]) -> bool:
    return base in names or any(f"{base}{joint}mean" in names for joint in " _.-")


def says_simulated(comment: str) -> bool:
    """Say whether a comment marks its spectrum as made up."""
    return comment.strip().lower().startswith(SIMULATED)


def position_of(latitude: float | None, longitude: float | None, altitude: float | None) -> Position | None:
    """Return a position if there is one on Earth; a receiver without a fix writes anything, and 0, 0 above all."""
    if latitude is None or longitude is None or not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
        return None
    if latitude == longitude == 0:
        return None
    return Position(latitude, longitude, altitude if altitude is not None and np.isfinite(altitude) else None)
