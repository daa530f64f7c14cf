"""What an ore bundle is, and whether this device computes what training computed."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..units import plain
from .bundle import OreBundle, read_ore_bundle
from .trees import Trees

CONTRIBUTION_TOLERANCE = 1e-5


@dataclass(frozen=True)
class GoldenBlock:
    """One golden block's answer here beside the expected one.

    Attributes:
        name: for people.
        expected, answer: probability of ore, as the library and as this device gave it.
        difference: between them.
        contribution_difference: largest difference of a contribution from when the bundle was made.
        same: True if both are within their tolerances.
    """

    name: str
    expected: float
    answer: float
    difference: float
    contribution_difference: float
    same: bool


def recompute_blocks(bundle: OreBundle) -> list[GoldenBlock]:
    """Answer for the bundle's golden blocks on this device."""
    golden = bundle.golden
    answers = bundle.model.probabilities(golden.values)
    results = []
    for i, (expected, answer) in enumerate(zip(golden.expected.tolist(), answers.tolist(), strict=True)):
        found = bundle.model.contributions(golden.values[i]).values
        apart = float(np.abs(found - golden.contributions[i]).max())
        difference = abs(answer - expected)
        same = difference <= golden.tolerance and apart <= CONTRIBUTION_TOLERANCE
        results.append(GoldenBlock(f"golden {i + 1}", expected, answer, difference, apart, same))
    return results


def _domain(bundle: OreBundle) -> dict[str, Any] | str:
    domain = bundle.domain
    if domain is None:
        return "none: values that do not belong together go unnoticed"
    return {
        "method": domain.method,
        "left_out_share": domain.left_out_share,
        "shuffled_share": domain.shuffled_share,
    }


def describe_ore(path: str) -> dict[str, Any]:
    """Give what `stibium info` prints of an ore bundle, as plain values. Raises BundleError."""
    bundle = read_ore_bundle(path)
    model, training = bundle.model, bundle.training
    record: dict[str, Any] = {
        "file": bundle.path,
        "sha256": bundle.sha256,
        "simulated": bundle.simulated,
        "answers": "ore or gangue",
        "scenario": f"{bundle.scenario.name}: {bundle.scenario.title}",
        "classifier": model.kind,
    }
    if isinstance(model.core, Trees):
        record |= {"trees": len(model.core.roots), "depth": model.core.depth, "nodes": len(model.core.left)}
    return record | {
        "contributions_in": model.space,
        "calibration": model.calibration.kind if model.calibration else None,
        "below_detection": model.below,
        "threshold": bundle.threshold,
        "costs": asdict(bundle.costs),
        "worth": asdict(bundle.worth) | {"nothing": bundle.worth.nothing} if bundle.worth else None,
        "domain": _domain(bundle),
        "training_blocks": training.blocks,
        "ore_share": training.ore_share,
        "most_missing": training.most_missing,
        "variables": [
            {
                "name": v.title,
                "from": v.word(low) if v.kind != "assay" else plain(low),
                "to": v.word(high) if v.kind != "assay" else plain(high),
            }
            for v, low, high in zip(bundle.columns.variables, training.lowest, training.highest, strict=True)
        ],
        "golden": {
            "blocks": len(bundle.golden.expected),
            "tolerance": bundle.golden.tolerance,
            "runtime": bundle.golden.runtime,
        },
        "provenance": bundle.provenance,
    }
