"""`stibium validate`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ...edge.cli.options import workers_of, workers_options
from ...edge.cli.output import format_of
from ...edge.recipe_file import read_preprocessing
from ..crossval.decision import DECIDE_BY, DecideBy
from ..errors import require_training_side
from ..methods.method import DECIDED_BY, OWN_RECIPE
from ..methods.registry import ALL_BASELINES, BASELINES, METHODS, PUBLISHED, find_method, make_method
from ..terminal import ProgressLine
from .common import DataOptions, ReadBy, data_options, group_options, groups_of, leave_out_option, say, simulated_note

if TYPE_CHECKING:
    from ...edge.model.presets import Preprocessing
    from ..crossval.folds import Folds
    from ..crossval.validation import Validation
    from ..samples import Samples


@click.command(
    epilog="Example:  stibium validate --spectra soils/ --assays assays.csv --element Sb --group-by site --fast"
)
@click.pass_context
@data_options
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
    help="Method to compare; may be given several times.  [default: PLSR, SVR, random forest, ridge, Gaussian process, "
    "local PLSR, and Cubist where it is installed; the first three with --fast]",
)
@click.option(
    "--recipe", type=ReadBy(read_preprocessing), metavar="NAME|FILE", help=f"{OWN_RECIPE[0].upper()}{OWN_RECIPE[1:]}."
)
@click.option("--folds", type=click.IntRange(min=2), default=5, show_default=True, help="Parts of the samples.")
@click.option("--repeats", type=click.IntRange(min=1), default=5, show_default=True, help="Divisions drawn anew.")
@group_options
@workers_options
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
    help="paper: one third left out at random, once, as in Carvalho et al. 2024, with their network among the methods "
    "and their table 3 beside it; "
    "their outlier rule is --exclude-above Sb=1000.",
)
@click.option("--seed", type=click.IntRange(min=0), default=42, show_default=True, help="Of the division.")
@leave_out_option
@click.option(
    "--decide-by",
    type=click.Choice(DECIDE_BY),
    default=DECIDE_BY[0],
    show_default=True,
    help=f"{DECIDED_BY[0].upper()}{DECIDED_BY[1:]}.",
)
@click.option("--fast", is_flag=True, help="Smaller grids and fewer epochs.")
@format_of(
    "table",
    "jsonl",
    "csv",
    about="How the figures are written; csv has one figure a line, jsonl every prediction and choice, one line an "
    "element.",
)
@click.option(
    "--report",
    type=click.Path(),
    metavar="FILE",
    help="Also write a page with figures, one .html file, and beside it every answer as .predictions.csv and .parquet; "
    "with several elements FILE is a folder, one page each.",
)
@click.option(
    "--keep",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Keep every fit in this file, and go on from there if it was interrupted.",
)
def validate(
    ctx: click.Context,
    data: DataOptions,
    elements: tuple[str, ...],
    methods: tuple[str, ...],
    recipe: Preprocessing | None,
    folds: int,
    repeats: int,
    group_by: str | None,
    group_cell: float | None,
    hold_out: str | None,
    protocol: str,
    seed: int,
    leave_out_refused: bool,
    decide_by: DecideBy,
    fast: bool,
    jobs: int,
    scheduler: str,
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
    from ..crossval.cache import KeptFits, cross_validate_kept
    from ..crossval.published_table import beside_table_3, records_beside_table_3
    from ..crossval.table import validation_table, write_csv
    from ..errors import TrainingDataError
    from ..methods.faults import with_faults
    from ..samples import held_as_on_device

    # The paper's own comparison has its network in it.
    names = []
    usual = (PUBLISHED, *BASELINES) if protocol == "paper" else BASELINES if fast else ALL_BASELINES
    for asked in methods or usual:
        name = find_method(asked)
        if name is None:
            raise click.BadParameter(f"{asked!r} is not one of {', '.join(METHODS)}", param_hint="--method")
        names.append(name)
    if hold_out is not None and group_by is None:
        group_by = _column_of(data.assays, hold_out)
    if protocol == "paper" and (group_by is not None or hold_out is not None or group_cell is not None):
        raise click.UsageError("the paper's protocol has no groups; leave out --group-by, --group-cell and --hold-out")
    known = data.read()
    groups = groups_of(data.assays, group_by, group_cell)
    elements = elements or tuple(column.element for column in known.table.columns)
    pages = _pages(report, elements)
    kept = KeptFits(keep)
    workers = workers_of(ctx, jobs, scheduler)
    failed = refused = 0
    done: list[tuple[Validation, bool]] = []
    for element in elements:
        try:
            range_nm = recipe.range_nm if recipe is not None else None
            samples = known.load(element, range_nm, groups, workers=workers)
            samples = held_as_on_device(samples, data.replicates, range_nm, leave_out_refused)
            samples.check_target()
            say(samples.notes())
            rows = samples.rows(data.replicates)
            plan = plan_folds(rows, protocol, hold_out, folds, repeats, seed)
            with ProgressLine(element) as line:
                compared = [make_method(name, fast, decide_by, recipe) for name in names]
                validation = cross_validate_kept(
                    compared,
                    rows,
                    plan,
                    fast,
                    kept,
                    line.show,
                    of_training=protocol == "paper",
                    decide_by=decide_by,
                    spoil=with_faults if report else None,
                    workers=workers,
                )
        except TrainingDataError as error:
            if len(elements) == 1:
                raise
            # An element that nothing can be learned of does not stop the others.
            say([f"refused {element}: {error}"])
            failed += 1
            continue
        refused += len(samples.refused)
        done.append((validation, samples.simulated))
        if out_format == "table":
            click.echo(simulated_note(samples.simulated) + validation_table(validation) + "\n")
        elif out_format == "csv":
            write_csv(validation, samples.simulated, sys.stdout, header=element == elements[failed])
        else:
            beside = records_beside_table_3(validation, PUBLISHED) if protocol == "paper" else None
            record = validation.to_dict() | {"simulated": samples.simulated}
            click.echo(json.dumps(record | ({"table_3": beside} if beside else {})))
        if pages:
            from ..predictions import beside as name_beside
            from ..predictions import of_validation, write_predictions
            from ..report.write import write_validation_report

            write_validation_report(pages[element], validation, samples, known.files)
            said = of_validation(validation, samples.simulated)
            write_predictions(name_beside(pages[element]), said, validation.name, validation.unit)
            say([f"report: {pages[element]}"])
    if out_format == "table" and protocol == "paper":
        click.echo(beside_table_3([v for v, _ in done], PUBLISHED, any(simulated for _, simulated in done)))
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


def plan_folds(rows: Samples, protocol: str, held: str | None, n_folds: int, repeats: int, seed: int) -> Folds:
    """Make the folds that the options ask for.

    Raises:
        TrainingDataError: the samples or groups do not suffice for them.
    """
    from ..crossval.folds import hold_out, paper_split, repeated_folds

    if protocol == "paper":
        return paper_split(rows.names, (seed,))
    if held is not None and rows.row_groups is not None:
        return hold_out(rows.row_groups, held, rows.names, seed)
    return repeated_folds(rows.names, rows.row_groups, n_folds=n_folds, repeats=repeats, seed=seed)


def _column_of(assays: str, group: str) -> str:
    from ..crossval.groups import columns_with

    found = columns_with(assays, group)
    if len(found) != 1:
        where = f"columns {', '.join(found)} have it" if found else "no column has it"
        raise click.UsageError(f"--hold-out {group}: {where}; say with --group-by which column has the groups")
    return found[0]
