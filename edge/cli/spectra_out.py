"""Files of spectra that commands write: what fits into one, and a folder of .asd files."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Any

import click

from .output import printable

if TYPE_CHECKING:
    from ...converters.spectra.spectrum import Floats, Spectrum


@dataclass
class Tally:
    """How many spectra have been written and how many refused."""

    written: int = 0
    refused: int = 0

    def refuse(self, error: object) -> None:
        """Count a refusal and say why."""
        self.refused += 1
        click.echo(f"refused: {printable(' '.join(str(error).split()))}", err=True)


def format_of(out: str, of_ending: Mapping[str, str], endings: str) -> str:
    """Tell the format of OUT by its ending; only .asd files come in a folder. `endings` says what to write instead."""
    if out.endswith(os.sep) or os.path.isdir(out):
        return "asd"
    extension = os.path.splitext(out)[1].lower()
    if extension not in of_ending:
        raise click.UsageError(f"{out}: its ending tells no format; {endings}")
    return of_ending[extension]


def check_out(out: str, to: str, force: bool) -> None:
    """Stop before anything is read if OUT cannot be written, or is there and --force was not given."""
    if _is_folder(out, to):
        if os.path.isdir(out) and os.listdir(out) and not force:
            raise click.UsageError(f"{out}: is not empty; --force writes into it all the same")
        if os.path.exists(out) and not os.path.isdir(out):
            raise click.UsageError(f"{out}: is a file; name a folder for the .asd files")
        return
    if to == "envi" and os.path.splitext(out)[1].lower() not in (".hdr", ".sli"):
        raise click.UsageError(f"{out}: an ENVI library is x.hdr with x.sli; end the name in .hdr")
    for path in paths_of(out, to):
        if os.path.isdir(path):
            raise click.UsageError(f"{path}: is a folder; name a file")
        if os.path.exists(path) and not force:
            raise click.UsageError(f"{path}: exists; --force replaces it")
    folder = os.path.dirname(out) or "."
    if not os.path.isdir(folder):
        raise click.UsageError(f"{folder}: there is no such folder")


def _is_folder(out: str, to: str) -> bool:
    return to == "parquet" or (to == "asd" and (not out.lower().endswith(".asd") or os.path.isdir(out)))


def paths_of(out: str, to: str) -> list[str]:
    """Name the files that OUT is made of."""
    return [os.path.splitext(out)[0] + extension for extension in (".hdr", ".sli")] if to == "envi" else [out]


class Fit:
    """Brings spectra to what one output file can hold, and remembers the first.

    Args:
        to: format.
        splices_nm: for spectra that say none.
        grid_nm: to interpolate to; None to leave them.
        otherwise: what to do with spectra on several grids.
    """

    def __init__(
        self, to: str, splices_nm: tuple[float, ...] = (), grid_nm: Floats | None = None, otherwise: str = ""
    ) -> None:
        self.to, self.otherwise = to, otherwise
        self.splices_nm = splices_nm
        self.grid_nm = grid_nm
        self.first: Spectrum | None = None

    def of(self, spectrum: Spectrum) -> Spectrum:
        """Return the spectrum as it is written; raises a StibiumError that names its file if it does not fit."""
        import numpy as np

        from ...converters.spectra.errors import UnusableSpectrumError
        from ...converters.spectra.table.layout import other_grid

        name = f"{spectrum.source}: {spectrum.sample_id}"
        changes: dict[str, Any] = {}
        if self.splices_nm and not spectrum.splices_nm:
            changes["splices_nm"] = self.splices_nm
        if self.grid_nm is not None:
            from ..errors import PreprocessError
            from ..model.grid import Grid, interpolation

            try:
                onto = interpolation(Grid(spectrum.wavelengths_nm), Grid(self.grid_nm))
            except PreprocessError as error:
                raise UnusableSpectrumError(f"{name}: {error}") from None
            changes |= {"values": onto(spectrum.values), "wavelengths_nm": self.grid_nm}
        if changes:
            spectrum = replace(spectrum, **changes)
        if self.first is None:
            self.first = spectrum
        if self.to == "asd":
            return spectrum
        if not np.array_equal(spectrum.wavelengths_nm, self.first.wavelengths_nm):
            raise UnusableSpectrumError(f"{name}: {other_grid(spectrum, self.first.wavelengths_nm)}; {self.otherwise}")
        if self.to != "table" and spectrum.quantity != self.first.quantity:
            raise UnusableSpectrumError(
                f"{name}: is {spectrum.quantity}, the first spectrum {self.first.quantity}; only a table holds both"
            )
        return spectrum


def write_spectra(spectra: Iterator[Spectrum], out: str, to: str, tally: Tally) -> None:
    """Write what there is, and count it; nothing appears where there are no spectra."""
    first = next(spectra, None)
    if first is None:
        return
    spectra = _counted(chain([first], spectra), tally)
    if to == "asd":
        (_write_asd_files if _is_folder(out, to) else _write_one_asd)(spectra, out, tally)
    elif to == "parquet":
        _desk_writer(to)(out, spectra)
    elif to == "table":
        from ...converters.spectra.table.write import write_table

        write_table(out, spectra)
    else:
        from ...converters.spectra.library_write import write_ascii_table, write_envi

        (write_envi if to == "envi" else write_ascii_table)(out, spectra)


def _desk_writer(to: str) -> Callable[[str, Iterator[Spectrum]], int]:
    """Find who writes a format that only a desk has.

    Raises:
        OutputError: the training side is not installed.
    """
    from ..errors import OutputError, installing
    from .desk_only import of_the_desk

    if (writer := of_the_desk("spectra_writers", to)) is not None:
        return writer  # type: ignore[no-any-return]
    raise OutputError(f"--to {to} needs the training side, which is not installed here: {installing('train')}")


def _counted(spectra: Iterator[Spectrum], tally: Tally) -> Iterator[Spectrum]:
    for spectrum in spectra:
        tally.written += 1
        yield spectrum


def _write_one_asd(spectra: Iterator[Spectrum], out: str, tally: Tally) -> None:
    first = next(spectra)
    if next(spectra, None) is not None:
        raise click.UsageError(f"{out}: an .asd file holds one spectrum; give a folder for more")
    _write_asd(out, first, tally)


def _write_asd_files(spectra: Iterator[Spectrum], folder: str, tally: Tally) -> None:
    os.makedirs(folder, exist_ok=True)
    written: set[str] = set()
    for spectrum in spectra:
        name = asd_file_name(spectrum, written)
        written.add(name.lower())
        _write_asd(os.path.join(folder, name), spectrum, tally)


def _write_asd(path: str, spectrum: Spectrum, tally: Tally) -> None:
    from ...converters.spectra.asd_write import write_asd
    from ...converters.spectra.errors import UnusableSpectrumError

    try:
        write_asd(path, spectrum)
    except UnusableSpectrumError as error:
        tally.written -= 1
        reason = str(error).removeprefix(f"{path}: ").removeprefix(f"{spectrum.source}: ")
        tally.refuse(f"{spectrum.source}: {spectrum.sample_id}: {reason}")


def asd_file_name(spectrum: Spectrum, taken: set[str]) -> str:
    """Name a file as RS3 does, by sample and five digits, so that reading it gives the sample again."""
    from ...converters.spectra.names import sample_and_measurement

    sample = re.sub(r"[^\w.+-]+", "_", spectrum.sample_id).strip("._")[:100] or "spectrum"
    name = f"{sample}.asd"
    if re.fullmatch(r"\d{1,5}", spectrum.measurement):
        name = f"{sample}_{int(spectrum.measurement):05d}.asd"
    number = 0
    while name.lower() in taken or sample_and_measurement(name)[0] != sample:
        name = f"{sample}_{number:05d}.asd"
        number += 1
        if number > 99_999:
            return f"{sample}-{len(taken)}.asd"
    return name
