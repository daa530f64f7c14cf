"""Calls of ore and gangue as plain values, the same in every format."""

from __future__ import annotations

from typing import Any

from .answer import Answer, in_words
from .bundle import OreBundle
from .table import RefusedRow

PLACE = ("hole", "from", "to", "x", "y", "z")
FIELDS = (
    "status",
    "id",
    *PLACE,
    "probability",
    "interval_low",
    "interval_high",
    "low",
    "high",
    "threshold",
    "decision",
    "reason",
    "leading",
    "contributions",
    "base",
    "flags",
    "simulated",
    "scenario",
    "model",
    "model_sha256",
)
"""What stands in JSON lines and CSV, in this order; `status` is "answer" or "refused"."""


def ore_record(call: Answer | RefusedRow, bundle: OreBundle) -> dict[str, Any]:
    """Give an answer, or the refusal of a row, as plain values under the names of `FIELDS`."""
    record: dict[str, Any] = dict.fromkeys(FIELDS)
    record |= {"id": call.id, "reason": call.reason, "flags": [], "contributions": {}}
    record |= {"scenario": bundle.scenario.name, "model": bundle.name, "model_sha256": bundle.sha256}
    if isinstance(call, RefusedRow):
        return record | {"status": "refused"}
    return record | {
        "status": "answer",
        **{name: call.place.get(name) for name in PLACE},
        "probability": round(call.probability, 6),
        "interval_low": None if call.interval is None else round(call.interval[0], 6),
        "interval_high": None if call.interval is None else round(call.interval[1], 6),
        "low": None if call.low is None else round(call.low, 6),
        "high": None if call.high is None else round(call.high, 6),
        "threshold": round(bundle.threshold, 6),
        "decision": call.decision,
        "leading": in_words(call.contributions),
        "contributions": {c.variable: float(f"{c.amount:.6g}") for c in call.contributions},
        "base": None if call.base is None else float(f"{call.base:.6g}"),
        "flags": list(call.flags),
        "simulated": call.simulated,
    }


def with_interval(call: Answer, decimals: int = 3) -> str:
    """Write P(ore) with its interval, as far as there is one: 0.62 (0.55 - 0.70)."""
    stated = f"{call.probability:.{decimals}f}"
    if call.interval is None:
        return stated
    return f"{stated} ({call.interval[0]:.{decimals}f} - {call.interval[1]:.{decimals}f})"


def heading(bundle: OreBundle, simulated: bool = False) -> str:
    """Say which model answers, what is known of it, and if nothing is said about real ground."""
    line = f"Model {bundle.name}, SHA-256 {bundle.sha256[:16]}, unsigned."
    if bundle.domain is None:
        line += " It has no joint domain: values that do not belong together go unnoticed."
    if bundle.simulated:
        return f"{line} Trained on SIMULATED blocks: it says nothing about real ground."
    return f"{line} These blocks are SIMULATED." if simulated else line
