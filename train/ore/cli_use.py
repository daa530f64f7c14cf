"""`stibium ore evaluate` and `stibium ore export`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from ...edge.cli.output import format_option
from ..cli.common import say
from .cli_options import columns_option, require_training_side

if TYPE_CHECKING:
    from .evaluation import OreEvaluation


@click.command(epilog="Example:  stibium ore export run --scenario C4 --out face.ore")
@click.argument("run", type=click.Path(file_okay=False))
@click.option("--out", required=True, type=click.Path(dir_okay=False), metavar="FILE", help="Bundle to write.")
@click.option("--scenario", default="C4", show_default=True, metavar="NAME", help="One of the run's.")
@click.option("--model", metavar="NAME", help="One of the run's models.  [default: the scenario's best]")
@click.option("--anyway", is_flag=True, help="Hand over a model that is worth nothing at the run's costs, too.")
def export(run: str, out: str, scenario: str, model: str | None, anyway: bool) -> None:
    """Hand a model of RUN over to a device, once its known answers have been computed again and agree.

    The bundle holds the model for NumPy alone; each probability was found equal to the library's within 1e-6 when it
    was made. C4, the default, needs nothing that a laboratory must tell first.
    """
    require_training_side()
    from ...converters.spectra.files import write_whole
    from ..errors import RunError
    from .evaluation import golden_difference
    from .run import bundle_of_run, load_ore_run

    path, bundle = bundle_of_run(load_ore_run(run), scenario, model)
    worth = bundle.worth
    if worth is not None and worth.nothing:
        sentence = f"{bundle.model.kind} for {scenario} is {worth.nothing}"
        if not anyway:
            raise RunError(f"{path}: {sentence}; not exported. --anyway does it all the same")
        say([sentence])
    difference = golden_difference(bundle)
    write_whole(out, path.read_bytes())
    say(
        [
            f"{bundle.model.kind} for {scenario} in {out}: {len(bundle.golden.expected)} known answers, largest "
            f"difference {difference:.1e}; threshold {bundle.threshold:.3f}"
            + (f"; ECE held back {worth.calibration_error:.3f}, by chance {worth.by_chance:.3f}" if worth else "")
            + (", SIMULATED" if bundle.simulated else "")
        ]
    )


@click.command(epilog="Example:  stibium ore evaluate face.ore other_mine.csv --format jsonl")
@click.argument("bundle", type=click.Path(dir_okay=False))
@click.argument("table", type=click.Path())
@columns_option
@click.option("--report", type=click.Path(dir_okay=False), metavar="HTML", help="Write a page as well.")
@click.option("--seed", type=click.IntRange(min=0), default=42, show_default=True, help="Of the draws for the spread.")
@format_option
@click.pass_context
def evaluate(
    ctx: click.Context, bundle: str, table: str, columns: str | None, report: str | None, seed: int, out_format: str
) -> None:
    """Hold a BUNDLE against a TABLE of labelled blocks, as the device would answer.

    Every score comes with its spread over holes drawn anew; the confusion matrix is that of the bundle's own
    threshold. A row that cannot be used is refused in one line and does not stop the others.
    """
    require_training_side()
    from pathlib import Path

    from ...edge.ore.bundle import read_ore_bundle
    from ...edge.ore.columns import read_columns
    from .evaluation import evaluate_bundle, write_evaluation_page

    opened = read_ore_bundle(bundle)
    described = (opened.columns if columns is None else read_columns(columns)).meant_by(opened.columns, opened.name)
    evaluation = evaluate_bundle(opened, table, described, described.roles if columns is not None else (), seed)
    say(evaluation.refused)
    _print(evaluation, out_format)
    if report is not None:
        write_evaluation_page(Path(report), evaluation)
        say([f"report: {report}"])
    ctx.exit(1 if evaluation.refused else 0)


def _print(evaluation: OreEvaluation, out_format: str) -> None:
    from dataclasses import asdict

    from ...edge.cli.output import Layout, Output
    from .evaluation import beside, verdicts
    from .report_tables import three
    from .run import plain
    from .scores import SCORES, TITLES

    counts, worth, bundle = evaluation.counts, evaluation.worth, evaluation.bundle

    def record(_: OreEvaluation) -> dict[str, Any]:
        return {
            "simulated": evaluation.simulated,
            "model": bundle.name,
            "blocks": len(evaluation.told),
            "cannot_tell": int((~evaluation.told).sum()),
            "refused": len(evaluation.refused),
            "unlabelled": evaluation.unlabelled,
            "ore_share": evaluation.ore_share,
            "threshold": bundle.threshold,
            "scores": plain(evaluation.scores),
            "spread": {name: plain(asdict(s)) for name, s in evaluation.spread.items()},
            "confusion": counts,
            "worth": asdict(worth) | {"nothing": worth.nothing} if worth else None,
        }

    def row(_: OreEvaluation) -> dict[str, Any]:
        numbers = evaluation.scores | {f"{name}_sd": s.sd for name, s in evaluation.spread.items()}
        written = {name: f"{value:.4f}" if value == value else "" for name, value in numbers.items()}
        known = {name: record(evaluation)[name] for name in ("simulated", "blocks", "cannot_tell", "ore_share")}
        costs = {name: f"{value:.4f}" for name, value in (asdict(worth) if worth else {}).items()}
        return known | written | counts | costs | {"worth_nothing": worth.nothing if worth else ""}

    def lines(_: OreEvaluation) -> Iterator[str]:
        yield f"{bundle.name}: {bundle.model.kind}, {len(evaluation.told)} blocks"
        yield from verdicts(evaluation)
        yield ""
        if worth is not None:
            for name in SCORES:
                of, more = (
                    f"{three(evaluation.scores[name])} ± {three(evaluation.spread[name].sd)}",
                    beside(evaluation, name),
                )
                yield f"{TITLES[name]:<12} {of}{f'   ({more})' if more else ''}"
            yield ""
        yield f"at the threshold {bundle.threshold:.3f}:"
        for name, count in counts.items():
            yield f"{name.replace('_', ' '):<16} {count:>7}"
        if worth is not None:
            without = f"{worth.haul_all:.3f} if all are hauled, {worth.haul_none:.3f} if none is"
            yield f"cost a block     {worth.cost:7.3f}   (without a model {without})"

    note = (
        "SIMULATED: these figures are about the software and say nothing about real ground."
        if evaluation.simulated
        else ""
    )
    if note and out_format == "table":
        click.echo(f"{note}\n")
    Output(out_format, Layout[Any](record, rows=lambda e: [row(e)], lines=lines)).write([evaluation])
