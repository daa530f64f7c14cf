"""`stibium evaluate`."""

from __future__ import annotations

import sys
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING

import click

from ...edge.cli.options import jobs_option, workers_of
from ...edge.cli.output import format_of
from ...edge.units import plain, shown_unit
from ..errors import MissingTrainingSideError
from ..terminal import SIMULATED
from .common import DataOptions, check_folder_of, data_options, say

if TYPE_CHECKING:
    from ...edge.cli.output import Layout
    from ..watched import Watched


@click.command(epilog="Example:  stibium evaluate sb.tflite --spectra soils/ --assays assays.csv --held-out")
@click.argument("bundle", required=False, type=click.Path())
@partial(data_options, spectra_required=False)
@click.option(
    "--from-log",
    type=click.Path(),
    metavar="LOG",
    help="In place of BUNDLE and --spectra: what a device answered at the time, beside assays that came later.",
)
@click.option("--element", metavar="SYMBOL", help="With --from-log: which one, where the assays have several.")
@click.option("--held-out", is_flag=True, help="Only samples that the model was not trained on, by their names.")
@jobs_option
@format_of("table", "json", "jsonl", "csv", about="How the figures are written.")
@click.option(
    "--report",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Also write a page with figures, one .html file to be opened in any browser, and beside it every answer as "
    ".predictions.csv and .parquet.",
)
@click.pass_context
def evaluate(
    ctx: click.Context,
    bundle: str | None,
    data: DataOptions,
    from_log: str | None,
    element: str | None,
    held_out: bool,
    jobs: int,
    out_format: str,
    report: str | None,
) -> None:
    """Hold a bundle's answers against laboratory values: R2, RMSE, bias, SEP, RPD, RPIQ, coverage.

    The answers are those of the device, which refuses what is too noisy or uneven; with --from-log they are those that
    one gave at the time, and a test says whether to calibrate again. Censored values are left out. Exits with 1 if any
    spectrum was refused.
    """
    if from_log is not None:
        if bundle is not None or data.spectra or held_out or report is not None:
            raise click.UsageError("--from-log takes --assays and --element only: the log knows models and spectra")
        _from_log(from_log, data, element, out_format)
        return
    if bundle is None or not data.spectra:
        raise click.UsageError("name a BUNDLE and --spectra, or a log with --from-log")
    if element is not None:
        raise click.UsageError("--element belongs to --from-log: a bundle answers one element")
    from ...edge.model.bundle import read_bundle
    from ...edge.model.estimate import Refusal
    from ..evaluate import answer_all, held_out_only, write
    from ..evaluate import evaluate as hold_against
    from ..samples import refusals_in_words

    check_folder_of(report, "--report")
    if report is not None and find_spec("jinja2") is None:
        raise MissingTrainingSideError("a report needs Jinja2, which is not installed here: pip install jinja2")
    loaded = read_bundle(bundle)
    workers = workers_of(ctx, jobs)
    known = data.read()
    samples = known.load(loaded.element, loaded.recipe.range_nm, unit=loaded.unit, workers=workers)
    say(samples.notes())
    if held_out:
        samples = held_out_only(samples, loaded)
    answered = answer_all(loaded, samples, data.replicates, workers)
    say(refusals_in_words([answer for _, answer in answered if isinstance(answer, Refusal)]))
    evaluation = hold_against(loaded, samples, data.replicates, answered)
    write(evaluation, out_format, sys.stdout)  # type: ignore[arg-type]
    if report is not None:
        from ..predictions import beside, of_evaluation, write_predictions
        from ..report.write import write_evaluation_report

        write_evaluation_report(report, loaded, samples, evaluation, data.replicates, known.files)
        said = of_evaluation(loaded.name, answered, samples)
        write_predictions(beside(report), said, loaded.element, loaded.unit)
        say([f"report: {report}"])
    ctx.exit(1 if evaluation.refused else 0)


def _from_log(path: str, data: DataOptions, element: str | None, out_format: str) -> None:
    from ...edge.cli.output import Output
    from ...edge.log.read import iter_entries, open_for_reading
    from ...edge.model.estimate import Estimate
    from ..watched import evaluate_log

    table = data.read().table
    with open_for_reading(path) as db:
        entries = list(iter_entries(db, every=True))
    if element is None:
        answered = {a.outcome.element.lower() for e in entries for a in e.estimates if isinstance(a.outcome, Estimate)}
        found = [column.element for column in table.columns if column.element.lower() in answered]
        if len(found) > 1:
            raise click.UsageError(f"assays and log have {', '.join(found)}: choose one with --element")
        # Where there is none, the first one says why.
        element = found[0] if found else table.columns[0].element
    assays = table.assays(element)
    answered_for = {e.reading.sample_id for e in entries if e.reading is not None and e.estimates}
    without = [name for name in assays.plain if name not in answered_for]
    if without and len(without) < len(assays.plain):
        shown = ", ".join(without[:5]) + ", ..." * (len(without) > 5)
        say([f"{len(without)} of {len(assays.plain)} assays: no reading of that name in the log: {shown}"])
    Output("jsonl" if out_format == "json" else out_format, _layout()).write(evaluate_log(entries, assays))


def _layout() -> Layout[Watched]:
    from ...edge.cli.output import Layout
    from ..watched import as_record

    return Layout(as_record, lines=_lines)


def _lines(found: Watched) -> list[str]:
    unit = shown_unit(found.unit)
    bias = f"{100 * found.bias:+.3g} %" if found.logarithmic else f"{found.bias:+.3g} {unit}".rstrip()
    r2 = "-" if found.metrics.r2 is None else f"{found.metrics.r2:.3f}"
    lines = [SIMULATED] * found.simulated + [
        f"{found.element} by {found.model} (SHA-256 {found.model_sha256[:16]}), as the device answered: "
        f"{found.samples} samples, {found.without_value} without a plain value",
        f"  bias {bias}, RMSE {plain(found.metrics.rmse)} {unit}, R2 {r2}",
    ]
    if found.covered is not None and found.stated_coverage is not None:
        stated = f"{100 * found.stated_coverage:g} %"
        lines.append(f"  {100 * found.covered:.1f} % of the values lie in their {stated} interval")
    return [*lines, f"  {found.advice}"]
