"""`stibium demo`."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from ..errors import InstrumentError
from .options import load_bundle

POINTS = 5
NEXT = """
What to type next:
  stibium predict FILE_OR_FOLDER      estimates from your own spectra (.asd, .sed, .sig, tables, ENVI)
  stibium watch FOLDER                the same for each file that is dropped into a folder
  stibium probe --pty                 a virtual probe on a port of its own; then, in another terminal:
  stibium listen PORT                 measure with a probe on that port, or on /dev/ttyUSB0
  stibium info                        what the model is, where it comes from
  stibium --help                      everything else"""


@click.command(epilog="Example:  stibium demo --speed full")
@click.option(
    "--speed",
    type=click.Choice(["real", "full"]),
    default="real",
    show_default=True,
    help="Let the virtual probe take as long as scanning takes, or no time.",
)
@click.option(
    "--log",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Log to use.  [default: demo.db beside the usual log]",
)
def demo(speed: str, log: str | None) -> None:
    """Measure recorded samples with a virtual probe and show estimates beside laboratory values.

    Starts `stibium probe` on a pseudo-terminal with samples the shipped model was not trained on, and
    `stibium listen` on the other end of it: the same two programs that a real instrument would need.
    """
    from ..log.write import default_log_path
    from ..record import BOUNDS, in_figures

    bundle = load_bundle(None)
    samples = Path(__file__).parents[1] / "shipped" / "demo_samples.csv.gz"
    laboratory = _laboratory_values(samples.with_name("demo_assays.csv"), f"{bundle.element}_{bundle.unit}")
    log = log or str(default_log_path().with_name("demo.db"))
    click.echo(
        f"Virtual probe: {len(laboratory)} soils, {POINTS} points each. The spectra are SIMULATED from published\n"
        f"assays, the model {bundle.name} was calibrated on SIMULATED soils: the figures show that the\n"
        "software works and say nothing about real ground.\n"
    )
    low_high = f"{100 * bundle.interval.coverage:g} % interval" if bundle.interval else "interval"
    unit = f"{bundle.element} {bundle.unit}"
    click.echo(f"{'sample':<10}{f'probe {unit}':>14}{low_high:>18}{f'laboratory {unit}':>20}   verdict")
    shown = 0
    with _virtual_probe(samples, speed) as port:
        for record in _listen(port, len(laboratory), log):
            click.echo(_row(record, laboratory.get(record["sample_id"], "?")))
            shown += 1
    if bundle.detection:
        critical = f"{in_figures(bundle.detection.critical)} {bundle.unit}"
        click.echo(f"\n< LOD: {BOUNDS['< LOD']}; with this model, estimates up to {critical}.")
    click.echo(f"\n{shown} samples measured, estimated and stored in {log}")
    click.echo(NEXT)


def _row(record: dict[str, Any], laboratory: str) -> str:
    if record["status"] == "refused":
        return f"{record['sample_id']:<10}{'refused':>14}{'':>18}{laboratory:>20}   {record['reason']}"
    (one,) = record["estimates"]
    verdict = f"{one['verdict']} calibration; simulated"
    return f"{record['sample_id']:<10}{one['shown']:>14}{one['interval_shown']:>18}{laboratory:>20}   {verdict}"


def _laboratory_values(path: Path, column: str) -> dict[str, str]:
    with path.open(newline="") as file:
        return {row["sample"]: row[column] for row in csv.DictReader(file)}


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "stibium.edge", *arguments]


@contextmanager
def _virtual_probe(samples: Path, speed: str) -> Iterator[str]:
    command = _command("probe", str(samples), "--pty", "--speed", speed, "--baud", "921600")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            port = process.stdout.readline().strip()
            if not port:
                raise click.ClickException("the virtual probe did not start")
            yield port
        finally:
            process.terminate()


def _listen(port: str, count: int, log: str) -> Iterator[dict[str, Any]]:
    command = _command(
        *("listen", port, "--count", str(count), "--points", str(POINTS), "--white", "now", "--no-ask"),
        *("--format", "jsonl", "--log", log),
    )
    # What it says to a person stays on a side channel, shown only if it fails.
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        given = 0
        for line in process.stdout:
            yield json.loads(line)
            given += 1
        said = process.stderr.read().strip()
        # 1 is a refused measurement as well as a log that cannot be opened: what came says which.
        if process.wait() not in (0, 1) or given < count:
            why = said.splitlines()[-1].removeprefix("stibium: ") if said else f"exit code {process.returncode}"
            raise InstrumentError(f"{given} of {count} samples came before listening failed: {why}")
