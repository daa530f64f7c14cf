"""`stibium convert`."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

import click

from .output import say
from .progress import Progress
from .spectra_out import Fit, Tally, check_out, format_of, paths_of, write_spectra

if TYPE_CHECKING:
    from ...converters.spectra.spectrum import Floats, Spectrum

FORMATS = ("table", "asd", "ascii", "envi", "parquet")
_FORMAT_OF = {
    ".csv": "table",
    ".gz": "table",
    ".asd": "asd",
    ".txt": "ascii",
    ".tsv": "ascii",
    ".asc": "ascii",
    ".hdr": "envi",
    ".sli": "envi",
    ".parquet": "parquet",
}
_ENDINGS = "end it in .csv, .csv.gz, .asd, .txt or .hdr, or in / for a folder of .asd files, or give --to"
_ONE_GRID = "--resample brings them to one grid"


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
    help="Format of OUT.  [default: by its ending: .csv or .csv.gz, .asd, .txt, .hdr, .parquet for a folder of parts, "
    "/ for a folder of .asd]",
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
    to = to or format_of(out, _FORMAT_OF, _ENDINGS)
    check_out(out, to, force)
    tally = Tally()
    files: list[str] = []
    with Progress("spectra", every=100) as progress:
        write_spectra(
            _fitting(inputs, out, Fit(to, splices, grid_nm, _ONE_GRID), files, tally, progress), out, to, tally
        )
    if not files and not tally.refused:
        raise click.UsageError(f"no files in {', '.join(inputs)}")
    refused = f", {tally.refused} refused" if tally.refused else ""
    written = out if tally.written else "nothing written"
    spectra_read = f"{tally.written} spectr{'um' if tally.written == 1 else 'a'}"
    files_read = f"{len(files)} file{'' if len(files) == 1 else 's'}"
    say(f"{spectra_read} from {files_read}{refused}: {written}", err=True)
    ctx.exit(1 if tally.refused else 0)


def _files(inputs: Collection[str], out: str, to: str, tally: Tally) -> Iterator[str]:
    from ..files import iter_paths
    from ..model.estimate import Refusal

    # With --force an old result may lie in a folder of inputs of a new one.
    left_out = {os.path.abspath(path) for path in paths_of(out, to)}
    for found in iter_paths(inputs):
        if isinstance(found, Refusal):
            tally.refuse(f"{found.source}: {found.reason}")
        elif found in inputs or os.path.abspath(found) not in left_out:
            yield found


def _fitting(
    inputs: tuple[str, ...], out: str, fit: Fit, files: list[str], tally: Tally, progress: Progress
) -> Iterator[Spectrum]:
    """Yield what can be written, and refuse the rest."""
    from ...converters.spectra.errors import StibiumError
    from ..files import iter_file
    from ..model.estimate import Refusal

    for path in _files(inputs, out, fit.to, tally):
        files.append(path)
        for item in iter_file(path):
            if isinstance(item, Refusal):
                tally.refuse(f"{item.source}: {item.reason}")
                continue
            try:
                fitting = fit.of(item)
            except StibiumError as error:
                tally.refuse(error)
                continue
            progress.at(tally.written + 1)
            yield fitting
