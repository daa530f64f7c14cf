"""`stibium validate`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .common import (
    cell_option,
    control_options,
    data_options,
    exclude_option,
    replicates_option,
    require_training_side,
    say,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from ..assays.exclusion import Exclusion
    from ..calibration_set import CalibrationSet
    from ..crossval.folds import Folds
    from ..crossval.validation import Progress


@click.command(
    epilog="Example:  stibium validate --spectra soils/ --assays assays.csv --element Sb --group-by site --fast"
)
@data_options
@control_options
@click.option(
    "--element",
    "elements",
    multiple=True,
    metavar="NAME",
    help="Column of the assays; may be given several times.  [default: every element of the assays]",
)
@click.option(
    "--method",
    "methods",
    multiple=True,
    metavar="NAME",
    help="Method to compare; may be given several times.  [default: PLSR, SVR, random forest]",
)
@click.option("--folds", type=click.IntRange(min=2), default=5, show_default=True, help="Parts of the samples.")
@click.option("--repeats", type=click.IntRange(min=1), default=5, show_default=True, help="Divisions drawn anew.")
@click.option(
    "--group-by", metavar="COLUMN", help="Column of the assays, such as site: a group is never on both sides."
)
@cell_option
@click.option(
    "--hold-out",
    metavar="GROUP",
    help="Predict this group, such as a site, from all the others, instead of folds. Without --group-by, of the one "
    "column that has it.",
)
@click.option(
    "--protocol",
    type=click.Choice(["cross-validation", "paper"]),
    default="cross-validation",
    show_default=True,
    help="paper: one third left out at random, once, as in Carvalho et al. 2024, with their network among the methods; "
    "their outlier rule is --exclude-above Sb=1000.",
)
@replicates_option
@exclude_option
@click.option("--seed", type=click.IntRange(min=0), default=42, show_default=True, help="Of the division.")
@click.option("--fast", is_flag=True, help="Smaller grids and fewer epochs.")
@click.option(
    "--format",
    "out_format",
    type=click.Choice(["table", "jsonl", "csv"]),
    default="table",
    show_default=True,
    help="How the figures are written; csv has one figure a line, jsonl every prediction and choice, one line an "
    "element.",
)
@click.option(
    "--report",
    type=click.Path(),
    metavar="FILE",
    help="Also write a page with figures, one .html file; with several elements FILE is a folder, one page each.",
)
@click.option(
    "--keep",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Keep every fit in this file, and go on from there if it was interrupted.",
)
@click.pass_context
def validate(
    ctx: click.Context,
    spectra: tuple[str, ...],
    assays: str,
    controls: tuple[str, ...],
    certified: str | None,
    elements: tuple[str, ...],
    methods: tuple[str, ...],
    folds: int,
    repeats: int,
    group_by: str | None,
    group_cell: float | None,
    hold_out: str | None,
    protocol: str,
    replicates: str,
    exclude_above: Exclusion | None,
    seed: int,
    fast: bool,
    out_format: str,
    report: str | None,
    keep: str | None,
) -> None:
    """Compare calibration methods honestly, element by element, before any model is made.

    All methods see the same folds; every choice (preprocessing, components, hyperparameters, the target's
    transform) is made inside them, so that no left-out sample has a say in how it is predicted. Exits with 1 if
    any spectrum or element was refused; the others are compared all the same.
    """
    require_training_side()
    import json

    from ..assays.exclusion import names_above
    from ..assays.files import AssayFiles
    from ..assays.table import read_assay_table
    from ..calibration_set import from_joined
    from ..crossval.cache import KeptFits, key_of, plan_digest
    from ..crossval.table import validation_table, write_csv
    from ..crossval.validation import cross_validate
    from ..errors import TrainingDataError
    from ..methods.registry import BASELINES, METHODS, PUBLISHED
    from ..samples import load

    # The paper's own comparison has its network in it.
    names = methods or ((PUBLISHED,) if protocol == "paper" else ()) + BASELINES
    for name in names:
        if name not in METHODS:
            raise click.BadParameter(f"{name!r} is not one of {', '.join(METHODS)}", param_hint="--method")
    if hold_out is not None and group_by is None:
        group_by = _column_of(assays, hold_out)
    if protocol == "paper" and (group_by is not None or hold_out is not None or group_cell is not None):
        raise click.UsageError("the paper's protocol has no groups; leave out --group-by, --group-cell and --hold-out")
    files = AssayFiles(assays, controls, certified)
    files.check()
    table = read_assay_table(assays)
    say(table.notes)
    groups = groups_of(assays, group_by, group_cell)
    elements = elements or tuple(column.element for column in table.columns)
    pages = _pages(report, elements)
    kept = KeptFits(keep)
    excluded = names_above(table, exclude_above)
    failed = refused = 0
    for element in elements:
        try:
            joined = load(spectra, table.assays(element), None, excluded)
            say(joined.notes())
            data = from_joined(joined, replicates, groups)  # type: ignore[arg-type]
            plan = plan_folds(data, protocol, hold_out, folds, repeats, seed)
            key = key_of(f"{element} {plan_digest(plan, joined.sha256)}", data, fast)
            shown = _progress(element)

            def keep_and_show(done: Progress, key: str = key, shown: Callable[[Progress], None] = shown) -> None:
                kept.keep(key, done.result.repeat, done.result)
                shown(done)

            validation = cross_validate(
                [METHODS[name](fast) for name in names],
                data,
                plan,
                progress=keep_and_show,
                known=kept.known(key, tuple(range(len(plan.repeats)))),
            )
        except TrainingDataError as error:
            if len(elements) == 1:
                raise
            # An element that nothing can be learned of does not stop the others.
            say([f"refused {element}: {error}"])
            failed += 1
            continue
        refused += len(joined.refused)
        if out_format == "table":
            if joined.simulated:
                click.echo("SIMULATED: these figures are about the software and say nothing about real ground.\n")
            click.echo(validation_table(validation) + "\n")
        elif out_format == "csv":
            write_csv(validation, joined.simulated, sys.stdout, header=element == elements[failed])
        else:
            click.echo(json.dumps(validation.to_dict() | {"simulated": joined.simulated}))
        if pages:
            from ..report.write import write_validation_report

            write_validation_report(pages[element], validation, joined, files)
            say([f"report: {pages[element]}"])
    ctx.exit(1 if failed or refused else 0)


def _pages(report: str | None, elements: tuple[str, ...]) -> dict[str, Path]:
    """Say where each element's page goes; made ready before hours are spent on what is to stand there."""
    if report is None:
        return {}
    path = Path(report)
    folder = path if len(elements) > 1 else path.absolute().parent
    if len(elements) > 1:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise click.BadParameter(f"{folder}: {error.strerror}", param_hint="--report") from error
    elif not folder.is_dir():
        raise click.BadParameter(f"{folder} is no folder", param_hint="--report")
    elif path.is_dir():
        raise click.BadParameter(f"{path} is a folder; name a file for one element", param_hint="--report")
    return {element: path / f"{element}.html" if len(elements) > 1 else path for element in elements}


def plan_folds(data: CalibrationSet, protocol: str, held: str | None, n_folds: int, repeats: int, seed: int) -> Folds:
    """Make the folds that the options ask for.

    Raises:
        TrainingDataError: the samples or groups do not suffice for them.
    """
    from ..crossval.folds import hold_out, paper_split, repeated_folds

    if protocol == "paper":
        return paper_split(data.samples, (seed,))
    if held is not None and data.groups is not None:
        return hold_out(data.groups, held, data.samples, seed)
    return repeated_folds(data.samples, data.groups, n_folds=n_folds, repeats=repeats, seed=seed)


def _column_of(assays: str, group: str) -> str:
    from ..crossval.groups import columns_with

    found = columns_with(assays, group)
    if len(found) != 1:
        where = f"columns {', '.join(found)} have it" if found else "no column has it"
        raise click.UsageError(f"--hold-out {group}: {where}; say with --group-by which column has the groups")
    return found[0]


def groups_of(assays: str, group_by: str | None, cell_m: float | None) -> dict[str, Hashable] | None:
    """Read the groups that the options ask for; None for none.

    Raises:
        AssayFileError: the table of assays does not have them.
    """
    from ..crossval.groups import read_cells, read_groups

    if group_by is not None and cell_m is not None:
        raise click.UsageError("--group-by and --group-cell exclude each other")
    if cell_m is not None:
        return read_cells(assays, cell_m)
    return read_groups(assays, group_by) if group_by is not None else None


def _progress(element: str) -> Callable[[Progress], None]:
    terminal = sys.stderr.isatty()

    def show(progress: Progress) -> None:
        if not terminal:
            return
        minutes, seconds = divmod(round(progress.remaining_s), 60)
        done = f"{element}: {progress.done} of {progress.total} fits, {minutes}:{seconds:02d} left"
        click.echo(f"\r\x1b[K{done}" if progress.done < progress.total else "\r\x1b[K", nl=False, err=True)

    return show
