"""`stibium doctor`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .options import log_option, model_option
from .output import Layout, Output, format_option

if TYPE_CHECKING:
    from ..doctor.diagnosis import Diagnosis


@click.command(epilog="Example:  stibium doctor")
@model_option
@log_option
@click.option("--profile", metavar="NAME|FILE", help="Probe profile whose limits count.  [default: framed_serial]")
@click.option("--all-hashes", is_flag=True, help="Compare every spectrum of the log with its hash, not the last 1000.")
@format_option
@click.pass_context
def doctor(
    ctx: click.Context, model: str | None, log: str | None, profile: str | None, all_hashes: bool, out_format: str
) -> None:
    """Check whether this device is fit to measure, and say what to do if not.

    Looks at the runtime, the model's golden answers, ports, log, clock, white reference, disk, memory, heat, power
    and services, and changes nothing. Fails if there is a problem; a warning is only to be known.
    """
    from ..doctor.diagnosis import Patient, worst
    from ..doctor.examine import examine
    from ..instruments.profile import DEFAULT_PROFILE, read_profile
    from ..log.write import default_log_path

    valid_min = read_profile(profile or DEFAULT_PROFILE).measuring.white_valid_min
    path = Path(log) if log is not None else default_log_path()
    diagnoses = []
    output = Output(out_format, Layout(vars, ("check", "level", "found", "advice"), lines=_lines))
    for one in examine(Patient(path, model, white_valid_min=valid_min, all_hashes=all_hashes)):
        diagnoses.append(one)
        output.write([one])
    counts = {level: sum(one.level == level for one in diagnoses) for level in ("problem", "warning")}
    click.echo(", ".join(f"{n} {level}{'' if n == 1 else 's'}" for level, n in counts.items()), err=True)
    ctx.exit(1 if worst(diagnoses) == "problem" else 0)


def _lines(one: Diagnosis) -> list[str]:
    advice = [f"{'':<21}-> {one.advice}"] if one.advice else []
    return [f"{one.level:<9}{one.check:<12}{one.found}", *advice]
