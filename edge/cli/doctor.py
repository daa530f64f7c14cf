"""`stibium doctor`."""

from __future__ import annotations

import json
import sys

import click

from .options import format_option, log_option, model_option


@click.command(epilog="Example:  stibium doctor")
@model_option
@log_option
@click.option("--profile", metavar="NAME|FILE", help="Probe profile whose limits count.  [default: framed_serial]")
@format_option
@click.pass_context
def doctor(ctx: click.Context, model: str | None, log: str | None, profile: str | None, out_format: str) -> None:
    """Check whether this device is fit to measure, and say what to do if not.

    Looks at the runtime, the model's golden answers, ports, log, clock, white reference, disk, memory, heat, power
    and services, and changes nothing. Fails if there is a problem; a warning is only to be known.
    """
    from ..doctor.examine import examine, worst
    from ..instruments.profile import DEFAULT_PROFILE, read_profile

    settings = read_profile(profile or DEFAULT_PROFILE)
    findings = []
    if out_format == "csv":
        import csv

        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(("check", "level", "found", "advice"))
    for finding in examine(model, log, white_valid_min=settings.measuring.white_valid_min):
        findings.append(finding)
        if out_format == "table":
            click.echo(f"{finding.level:<9}{finding.check:<12}{finding.found}")
            if finding.advice:
                click.echo(f"{'':<21}-> {finding.advice}")
        elif out_format == "jsonl":
            click.echo(json.dumps(vars(finding), ensure_ascii=False))
        else:
            writer.writerow((finding.check, finding.level, finding.found, finding.advice))
    counts = {level: sum(finding.level == level for finding in findings) for level in ("problem", "warning")}
    sys.stdout.flush()
    click.echo(", ".join(f"{n} {level}{'' if n == 1 else 's'}" for level, n in counts.items()), err=True)
    ctx.exit(1 if worst(findings) == "problem" else 0)
