"""How far an answer may be trusted: prediction interval, and limits of the calibration's domain."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from ..edge.bundle import DomainStats, IntervalStats

Floats = NDArray[np.float64]

COVERAGE = 0.9
DOMAIN_SHARE = 0.99
EXPLAINED = 0.99
MOST_COMPONENTS = 20


def fit_interval(
    predicted: Floats, measured: Floats, samples: Sequence[Hashable], coverage: float = COVERAGE
) -> IntervalStats | None:
    """Find the offsets of a split-conformal prediction interval from samples the network was not fitted to.

    The ends are quantiles of `measured - predicted`, each leaving out (1 - coverage) / 2, at the rank that makes the
    coverage hold for a finite number of samples. Where a sample has several measurements each counts as much as
    the others, and the sample as one.

    Args:
        predicted, measured: (n,) in the transform's space.
        samples: n names; measurements of one sample are not independent.
        coverage: wanted share of new samples inside.

    Returns:
        The offsets, or None if there are too few samples for this coverage: fewer than 19 for 0.9.

    Notes:
        Lei et al. 2018, JASA 113(523):1094. The same samples decided when training stopped, so the interval is
        somewhat too narrow for new soils; that is part of `method`, and no figure is made up to correct it.
    """
    names = list(dict.fromkeys(samples))
    counts = dict.fromkeys(names, 0)
    for name in samples:
        counts[name] += 1
    n = len(names)
    tail = (1 - coverage) / 2
    # Ranks among n + 1: the new sample is one of them. The rounding takes off what floats add to whole numbers.
    rank = math.ceil(round((1 - tail) * (n + 1), 9))
    if rank > n:
        return None
    residuals = np.asarray(measured, dtype=np.float64) - np.asarray(predicted, dtype=np.float64)
    weights = np.array([1.0 / counts[name] for name in samples])
    high = _weighted_rank(residuals, weights, rank)
    low = -_weighted_rank(-residuals, weights, rank)
    of = f"{n} validation samples"
    if len(residuals) > n:
        of = f"{len(residuals)} measurements of {of}"
    return IntervalStats(
        coverage,
        low,
        high,
        f"split conformal, residuals of {of}; these also decided when training stopped, so somewhat optimistic",
    )


def _weighted_rank(values: Floats, weights: Floats, rank: int) -> float:
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    return float(values[order][int(np.searchsorted(reached, rank - 1e-9))])


def fit_domain(training: Floats, held_out: Floats) -> DomainStats:
    """Describe the calibration spectra by principal components, and set limits by spectra not among them.

    As many components as explain 99 % of the variance, at most 20 and at most a third of the spectra. The limits of
    Hotelling T2 and the Q residual are the values that 99 % of the held-out spectra stay below, so about one good
    spectrum in fifty is called outside; with fewer than 99 held-out spectra the limit is the largest of them.

    Args:
        training: (n, bands) preprocessed spectra, n at least 2, not all the same.
        held_out: (m, bands) preprocessed spectra of other samples, m at least 1.

    Raises:
        ValueError: the training spectra are all the same.

    Notes:
        Jackson & Mudholkar 1979, Technometrics 21(3):341, for T2 and Q. Their limits assume normal scores, which
        soils do not have; hence quantiles.
    """
    mean = training.mean(axis=0)
    _, singular, rows = np.linalg.svd(training - mean, full_matrices=False)
    variance = singular**2 / (len(training) - 1)
    if variance[0] <= 0:
        raise ValueError("the training spectra are all the same")
    explained = np.cumsum(variance) / variance.sum()
    components = int(np.searchsorted(explained, EXPLAINED)) + 1
    components = max(1, min(components, MOST_COMPONENTS, len(training) // 3))
    # As the bundle stores them: single precision, and the limits must hold for what is stored.
    mean, loadings, score_variance = (
        a.astype(np.float32).astype(np.float64) for a in (mean, rows[:components], variance[:components])
    )
    scores = (held_out - mean) @ loadings.T
    t2 = np.sum(scores**2 / score_variance, axis=1)
    q = np.sum(((held_out - mean) - scores @ loadings) ** 2, axis=1)
    rank = min(math.ceil(round(DOMAIN_SHARE * (len(held_out) + 1), 9)), len(held_out))
    # Never zero, which a device would divide by: far below any spectrum's noise.
    least = 1e-12
    return DomainStats(
        mean=mean,
        loadings=loadings,
        score_variance=score_variance,
        t2_limit=max(float(np.sort(t2)[rank - 1]), least),
        q_limit=max(float(np.sort(q)[rank - 1]), least * float(variance.sum())),
        method=(
            f"{components} principal components of {len(training)} training spectra, "
            f"{100 * explained[components - 1]:.1f} % of their variance; limits: {DOMAIN_SHARE:g} quantiles of "
            f"{len(held_out)} held-out spectra"
        ),
    )
