"""What a sample is called, and which of its measurements a spectrum is: from names of files and of spectra."""

from __future__ import annotations

import os
import re

from .spectrum import SIMULATED, Spectrum

_EXTENSIONS = re.compile(r"(?:\.(?:asd|sed|sig|txt|csv|tsv|dat|asc|sco|spc|ref|rts|rfl|\d{3}))+$", re.IGNORECASE)


def stem_of(source: str) -> str:
    """Return a file's name without folder, `.gz` and extension."""
    name = os.path.basename(source)
    if name.lower().endswith(".gz"):
        name = name[:-3]
    return os.path.splitext(name)[0] or name


def split_name(name: str) -> tuple[str, str, bool]:
    """Split the name of a spectrum, often a file name, into sample, measurement and "is simulated".

    ASD's RS3 names files by a base and five digits, `RS05200003.asd` or `RS052_00003.asd`: sample `RS052`,
    measurement `00003`. A name without extension is only split at a separator, since `Soil12345` may be a soil,
    and not after seven digits or more, which are an instrument's serial number (`1456045_00115`).
    """
    simulated = re.search(rf"\b{SIMULATED}\b", name, re.IGNORECASE) is not None
    if simulated:
        name = re.sub(rf"[\s(\[,;]*\b{SIMULATED}\b[)\]]?", "", name, flags=re.IGNORECASE)
    name = " ".join(name.split())
    bare = _EXTENSIONS.sub("", name)
    separator = r"[._-]?" if bare != name else r"[._-]"
    found = re.fullmatch(rf"(.+?){separator}(\d{{5}})", bare)
    if found is None or re.fullmatch(r"\d{7,}", found[1]):
        return bare, "", simulated
    return found[1], found[2], simulated


def sample_and_measurement(source: str, number: str = r"[._-]?(\d{5})", no_sample: str = r"(?!)") -> tuple[str, str]:
    """Split a file's name as an instrument's software makes it: base name and number.

    `RS05200003.asd` and `RS052_00003.asd` are measurement 00003 of sample RS052, as `RS052.003` is 003 of RS052;
    any other name is a sample's.

    Args:
        source: path or name of the file.
        number: how the software writes the number, as a pattern.
        no_sample: bases that are the instrument's own and no sample, as a pattern; then the whole name stands for it.
    """
    stem, suffix = os.path.splitext(os.path.basename(source))
    if re.fullmatch(r"\.\d{3}", suffix):
        return stem, suffix[1:]
    stem = stem_of(source)
    found = re.fullmatch(f"(.+?){number}", stem)
    if found is None or not found[1].strip("._-") or re.fullmatch(no_sample, found[1]):
        return stem, ""
    return found[1], found[2]


def spectrum_name(spectrum: Spectrum) -> str:
    """Return a spectrum's name where a format has room for one text only."""
    name = f"{spectrum.sample_id}_{spectrum.measurement}" if spectrum.measurement else spectrum.sample_id
    return f"{name} {SIMULATED}" if spectrum.simulated and SIMULATED not in name.lower() else name
