"""ENVI spectral libraries: a text header `.hdr` and the values beside it, usually `.sli`."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .detectors import join_detectors, merge_equal
from .errors import (
    OnBad,
    SpectrumFileError,
    TruncatedFileError,
    UnknownFormatError,
    UnusableSpectrumError,
)
from .facts import TITLE, facts_in, with_facts
from .files import ENVI_DATA, opened, read_bytes
from .names import split_name
from .scale import FRACTION, Scaled, scale_in, to_fractions
from .spectrum import Floats, Quantity, Spectrum, as_doubles, with_remarks
from .text import (
    as_float,
    decode_text,
    joins_in,
    no_soil,
    quantity_in,
    says_simulated,
    shortened,
    to_floats,
    to_nm,
    wavelength_unit,
)

DATA_TYPES = {1: "u1", 2: "i2", 3: "i4", 4: "f4", 5: "f8", 12: "u2", 13: "u4", 14: "i8", 15: "u8"}
"""ENVI's number for a type of value -> NumPy's; 6 and 9 are complex and no spectrum."""

DARKEST = 0.002
"""Reflectance; the brightest band of the darkest soils reads some ten times as much."""
_NOT_SPECTRA = re.compile(r"error bars?\b|wavelengths? in\b|resolution\s+in\b|bandpass|fwhm\b", re.IGNORECASE)
_MAX_HEADER_BYTES = 64 << 20


@dataclass(frozen=True)
class Header:
    """What an ENVI header says of its library.

    Attributes:
        spectra: number of spectra ("lines").
        bands: number of bands ("samples").
        offset: bytes before the values.
        dtype: of the values, with byte order.
        wavelengths: (bands,) as written.
        unit: "nm", "um" or None.
        scale_factor: what the values are divided by to be a fraction, or None.
        ignore: value that means "no value", or None.
        names: (spectra,) of the spectra.
        description: free text.
        titles: of the plot's axes, where many libraries say what the values are.
        joins_nm: where detectors join, of each spectrum, or one for all.
        facts: of each spectrum, see `facts.facts_text`; () for none.
        bad: (bands,) True for the bands that the bad band list leaves out.
    """

    spectra: int
    bands: int
    offset: int
    dtype: np.dtype[np.generic]
    wavelengths: Floats
    unit: str | None
    scale_factor: float | None
    ignore: float | None
    names: tuple[str, ...]
    description: str
    titles: str
    joins_nm: tuple[tuple[float, ...], ...]
    facts: tuple[str, ...]
    bad: NDArray[np.bool_]


def looks_like_envi(head: bytes) -> bool:
    """Say whether the start of a file is that of an ENVI header (of a library or an image)."""
    return re.match(rb"(?:\xef\xbb\xbf)?\s*ENVI\s", head) is not None


def read_envi(path: str | os.PathLike[str], on_bad: OnBad | None = None) -> list[Spectrum]:
    """Read an ENVI spectral library.

    Args:
        path: either file of the pair; the other is looked for beside it (`x.hdr` or `x.sli.hdr` for `x.sli`).
        on_bad: called with the reason for each spectrum that is unusable, which then is passed over. Without
            it the first such spectrum raises.

    Returns:
        The library's spectra. Values are divided by the `reflectance scale factor`; without one, values
        decide between fraction and per cent (`to_fractions`). Bands with the `data ignore value` (or not
        finite, or in the bad band list) are left out of that spectrum, so spectra of one library may have
        different grids; where wavelengths go back at the start of a next detector, they are joined in the
        middle of the overlap.
        Records that are no spectra are passed over without a word, by their names as the USGS spectral
        library has them: "error bars to preceding", "Wavelengths in ...", "Resolution in ...", anything
        called bandpass or FWHM; and a deviation ("x stdev") beside what it is of. So are spectra without two
        bands that have a value. Names that end in TRAN are transmittance.

    Raises:
        TruncatedFileError: the values' file is shorter than the header announces, or the header is cut off.
        SpectrumFileError: the partner is missing, or anything else that makes the files unusable. Messages
            name the file.

    References:
        NV5 Geospatial, "ENVI Header Files"; USGS Spectral Library Version 7 (Kokaly et al. 2017,
        doi:10.3133/ds1035).
    """
    source = os.fspath(path)
    header_path, data_path = find_pair(source)
    header = parse_header(read_bytes(header_path), header_path)
    with opened(data_path) as file:
        return list(iter_envi(header, file.read(), source, data_path, on_bad))


def find_pair(path: str) -> tuple[str, str]:
    """Return the paths of header and values, whichever of the two is given.

    Raises:
        SpectrumFileError: the other one is missing, or the given one cannot be read.
    """
    with opened(path) as file:
        is_header = looks_like_envi(file.read(64))
    if not is_header:
        header = header_beside(path)
        if header is None:
            name = os.path.basename(os.path.splitext(path)[0])
            raise SpectrumFileError(f"{path}: values of an ENVI library without their header; put {name}.hdr beside it")
        return header, path
    stem = os.path.splitext(path)[0]
    names = [stem + extension for extension in ENVI_DATA]
    names += [name for extension in ENVI_DATA if (name := stem + extension.upper()) not in names]
    data = next((name for name in names if os.path.isfile(name) and name != path), None)
    if data is None:
        name = os.path.basename(stem)
        raise SpectrumFileError(f"{path}: header of an ENVI library without its values; put {name}.sli beside it")
    return path, data


def header_beside(path: str) -> str | None:
    """Return the ENVI header of a file of values, `x.hdr` or `x.sli.hdr` beside `x.sli`, or None."""
    stem, extension = os.path.splitext(path)
    stems = [path, stem] if extension.lower() in ENVI_DATA else [path]
    for header in [stem + extension for stem in stems for extension in (".hdr", ".HDR")]:
        if header != path and os.path.isfile(header):
            with opened(header) as file:
                if looks_like_envi(file.read(64)):
                    return header
    return None


def parse_header(data: bytes, source: str) -> Header:
    """Parse the content of an ENVI header.

    Raises:
        TruncatedFileError: it is cut off.
        SpectrumFileError: it is not of a spectral library, or numbers in it are missing, wrong or
            contradictory.
    """
    if len(data) > _MAX_HEADER_BYTES:
        raise SpectrumFileError(f"{source}: {len(data) / 1e6:.0f} MB are no ENVI header")
    text = decode_text(data, source).replace("\r\n", "\n").replace("\r", "\n")
    if not re.match(r"\s*ENVI\s", text):
        raise UnknownFormatError(f"{source}: is no ENVI header")
    # The last line may be a list, whose brace ends it; after anything else a cut could pass for a whole number.
    if not text.endswith(("\n", "}")):
        raise TruncatedFileError(f"{source}: the last line has no line end, so it is cut off; copy the file again")
    fields: dict[str, str] = {}
    for key, value in re.findall(r"^[ \t]*([^=\n{};]+?)[ \t]*=[ \t]*(\{[^}]*\}|[^\n]*)", text, re.MULTILINE):
        if value.startswith("{") and not value.endswith("}"):
            raise TruncatedFileError(f"{source}: the list {shortened(key)} is not closed, so the header is cut off")
        fields[key.lower()] = value.strip("{} \t\n")
    kind = fields.get("file type", "")
    if "spectral library" not in kind.lower():
        raise UnusableSpectrumError(
            f"{source}: header of {shortened(kind) if kind else 'no file type'}, no spectral library"
        )
    code = _integer(fields, "data type", source)
    if code not in DATA_TYPES:
        raise SpectrumFileError(f"{source}: data type {code} is none that a spectrum can have")
    order = _integer(fields, "byte order", source, 0)
    if order not in (0, 1):
        raise SpectrumFileError(f"{source}: byte order {order} is neither 0 (little) nor 1 (big endian)")
    if _integer(fields, "bands", source, 1) != 1:
        raise UnusableSpectrumError(f"{source}: has {fields['bands']} image bands; a spectral library has 1")
    bands, spectra = _integer(fields, "samples", source), _integer(fields, "lines", source)
    wavelengths = to_floats(_listed(fields.get("wavelength", "")), source, "wavelength")
    if wavelengths.size != bands or bands < 2:
        raise SpectrumFileError(f"{source}: {wavelengths.size} wavelengths for {bands} bands (samples)")
    names = tuple(_listed(fields.get("spectra names", "")))
    if names and len(names) != spectra:
        raise SpectrumFileError(f"{source}: {len(names)} names for {spectra} spectra (lines)")
    factor = _number(fields, "reflectance scale factor", source)
    if factor is not None and not factor > 0:
        raise SpectrumFileError(f"{source}: reflectance scale factor {factor:g} is not above 0")
    for key, neutral in (("data gain values", 1.0), ("data offset values", 0.0)):
        if np.any(to_floats(_listed(fields.get(key, "")), source, key) != neutral):
            raise UnusableSpectrumError(
                f"{source}: has {key}, which are not applied here: apply them, and save it anew"
            )
    titles = fields.get("z plot titles", "")
    return Header(
        spectra=spectra,
        bands=bands,
        offset=_integer(fields, "header offset", source, 0),
        dtype=np.dtype((">" if order else "<") + DATA_TYPES[code]),
        wavelengths=wavelengths,
        unit=wavelength_unit(fields.get("wavelength units", ""), source) or wavelength_unit(titles, source),
        scale_factor=factor,
        ignore=_number(fields, "data ignore value", source),
        names=names,
        description=fields.get("description", ""),
        titles=titles,
        joins_nm=_joins(fields, spectra),
        facts=tuple(facts) if len(facts := _listed(fields.get(TITLE, ""))) == spectra else (),
        bad=_bad_bands(fields.get("bbl", ""), bands, source),
    )


def _joins(fields: dict[str, str], spectra: int) -> tuple[tuple[float, ...], ...]:
    """Read joins of each spectrum as we write them, or those of the whole file."""
    each = _listed(fields.get("detector joins", ""))
    if len(each) == spectra and any(" " in join or join == "-" for join in each):
        return tuple(joins_in([f"join {join}"]) for join in each)
    told = (f"{key} {value}" for key, value in fields.items() if key not in ("wavelength", "spectra names"))
    return (joins_in(told),)


def _bad_bands(text: str, bands: int, source: str) -> NDArray[np.bool_]:
    good = to_floats(_listed(text), source, "bbl")
    if good.size not in (0, bands):
        raise SpectrumFileError(f"{source}: a bad band list (bbl) of {good.size} for {bands} bands (samples)")
    return good == 0 if good.size else np.zeros(bands, dtype=np.bool_)


def _listed(text: str) -> list[str]:
    return [" ".join(part.split()) for part in text.split(",")] if text.strip() else []


def _number(fields: dict[str, str], key: str, source: str) -> float | None:
    if key not in fields:
        return None
    value = as_float(fields[key])
    if value is None or np.isnan(value):
        raise SpectrumFileError(f"{source}: {key} {shortened(fields[key])} is not a number")
    return value


def _integer(fields: dict[str, str], key: str, source: str, default: int | None = None) -> int:
    text = fields.get(key, "" if default is None else str(default))
    if not re.fullmatch(r"\d{1,12}", text):
        what = f"{key} {shortened(text)} is not a whole number" if text else f"has no line {shortened(key)}"
        raise SpectrumFileError(f"{source}: {what}; the header is damaged or cut off")
    return int(text)


def iter_envi(
    header: Header, data: bytes, source: str, data_source: str, on_bad: OnBad | None = None
) -> Iterator[Spectrum]:
    """Yield the spectra of a library from its parsed header and its values; see `read_envi`.

    Args:
        header: what `parse_header` returned.
        data: content of the values' file.
        source: becomes the spectra's source.
        data_source: the values' file, named where its length is wrong.
        on_bad: as for `read_envi`.
    """
    expected = header.offset + header.spectra * header.bands * header.dtype.itemsize
    if len(data) < expected:
        raise TruncatedFileError(f"{data_source}: cut off, {len(data)} of {expected} bytes are there; copy it again")
    if len(data) > expected:
        raise SpectrumFileError(f"{data_source}: {len(data)} bytes, its header announces {expected}")
    table = np.frombuffer(data, header.dtype, offset=header.offset).reshape(header.spectra, header.bands)
    names = header.names or ("",) * header.spectra
    lower = {name.lower() for name in names}
    rows = [i for i, name in enumerate(names) if not (_NOT_SPECTRA.match(name) or no_soil(name, lower))]
    nm = to_nm(header.wavelengths, header.unit, source)
    backwards = nm[0] > nm[-1]
    nm = nm[::-1] if backwards else nm
    kept, splices_nm = join_detectors(nm, source)
    values = as_doubles(table[rows])
    values[:, header.bad] = np.nan
    values = (values[:, ::-1] if backwards else values)[:, kept]
    missing = ~np.isfinite(values)
    if header.ignore is not None:
        # The header has the value in decimals, the file in its own precision.
        missing |= np.isclose(values, header.ignore, rtol=1e-5, atol=0.0)
    quantity = quantity_in([header.titles]) or "reflectance"
    values[missing] = np.nan
    scaled = _scaled(values, quantity, header, source)
    for i, row, wrong in zip(rows, scaled.values, scaled.wrong, strict=True):
        there = ~np.isnan(row)
        if np.count_nonzero(there) < 2:
            continue
        try:
            if wrong:
                raise UnusableSpectrumError(wrong)
            spectrum = _spectrum(
                names[i] or f"spectrum {i + 1}",
                *merge_equal(nm[kept][there], row[there]),
                quantity,
                splices_nm or header.joins_nm[i % len(header.joins_nm)],
                header,
                source,
            )
            facts = facts_in(header.facts[i]) if header.facts else {}
            yield with_remarks(with_facts(spectrum, facts), scaled.remarks)
        except UnusableSpectrumError as error:
            reason = str(error).removeprefix(f"{source}: ")
            located = UnusableSpectrumError(f"{source}: spectrum {i + 1} ({shortened(names[i], 60)[1:-1]}): {reason}")
            if on_bad is None:
                raise located from None
            on_bad(located)


def _scaled(values: Floats, quantity: Quantity, header: Header, source: str) -> Scaled:
    if header.scale_factor is not None:
        values = values / header.scale_factor
    if quantity not in ("reflectance", "transmittance"):
        return Scaled(values, ("",) * len(values))
    said = scale_in([header.titles]) if header.scale_factor is None else FRACTION
    stated = quantity_in([header.titles]) is not None
    advice = 'write the factor into the header, such as "reflectance scale factor = 10000"'
    scaled = to_fractions(values, said, stated, advice, source)
    if header.scale_factor is None:
        return scaled
    # No soil, no panel and no dark current reflects so little everywhere.
    dark = np.nanmax(np.nan_to_num(values), axis=1) < DARKEST
    why = (
        f"its values are next to nothing once divided by the header's scale factor, {header.scale_factor:g}; correct it"
    )
    return replace(scaled, wrong=tuple(one or (why if d else "") for one, d in zip(scaled.wrong, dark, strict=True)))


def _spectrum(
    name: str,
    nm: Floats,
    values: Floats,
    quantity: Quantity,
    splices_nm: tuple[float, ...],
    header: Header,
    source: str,
) -> Spectrum:
    sample_id, measurement, simulated = split_name(name)
    return Spectrum(
        wavelengths_nm=nm,
        values=values,
        quantity="transmittance" if quantity == "reflectance" and name.endswith(" TRAN") else quantity,
        sample_id=sample_id or name,
        source=source,
        measurement=measurement,
        splices_nm=tuple(join for join in splices_nm if nm[0] < join < nm[-1]),
        simulated=simulated or says_simulated(header.description),
    )
