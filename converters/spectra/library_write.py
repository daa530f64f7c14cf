"""Writers of files of many spectra that other programs read: ENVI spectral library and ViewSpec-like text."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator

import numpy as np

from .errors import SpectrumFileError, UnusableSpectrumError
from .facts import TITLE, facts_text
from .files import replacing
from .names import spectrum_name
from .spectrum import SIMULATED, Floats, Spectrum
from .table.layout import name_nm, other_grid

_TITLES = {
    "reflectance": "Reflectance (fraction)",
    "transmittance": "Transmittance (fraction)",
    "absorbance": "Absorbance (log 1/R)",
    "raw_dn": "Raw DN",
    "radiance": "Radiance",
    "irradiance": "Irradiance",
}


def write_envi(path: str | os.PathLike[str], spectra: Iterable[Spectrum]) -> int:
    """Write spectra of one grid and quantity as an ENVI spectral library of float32 values, wavelengths in nm.

    Memory is that of one spectrum and of the names. The values appear under their name before the header
    does, so that a header never stands alone.

    Args:
        path: `x.hdr` or `x.sli`; both are written.
        spectra: any number. Sample and measurement, joined by "_", make the name; simulated ones get
            " simulated" after it. Commas and braces, which the header cannot hold, become spaces. Detector joins and
            what the gates judge by (`facts.FACTS`) are lines of the header that ENVI passes over. What else a spectrum
            carries has no place in the format.

    Returns:
        How many spectra were written.

    Raises:
        UnusableSpectrumError: a spectrum has another grid or quantity than the first.
        SpectrumFileError: there are no spectra; nothing is written.
        OSError: a file cannot be written.
    """
    stem = os.path.splitext(os.fspath(path))[0]
    names: list[str] = []
    joins: list[str] = []
    facts: list[str] = []
    first: Spectrum | None = None
    with replacing(f"{stem}.hdr") as header, replacing(f"{stem}.sli") as values:
        for spectrum in _alike(spectra):
            first = first or spectrum
            names.append(re.sub(r"[\s,{}=]+", " ", spectrum_name(spectrum)).strip() or "-")
            joins.append(joins_text(spectrum))
            facts.append(facts_text(spectrum))
            values.write(spectrum.values.astype("<f4").tobytes())
        if first is None:
            raise SpectrumFileError(f"{stem}.hdr: not written, there are no spectra for it")
        description = f"{SIMULATED} spectra" if first.simulated else "spectra"
        lines = [
            "ENVI",
            f"description = {{{description}}}",
            f"samples = {first.wavelengths_nm.size}",
            f"lines = {len(names)}",
            "bands = 1",
            "header offset = 0",
            "file type = ENVI Spectral Library",
            "data type = 4",
            "interleave = bsq",
            "byte order = 0",
            "wavelength units = Nanometers",
            *(["reflectance scale factor = 1.0"] if first.quantity == "reflectance" else []),
            f"z plot titles = {{Wavelength (nm), {_TITLES[first.quantity]}}}",
            *([f"detector joins = {{{', '.join(joins)}}}"] if any(join != "-" for join in joins) else []),
            *([f"{TITLE} = {{{', '.join(facts)}}}"] if any(fact != "-" for fact in facts) else []),
            f"wavelength = {{{', '.join(map(name_nm, first.wavelengths_nm))}}}",
            "spectra names = {\n " + ",\n ".join(names) + "}",
        ]
        header.write("".join(f"{line}\n" for line in lines).encode("utf-8", "replace"))
    return len(names)


def write_ascii_table(path: str | os.PathLike[str], spectra: Iterable[Spectrum]) -> int:
    """Write spectra of one grid and quantity as text: wavelengths in nm down, a tab and a column for each spectrum.

    The first column's name says unit and quantity, the others' are sample and measurement joined by "_", with
    " simulated" after those that are; lines before it tell where detectors join and what the gates judge by. Values
    have nine significant digits. Since a line holds all spectra, so does memory.

    Args:
        path: the file; it appears under its name when it is whole.
        spectra: any number.

    Returns:
        How many spectra were written.

    Raises:
        UnusableSpectrumError: a spectrum has another grid or quantity than the first.
        SpectrumFileError: there are no spectra; no file is written.
        OSError: the file cannot be written.
    """
    target = os.fspath(path)
    columns: list[Floats] = []
    names: list[str] = []
    joins: list[str] = []
    facts: list[str] = []
    first: Spectrum | None = None
    for spectrum in _alike(spectra):
        first = first or spectrum
        columns.append(spectrum.values)
        joins.append(joins_text(spectrum))
        facts.append(facts_text(spectrum))
        names.append(re.sub(r'[\s"]+', " ", spectrum_name(spectrum)).strip() or "-")
    if first is None:
        raise SpectrumFileError(f"{target}: not written, there are no spectra for it")
    row = "\t".join(["%s", *["%.9g"] * len(columns)]) + "\n"
    with replacing(target) as file:
        for title, told in (("# detector joins (nm)", joins), (f"# {TITLE}", facts)):
            if any(one != "-" for one in told):
                file.write(("\t".join([title, *told]) + "\n").encode("utf-8", "replace"))
        head = f"Wavelength (nm) {_TITLES[first.quantity]}"
        file.write(("\t".join([head, *names]) + "\n").encode("utf-8", "replace"))
        for nm, values in zip(first.wavelengths_nm, np.stack(columns, axis=1), strict=True):
            file.write((row % (name_nm(nm), *values.tolist())).encode("ascii"))
    return len(names)


def joins_text(spectrum: Spectrum) -> str:
    """Write where detectors join, in nm, as one entry of a list; "-" for nowhere known."""
    return " ".join(map(name_nm, spectrum.splices_nm)) or "-"


def _alike(spectra: Iterable[Spectrum]) -> Iterator[Spectrum]:
    first: Spectrum | None = None
    for spectrum in spectra:
        first = first or spectrum
        name = spectrum.source or spectrum.sample_id
        if not np.array_equal(spectrum.wavelengths_nm, first.wavelengths_nm):
            raise UnusableSpectrumError(f"{name}: {other_grid(spectrum, first.wavelengths_nm)}")
        if spectrum.quantity != first.quantity:
            raise UnusableSpectrumError(f"{name}: {spectrum.quantity} does not fit beside the first's {first.quantity}")
        yield spectrum
