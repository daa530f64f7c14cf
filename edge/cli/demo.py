"""`stibium demo`."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import InstrumentError
from ..units import shown_unit

if TYPE_CHECKING:
    from ..model.bundle import Bundle

SHIPPED = Path(__file__).parents[1] / "shipped"

POINTS = 5
NEXT = (
    ("predict FILE_OR_FOLDER", "estimates from your own spectra (.asd, .sed, .sig, tables, ENVI)"),
    ("plot FILE --out soils.html", "draws them; with --model what a model makes of them"),
    ("watch FOLDER", "estimates from each file that is dropped into a folder"),
    ("probe --pty", "a virtual probe on a port of its own; then, in another terminal:"),
    ("listen PORT", "measure with a probe on that port, or on /dev/ttyUSB0"),
    ("info", "what the model is, where it comes from"),
    ("--help", "everything else"),
)
"""What to type after `stibium`, and what it does."""


@click.command(epilog="Example:  stibium demo --speed real")
@click.option(
    "--speed",
    type=click.Choice(["real", "full"]),
    default="full",
    show_default=True,
    help="Let the virtual instruments take as long as scanning takes, or no time.",
)
@click.option(
    "--log",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Log to use; the picture is written beside it.  [default: demo.db beside the usual log]",
)
@click.option("--page", is_flag=True, help="Then serve a page for a phone with a virtual instrument, until Ctrl-C.")
def demo(speed: str, log: str | None, page: bool) -> None:
    """Measure recorded soils with virtual instruments and show estimates beside laboratory values.

    First real soils and clay, through a virtual ASD FieldSpec; then simulated soils and Sb, through a virtual probe on
    a pseudo-terminal. Each time `stibium probe` plays the instrument and `stibium listen` measures with it: the same
    two programs that a real instrument would need. The models saw none of these soils.
    """
    from ..log.write import default_log_path

    path = log or str(default_log_path().with_name("demo.db"))
    _real(path, speed)
    _simulated(path, speed)
    program = _program()
    click.echo("\nWhat to type next:")
    width = max(len(arguments) for arguments, _ in NEXT)
    for arguments, what in NEXT:
        click.echo(f"  {program} {arguments:<{width}}  {what}")
    if page:
        _page(path)


def _page(log: str) -> None:
    """The page, with a virtual FieldSpec that has the real soils in front of it; its address is printed last."""
    probe = ("--instrument", "fieldspec", "--tcp", "127.0.0.1:0", "--loop")
    click.echo("\nA day led from a page; the FieldSpec is a program, the soils are real. Ctrl-C ends it.")
    with _virtual_probe(SHIPPED / "real_soils.csv.gz", *probe) as port:
        model = str(SHIPPED / "clay_geeves.tflite")
        options = ("--profile", "fieldspec", "--on-for", "90", "--points", "1", "--model", model, "--log", log)
        served = subprocess.run(_command("serve", port, *options, "--http-port", "0"), check=False)
    if served.returncode:
        raise click.exceptions.Exit(served.returncode)


def _real(log: str, speed: str) -> None:
    """Real soils through a virtual FieldSpec, and a picture of them beside the laboratory's values."""
    from ...converters.spectra.files import write_whole
    from ..model.bundle import read_bundle
    from ..plot import as_picture, draw_beside_laboratory

    bundle = read_bundle(SHIPPED / "clay_geeves.tflite")
    laboratory = _laboratory_values(SHIPPED / "real_assays.csv")
    click.echo(
        f"REAL GROUND: {len(laboratory)} Australian soils (Geeves et al. 1994), their spectra measured with a contact\n"
        "probe, their clay by a laboratory; the model was calibrated on the survey's other soils. Only the FieldSpec\n"
        "that measures them once more here is a program.\n"
    )
    records = []
    _heading(bundle)
    played = ("--instrument", "fieldspec", "--tcp", "127.0.0.1:0", "--speed", speed)
    with _virtual_probe(SHIPPED / "real_soils.csv.gz", *played) as port:
        options = ("--profile", "fieldspec", "--points", "1", "--model", bundle.path)
        for name, record in zip(laboratory, _listen(port, len(laboratory), log, *options), strict=True):
            records.append((name, record))
            click.echo(_row(name, record, laboratory[name]))
    usable = [(record, float(laboratory[name])) for name, record in records if _trusted(record)]
    inside = sum(_within(record, value) for record, value in usable)
    said = f"\n{inside} of {len(usable)} laboratory values lie within the interval beside them."
    if others := len(records) - len(usable):
        said += (
            f" {others} soil{' is' if others == 1 else 's are'} unlike the calibration: the number is in parentheses."
        )
    click.echo(said)
    picture = Path(log).with_name("demo.svg")
    title = f"{bundle.element} of real soils by the probe, beside the laboratory's value"
    drawn = draw_beside_laboratory(
        [(name, float(laboratory[name]), record["estimates"][0]) for name, record in records if record["estimates"]],
        bundle.calibrated_range,
    )
    write_whole(picture, as_picture([(title, drawn)]).encode())
    click.echo(f"A picture of it: {picture}\n")


def _simulated(log: str, speed: str) -> None:
    """Simulated soils and Sb through a virtual probe."""
    from ..model.bundle import SHIPPED_BUNDLE, read_bundle
    from ..record import BOUNDS, in_figures

    bundle = read_bundle(SHIPPED_BUNDLE)
    laboratory = _laboratory_values(SHIPPED / "demo_assays.csv")
    click.echo(
        f"SIMULATED: {len(laboratory)} soils, {POINTS} points each. No public data pair soil spectra with antimony:\n"
        f"these are simulated from published assays, and {bundle.name} was calibrated on SIMULATED soils. The\n"
        "figures show that the software works and say nothing about real ground.\n"
    )
    _heading(bundle)
    with _virtual_probe(SHIPPED / "demo_samples.csv.gz", "--pty", "--speed", speed, "--baud", "921600") as port:
        for record in _listen(port, len(laboratory), log, "--points", str(POINTS), "--model", bundle.path):
            name = record["sample_id"]
            click.echo(_row(name, record, laboratory.get(name, "?")))
    if (level := bundle.levels.critical) is not None:
        critical = f"{in_figures(level)} {shown_unit(bundle.unit)}"
        click.echo(
            f"\n< LOD: {BOUNDS['< LOD']}: an estimate up to the critical level, with this model {critical}, whose\n"
            "interval does not begin above what soils without any hold."
        )
    click.echo(f"\nAll samples were measured, estimated and stored in {log}")


def _program() -> str:
    """Give the program's name as it can be typed here: with its path where the shell would not find it."""
    beside = Path(sys.executable).with_name("stibium")
    found = shutil.which("stibium")
    if (found and Path(found).resolve() == beside.resolve()) or not beside.is_file():
        return "stibium"
    here = Path.cwd()
    return os.fspath(beside.relative_to(here) if beside.is_relative_to(here) else beside)


def _heading(bundle: Bundle) -> None:
    low_high = f"{100 * bundle.interval.coverage:g} % interval" if bundle.interval else "interval"
    unit = f"{bundle.element} {shown_unit(bundle.unit)}"
    click.echo(f"{'sample':<10}{f'probe {unit}':>14}{low_high:>18}{f'laboratory {unit}':>20}   verdict")


def _trusted(record: dict[str, Any]) -> bool:
    return bool(record["estimates"]) and record["estimates"][0]["verdict"] == "inside"


def _within(record: dict[str, Any], value: float) -> bool:
    (one,) = record["estimates"]
    low, high = (one[end] if one[end] is not None else one[f"untrusted_{end}"] for end in ("low", "high"))
    return low is None or high is None or low <= value <= high


def _row(name: str, record: dict[str, Any], laboratory: str) -> str:
    if record["status"] == "refused":
        return f"{name:<10}{'refused':>14}{'':>18}{laboratory:>20}   {record['reason']}"
    (one,) = record["estimates"]
    said = f"{one['verdict']} calibration"
    verdict = f"{said}: {one['reason']}" if one["reason"] else said
    # Nobody is to wonder why a number stands in parentheses; other remarks are in the log.
    doubted = one["shown"].startswith("(") and not one["reason"]
    remarks = [flag for flag in one["flags"] if doubted and not flag.startswith("simulated")]
    words = "; ".join([verdict, *remarks, *(["simulated"] if one["simulated"] else [])])
    return f"{name:<10}{one['shown']:>14}{one['interval_shown']:>18}{laboratory:>20}   {words}"


def _laboratory_values(path: Path) -> dict[str, str]:
    """Read sample -> value of a table of two columns."""
    with path.open(newline="") as file:
        _, *rows = csv.reader(file)
    return dict(rows)


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "stibium.edge", *arguments]


@contextmanager
def _virtual_probe(samples: Path, *options: str) -> Iterator[str]:
    command = _command("probe", str(samples), *options)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            port = process.stdout.readline().strip()
            if not port:
                raise click.ClickException("the virtual probe did not start")
            yield port
        finally:
            process.terminate()


def _listen(port: str, count: int, log: str, *options: str) -> Iterator[dict[str, Any]]:
    command = _command(
        *("listen", port, "--count", str(count), "--white", "now", "--no-ask", "--format", "jsonl", "--log", log),
        *options,
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
