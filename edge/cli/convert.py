"""`stibium convert`."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Any

import click

from .output import printable
from .progress import Progress

if TYPE_CHECKING:
    from ...converters.spectra.spectrum import Floats, Spectrum

FORMATS = ("table", "asd", "ascii", "envi")
_FORMAT_OF = {
    ".csv": "table",
    ".gz": "table",
    ".asd": "asd",
    ".txt": "ascii",
    ".tsv": "ascii",
    ".asc": "ascii",
    ".hdr": "envi",
    ".sli": "envi",
}
_ONE_GRID = "--resample brings them to one grid"


@dataclass
class _Tally:
    """What has been read so far."""

    progress: Progress
    files: int = 0
    spectra: int = 0
    refused: int = 0

    def refuse(self, error: object) -> None:
        self.refused += 1
        click.echo(f"refused: {printable(' '.join(str(error).split()))}", err=True)


def _splices(ctx: click.Context, param: click.Parameter, text: str | None) -> tuple[float, ...]:
    try:
        values = tuple(float(part) for part in text.split(",")) if text else ()
    except ValueError:
        values = (0.0,)
    if any(not 200 <= value <= 20000 for value in values) or list(values) != sorted(set(values)):
        raise click.BadParameter("give ascending wavelengths in nm between commas, such as 1000,1800", ctx, param)
    return values


def _grid(ctx: click.Context, param: click.Parameter, text: str | None) -> Floats | None:
    import numpy as np

    if not text:
        return None
    try:
        first, last, step = (float(part) for part in text.split(":"))
        bands = round((last - first) / step) + 1
    except (ValueError, ZeroDivisionError, OverflowError):
        bands = 0
    if not 2 <= bands <= 100_000 or not (200 <= first < last <= 20000) or abs(first + (bands - 1) * step - last) > 1e-6:
        raise click.BadParameter("give first and last wavelength and a step in nm, such as 350:2500:1", ctx, param)
    grid_nm: Floats = np.round(first + np.arange(bands) * step, 6)
    return grid_nm


@click.command(epilog="Example:  stibium convert soils/ library.hdr all.csv.gz --resample 350:2500:1")
@click.argument("inputs", metavar="IN...", nargs=-1, required=True, type=click.Path())
@click.argument("out", metavar="OUT", type=click.Path())
@click.option(
    "--to",
    "to",
    type=click.Choice(FORMATS),
    help="Format of OUT.  [default: by its ending: .csv or .csv.gz, .asd, .txt, .hdr, / for a folder of .asd]",
)
@click.option(
    "--splices",
    metavar="NM,NM",
    callback=_splices,
    help="Where detectors join, for spectra whose file does not say.",
)
@click.option(
    "--resample",
    "grid_nm",
    metavar="FIRST:LAST:STEP",
    callback=_grid,
    help="Interpolate all spectra to these wavelengths in nm.",
)
@click.option("--force", is_flag=True, help="Replace OUT if it is there.")
@click.pass_context
def convert(
    ctx: click.Context,
    inputs: tuple[str, ...],
    out: str,
    to: str | None,
    splices: tuple[float, ...],
    grid_nm: Floats | None,
    force: bool,
) -> None:
    """Convert files of spectra, or all files in folders, into one file.

    Read are ASD .asd, Spectral Evolution .sed, SVC .sig, ENVI libraries .hdr/.sli, text tables and stibium's own
    tables, plain or gzipped; the content decides. OUT is a table (docs/table_format.md), an ENVI library, a text
    table with wavelengths down, one .asd, or a folder of .asd files where it ends in / or is a folder.

    A file or spectrum that cannot be used is refused with a reason on standard error and does not stop the rest;
    then the exit code is 1. OUT appears when it is complete. Apart from .asd files, OUT has one grid of
    wavelengths, that of the first spectrum: others are refused unless --resample brings them to one.
    """
    to = to or _format_of(out)
    _check_out(out, to, force)
    with Progress("spectra", every=100) as progress:
        tally = _Tally(progress)
        spectra = _all_spectra(inputs, out, to, splices, grid_nm, tally)
        first = next(spectra, None)
        if first is not None:
            _write(chain([first], spectra), out, to, tally)
    if first is None and not tally.files and not tally.refused:
        raise click.UsageError(f"no files in {', '.join(inputs)}")
    refused = f", {tally.refused} refused" if tally.refused else ""
    written = out if tally.spectra else "nothing written"
    spectra_read = f"{tally.spectra} spectr{'um' if tally.spectra == 1 else 'a'}"
    files_read = f"{tally.files} file{'' if tally.files == 1 else 's'}"
    click.echo(f"{spectra_read} from {files_read}{refused}: {written}", err=True)
    ctx.exit(1 if tally.refused else 0)


def _format_of(out: str) -> str:
    if out.endswith(os.sep) or os.path.isdir(out):
        # Only .asd files come in a folder.
        return "asd"
    extension = os.path.splitext(out)[1].lower()
    if extension not in _FORMAT_OF:
        raise click.UsageError(
            f"{out}: its ending tells no format; end it in .csv, .csv.gz, .asd, .txt or .hdr, or in / for a folder of "
            ".asd files, or give --to"
        )
    return _FORMAT_OF[extension]


def _check_out(out: str, to: str, force: bool) -> None:
    if _is_folder(out, to):
        if os.path.isdir(out) and os.listdir(out) and not force:
            raise click.UsageError(f"{out}: is not empty; --force writes into it all the same")
        if os.path.exists(out) and not os.path.isdir(out):
            raise click.UsageError(f"{out}: is a file; name a folder for the .asd files")
        return
    if to == "envi" and os.path.splitext(out)[1].lower() not in (".hdr", ".sli"):
        raise click.UsageError(f"{out}: an ENVI library is x.hdr with x.sli; end the name in .hdr")
    for path in _paths_of(out, to):
        if os.path.isdir(path):
            raise click.UsageError(f"{path}: is a folder; name a file")
        if os.path.exists(path) and not force:
            raise click.UsageError(f"{path}: exists; --force replaces it")
    folder = os.path.dirname(out) or "."
    if not os.path.isdir(folder):
        raise click.UsageError(f"{folder}: there is no such folder")


def _is_folder(out: str, to: str) -> bool:
    return to == "asd" and (not out.lower().endswith(".asd") or os.path.isdir(out))


def _paths_of(out: str, to: str) -> list[str]:
    return [os.path.splitext(out)[0] + extension for extension in (".hdr", ".sli")] if to == "envi" else [out]


def _files(inputs: Iterable[str], out: str, to: str, tally: _Tally) -> Iterator[str]:
    from ..files import envi_header_of, iter_files
    from ..model.estimate import Refusal

    # With --force an old result may lie among the inputs of a new one.
    left_out = {os.path.abspath(path) for path in _paths_of(out, to)}
    headers = {os.path.abspath(path) for path in inputs}
    for path in inputs:
        if not os.path.isdir(path):
            header = envi_header_of(path)
            if header is None or os.path.abspath(header) not in headers:
                yield path
            continue
        for found in iter_files(path):
            if isinstance(found, Refusal):
                tally.refuse(f"{found.source}: {found.reason}")
            elif os.path.abspath(found) not in left_out and envi_header_of(found) is None:
                yield found


def _all_spectra(
    inputs: tuple[str, ...],
    out: str,
    to: str,
    splices: tuple[float, ...],
    grid_nm: Floats | None,
    tally: _Tally,
) -> Iterator[Spectrum]:
    """Yield what can be written, and refuse the rest."""
    from ...converters.spectra.errors import StibiumError
    from ..files import iter_file
    from ..model.estimate import Refusal

    fit = _Fit(to, splices, grid_nm)
    for path in _files(inputs, out, to, tally):
        tally.files += 1
        for item in iter_file(path):
            if isinstance(item, Refusal):
                tally.refuse(f"{item.source}: {item.reason}")
                continue
            try:
                fitting = fit.of(item)
            except StibiumError as error:
                tally.refuse(error)
                continue
            tally.spectra += 1
            tally.progress.at(tally.spectra)
            yield fitting


class _Fit:
    """Brings spectra to what one output file can hold, and remembers the first."""

    def __init__(self, to: str, splices_nm: tuple[float, ...], grid_nm: Floats | None) -> None:
        self.to = to
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
            raise UnusableSpectrumError(f"{name}: {other_grid(spectrum, self.first.wavelengths_nm)}; {_ONE_GRID}")
        if self.to != "table" and spectrum.quantity != self.first.quantity:
            raise UnusableSpectrumError(
                f"{name}: is {spectrum.quantity}, the first spectrum {self.first.quantity}; only a table holds both"
            )
        return spectrum


def _write(spectra: Iterator[Spectrum], out: str, to: str, tally: _Tally) -> None:
    if to == "table":
        from ...converters.spectra.table.write import write_table

        write_table(out, spectra)
    elif to == "envi":
        from ...converters.spectra.library_write import write_envi

        write_envi(out, spectra)
    elif to == "ascii":
        from ...converters.spectra.library_write import write_ascii_table

        write_ascii_table(out, spectra)
    elif _is_folder(out, to):
        _write_asd_files(spectra, out, tally)
    else:
        _write_one_asd(spectra, out, tally)


def _write_one_asd(spectra: Iterator[Spectrum], out: str, tally: _Tally) -> None:
    from ...converters.spectra.asd_write import write_asd

    first = next(spectra)
    if next(spectra, None) is not None:
        raise click.UsageError(f"{out}: an .asd file holds one spectrum; give --to asd and a folder for more")
    _write_asd(write_asd, out, first, tally)


def _write_asd_files(spectra: Iterator[Spectrum], folder: str, tally: _Tally) -> None:
    from ...converters.spectra.asd_write import write_asd

    os.makedirs(folder, exist_ok=True)
    written: set[str] = set()
    for spectrum in spectra:
        name = asd_file_name(spectrum, written)
        written.add(name.lower())
        _write_asd(write_asd, os.path.join(folder, name), spectrum, tally)


def _write_asd(write_asd: Any, path: str, spectrum: Spectrum, tally: _Tally) -> None:
    from ...converters.spectra.errors import UnusableSpectrumError

    try:
        write_asd(path, spectrum)
    except UnusableSpectrumError as error:
        tally.spectra -= 1
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
