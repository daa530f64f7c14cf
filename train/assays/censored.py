"""Regression and estimation with values of which only a bound is known (`<0.02`, `>4000`).

A censored value takes part with the probability that the true value lies beyond its bound, never as a number: the
likelihood of Tobin (1958, Econometrica 26:24), here with censoring on either side and a bound of its own for each
value. Everything is in the space of the target's transform, in which the errors are taken as normal; a transform
that only rises keeps "below" below and "above" above. NumPy only, so that a device can score with it too.

    z = (bound - predicted) / sd for a value below its bound, (predicted - bound) / sd for one above
    -log L = 1/2 r^2 + log sd + 1/2 log 2 pi, r = (value - predicted) / sd, for a plain value
           = -log Phi(z) for a censored one
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...converters.spectra.spectrum import Floats
from ...edge.model.estimate import Transform, forward
from ..errors import TrainingDataError
from .values import Assay

Sides = NDArray[np.int8]

BELOW, PLAIN, ABOVE = -1, 0, 1
"""Sides of an observation: the true value lies below its bound, is known, lies above its bound."""

_HALF_LOG_2_PI = 0.5 * math.log(2.0 * math.pi)
_SQRT_2 = math.sqrt(2.0)
_erfc = np.frompyfunc(math.erfc, 1, 1)


@dataclass(frozen=True, eq=False)
class Observations:
    """Values and bounds in the space of a transform.

    Attributes:
        value: (n,) the value, or the bound where it is censored.
        side: (n,) `BELOW`, `PLAIN` or `ABOVE`.

    Raises:
        ValueError: shapes differ, a value is not finite, or a side is none of the three.
    """

    value: Floats
    side: Sides

    def __post_init__(self) -> None:
        if self.value.ndim != 1 or self.value.shape != self.side.shape:
            raise ValueError(f"{self.value.shape} values with {self.side.shape} sides; (n,) of both is needed")
        if not np.isfinite(self.value).all():
            raise ValueError("a value or bound is not finite")
        if not np.isin(self.side, (BELOW, PLAIN, ABOVE)).all():
            raise ValueError("a side is none of -1 (below), 0 (plain), 1 (above)")

    def __len__(self) -> int:
        return int(self.value.size)

    @property
    def censored(self) -> NDArray[np.bool_]:
        """(n,) whether only a bound is known."""
        return np.not_equal(self.side, PLAIN)


def observe(assays: Sequence[Assay], transform: Transform = "none") -> Observations:
    """Take laboratory values to the space of a transform, bounds as bounds.

    Args:
        assays: n values and bounds, in the element's unit.
        transform: what the model's target goes through.

    Raises:
        TrainingDataError: log10 of a value or bound of zero.
    """
    values = np.array([assay.value for assay in assays], dtype=np.float64)
    if transform == "log10" and (values <= 0).any():
        raise TrainingDataError("a value or bound of 0 has no logarithm; train with another transform, or leave it out")
    sides = np.array([{"<": BELOW, "": PLAIN, ">": ABOVE}[assay.censored] for assay in assays], dtype=np.int8)
    return Observations(forward(values, transform), sides)


def log_jacobian(values: ArrayLike, transform: Transform) -> Floats:
    """Log of the slope of a transform, d transformed / d value.

    Likelihoods in two spaces can be compared once this is subtracted from the negative log-likelihood of every plain
    value: it then is that of a density per unit of the element. Bounds need nothing: a probability has no unit.

    Args:
        values: any shape, in the element's unit; above 0 for log10 and sqrt.
    """
    y = np.asarray(values, dtype=np.float64)
    if transform == "log10":
        return np.asarray(-np.log(y * math.log(10.0)))
    return np.asarray(-np.log(2.0 * np.sqrt(y))) if transform == "sqrt" else np.zeros_like(y)


def log_normal_cdf(z: ArrayLike) -> Floats:
    """Logarithm of the standard normal distribution function, exact where the function itself is 0 in a double.

    Args:
        z: any shape, finite.
    """
    x = np.asarray(z, dtype=np.float64)
    out = np.empty_like(x)
    high, low = x > 1.0, x < -10.0
    middle = ~(high | low)
    out[high] = np.log1p(-0.5 * _erfc(x[high] / _SQRT_2).astype(np.float64))
    out[middle] = np.log(0.5 * _erfc(-x[middle] / _SQRT_2).astype(np.float64))
    # Asymptotic series of the tail (Abramowitz & Stegun 26.2.12); at -10 its twelfth term is below 1e-12.
    inverse_square = 1.0 / x[low] ** 2
    term, total = np.ones_like(inverse_square), np.zeros_like(inverse_square)
    for k in range(1, 13):
        term = -term * (2 * k - 1) * inverse_square
        total += term
    out[low] = -0.5 * x[low] ** 2 - np.log(-x[low]) - _HALF_LOG_2_PI + np.log1p(total)
    return out


def mills(z: ArrayLike) -> Floats:
    """Normal density over normal distribution function, phi(z) / Phi(z).

    Args:
        z: any shape, finite.
    """
    x = np.asarray(z, dtype=np.float64)
    return np.asarray(np.exp(-0.5 * x**2 - _HALF_LOG_2_PI - log_normal_cdf(x)))


def _check(predicted: ArrayLike, observed: Observations, sd: float) -> Floats:
    p = np.asarray(predicted, dtype=np.float64)
    if p.shape != observed.value.shape:
        raise ValueError(f"{p.shape} predictions for {observed.value.shape} observations; one each is needed")
    if not (math.isfinite(sd) and sd > 0):
        raise ValueError(f"a standard deviation of {sd} is not above 0")
    return p


def negative_log_likelihood(predicted: ArrayLike, observed: Observations, sd: float) -> Floats:
    """What each observation costs under a normal error about its prediction.

    Args:
        predicted: (n,) in the space of the observations.
        observed: n of them.
        sd: standard deviation of the error, in that space.

    Returns:
        (n,) in nats. The mean of it is a loss; with nothing censored and `sd` held it is the squared error, scaled.

    Raises:
        ValueError: shapes differ, or `sd` is not above 0.
    """
    p = _check(predicted, observed, sd)
    r = (observed.value - p) / sd
    cost = 0.5 * r**2 + math.log(sd) + _HALF_LOG_2_PI
    censored = observed.censored
    cost[censored] = -log_normal_cdf(-observed.side[censored] * r[censored])
    return np.asarray(cost)


def gradient(predicted: ArrayLike, observed: Observations, sd: float) -> tuple[Floats, Floats]:
    """Slopes of `negative_log_likelihood`.

    Returns:
        (n,) by the prediction and (n,) by the logarithm of `sd`.

    Raises:
        ValueError: as `negative_log_likelihood`.
    """
    p = _check(predicted, observed, sd)
    r = (observed.value - p) / sd
    by_prediction, by_log_sd = -r / sd, 1.0 - r**2
    censored = observed.censored
    side = observed.side[censored]
    z = -side * r[censored]
    pull = mills(z)
    by_prediction[censored] = -side * pull / sd
    by_log_sd[censored] = pull * z
    return by_prediction, by_log_sd


def impute_conditional_mean(predicted: ArrayLike, observed: Observations, sd: float) -> tuple[Floats, Floats]:
    """Fill each bound in with the mean of what may lie beyond it, given the prediction.

    The step E of expectation-maximisation (Dempster, Laird & Rubin 1977): a learner that knows only squared error,
    fitted to these means, its residual variance enlarged by these variances, and both made anew, comes to the
    censored likelihood's answer. A single pass is a stopgap: it leans on the model that is being fitted.

    Args:
        predicted: (n,) in the space of the observations.
        observed: n of them.
        sd: standard deviation of the error, in that space.

    Returns:
        (n,) values, plain ones unchanged, and (n,) variance of what was filled in, 0 for plain ones.

    Raises:
        ValueError: as `negative_log_likelihood`.
    """
    p = _check(predicted, observed, sd)
    values, variance = observed.value.copy(), np.zeros(len(observed))
    censored = observed.censored
    side = observed.side[censored]
    z = side * (p[censored] - observed.value[censored]) / sd
    pull = mills(z)
    means = p[censored] + side * sd * pull
    # Rounding must not put the mean on the wrong side of its bound.
    bound = observed.value[censored]
    values[censored] = np.where(side == ABOVE, np.maximum(means, bound), np.minimum(means, bound))
    variance[censored] = sd**2 * np.maximum(1.0 - pull * (pull + z), 0.0)
    return values, variance


@dataclass(frozen=True, eq=False)
class TobitFit:
    """A linear model fitted to observations of which some are bounds.

    Attributes:
        coefficients: (p,) of the design's columns.
        sd: standard deviation of the error.
        negative_log_likelihood: of all observations together, in nats.
    """

    coefficients: Floats
    sd: float
    negative_log_likelihood: float


def fit_tobit(design: ArrayLike, observed: Observations, ridge: float = 0.0, tolerance: float = 1e-9) -> TobitFit:
    """Fit a linear model by maximum censored likelihood.

    In coefficients over sd and 1 over sd the log-likelihood is concave (Olsen 1978, Econometrica 46:1211), so
    Newton's steps, halved where one goes too far, end at its only maximum.

    Args:
        design: (n, p); a column of ones gives an intercept.
        observed: n of them.
        ridge: penalty 1/2 ridge |coefficients / sd|^2; columns are taken as they are, so scale them and centre the
            target first.
        tolerance: of the last step's promised gain in log-likelihood, per observation.

    Raises:
        TrainingDataError: too few plain values for a finite estimate, or the columns are linearly dependent.
        ValueError: shapes differ.
    """
    x = np.asarray(design, dtype=np.float64)
    if x.ndim != 2 or x.shape[0] != len(observed):
        raise ValueError(f"a design of {x.shape} for {len(observed)} observations; (n, p) is needed")
    y, side, plain = observed.value, observed.side, ~observed.censored
    names = x.shape[1]
    if plain.sum() <= names or np.ptp(y[plain]) == 0:
        raise TrainingDataError(
            f"{int(plain.sum())} of {len(observed)} values are known, the rest bounds: at least {names + 1} "
            "different known values are needed"
        )
    start, _, rank, _ = np.linalg.lstsq(x[plain], y[plain], rcond=None)
    if rank < names and not ridge:
        raise TrainingDataError("the columns of the design are linearly dependent; leave one out, or give a ridge")
    spread = float(np.std(y[plain] - x[plain] @ start)) or float(np.std(y))
    theta = np.append(start / spread, 1.0 / spread)
    # Rows v with z = v . theta: the standardised residual of plain values, log Phi's argument of censored ones.
    v = np.column_stack([-x, y]) * np.where(plain, 1.0, -side)[:, None]
    # An exact fit of the known values sends 1 / sd to infinity, and the steps run out.
    for _ in range(200):
        cost, slope, curvature = _olsen(theta, v, plain, ridge)
        try:
            step = np.linalg.solve(curvature, -slope)
        except np.linalg.LinAlgError:
            break
        gain = float(-slope @ step)
        if gain < tolerance * len(observed):
            return TobitFit(theta[:-1] / theta[-1], float(1.0 / theta[-1]), cost - _penalty(theta, ridge))
        size = 1.0
        while size > 1e-12:
            trial = theta + size * step
            if trial[-1] > 0 and _olsen(trial, v, plain, ridge)[0] <= cost - 1e-4 * size * gain:
                theta = trial
                break
            size /= 2
        else:
            break
    raise TrainingDataError("the censored likelihood has no maximum here: the model meets every known value exactly")


def _penalty(theta: Floats, ridge: float) -> float:
    return 0.5 * ridge * float(theta[:-1] @ theta[:-1])


def _olsen(theta: Floats, v: Floats, plain: NDArray[np.bool_], ridge: float) -> tuple[float, Floats, Floats]:
    """Cost, slope (p + 1,) and curvature (p + 1, p + 1) in Olsen's parameters."""
    z = v @ theta
    gamma = theta[-1]
    pull = mills(z[~plain])
    known = int(plain.sum())
    cost = (
        0.5 * float(z[plain] @ z[plain])
        - known * math.log(gamma)
        + known * _HALF_LOG_2_PI
        - float(log_normal_cdf(z[~plain]).sum())
    ) + _penalty(theta, ridge)
    weight = np.ones_like(z)
    weight[~plain] = pull * (pull + z[~plain])
    lean = z.copy()
    lean[~plain] = -pull
    slope, curvature = v.T @ lean, (v * weight[:, None]).T @ v
    slope[-1] -= known / gamma
    curvature[-1, -1] += known / gamma**2
    slope[:-1] += ridge * theta[:-1]
    curvature[:-1, :-1] += ridge * np.eye(theta.size - 1)
    return cost, slope, curvature


def fit_normal(observed: Observations) -> tuple[float, float]:
    """Fit mean and standard deviation of a normal law by maximum censored likelihood.

    Returns:
        mean and standard deviation (the maximum-likelihood one, over n), in the space of the observations.

    Raises:
        TrainingDataError: fewer than two different known values.
    """
    # Standardised by the known values, so that the start lies near and units do not matter.
    plain = observed.value[~observed.censored]
    centre, scale = (float(plain.mean()), float(plain.std())) if plain.size > 1 and np.ptp(plain) > 0 else (0.0, 1.0)
    standard = Observations((observed.value - centre) / scale, observed.side)
    fit = fit_tobit(np.ones((len(observed), 1)), standard)
    return centre + scale * float(fit.coefficients[0]), scale * fit.sd


@dataclass(frozen=True)
class CensoredScore:
    """How well predictions meet observations of which some are bounds.

    Attributes:
        n, n_censored: observations, and those of which only a bound is known.
        mean_nll: mean negative log-likelihood per observation, in nats per unit of the space; lower is better.
        right_side: share of the censored whose prediction lies on the far side of the bound; None without any.
        rmse_plain: root mean square error over the known values, in the space's unit; None without any.
    """

    n: int
    n_censored: int
    mean_nll: float
    right_side: float | None
    rmse_plain: float | None


def score(predicted: ArrayLike, observed: Observations, sd: float) -> CensoredScore:
    """Score predictions, bounds included.

    Args:
        predicted: (n,) in the space of the observations, n at least 1.
        observed: n of them.
        sd: standard deviation of the error that the model claims.

    Raises:
        ValueError: as `negative_log_likelihood`, or nothing to score.
    """
    p = _check(predicted, observed, sd)
    if not len(observed):
        raise ValueError("no observations to score")
    censored = observed.censored
    beyond = observed.side * (p - observed.value) > 0
    return CensoredScore(
        n=len(observed),
        n_censored=int(censored.sum()),
        mean_nll=float(negative_log_likelihood(p, observed, sd).mean()),
        right_side=float(beyond[censored].mean()) if censored.any() else None,
        rmse_plain=float(np.sqrt(np.mean((p - observed.value)[~censored] ** 2))) if not censored.all() else None,
    )
