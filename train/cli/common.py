"""`stibium export`, `stibium evaluate`, and what commands of the training side share."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from ...converters.spectra.errors import StibiumError
from ..assays.exclusion import Exclusion

F = TypeVar("F", bound=Callable[..., Any])

NEEDS_TRAIN = (
    "needs the training side, which is not installed here: pip install 'stibium[train]', or '.[train]' where it was "
    "cloned"
)


class MissingTrainingSideError(StibiumError, ImportError):
    """TensorFlow and its companions are not installed."""


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


def data_options(command: F) -> F:
    """`--spectra` and `--assays`."""
    for option in (
        click.option(
            "--assays", required=True, type=click.Path(), metavar="CSV", help="Laboratory values, one row a sample."
        ),
        click.option(
            "--spectra",
            required=True,
            multiple=True,
            type=click.Path(),
            metavar="PATH",
            help="File or folder of spectra; may be given several times.",
        ),
    ):
        command = option(command)
    return command


def control_options(command: F) -> F:
    """`--quality-control` and `--certified`: for the report, beside what `--assays` has of them itself."""
    for option in (
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
    ):
        command = option(command)
    return command


def replicates_option(command: F) -> F:
    """`--replicates`: what to do with several measurements of a sample."""
    return click.option(
        "--replicates",
        type=click.Choice(["average", "each"]),
        default="average",
        show_default=True,
        help="One mean spectrum a sample, or every measurement by itself.",
    )(command)


def cell_option(command: F) -> F:
    """`--group-cell`: samples near each other stay together."""
    return click.option(
        "--group-cell",
        type=click.FloatRange(min=0, min_open=True),
        metavar="METRES",
        help="Square cells of the ground, from the assays' columns latitude and longitude, or easting and northing: "
        "a cell is never on both sides.",
    )(command)


def exclude_option(command: F) -> F:
    """`--exclude-above`: the paper's rule for outliers."""
    return click.option(
        "--exclude-above",
        type=_EXCLUSION,
        metavar="[NAME=]VALUE",
        help="Leave out samples above this, in the assays' unit; with a NAME, by that element, whatever is estimated "
        "(the paper: Sb=1000).",
    )(command)


@click.command(epilog="Example:  stibium export runs/sb --out sb.tflite")
@click.argument("run", type=click.Path())
@click.option(
    "--quantise",
    type=click.Choice(["auto", "int8", "int16x8", "dynamic", "float16", "float32"]),
    default="auto",
    show_default=True,
    help="Format of the network. auto: the smallest that adds at most 1 % to the RMSE on unseen samples, at all grades "
    "and at low grade. float16 and float32 answer alike in every runtime; the others round.",
)
@click.option("--out", required=True, type=click.Path(dir_okay=False), metavar="FILE", help="Bundle to write.")
@click.option(
    "--format",
    "out_format",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="How the parity report is written.",
)
def export(run: str, quantise: str, out: str, out_format: str) -> None:
    """Make a run's model into a bundle, and show that the device answers as the trained model did.

    The validation spectra (those of the calibration where all samples were trained on) go through the trained network
    and through the exported file in this machine's TFLite runtime. An export that adds more than 10 % to the model's
    RMSE, or differs from it by more than half of that RMSE, is broken rather than rounded: it is reported and not
    written.
    """
    require_training_side()
    import json
    from dataclasses import asdict

    from ...converters.models.parity import check_parity
    from ...edge.model.bundle import write_bundle
    from ..export import bundle_of, export_run, finish
    from ..ladder import climb
    from ..run import load_run

    if not Path(out).absolute().parent.is_dir():
        raise click.BadParameter(f"{Path(out).absolute().parent} is no folder", param_hint="--out")
    loaded = load_run(run)
    ladder = None
    if quantise == "auto":
        say(["trying the formats of the network ..."])
        ladder, converted = climb(loaded)
        quantise = ladder.chosen
        exported = finish(loaded, bundle_of(loaded, converted.models[quantise], quantise), converted)
    else:
        exported = export_run(loaded, (quantise,))[quantise]
    if out_format == "json":
        record = {"quantisation": quantise, "simulated": loaded.simulated, **exported.parity.to_dict()}
        click.echo(json.dumps(record | ({"ladder": asdict(ladder)} if ladder else {})))
    else:
        if loaded.simulated:
            click.echo("SIMULATED: these figures are about the software and say nothing about real ground.\n")
        if ladder is not None:
            click.echo(ladder.table() + "\n")
        click.echo(exported.parity.table())
    check_parity(exported.parity, quantise)
    write_bundle(out, exported.bundle)
    size = Path(out).stat().st_size
    say([f"{out}: {quantise}, {size / 1024:.0f} KB ({len(exported.bundle.model) / 1024:.0f} KB of it the network)"])


@click.command(epilog="Example:  stibium evaluate sb.tflite --spectra soils/ --assays assays.csv --held-out")
@click.argument("bundle", type=click.Path())
@data_options
@control_options
@replicates_option
@exclude_option
@click.option("--held-out", is_flag=True, help="Only samples that the model was not trained on, by their names.")
@click.option(
    "--format",
    "out_format",
    type=click.Choice(["table", "json", "jsonl", "csv"]),
    default="table",
    show_default=True,
    help="How the figures are written.",
)
@click.option(
    "--report",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Also write a page with figures, one .html file to be opened in any browser.",
)
@click.pass_context
def evaluate(
    ctx: click.Context,
    bundle: str,
    spectra: tuple[str, ...],
    assays: str,
    controls: tuple[str, ...],
    certified: str | None,
    replicates: str,
    exclude_above: Exclusion | None,
    held_out: bool,
    out_format: str,
    report: str | None,
) -> None:
    """Hold a bundle's answers against laboratory values: R2, RMSE, bias, SEP, RPD, RPIQ, coverage.

    The answers come from the device's own estimator. Censored values are left out. Exits with 1 if any spectrum
    was refused.
    """
    from importlib.util import find_spec

    from ...edge.model.bundle import read_bundle
    from ..assays.exclusion import names_above
    from ..assays.files import AssayFiles
    from ..assays.table import as_unit, read_assay_table
    from ..evaluate import evaluate as hold_against
    from ..evaluate import held_out_only, write
    from ..samples import load

    if report is not None and not Path(report).absolute().parent.is_dir():
        raise click.BadParameter(f"{Path(report).absolute().parent} is no folder", param_hint="--report")
    if report is not None and find_spec("jinja2") is None:
        raise MissingTrainingSideError("a report needs Jinja2, which is not installed here: pip install jinja2")
    loaded = read_bundle(bundle)
    files = AssayFiles(assays, controls, certified)
    files.check()
    table = read_assay_table(assays)
    say(table.notes)
    joined = load(
        spectra,
        as_unit(table.assays(loaded.element), loaded.unit),
        loaded.recipe.range_nm,
        names_above(table, exclude_above),
    )
    say(joined.notes())
    if held_out:
        joined = held_out_only(joined, loaded)
    evaluation = hold_against(loaded, joined, replicates)  # type: ignore[arg-type]
    write(evaluation, out_format, sys.stdout)  # type: ignore[arg-type]
    if report is not None:
        from ..report.write import write_evaluation_report

        write_evaluation_report(report, loaded, joined, evaluation, replicates, files)  # type: ignore[arg-type]
        say([f"report: {report}"])
    ctx.exit(1 if evaluation.refused else 0)


def say(lines: Sequence[str]) -> None:
    """Write remarks to standard error."""
    for line in lines:
        click.echo(line, err=True)


def require_training_side() -> None:
    """Stop in one line where only the device's part is installed.

    Raises:
        MissingTrainingSideError: TensorFlow or scikit-learn is absent.
    """
    from importlib.util import find_spec

    missing = [name for name in ("tensorflow", "sklearn") if find_spec(name) is None]
    if missing:
        raise MissingTrainingSideError(NEEDS_TRAIN)
