"""How far answers near zero are off; from which estimate, and from which content on, it is more than nothing.

Fitted by `stibium.train.detection`; docs/detection.md says how.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...converters.spectra.spectrum import Floats
from ..errors import BundleError
from ..units import plain, shown_unit

SECTION = "error_model"
MOST = 1e12


@dataclass(frozen=True)
class Check:
    """What a cross-validation of the error model found, in numbers of soils.

    Attributes:
        soils: that were held back, each once.
        blanks_detected: share of blanks, made of the held-back soils' errors, that were called detected.
        near_limit, near_limit_missed: soils within a fifth of the detection limit; share of them not detected.
        upper: highest content of each tenth of the soils by content.
        predicted, observed: shares detected, in each tenth.
    """

    soils: int
    blanks_detected: float
    near_limit: int
    near_limit_missed: float | None
    upper: tuple[float, ...]
    predicted: tuple[float, ...]
    observed: tuple[float, ...]


def levels_in_words(model: ErrorModel, unit: str) -> str:
    """Say critical level and detection limit with their uncertainty, or why there are none, in one line."""
    said, unit = [], shown_unit(unit)
    for name, level, ends in (
        ("critical level", model.critical, model.critical_range),
        ("detection limit", model.limit, model.limit_range),
    ):
        if level is not None:
            low, high = ("?" if end is None else plain(end, 3) for end in ends or (None, None))
            said.append(f"{name} {plain(level, 3)} {unit} (90 % interval {low} to {high})")
    if model.quantification is not None:
        said.append(f"quantification limit {plain(model.quantification, 3)} {unit}")
    return "; ".join([*said, *([model.remark] if model.remark else [])])


def check_in_words(check: Check) -> str:
    """Say what a check found, in one line."""
    apart = max(abs(p - o) for p, o in zip(check.predicted, check.observed, strict=True))
    missed = "" if check.near_limit_missed is None else f" ({100 * check.near_limit_missed:.0f} % missed)"
    return (
        f"{check.soils} soils, left out in turn: of blanks with their errors {100 * check.blanks_detected:.1f} % are "
        f"detected; {check.near_limit} soils are within a fifth of the detection limit{missed}; over tenths of "
        f"content, shares detected are at most {100 * apart:.0f} points from those predicted"
    )


@dataclass(frozen=True, eq=False)
class ErrorModel:
    """Critical level and detection limit in Currie's sense, in the element's unit, and the errors that they come from.

    Attributes:
        critical: critical level: one blank in twenty reads more; None where nothing shows what blanks read.
        critical_range: ends of its own 90 % interval.
        limit: detection limit: the content of which one soil in twenty reads no more than `critical`; None if even the
            richest soils are missed more often, or without a critical level.
        limit_range: ends of its own 90 % interval; None for an end beyond the calibration.
        blank: content that reads as high as the critical level on average: what is not detected holds about that much
            at most.
        quantification: content from which the standard deviation of an estimate is a tenth of it or less; None where
            there is none.
        method: how they were found.
        remark: why a level is None; "" otherwise.
        content, mean, sd: (g,) contents, from 0 up, with mean and standard deviation of what soils of these read.
        check: None if there were too few soils.
    """

    critical: float | None
    critical_range: tuple[float | None, float | None] | None
    limit: float | None
    limit_range: tuple[float | None, float | None] | None
    blank: float | None
    quantification: float | None
    method: str
    remark: str
    content: Floats
    mean: Floats
    sd: Floats
    check: Check | None = None


_ARRAYS = ("content", "mean", "sd")


def pack_error_model(model: ErrorModel) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Give an error model as JSON values and as named arrays."""
    values = {name: value for name, value in vars(model).items() if name not in _ARRAYS}
    values["check"] = vars(model.check) if model.check else None
    return values, {f"{SECTION}_{name}": getattr(model, name) for name in _ARRAYS}


def unpack_error_model(values: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> ErrorModel:
    """Read what `pack_error_model` gave, through JSON.

    Raises:
        BundleError: its numbers cannot be.
        KeyError, TypeError, ValueError: it is something else.
    """
    known: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}
    if known["check"] is not None:
        check: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else v for n, v in known["check"].items()}
        known["check"] = Check(**check)
    known |= {name: np.asarray(arrays[f"{SECTION}_{name}"], dtype=np.float64) for name in _ARRAYS}
    model = ErrorModel(**known)
    _require_sense(model)
    return model


def _require_sense(model: ErrorModel) -> None:
    for name in ("critical", "limit", "blank", "quantification"):
        _number(name, getattr(model, name), 0.0, MOST)
    for name in ("critical_range", "limit_range"):
        ends = getattr(model, name)
        if ends is not None:
            _require(isinstance(ends, tuple) and len(ends) == 2, name, ends)
            for end in ends:
                _number(name, end, 0.0, MOST)
            _require(None in ends or ends[0] <= ends[1], name, ends)
    # Without a critical level there is nothing to hold a content against.
    _require(model.critical is not None or (model.limit is None and model.blank is None), "limit", model.limit)
    _require(model.critical is None or model.blank is not None, "blank", model.blank)
    for name in ("method", "remark"):
        text = getattr(model, name)
        _require(isinstance(text, str) and len(text) <= 10_000, name, text)
    for name in _ARRAYS:
        curve = getattr(model, name)
        _require(curve.shape == model.content.shape and curve.ndim == 1, name, curve.shape)
        _require(bool((np.abs(curve) < MOST).all()), name, "no finite numbers")
    _require(bool((model.sd >= 0).all()), "sd", "numbers below zero")
    _require(bool((np.diff(model.content) > 0).all()), "content", "contents that do not ascend")
    if model.check is not None:
        _check(model.check)


def _check(check: Check) -> None:
    for field in fields(check):
        value = getattr(check, field.name)
        several = field.name in ("upper", "predicted", "observed")
        _require(isinstance(value, tuple) == several, f"check {field.name}", value)
        for one in value if several else (value,):
            _number(f"check {field.name}", one, -MOST if field.name == "upper" else 0.0, MOST)
    same = len(check.upper) == len(check.predicted) == len(check.observed)
    _require(same, "check upper", check.upper)


def _number(name: str, value: Any, least: float, most: float) -> None:
    """None, or a finite number within limits."""
    right = value is None or (
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        and math.isfinite(value)
        and least <= value <= most
    )
    _require(right, name, value)


def _require(right: bool, name: str, value: Any) -> None:
    if not right:
        raise BundleError(f"{SECTION} {name} cannot be {str(value)[:80]!r}: it measures nothing; export again")
