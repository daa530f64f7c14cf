"""Whether what a bundle says can be: hashes show that a file is whole, not that its numbers mean anything."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...converters.spectra.spectrum import CONDITIONS
from ..errors import BundleError
from .applicability import ApplicabilityDomain
from .golden_grid import unpack_grid
from .interval import IntervalStats

MOST = 1e12
"""No content, limit, offset or wavelength in any unit is larger."""
MOST_TOLERANCE = 0.5
"""Relative, of golden answers: five steps of an 8-bit logarithm over five decades are 0.26."""
WIDEST = 5.0
"""A slope of more would make one interval exp(12) times as wide as another."""


def require_sense(
    manifest: Mapping[str, Any],
    arrays: Mapping[str, NDArray[Any]],
    interval: IntervalStats | None,
    domain: ApplicabilityDomain | None,
) -> None:
    """Check every field that an answer depends on, but the recipe and the scaling, which check themselves.

    Args:
        manifest, arrays: of a bundle.
        interval, domain: what was read from them.

    Raises:
        BundleError: the first one whose value cannot be, by its name in the manifest.
    """
    for name in ("element", "unit"):
        text = manifest[name]
        _require(isinstance(text, str) and 0 < len(text.strip()) <= 40 and text.isprintable(), name, text)
    _require(isinstance(manifest["simulated"], bool), "simulated", manifest["simulated"])
    _text("quantisation", manifest["quantisation"])
    _require(isinstance(manifest["provenance"], dict), "provenance", type(manifest["provenance"]).__name__)
    low, high = ends = manifest["calibrated_range"]
    transform = manifest["transform"]
    _numbers("calibrated_range", ends, -MOST if transform == "none" else 0.0, MOST, 2)
    _require(low < high and (low > 0 or transform != "log10"), "calibrated_range", ends)
    if interval is not None:
        _interval(interval)
    if domain is not None:
        _domain(domain)
    for name, lower, upper in (("detection", "critical", "limit"), ("replicates", "typical", "limit")):
        if found := manifest.get(name):  # version 1 had neither
            least, most = found[lower], found[upper]
            _numbers(name, [least, most], 0.0, MOST, 2)
            _require(least <= most, name, f"{lower} {least} above {upper} {most}")
            _text(f"{name} method", found["method"])
    for name, limit in (manifest.get("stability") or {}).items():  # only newer ones have it
        if limit is not None:
            least, most = (1.0, 1e3) if name == "sampling_most" else (1e-9, 1.0)
            _numbers(f"stability {name}", [limit], least, most, 1)
    if correction := manifest.get("correction"):
        _correction(correction, arrays)
    if lineage := manifest.get("lineage"):
        _lineage(lineage)
    if said := manifest.get("conditions"):
        _conditions(said)
    if golden := manifest["golden"]:
        _golden(
            golden, unpack_grid(arrays), *(np.asarray(arrays[f"golden_{name}"]) for name in ("reflectance", "expected"))
        )


def _interval(stats: IntervalStats) -> None:
    _numbers("interval coverage", (stats.coverage,), 0.01, 0.9999, 1)
    _numbers("interval low_offset", (stats.low_offset,), -MOST, 0.0, 1)
    _numbers("interval high_offset", (stats.high_offset,), 0.0, MOST, 1)
    _numbers("interval slopes", stats.slopes, -WIDEST, WIDEST, 3)
    _numbers("interval centres", stats.centres, -MOST, MOST, 3)
    _numbers("interval spreads", stats.spreads, 1e-12, MOST, 3)
    _numbers("interval high_lift", (stats.high_lift,), 0.0, WIDEST, 1)
    _text("interval method", stats.method)


def _domain(domain: ApplicabilityDomain) -> None:
    _numbers("domain limits", (domain.t2_limit, domain.q_limit), 1e-12, MOST, 2)
    _text("domain method", domain.method)
    per_bin = domain.bands_per_bin
    _require(isinstance(per_bin, int) and not isinstance(per_bin, bool) and per_bin > 0, "bands_per_bin", per_bin)
    for name, ends in (("brightness_range", domain.brightness_range), ("contrast_range", domain.contrast_range)):
        if ends is not None:
            _numbers(name, ends, -MOST, MOST, 2)
            _require(ends[0] < ends[1], name, list(ends))
    if domain.most_chlorophyll is not None:
        _numbers("most_chlorophyll", (domain.most_chlorophyll,), -MOST, MOST, 1)
    if domain.most_shift_nm is not None:
        _numbers("most_shift_nm", (domain.most_shift_nm,), 1e-3, 1e3, 1)
    _require(domain.mean.ndim == 1 and domain.mean.size > 0, "domain_mean", domain.mean.shape)
    _require(
        domain.loadings.shape == (domain.score_variance.size, domain.mean.size)
        and domain.score_variance.ndim == 1
        and domain.score_variance.size > 0,
        "domain_loadings",
        domain.loadings.shape,
    )
    scale = np.ones(domain.mean.size) if domain.residual_scale is None else domain.residual_scale
    _require(scale.shape == domain.mean.shape, "domain_residual_scale", scale.shape)
    for name, array in (("mean", domain.mean), ("loadings", domain.loadings)):
        _require(bool((np.abs(array) < MOST).all()), f"domain_{name}", "no finite numbers")
    for name, array in (("score_variance", domain.score_variance), ("residual_scale", scale)):
        _require(bool(((array > 0) & (array < MOST)).all()), f"domain_{name}", "numbers that are not above zero")


def _correction(said: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
    # No adaptation turns a model round.
    _numbers("correction slope", [said["slope"]], 1e-6, 1e6, 1)
    _numbers("correction intercept", [said["intercept"]], -MOST, MOST, 1)
    if said["spectra"] is None:
        return
    _text("correction method", said["spectra"]["method"])
    offset, weights, left, right = (
        np.asarray(arrays[f"correction_{name}"]) for name in ("offset", "weights", "left", "right")
    )
    bands, rank = offset.size, left.shape[-1]
    for name, array, shape in (
        ("offset", offset, (bands,)),
        ("weights", weights, (bands, weights.shape[-1])),
        ("left", left, (bands, rank)),
        ("right", right, (rank, bands)),
    ):
        _require(array.shape == shape, f"correction_{name}", array.shape)
        _require(bool((np.abs(array) < MOST).all()), f"correction_{name}", "no finite numbers")
    _require(weights.shape[1] % 2 == 1, "correction_weights", weights.shape)


def _lineage(said: Mapping[str, Any]) -> None:
    for instrument in said["instruments"]:
        _text("lineage instruments", instrument)
    for step in said["adaptations"]:
        for name in ("parent_sha256", "what", "judged"):
            _text(f"lineage {name}", step[name])
        _numbers("lineage samples", [step["samples"]], 1, MOST, 1)
        for rmse in (step["before"], step["after"], *(tried["rmse"] for tried in step["tried"])):
            _numbers("lineage rmse", [rmse], 0.0, MOST, 1)


def _conditions(said: Mapping[str, Any]) -> None:
    counts, water = said["counts"], said["water"]
    _require(isinstance(counts, dict) and set(counts) <= {"", *CONDITIONS}, "conditions counts", counts)
    for count in counts.values():
        _require(isinstance(count, int), "conditions counts", count)
    _numbers("conditions counts", list(counts.values()), 0, MOST, len(counts))
    _require(set(said["corrected"]) <= set(CONDITIONS), "conditions corrected", said["corrected"])
    _text("conditions method", said["method"])
    for name, value in (water or {}).items():
        _numbers(f"conditions water {name}", [value], 1e-9 if name == "spread" else -MOST, MOST, 1)


def _golden(said: Mapping[str, Any], nm: NDArray[Any], reflectance: NDArray[Any], expected: NDArray[Any]) -> None:
    right = nm.ndim == expected.ndim == 1 and reflectance.shape == (expected.size, nm.size)
    _require(right, "golden_reflectance", reflectance.shape)
    _require(nm.size > 1 and bool((np.diff(nm) > 0).all()), "golden_wavelengths_nm", "wavelengths that do not ascend")
    for name, array in (("reflectance", reflectance), ("expected", expected)):
        _require(bool((np.abs(array) < MOST).all()), f"golden_{name}", "no finite numbers")
    _numbers("golden tolerance", [said["tolerance"]], 1e-12, MOST_TOLERANCE, 1)
    _numbers("golden splices_nm", said["splices_nm"], 0.0, MOST, len(said["splices_nm"]))
    _text("golden runtime", said["runtime"])


def _numbers(name: str, values: Sequence[Any], least: float, most: float, count: int) -> None:
    """`count` numbers, each within limits."""
    right = isinstance(values, (list, tuple)) and len(values) == count
    for value in values if right else ():
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        right = right and number and math.isfinite(value) and least <= value <= most
    _require(right, name, values)


def _text(name: str, value: Any) -> None:
    _require(isinstance(value, str) and len(value) <= 10_000, name, value)


def _require(right: bool, name: str, value: Any) -> None:
    if not right:
        raise BundleError(
            f"{name} cannot be {str(value)[:80]!r}: whoever made this file, it measures nothing; export again"
        )
