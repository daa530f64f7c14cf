"""How well predictions meet laboratory values. NumPy only, so that `stibium evaluate` runs on a device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import ArrayLike

from ...converters.spectra.spectrum import Floats
from ...edge.model.interval import holding
from ...edge.units import plain, shown_unit


@dataclass(frozen=True)
class Metrics:
    """Accuracy of n predictions.

    A figure that the data cannot give (one sample, laboratory values that are all the same, no error at all) is
    None, never infinite.

    Attributes:
        n: pairs.
        r2: coefficient of determination, `1 - sum((p - y)^2) / sum((y - mean(y))^2)`; below 0 where the mean of y
            would have been the better prediction. Not the squared correlation, which forgives bias and slope.
        rmse: root mean square error, in the unit of the values.
        bias: mean of `p - y`.
        sep: standard error of prediction, the standard deviation (n - 1) of `p - y`: the error once the bias is
            taken out; `rmse^2 = bias^2 + sep^2 (n - 1) / n`.
        rpd: ratio of performance to deviation, standard deviation (n - 1) of y over `rmse`.
        rpiq: ratio of performance to interquartile distance, `(Q3 - Q1) / rmse`; for skewed values such as ppm it
            says more than RPD. Quartiles by linear interpolation.
        concordance: Lin's coefficient, `2 cov(p, y) / (var(p) + var(y) + bias^2)` with variances over n: the
            correlation, made lower by bias and by slopes other than 1; 1 only where every p is its y.

    References:
        Bellon-Maurel et al. 2010, TrAC Trends in Analytical Chemistry 29(9):1073 (SEP, RPD, RPIQ). RPD and RPIQ are
        taken over RMSE rather than SEP, so that a bias is not hidden. Lin 1989, Biometrics 45(1):255 (concordance).
    """

    n: int
    r2: float | None
    rmse: float
    bias: float
    sep: float | None
    rpd: float | None
    rpiq: float | None
    concordance: float | None

    def to_dict(self) -> dict[str, float | int | None]:
        """Give the figures as JSON values."""
        return asdict(self)


FIGURES = (
    ("R2", "r2", 3),
    ("RMSE", "rmse", 0),
    ("bias", "bias", 0),
    ("SEP", "sep", 0),
    ("RPD", "rpd", 2),
    ("RPIQ", "rpiq", 2),
    ("concordance", "concordance", 3),
)
"""Label, name in `Metrics` and decimals of each figure; without decimals it is in the unit, by significant digits."""


def rms(errors: Floats) -> float:
    """Root mean square, of any shape; 0 of nothing."""
    return float(np.sqrt(np.mean(np.square(errors)))) if errors.size else 0.0


def measure(predicted: ArrayLike, measured: ArrayLike) -> Metrics:
    """Hold predictions against laboratory values.

    Args:
        predicted, measured: (n,), n at least 1, finite, in one unit.

    Raises:
        ValueError: shapes differ, nothing to compare, or a value is not finite.
    """
    p, y = np.asarray(predicted, dtype=np.float64), np.asarray(measured, dtype=np.float64)
    if p.ndim != 1 or p.shape != y.shape or not p.size:
        raise ValueError(f"{p.shape} predictions for {y.shape} values; one each is needed")
    if not (np.isfinite(p).all() and np.isfinite(y).all()):
        raise ValueError("a prediction or value is not finite")
    error = p - y
    rmse = rms(error)
    # The variance of equal numbers is rounding noise, not zero.
    varies = bool(y.min() < y.max())
    several = p.size > 1
    return Metrics(
        n=int(p.size),
        r2=float(1 - np.sum(error**2) / np.sum((y - y.mean()) ** 2)) if varies else None,
        rmse=rmse,
        bias=float(error.mean()),
        sep=float(error.std(ddof=1)) if several else None,
        rpd=float(y.std(ddof=1) / rmse) if varies and rmse > 0 else None,
        rpiq=float(np.subtract(*np.quantile(y, [0.75, 0.25])) / rmse) if varies and rmse > 0 else None,
        concordance=_concordance(p, y) if varies else None,
    )


def _concordance(p: Floats, y: Floats) -> float:
    together = np.mean((p - p.mean()) * (y - y.mean()))
    return float(2 * together / (p.var() + y.var() + (p.mean() - y.mean()) ** 2))


UNSEEN = ("validation", "cross-validation")
"""What figures of samples that a model was not fitted to are called."""


def no_better_than_the_mean(metrics: Mapping[str, Metrics]) -> str:
    """Say so where a model knows nothing: on unseen samples their mean would have been as good an answer; else "".

    Args:
        metrics: by name, as a training has them; what is not of `UNSEEN` is passed over.
    """
    for name in UNSEEN:
        plain, of_logarithms = _r2_of(metrics, name)
        known = [r2 for r2 in (plain, of_logarithms) if r2 is not None]
        if known and max(known) <= 0:
            return (
                f"On samples that it was not fitted to ({name}) this model is no better than their mean "
                f"(R2 {max(known):.2f}): its answers tell nothing. More samples, a wider range of grades, or another "
                "method may help."
            )
    return ""


def worse_in_the_unit(metrics: Mapping[str, Metrics], unit: str) -> str:
    """Say so where either logarithms or contents are told, and the others no better than by a mean; else "".

    Args:
        metrics: by name, as a training has them; what is not of `UNSEEN` is passed over.
        unit: of contents.
    """
    unit = shown_unit(unit)
    for name in UNSEEN:
        plain, of_logarithms = _r2_of(metrics, name)
        if plain is None or of_logarithms is None:
            continue
        if plain <= 0 < of_logarithms:
            return (
                f"In {unit} this model is no better than the mean of the samples (R2 {plain:.2f} in {name}): a few "
                f"rich samples decide that. It tells orders of magnitude (R2 of log10 {of_logarithms:.2f}): use it for "
                "classes of grade, not for tonnage."
            )
        if of_logarithms <= 0 < plain:
            return (
                f"It does not tell orders of magnitude (R2 of log10 {of_logarithms:.2f} in {name}): low grades are all "
                f"alike to it. Sums and means of many samples it tells (R2 {plain:.2f} in {unit}); --decide-by median "
                "makes a model for classes of grade."
            )
    return ""


def _r2_of(metrics: Mapping[str, Metrics], name: str) -> tuple[float | None, float | None]:
    """Give R2 in the unit and of log10; None for what a training has not."""
    plain, of_logarithms = metrics.get(name), metrics.get(f"{name} (log10)")
    return None if plain is None else plain.r2, None if of_logarithms is None else of_logarithms.r2


MUCH = 0.1
"""Change of R2 from which on a single sample is named."""


def most_influential(predicted: ArrayLike, measured: ArrayLike, names: Sequence[str]) -> str:
    """Name the sample that R2 rests on most, with the R2 that there would be without it; "" if none moves it much.

    Args:
        predicted, measured: (n,) of unseen samples, in the unit.
        names: n samples.
    """
    p, y = np.asarray(predicted, dtype=np.float64), np.asarray(measured, dtype=np.float64)
    whole = measure(p, y).r2 if y.size > 2 else None
    if whole is None:
        return ""
    squares, n = (p - y) ** 2, y.size
    left = squares.sum() - squares
    # The sum of squares about the mean of the others.
    about = np.sum((y - y.mean()) ** 2) - (y - y.mean()) ** 2 * n / (n - 1)
    without = np.where(about > 0, 1 - left / np.where(about > 0, about, 1.0), whole)
    most = int(np.argmax(np.abs(without - whole)))
    if abs(without[most] - whole) < MUCH:
        return ""
    sample = f"{names[most]} ({plain(y[most])}, estimated {plain(p[most])})"
    return f"Without {sample} R2 would be {without[most]:.2f} instead of {whole:.2f}."


NOWHERE_OPEN = (-np.inf, np.inf)


def coverage(
    low: ArrayLike, high: ArrayLike, measured: ArrayLike, calibrated_range: tuple[float, float] = NOWHERE_OPEN
) -> float:
    """Share of (n,) laboratory values inside their intervals, n at least 1; see `holding`."""
    return float(np.mean(holding(low, high, measured, calibrated_range)))
