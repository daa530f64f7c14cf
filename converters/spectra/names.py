"""What a sample is called, and which of its measurements a spectrum is: from names of files and of spectra."""

from __future__ import annotations

import os
import re
import unicodedata
from datetime import datetime
from functools import lru_cache

from .spectrum import SIMULATED, Spectrum

_EXTENSIONS = re.compile(r"(?:\.(?:asd|sed|sig|txt|csv|tsv|dat|asc|sco|spc|ref|rts|rfl|raw|gz))+$", re.IGNORECASE)
_PROCESSED = re.compile(r"(?:[._ -](?:moc|resamp(?:led)?))+$", re.IGNORECASE)
"""What SVC's software adds to the name of a file in which it joined detectors or resampled bands."""
_STAMP = re.compile(
    r"[._ -]?((?:19|20)\d\d[-_.]?(?:0[1-9]|1[0-2])[-_.]?(?:0[1-9]|[12]\d|3[01])[T._ -]?"
    r"(?:[01]\d|2[0-3])[-_.:h]?[0-5]\d(?:[-_.:m]?[0-5]\d)?)$"
)
_DATES = ("%Y%m%d", "%Y-%m-%d", "%Y_%m_%d", "%d%m%Y", "%m%d%Y", "%m%d%y", "%d%m%y", "%y%m%d")
_NO_SAMPLES = re.compile(
    r"(?:new[ _-]?)?(?:spectr(?:um|a)|spec|samples?|scans?|measurements?|targets?|files?|untitled|unnamed|default)"
    r"|\d{7,}|[._ -]*",
    re.IGNORECASE,
)
"""Bases of file names that programs propose, or that are an instrument's serial number: of every soil of a day."""

ASD_NUMBER = r"(?:[._-]?(\d{5})|\.(\d{3}))"
"""RS3 and Indico: `RS05200003.asd`, `RS052_00003.asd`, older `RS052.003`."""
SVC_NUMBER = r"(?:\.(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d\d(?=\.\d{4}$))?[._](\d{3,5})"
"""`RS052_003.sig`; SVC's program for handhelds puts the date between: `RS052.052024.0003.sig`."""
SVC_BASES = r"(?:[A-Za-z]{2}|HR?i?PDA|SVC|HR-?\d{3,4}i?)(?:[._]?\d{6})?"
"""Bases that SVC's programs propose: `gr072817_003.sig`, `HRPDA.052024.0003.sig`."""


def file_name(source: str) -> str:
    """Return a file's name without folder and extensions, and without what software added for its processing."""
    name = os.path.basename(source)
    bare = _EXTENSIONS.sub("", name)
    return _PROCESSED.sub("", bare if bare != name or _numbered(name) else os.path.splitext(name)[0]) or name


def _numbered(name: str) -> bool:
    return re.search(r"\.\d{3}$", name) is not None


def sample_and_measurement(
    source: str, number: str = ASD_NUMBER, no_sample: str = r"(?!)", measured_at: datetime | None = None
) -> tuple[str, str]:
    """Split a file's name as an instrument's software makes it: base name, perhaps date and time, and number.

    `RS05200003.asd`, `RS052_00003.asd` and `RS052_00003_resamp.asd` are measurement 00003 of sample RS052,
    `RS052_20240516_070809.asd` is one of RS052 too. Where the base is none that a person gave (`spectrum00003.asd`,
    a serial number, only a date), the whole name stands for the sample: each measurement may be of another soil.

    Args:
        source: path or name of the file.
        number: how the software writes the number, as a pattern with a group for its digits.
        no_sample: further bases that are no sample's, as a pattern.
        measured_at: when; a date in the name that is this one is no part of the sample's name.

    Returns:
        Sample and measurement; "" for no measurement.
    """
    return _split(file_name(source), number, no_sample, measured_at)


def split_name(name: str) -> tuple[str, str, bool]:
    """Split the name of a spectrum, often a file name, into sample, measurement and "is simulated".

    Files' names are split as `sample_and_measurement` does it. A name without extension is only split at a separator,
    since `Soil12345` may be a soil.
    """
    simulated = re.search(rf"\b{SIMULATED}\b", name, re.IGNORECASE) is not None
    if simulated:
        name = re.sub(rf"[\s(\[,;]*\b{SIMULATED}\b[)\]]?", "", name, flags=re.IGNORECASE)
    name = " ".join(name.split())
    bare = _PROCESSED.sub("", _EXTENSIONS.sub("", name))
    return *_split(bare, ASD_NUMBER if bare != name else r"[._-](\d{5})", r"(?!)", None), simulated


def _split(bare: str, number: str, no_sample: str, measured_at: datetime | None) -> tuple[str, str]:
    found = None if _STAMP.search(bare) else re.fullmatch(f"(.+?){number}", bare)
    base, measurement = (found[1], next(filter(None, found.groups()[1:]))) if found else (bare, "")
    sample = _without_date(base, measured_at)
    if sample == base and not measurement:
        return bare, ""
    if _NO_SAMPLES.fullmatch(sample) or re.fullmatch(no_sample, sample, re.IGNORECASE):
        return bare, ""
    return sample.rstrip(), measurement or bare[len(sample) :].strip("._ -")


def _without_date(base: str, measured_at: datetime | None) -> str:
    stamp = _STAMP.search(base)
    if stamp is not None:
        return base[: stamp.start()]
    if measured_at is not None and base[-2:].isdigit():
        for form in _DATES:
            if base.endswith(date := measured_at.strftime(form)):
                return base.removesuffix(date).rstrip("._ -")
    return base


@lru_cache(maxsize=8192)
def plain_name(name: str) -> str:
    """Return a sample's name without what people write differently: case, spaces, separators and leading zeros.

    Between two digits something has to stay: `1-1` is not `11`. Behind a decimal mark zeros count: `0.5` is not `0.05`.
    What Unicode writes in several ways is one, and separators are left where there is nothing else.
    """
    name = unicodedata.normalize("NFKC", name)
    without_zeros = re.sub(r"(?<!\d)(?<!\d[.,])0+(?=\d)", "", name)
    plain = re.sub(r"[\s._-]+", "", re.sub(r"(?<=\d)[\s._-]+(?=\d)", "/", without_zeros)).casefold()
    return plain or "".join(name.split())


def spectrum_name(spectrum: Spectrum) -> str:
    """Return a spectrum's name where a format has room for one text only."""
    name = f"{spectrum.sample_id}_{spectrum.measurement}" if spectrum.measurement else spectrum.sample_id
    return f"{name} {SIMULATED}" if spectrum.simulated and SIMULATED not in name.lower() else name


def as_utf8(text: str) -> str:
    """Put question marks for what is no UTF-8, as in a name of another encoding; no terminal or SQLite takes such."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
