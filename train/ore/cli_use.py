"""`stibium ore evaluate` and `stibium ore export`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from ..cli.common import say
from .cli_options import columns_option, require_training_side

if TYPE_CHECKING:
    from .evaluation import OreEvaluation


@click.command(epilog="Example:  stibium ore export run --scenario C4 --out face.ore")
@click.argument("run", type=click.Path(file_okay=False))
@click.option("--out", required=True, type=click.Path(dir_okay=False), metavar="FILE", help="Bundle to write.")
@click.option("--scenario", default="C4", show_default=True, metavar="NAME", help="One of the run's.")
@click.option("--model", metavar="NAME", help="One of the run's models.  [default: the scenario's best]")
def export(run: str, out: str, scenario: str, model: str | None) -> None:
    """Hand a model of RUN over to a device, once its known answers have been computed again and agree.

    The bundle holds the model for NumPy alone; each probability was found equal to the library's within 1e-6 when it
    was made. C4, the default, needs nothing that a laboratory must tell first.
    """
    require_training_side()
    from ...converters.spectra.files import write_whole
    from .evaluation import golden_difference
    from .run import bundle_of_run, load_ore_run

    path, bundle = bundle_of_run(load_ore_run(run), scenario, model)
    difference = golden_difference(bundle)
    write_whole(out, path.read_bytes())
    say(
        [
            f"{bundle.model.kind} for {scenario} in {out}: {len(bundle.golden.expected)} known answers, largest "
            f"difference {difference:.1e}; threshold {bundle.threshold:.3f}"
            + (", SIMULATED" if bundle.simulated else "")
        ]
    )


@click.command(epilog="Example:  stibium ore evaluate face.ore other_mine.csv --format jsonl")
@click.argument("bundle", type=click.Path(dir_okay=False))
@click.argument("table", type=click.Path())
@columns_option
@click.option("--report", type=click.Path(dir_okay=False), metavar="HTML", help="Write a page as well.")
@click.option("--seed", type=click.IntRange(min=0), default=42, show_default=True, help="Of the draws for the spread.")
@click.option(
    "--format",
    "out_format",
    type=click.Choice(["table", "jsonl", "csv"]),
    default="table",
    show_default=True,
    help="How the scores are written.",
)
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
    described = opened.columns if columns is None else read_columns(columns).pick(opened.columns.names)
    evaluation = evaluate_bundle(opened, table, described, seed)
    say(evaluation.refused)
    _print(evaluation, out_format)
    if report is not None:
        write_evaluation_page(Path(report), evaluation)
        say([f"report: {report}"])
    ctx.exit(1 if evaluation.refused else 0)


def _print(evaluation: OreEvaluation, out_format: str) -> None:
    from dataclasses import asdict

    from .run import plain
    from .scores import SCORES, TITLES

    counts = evaluation.counts
    if out_format == "jsonl":
        line = {
            "simulated": evaluation.simulated,
            "model": evaluation.bundle.name,
            "blocks": len(evaluation.ore),
            "refused": len(evaluation.refused),
            "threshold": evaluation.bundle.threshold,
            "scores": plain(evaluation.scores),
            "spread": {name: plain(asdict(s)) for name, s in evaluation.spread.items()},
            "confusion": counts,
            "cost": evaluation.cost,
        }
        click.echo(json.dumps(line))
        return
    if out_format == "csv":
        click.echo(",".join(["simulated", "blocks", *SCORES, *(f"{s}_sd" for s in SCORES), *counts]))
        numbers = [evaluation.scores[s] for s in SCORES] + [evaluation.spread[s].sd for s in SCORES]
        cells = [str(evaluation.simulated), str(len(evaluation.ore)), *(f"{v:.4f}" for v in numbers)]
        click.echo(",".join([*cells, *map(str, counts.values())]))
        return
    if evaluation.simulated:
        click.echo("SIMULATED: these figures are about the software and say nothing about real ground.\n")
    click.echo(f"{evaluation.bundle.name}: {evaluation.bundle.model.kind}, {len(evaluation.ore)} blocks\n")
    for name in SCORES:
        click.echo(f"{TITLES[name]:<12} {evaluation.scores[name]:.3f} ± {evaluation.spread[name].sd:.3f}")
    click.echo(f"\nat the threshold {evaluation.bundle.threshold:.3f}:")
    for name, count in counts.items():
        click.echo(f"{name.replace('_', ' '):<14} {count:>7}")
    click.echo(f"cost a block   {evaluation.cost:7.3f}")
