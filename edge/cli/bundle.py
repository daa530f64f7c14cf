"""`stibium info` and `stibium check`: what a model file is, and whether this device computes what it should."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ..model.bundle import Bundle
from ..model.error_model import check_in_words
from ..model.stability import UNKNOWN_LIMITS
from ..ore.bundle import is_ore_bundle
from ..units import plain, shown_unit
from .options import load_bundle, model_option
from .output import Layout, Output, format_of, format_option, json_text, say

if TYPE_CHECKING:
    from ..model.check import GoldenResult
    from ..ore.check import GoldenBlock

SHOWN = 8
"""Names of a long list that `info` prints; `--format json` has them all."""
_FOR_ALL = ("quantisation", "model_bytes", "recipe", "replicates", "golden", "variables", "provenance")
"""What `info` prints with `--all` only."""


def _named(bundle: str | None, model: str | None) -> str | None:
    """Give the file that is meant: `info FILE` and `info --model FILE` are the same."""
    if bundle is not None and model is not None and bundle != model:
        raise click.UsageError(f"{bundle} or --model {model}: name one")
    return bundle if bundle is not None else model


@click.command(epilog="Example:  stibium info sb.tflite")
@click.argument("bundle", required=False, type=click.Path())
@model_option
@click.option("--all", "everything", is_flag=True, help="Print all that the file holds.")
@format_of("table", "json", about="How results are written; json has everything.")
def info(bundle: str | None, model: str | None, everything: bool, out_format: str) -> None:
    """Print what a model file holds: element, range, how well it does, preprocessing, where it comes from.

    BUNDLE may be an ore model, too. Without BUNDLE, the model that `stibium predict` would use.
    """
    named = _named(bundle, model)
    if named is not None and is_ore_bundle(named):
        from ..ore.check import describe_ore

        record = describe_ore(named)
    else:
        record = describe(load_bundle(named))
    if out_format == "json":
        click.echo(json_text(record, indent=1))
        return
    for key, value in (record if everything else first_asked(record)).items():
        _print_entry(key, value, 0)
    if not everything:
        click.echo("--all prints recipe, versions, samples and the rest", err=True)


@click.command(epilog="Example:  stibium check sb.tflite")
@click.argument("bundle", required=False, type=click.Path())
@model_option
@format_option
@click.pass_context
def check(ctx: click.Context, bundle: str | None, model: str | None, out_format: str) -> None:
    """Recompute a model's golden answers on this device; fails if they differ.

    Reading the file verifies every hash in it; the golden spectra then go through preprocessing, network and
    scaling as any other spectrum does. An ore model's golden blocks go through its classifier.
    """
    named = _named(bundle, model)
    if named is not None and is_ore_bundle(named):
        from ..ore.bundle import read_ore_bundle
        from ..ore.check import recompute_blocks

        ore = read_ore_bundle(named)
        blocks = recompute_blocks(ore)
        Output(out_format, BLOCKS).write(blocks)
        wrong, tolerance, where = sum(not r.same for r in blocks), f"{ore.golden.tolerance:g}", named
        count, advice, sha256 = len(blocks), "call ore", ore.sha256
    else:
        from ..model.check import recompute_golden
        from ..model.runtime import runtime_name

        loaded = load_bundle(named)
        answers = recompute_golden(loaded)
        Output(out_format, _answers(shown_unit(loaded.unit))).write(answers)
        wrong, tolerance = sum(not r.same for r in answers), f"{100 * answers[0].tolerance:g} %"
        count, advice, where = len(answers), "measure", f"{loaded.path} in {runtime_name()}"
        sha256 = loaded.sha256
    if wrong:
        say(
            f"{where}: {wrong} of {count} golden answers differ by more than {tolerance}: do not {advice} with this "
            "model on this device",
            err=True,
        )
        ctx.exit(1)
    say(f"{where}: {count} golden answers as expected; SHA-256 {sha256}, unsigned", err=True)


def _answers(unit: str) -> Layout[GoldenResult]:
    from ..record import in_figures

    def record(r: GoldenResult) -> dict[str, Any]:
        known = {"spectrum": r.name, "expected": r.expected, "here": r.answer}
        return known | {"relative_difference": float(f"{r.difference:.3g}"), "same": r.same}

    return Layout(
        record,
        titles=("spectrum", f"expected {unit}", f"here {unit}", "difference"),
        cells=lambda r: [
            (r.name, in_figures(r.expected), in_figures(r.answer), f"{100 * r.difference:.3f} %  {_mark(r.same)}")
        ],
        right=(1, 2),
    )


def _block_record(r: GoldenBlock) -> dict[str, Any]:
    apart = {"difference": r.difference, "contribution_difference": r.contribution_difference}
    return {"block": r.name, "expected": r.expected, "here": r.answer, **apart, "same": r.same}


BLOCKS: Layout[GoldenBlock] = Layout(
    _block_record,
    titles=("block", "expected P(ore)", "here P(ore)", "difference"),
    cells=lambda r: [(r.name, f"{r.expected:.6f}", f"{r.answer:.6f}", f"{r.difference:.1e}  {_mark(r.same)}")],
    right=(1, 2),
)


def _mark(same: bool) -> str:
    return "same" if same else "DIFFERENT"


def first_asked(record: dict[str, Any]) -> dict[str, Any]:
    """Choose what somebody who knows models asks first: range, how well it does on what it has not seen, limits."""
    provenance = record["provenance"]
    found = {name: value for name, value in record.items() if name not in _FOR_ALL}
    samples = {name: provenance["data"][name] for name in ("samples", "spectra") if name in provenance.get("data", {})}
    tested = provenance.get("metrics") or {"cross_validated": provenance.get("cross_validated", {})}
    # What the model has not seen comes first.
    unseen_first = sorted(tested.items(), key=lambda item: item[0].startswith("training"))
    metrics = {name: _in_one_line(values) for name, values in unseen_first if values}
    views = _views(record.get("recipe", {}))
    steps = dict.fromkeys(step["step"] for view in views for step in view.get("steps", ()))
    blocks = f"{len(views)} blocks: " if len(views) > 1 else ""
    preprocessing = {"preprocessing": blocks + ", ".join(steps)} if steps else {}
    tested_on = {"calibrated_with": _in_one_line(samples)} if samples else {}
    plain = {name: value for name, value in found.items() if not isinstance(value, dict)}
    return {**plain, **tested_on, **metrics, **preprocessing, **{n: v for n, v in found.items() if n not in plain}}


def _views(recipe: dict[str, Any]) -> list[dict[str, Any]]:
    return recipe.get("views") or [recipe]


def _in_one_line(values: dict[str, Any]) -> str:
    shown = {name: value.get("mean") if isinstance(value, dict) else value for name, value in values.items()}
    return ", ".join(f"{name.replace('_', ' ')} {_in_words(value)}" for name, value in shown.items())


def _detection(bundle: Bundle) -> dict[str, Any]:
    """Give critical level and detection limit as `info` prints them; {} if the bundle says nothing of them."""
    model, levels = bundle.error_model, bundle.levels
    if model is None:
        if bundle.detection is None:
            return {}
        return {
            "critical_level": levels.critical,
            "detection_limit": levels.limit,
            "method": bundle.detection.method,
        }
    found: dict[str, Any] = {"remark": model.remark} if model.remark else {}
    found |= {"critical_level": model.critical, "detection_limit": model.limit}
    for name, ends in (("critical_level", model.critical_range), ("detection_limit", model.limit_range)):
        if ends is not None:
            found[f"{name}_90_percent_interval"] = list(ends)
    if model.quantification is not None:
        found["quantification_limit"] = model.quantification
    if model.check is not None:
        found["check"] = check_in_words(model.check)
    return {**found, "method": model.method}


def describe(bundle: Bundle) -> dict[str, Any]:
    """Give what `info` prints, as plain values."""
    low, high = bundle.calibrated_range
    first_nm, last_nm = bundle.recipe.range_nm
    record: dict[str, Any] = {
        "file": bundle.path,
        "sha256": bundle.sha256,
        "signature": "none: unsigned, so nothing in the file says who made it",
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
    if detection := _detection(bundle):
        record["detection"] = detection
    if bundle.replicates:
        record["replicates"] = {"method": bundle.replicates.method}
    if bundle.stability != UNKNOWN_LIMITS:
        # What is None is not known, and nothing to print.
        limits = bundle.stability._asdict().items()
        record["stability"] = {name: limit for name, limit in limits if limit is not None}
    if bundle.golden:
        record["golden"] = {
            "spectra": len(bundle.golden.expected),
            "tolerance": bundle.golden.tolerance,
            "runtime": bundle.golden.runtime,
        }
    record |= _origin(bundle)
    record["provenance"] = bundle.provenance
    return record


def _origin(bundle: Bundle) -> dict[str, Any]:
    """Say what a model was made for, and what was done to it since it was trained."""
    found: dict[str, Any] = {}
    lineage, correction = bundle.lineage, bundle.correction
    if lineage.instruments:
        found["made_for_instruments"] = list(lineage.instruments)
    if not correction.is_none:
        spectra = correction.spectra.method if correction.spectra else "none"
        found["correction"] = {"slope": correction.slope, "intercept": correction.intercept, "spectra": spectra}
    for number, step in enumerate(lineage.adaptations, 1):
        found["adaptation" if number == 1 else f"adaptation_{number}"] = {
            "parent_sha256": step.parent_sha256,
            "done": step.what,
            "samples": step.samples,
            "judged_by": step.judged,
            "left_out_rmse_before": step.before,
            "left_out_rmse_after": step.after,
            "tried": "; ".join(f"{tried.what} {plain(tried.rmse)}" for tried in step.tried),
        }
    return found


def _print_entry(key: str, value: Any, depth: int) -> None:
    name = f"{'  ' * depth}{key.replace('_', ' ')}"
    if isinstance(value, dict):
        say(name)
        for k, v in value.items():
            _print_entry(str(k), v, depth + 1)
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        say(name)
        for number, v in enumerate(value, 1):
            if any(isinstance(x, list) and x and isinstance(x[0], dict) for x in v.values()):
                # A list within: its members one below the other, as those of the whole are.
                _print_entry(str(number), {k: x for k, x in v.items() if x != ""}, depth + 1)
                continue
            text = ", ".join(f"{k} {x}" for k, x in v.items())
            say(f"{'  ' * (depth + 1)}{text}")
    else:
        say(f"{name:<23} {_in_words(value)}")


def _in_words(value: Any) -> str:
    if isinstance(value, list):
        shown = ", ".join(_in_words(v) for v in value[:SHOWN])
        return f"{shown}, ... ({len(value)} in all)" if len(value) > SHOWN else shown
    if isinstance(value, bool):
        return "yes" if value else "no"
    return plain(value) if isinstance(value, float) else "-" if value is None else str(value)
