"""`stibium evaluate`."""

from __future__ import annotations

import sys
from importlib.util import find_spec

import click

from ..errors import MissingTrainingSideError
from .common import DataOptions, check_folder_of, data_options, say


@click.command(epilog="Example:  stibium evaluate sb.tflite --spectra soils/ --assays assays.csv --held-out")
@click.argument("bundle", type=click.Path())
@data_options
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
    data: DataOptions,
    held_out: bool,
    out_format: str,
    report: str | None,
) -> None:
    """Hold a bundle's answers against laboratory values: R2, RMSE, bias, SEP, RPD, RPIQ, coverage.

    The answers come from the device's own estimator. Censored values are left out. Exits with 1 if any spectrum
    was refused.
    """
    from ...edge.model.bundle import read_bundle
    from ..evaluate import evaluate as hold_against
    from ..evaluate import held_out_only, write

    check_folder_of(report, "--report")
    if report is not None and find_spec("jinja2") is None:
        raise MissingTrainingSideError("a report needs Jinja2, which is not installed here: pip install jinja2")
    loaded = read_bundle(bundle)
    known = data.read()
    samples = known.load(loaded.element, loaded.recipe.range_nm, unit=loaded.unit)
    say(samples.notes())
    if held_out:
        samples = held_out_only(samples, loaded)
    evaluation = hold_against(loaded, samples, data.replicates)
    write(evaluation, out_format, sys.stdout)  # type: ignore[arg-type]
    if report is not None:
        from ..report.write import write_evaluation_report

        write_evaluation_report(report, loaded, samples, evaluation, data.replicates, known.files)
        say([f"report: {report}"])
    ctx.exit(1 if evaluation.refused else 0)
