"""What commands of the training side share: the data that they are given, and what they say on the way."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, fields
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ...edge.cli.finite import FiniteRange
from ...edge.errors import StibiumError
from ..assays.exclusion import Excluded, Exclusion, names_above
from ..assays.files import AssayFiles
from ..assays.table import AssayTable, read_assay_table
from ..crossval.groups import read_cells, read_groups
from ..terminal import SIMULATED

if TYPE_CHECKING:
    from ...edge.workers import Workers
    from ..samples import Samples

F = Callable[..., Any]


class _ExclusionType(click.ParamType):  # type: ignore[type-arg]
    """1000, or Sb=1000."""

    name = "value"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Exclusion:
        """Read it; what is no positive number is a usage error."""
        if isinstance(value, Exclusion):
            return value
        element, _, text = str(value).rpartition("=")
        try:
            limit = float(text)
        except ValueError:
            limit = -1.0
        if not 0 < limit < float("inf"):
            self.fail(f"{value!r}; write a number above 0, such as 1000, or Sb=1000", param, ctx)
        return Exclusion(limit, element)


_EXCLUSION = _ExclusionType()


class ReadBy(click.ParamType):  # type: ignore[type-arg]
    """What a reader makes of a text; what it refuses is a usage error.

    Args:
        reader: raises a StibiumError of one line.
    """

    name = "text"

    def __init__(self, reader: Callable[[str], Any]) -> None:
        self._reader = reader

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read it."""
        if not isinstance(value, str):
            return value
        try:
            return self._reader(value)
        except StibiumError as error:
            self.fail(str(error), param, ctx)


@dataclass(frozen=True)
class DataOptions:
    """Spectra and assays that a command is given.

    Attributes:
        spectra: files and folders.
        assays: table of laboratory values.
        controls, certified: see `files.AssayFiles`.
        replicates: "average" or "each".
        exclude_above: grade that samples are left out above.
    """

    spectra: tuple[str, ...]
    assays: str
    controls: tuple[str, ...]
    certified: str | None
    replicates: Any
    exclude_above: Exclusion | None

    def read(self) -> AssayData:
        """Read all tables, before hours are spent on the spectra, and say what was done to them.

        Raises:
            AssayFileError: a file cannot be used.
        """
        files = AssayFiles(self.assays, self.controls, self.certified)
        files.check()
        table = read_assay_table(self.assays)
        say(table.notes)
        return AssayData(self, files, table, names_above(table, self.exclude_above))


@dataclass(frozen=True)
class AssayData:
    """A command's assays, read.

    Attributes:
        options: what it was given.
        files: as a report takes them.
        table: of laboratory values.
        excluded: samples to leave out.
    """

    options: DataOptions
    files: AssayFiles
    table: AssayTable
    excluded: Excluded

    def load(
        self,
        element: str,
        range_nm: tuple[float, float] | None,
        groups: dict[str, Hashable] | None = None,
        unit: str = "",
        workers: Workers | None = None,
    ) -> Samples:
        """Read the spectra and join them with one element.

        Args:
            element: as the table has it, or with `unit` as a model has it.
            range_nm: that spectra must cover; None for what they have.
            groups: sample -> site or the like.
            unit: that the values are wanted in.
            workers: who reads; None for this process.

        Raises:
            AssayFileError, TrainingDataError: no such element, or nothing is left.
        """
        from dataclasses import replace

        from ..samples import load

        wanted = self.table.assays_for(element, unit) if unit else self.table.assays(element)
        samples = load(self.options.spectra, wanted, range_nm, self.excluded, workers)
        return replace(samples, groups=groups)


def data_options(command: F, spectra_required: bool = True) -> F:
    """Give a command the options of `DataOptions`, and it these as its argument `data`."""

    @wraps(command)
    def packed(*args: Any, **given: Any) -> Any:
        mine = {field.name: given.pop(field.name) for field in fields(DataOptions)}
        return command(*args, data=DataOptions(**mine), **given)

    for option in (
        click.option(
            "--exclude-above",
            type=_EXCLUSION,
            metavar="[NAME=]VALUE",
            help="Leave out samples above this, in the assays' unit; with a NAME, by that element, whatever is "
            "estimated (the paper: Sb=1000).",
        ),
        click.option(
            "--replicates",
            type=click.Choice(["average", "each"]),
            default="average",
            show_default=True,
            help="One mean spectrum a sample, or every measurement by itself.",
        ),
        click.option(
            "--certified",
            type=click.Path(),
            metavar="FILE",
            help="For the report: certified values of the reference materials, TOML or CSV.",
        ),
        click.option(
            "--quality-control",
            "controls",
            multiple=True,
            type=click.Path(),
            metavar="CSV",
            help="For the report: blanks, reference materials and duplicates in a file of their own; may be given "
            "several times.",
        ),
        click.option(
            "--assays",
            required=True,
            type=click.Path(),
            metavar="FILE",
            help="Laboratory values, CSV or .xlsx, one row a sample.",
        ),
        click.option(
            "--spectra",
            required=spectra_required,
            multiple=True,
            type=click.Path(),
            metavar="PATH",
            help="File or folder of spectra; may be given several times.",
        ),
    ):
        packed = option(packed)
    return packed


leave_out_option = click.option(
    "--leave-out-refused",
    is_flag=True,
    help="Leave out spectra that a device would refuse for noise, steps or scatter, as evaluate does; without it they "
    "are used, and named.",
)


def group_options(command: F) -> F:
    """`--group-by` and `--group-cell`: samples that belong together stay together."""
    for option in (
        click.option(
            "--group-cell",
            type=FiniteRange(min=0, min_open=True),
            metavar="METRES",
            help="Square cells of the ground, from the assays' columns latitude and longitude, or easting and "
            "northing: a cell is never on both sides.",
        ),
        click.option(
            "--group-by", metavar="COLUMN", help="Column of the assays, such as site: a group is never on both sides."
        ),
    ):
        command = option(command)
    return command


def groups_of(assays: str, group_by: str | None, cell_m: float | None) -> dict[str, Hashable] | None:
    """Read the groups that the options ask for; None for none.

    Raises:
        AssayFileError: the table of assays does not have them.
    """
    if group_by is not None and cell_m is not None:
        raise click.UsageError("--group-by and --group-cell exclude each other")
    if cell_m is not None:
        return read_cells(assays, cell_m)
    return read_groups(assays, group_by) if group_by is not None else None


def check_folder_of(path: str | None, option: str) -> None:
    """Refuse a file whose folder is not there, before time is spent on what is to stand in it."""
    if path is not None and not Path(path).absolute().parent.is_dir():
        raise click.BadParameter(f"{Path(path).absolute().parent} is no folder", param_hint=option)


def say(lines: Sequence[str]) -> None:
    """Write remarks to standard error."""
    for line in lines:
        click.echo(line, err=True)


def simulated_note(simulated: bool) -> str:
    """Say that figures are of simulated spectra, as a paragraph of its own; "" otherwise."""
    return f"{SIMULATED}\n\n" if simulated else ""


def simulation_options(command: F) -> F:
    """`--out`, `--seed` and `--force` of what writes simulated files."""
    for option in (
        click.option("--force", is_flag=True, help="Replace an earlier simulation in DIR."),
        click.option(
            "--seed",
            type=click.IntRange(min=0),
            default=42,
            show_default=True,
            metavar="N",
            help="What all chance is drawn from: the same seed gives the same files.",
        ),
        click.option(
            "--out", "folder", required=True, type=click.Path(file_okay=False), metavar="DIR", help="Folder to write."
        ),
    ):
        command = option(command)
    return command
