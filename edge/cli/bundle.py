"""`stibium info` and `stibium check`: what a model file is, and whether this device computes what it should."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from ..model.bundle import Bundle
from ..ore.bundle import is_ore_bundle
from .options import format_option, load_bundle

SHOWN = 8
"""Names of a long list that `info` prints; `--format json` has them all."""


@click.command(epilog="Example:  stibium info sb.tflite")
@click.argument("bundle", required=False, type=click.Path())
@click.option(
    "--format",
    "out_format",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="How results are written.",
)
def info(bundle: str | None, out_format: str) -> None:
    """Print what a model file holds: element, range, preprocessing, where it comes from.

    BUNDLE may be an ore model, too.

    Without BUNDLE, the model that `stibium predict` would use.
    """
    if bundle is not None and is_ore_bundle(bundle):
        from ..ore.check import describe_ore

        record = describe_ore(bundle)
    else:
        record = describe(load_bundle(bundle))
    if out_format == "json":
        click.echo(json.dumps(record, indent=1, ensure_ascii=False))
        return
    for key, value in record.items():
        _print_entry(key, value, 0)


@click.command(epilog="Example:  stibium check sb.tflite")
@click.argument("bundle", required=False, type=click.Path())
@format_option
@click.pass_context
def check(ctx: click.Context, bundle: str | None, out_format: str) -> None:
    """Recompute a model's golden answers on this device; fails if they differ.

    Reading the file verifies every hash in it; the golden spectra then go through preprocessing, network and
    scaling as any other spectrum does. An ore model's golden blocks go through its classifier.
    """
    if bundle is not None and is_ore_bundle(bundle):
        from .ore_check import check_ore

        check_ore(ctx, bundle, out_format)
        return
    from ..model.check import recompute_golden
    from ..model.runtime import runtime_name
    from ..report import in_figures

    loaded = load_bundle(bundle)
    results = recompute_golden(loaded)
    if out_format == "table":
        click.echo(f"{'spectrum':<12}{f'expected {loaded.unit}':>14}{f'here {loaded.unit}':>14}  difference")
    if out_format == "csv":
        click.echo("spectrum,expected,here,relative_difference,same")
    for r in results:
        if out_format == "jsonl":
            record = {"spectrum": r.name, "expected": r.expected, "here": r.answer, "same": r.same}
            click.echo(json.dumps(record | {"relative_difference": r.difference}))
        elif out_format == "csv":
            click.echo(f"{r.name},{r.expected!r},{r.answer!r},{r.difference:.3g},{r.same}")
        else:
            mark = "same" if r.same else "DIFFERENT"
            numbers = f"{in_figures(r.expected):>14}{in_figures(r.answer):>14}"
            click.echo(f"{r.name:<12}{numbers}  {100 * r.difference:.3f} %  {mark}")
    wrong = sum(not r.same for r in results)
    where = f"{loaded.path} in {runtime_name()}"
    if wrong:
        tolerance = 100 * results[0].tolerance
        click.echo(
            f"{where}: {wrong} of {len(results)} golden answers differ by more than {tolerance:g} %: "
            "do not measure with this model on this device",
            err=True,
        )
        ctx.exit(1)
    click.echo(f"{where}: {len(results)} golden answers as expected", err=True)
    sys.stdout.flush()


def describe(bundle: Bundle) -> dict[str, Any]:
    """Give what `info` prints, as plain values."""
    low, high = bundle.calibrated_range
    first_nm, last_nm = bundle.recipe.range_nm
    record: dict[str, Any] = {
        "file": bundle.path,
        "sha256": bundle.sha256,
        "simulated": bundle.simulated,
        "element": bundle.element,
        "unit": bundle.unit,
        "calibrated_range": [low, high],
        "target_transform": bundle.transform,
        "quantisation": bundle.quantisation,
        "model_bytes": len(bundle.model),
        "range_nm": [first_nm, last_nm],
        "recipe": bundle.recipe.to_dict(),
    }
    if bundle.interval:
        record["interval"] = {"coverage": bundle.interval.coverage, "method": bundle.interval.method}
    if bundle.domain:
        record["domain"] = {"components": len(bundle.domain.loadings), "method": bundle.domain.method}
    if bundle.detection:
        found = bundle.detection
        record["limit_of_detection"] = {
            "limit": found.limit,
            "critical": found.critical,
            "method": found.method,
        }
    if bundle.replicates:
        record["replicates"] = {"method": bundle.replicates.method}
    if bundle.golden:
        record["golden"] = {
            "spectra": len(bundle.golden.expected),
            "tolerance": bundle.golden.tolerance,
            "runtime": bundle.golden.runtime,
        }
    record["provenance"] = bundle.provenance
    return record


def _print_entry(key: str, value: Any, depth: int) -> None:
    name = f"{'  ' * depth}{key.replace('_', ' ')}"
    if isinstance(value, dict):
        click.echo(name)
        for k, v in value.items():
            _print_entry(str(k), v, depth + 1)
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        click.echo(name)
        for number, v in enumerate(value, 1):
            if any(isinstance(x, list) and x and isinstance(x[0], dict) for x in v.values()):
                # A list within: its members one below the other, as those of the whole are.
                _print_entry(str(number), {k: x for k, x in v.items() if x != ""}, depth + 1)
                continue
            text = ", ".join(f"{k} {x}" for k, x in v.items())
            click.echo(f"{'  ' * (depth + 1)}{text}")
    else:
        click.echo(f"{name:<24}{_in_words(value)}")


def _in_words(value: Any) -> str:
    if isinstance(value, list):
        shown = ", ".join(_in_words(v) for v in value[:SHOWN])
        return f"{shown}, ... ({len(value)} in all)" if len(value) > SHOWN else shown
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else "-" if value is None else str(value)
