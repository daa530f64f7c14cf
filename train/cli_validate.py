"""`stibium validate`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .cli import data_options, exclude_option, replicates_option, require_training_side, say

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from .calibration_set import CalibrationSet
    from .folds import Folds
    from .validation import Progress


@click.command(
    epilog="Example:  stibium validate --spectra soils/ --assays assays.csv --element Sb --group-by site --fast"
)
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
    help="Method to compare; may be given several times.  [default: PLSR, SVR, random forest]",
)
@click.option("--folds", type=click.IntRange(min=2), default=5, show_default=True, help="Parts of the samples.")
@click.option("--repeats", type=click.IntRange(min=1), default=5, show_default=True, help="Divisions drawn anew.")
@click.option(
    "--group-by", metavar="COLUMN", help="Column of the assays, such as site: a group is never on both sides."
)
@click.option("--hold-out", metavar="GROUP", help="Predict this group from all the others, instead of folds.")
@click.option(
    "--protocol",
    type=click.Choice(["cross-validation", "paper"]),
    default="cross-validation",
    show_default=True,
    help="paper: one third left out at random, once, as in Carvalho et al. 2024.",
)
@replicates_option
@exclude_option
@click.option("--seed", type=click.IntRange(min=0), default=42, show_default=True, help="Of the division.")
@click.option("--fast", is_flag=True, help="Smaller grids and fewer epochs.")
@click.option(
    "--format",
    "out_format",
    type=click.Choice(["table", "jsonl"]),
    default="table",
    show_default=True,
    help="How the figures are written; jsonl has every prediction and choice, one line an element.",
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
def validate(
    spectra: tuple[str, ...],
    assays: str,
    elements: tuple[str, ...],
    methods: tuple[str, ...],
    folds: int,
    repeats: int,
    group_by: str | None,
    hold_out: str | None,
    protocol: str,
    replicates: str,
    exclude_above: float | None,
    seed: int,
    fast: bool,
    out_format: str,
    report: str | None,
    keep: str | None,
) -> None:
    """Compare calibration methods honestly, element by element, before any model is made.

    All methods see the same folds; every choice (preprocessing, components, hyperparameters, the target's
    transform) is made inside them, so that no left-out sample has a say in how it is predicted.
    """
    require_training_side()
    import json

    from .assay_table import read_assay_table
    from .calibration_set import from_joined
    from .dataset import load
    from .kept_fits import KeptFits, key_of, plan_digest
    from .methods_registry import BASELINES, METHODS
    from .validation import cross_validate
    from .validation_table import validation_table

    names = methods or BASELINES
    for name in names:
        if name not in METHODS:
            raise click.BadParameter(f"{name!r} is not one of {', '.join(METHODS)}", param_hint="--method")
    if hold_out is not None and group_by is None:
        raise click.UsageError("--hold-out names a group: say with --group-by which column has the groups")
    if protocol == "paper" and (group_by is not None or hold_out is not None):
        raise click.UsageError("the paper's protocol has no groups; leave out --group-by and --hold-out")
    table = read_assay_table(assays)
    say(table.notes)
    groups = read_groups(assays, group_by) if group_by else None
    elements = elements or tuple(column.element for column in table.columns)
    pages = _pages(report, elements)
    kept = KeptFits(keep)
    for element in elements:
        joined = load(spectra, table.assays(element), range_nm=None, exclude_above=exclude_above)
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
        if pages:
            from .report.write import write_validation_report

            write_validation_report(pages[element], validation, joined, assays)
            say([f"report: {pages[element]}"])
        if out_format == "jsonl":
            click.echo(json.dumps(validation.to_dict() | {"simulated": joined.simulated}))
            continue
        if joined.simulated:
            click.echo("SIMULATED: these figures are about the software and say nothing about real ground.\n")
        click.echo(validation_table(validation) + "\n")


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
    from .folds import hold_out, paper_split, repeated_folds

    if protocol == "paper":
        return paper_split(data.samples, (seed,))
    if held is not None and data.groups is not None:
        return hold_out(data.groups, held, data.samples, seed)
    return repeated_folds(data.samples, data.groups, n_folds=n_folds, repeats=repeats, seed=seed)


def read_groups(path: str, column: str) -> dict[str, Hashable]:
    """Read which group each sample belongs to: the assay table's first column, or `sample`, against `column`.

    Raises:
        AssayFileError: there is no such column, or two of them, or a sample without a group.
    """
    from .assays import open_csv, read_csv_bytes
    from .errors import AssayFileError

    data, _ = read_csv_bytes(path)
    header, rows, _ = open_csv(data, path)
    if column not in header:
        raise AssayFileError(f"{path}: no column {column}; there are {', '.join(header[:12])}")
    if header.count(column) > 1:
        raise AssayFileError(f"{path}: column {column} stands there twice; rename one of them")
    at, name_at = header.index(column), header.index("sample") if "sample" in header else 0
    groups: dict[str, Hashable] = {}
    for number, row in rows:
        if not row[at].strip():
            raise AssayFileError(f"{path}: row {number} has no {column}; give one to every sample")
        groups[row[name_at].strip()] = row[at].strip()
    return groups


def _progress(element: str) -> Callable[[Progress], None]:
    terminal = sys.stderr.isatty()

    def show(progress: Progress) -> None:
        if not terminal:
            return
        minutes, seconds = divmod(round(progress.remaining_s), 60)
        done = f"{element}: {progress.done} of {progress.total} fits, {minutes}:{seconds:02d} left"
        click.echo(f"\r\x1b[K{done}" if progress.done < progress.total else "\r\x1b[K", nl=False, err=True)

    return show
