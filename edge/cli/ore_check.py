"""`stibium check` of an ore model."""

from __future__ import annotations

import json
import sys

import click

from ..ore.bundle import read_ore_bundle
from ..ore.check import recompute_blocks


def check_ore(ctx: click.Context, path: str, out_format: str) -> None:
    """Recompute the golden blocks of the bundle at `path` and show them; exit code 1 if one differs."""
    bundle = read_ore_bundle(path)
    results = recompute_blocks(bundle)
    if out_format == "table":
        click.echo(f"{'block':<12}{'expected P(ore)':>16}{'here P(ore)':>14}  difference")
    if out_format == "csv":
        click.echo("block,expected,here,difference,contribution_difference,same")
    for r in results:
        if out_format == "jsonl":
            record = {"block": r.name, "expected": r.expected, "here": r.answer, "same": r.same}
            more = {"difference": r.difference, "contribution_difference": r.contribution_difference}
            click.echo(json.dumps(record | more))
        elif out_format == "csv":
            apart = f"{r.difference:.3g},{r.contribution_difference:.3g}"
            click.echo(f"{r.name},{r.expected!r},{r.answer!r},{apart},{r.same}")
        else:
            mark = "same" if r.same else "DIFFERENT"
            click.echo(f"{r.name:<12}{r.expected:>16.6f}{r.answer:>14.6f}  {r.difference:.1e}  {mark}")
    wrong = sum(not r.same for r in results)
    if wrong:
        click.echo(
            f"{path}: {wrong} of {len(results)} golden answers differ by more than {bundle.golden.tolerance:g}: "
            "do not call ore with this model on this device",
            err=True,
        )
        ctx.exit(1)
    click.echo(f"{path}: {len(results)} golden answers as expected", err=True)
    sys.stdout.flush()
