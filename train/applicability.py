"""Fit the applicability domain, the interval and the scatter of replicates.

Everything is set by samples that took no part: left out in turn, all measurements of a sample together.
docs/applicability.md has what was tried and measured.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from numpy.typing import ArrayLike

from ..converters.spectra.spectrum import Floats
from ..edge.model.applicability import (
    ApplicabilityDomain,
    Shapes,
    absorbance_shapes,
    band_shifts,
    chlorophyll_depth,
    distances,
    shape_changes,
    unexplained,
)
from ..edge.model.interval import FARTHEST, LEAST_RATIO, IntervalStats, lifting
from ..edge.model.replicates import ReplicateStats
from .errors import TrainingDataError

COVERAGE = 0.9
REFUSED_SHARE = 0.03
"""Share of good soils that the domain's limits may refuse."""
BIN_NM = 10.0
MOST_COMPONENTS = 15
SAMPLES_PER_COMPONENT = 4
FOLDS = 10
CHANGES = 5
"""Parts that what changes spectra is divided into, each left out in turn."""
FEWEST_FOR_DOMAIN = 5

GAIN, TILT_PER_UM, SHIFT_NM, NOISE = 0.03, 0.01, 0.5, 0.001
"""How a soil measured again may differ and still belong: white reference off by up to 3 %, its slope by up to 1 % per
micrometre, wavelengths by 0.5 nm and single 1 nm bands by 0.001 (standard deviations)."""
LEVEL_ROOM = 0.15
"""Absorbance by which a soil may be darker or brighter than any in the calibration: a factor of 1.4."""
CONTRAST_ROOM = 1.5
CHLOROPHYLL_ROOM = 0.05
LEAST_RESIDUAL_SCALE = 0.1
SHIFT_SHARE, SHIFT_ROOM, LEAST_SHIFT_NM, SHIFT_FEW = 0.95, 1.5, 2.0, 8.0
"""A spectrum's bands may lie as far from the calibration's as 95 of 100 left-out spectra's seem to, times 1.5, and at
least 2 nm: instruments differ by 1 nm. Few samples show less of what soils do: times 1 + 8 over their number."""
TELLING_SHIFT_NM = 5.0
"""Where 95 of 100 soils that are shifted so far would not be told there is no limit: they have no bands, or at other
places from soil to soil."""

LIFTS = tuple(round(0.1 * i, 1) for i in range(21))
RICHEST, COVERAGE_OF_RICHEST = 0.1, 0.92
"""The richest samples are covered so often where intervals are fitted; of new ones, somewhat less often."""
RIDGE = 0.3
FEWEST_FOR_SLOPES = 30


@dataclass(frozen=True, eq=False)
class Domain:
    """A fitted domain, and how far each calibration spectrum was from the others.

    Attributes:
        stats: for the bundle.
        difficulty: (n, 2) T2 and Q over their limits, of each spectrum while its sample was left out.
    """

    stats: ApplicabilityDomain
    difficulty: Floats


def fit_domain(
    reflectance: ArrayLike,
    wavelengths_nm: ArrayLike,
    samples: Sequence[Hashable],
    seed: int = 0,
    changed_by: Sequence[Hashable] = (),
) -> Domain:
    """Describe the calibration spectra, and set limits that spectra of left-out samples keep.

    Principal components of the absorbance's shape in bins of about 10 nm: at most 15, and one for four samples. In ten
    folds by sample, T2 and Q of the left-out spectra are taken, as they are and once more as if measured a little
    worse (see `GAIN`). The limits of both are set together so that 3 % of all of them exceed either one; residuals
    are weighed by their usual size in each bin.

    Args:
        reflectance: (n, bands) as `Preprocessed.reflectance` has it.
        wavelengths_nm: (bands,) evenly spaced.
        samples: n names; spectra of one sample are left out together.
        seed: of folds and perturbations.
        changed_by: n, whose difference was added to the spectrum, None for one as it was measured. A changed spectrum
            is judged without those that were changed by the same, as what comes will be changed by others.

    Raises:
        TrainingDataError: fewer than 5 samples, or all spectra of the same shape.

    Notes:
        The quantile at rank (m + 1)(1 - 0.03) of m distances makes the share hold for finite m (Lei et al. 2018, JASA
        113(523):1094). Fewer than 33 samples cannot show 3 %: then the limit is also not below the same quantile of
        a normal prediction interval of the distances' logarithm.
    """
    values, nm = np.asarray(reflectance, dtype=np.float64), np.asarray(wavelengths_nm, dtype=np.float64)
    names = list(dict.fromkeys(samples))
    if len(names) < FEWEST_FOR_DOMAIN:
        raise TrainingDataError(
            f"{len(names)} training samples do not show what belongs to them; at least {FEWEST_FOR_DOMAIN} are needed"
        )
    rng = np.random.default_rng(seed)
    bands_per_bin = max(1, round(BIN_NM / float(nm[1] - nm[0])))
    measured = absorbance_shapes(values, nm, bands_per_bin)
    again = absorbance_shapes(_measured_again(values, nm, rng), nm, bands_per_bin)
    components = max(1, min(MOST_COMPONENTS, len(names) // SAMPLES_PER_COMPONENT))

    folds = min(FOLDS, len(names))
    fold_of = dict(zip(names, rng.permutation(len(names)) % folds, strict=True))
    fold = np.array([fold_of[name] for name in samples])
    part_of = {
        one: 1 + i % CHANGES for i, one in enumerate(dict.fromkeys(one for one in changed_by if one is not None))
    }
    part = np.array([part_of.get(one, 0) for one in changed_by or [None] * len(values)])
    off = np.stack([np.interp(nm - TELLING_SHIFT_NM, nm, row) for row in values])
    shifted = absorbance_shapes(off, nm, bands_per_bin)
    changes = np.stack([shape_changes(measured, values, bands_per_bin), shape_changes(shifted, off, bands_per_bin)])
    t2, deviation = np.empty((3, len(values))), np.empty((3, *measured.shapes.shape))
    for k, of in product(range(folds), range(1 + len(set(part_of.values())))):
        left_out = (fold == k) & (part == of)
        if not left_out.any():
            continue
        stats = _components(measured.shapes[(fold != k) & ((part != of) | (of == 0))], components)
        for row, spectra in enumerate((measured.shapes, again.shapes, shifted.shapes)):
            far = distances(spectra[left_out], stats)
            t2[row, left_out], deviation[row, left_out] = far.t2, far.deviation
        changes[:, left_out] = unexplained(changes[:, left_out], stats)
    # What is shifted does not belong: limits go by the other two.
    scale = np.sqrt(np.mean(deviation[:2] ** 2, axis=(0, 1)))
    scale = np.maximum(scale, LEAST_RESIDUAL_SCALE * np.median(scale))
    scale = _as_stored(np.where(scale > 0, scale, 1.0))
    by_nm, when_off_nm = (band_shifts(deviation[row] / scale, changes[i] / scale) for i, row in enumerate((0, 2)))
    most_shift_nm = _most_shift(by_nm, when_off_nm, len(names))
    t2, deviation = t2[:2], deviation[:2]
    q = np.sum((deviation / scale) ** 2, axis=2)

    t2_limit, q_limit = _joint_limits(np.stack([t2.ravel(), q.ravel()]), len(names))
    stats = replace(
        _components(measured.shapes, components),
        t2_limit=t2_limit,
        q_limit=q_limit,
        space="absorbance shape",
        bands_per_bin=bands_per_bin,
        residual_scale=scale,
        brightness_range=(
            float(measured.brightness.min()) - LEVEL_ROOM,
            float(measured.brightness.max()) + LEVEL_ROOM,
        ),
        contrast_range=(
            float(measured.contrast.min()) / CONTRAST_ROOM,
            float(measured.contrast.max()) * CONTRAST_ROOM,
        ),
        most_chlorophyll=_most_chlorophyll(measured),
        most_shift_nm=most_shift_nm,
    )
    method = (
        f"{len(stats.loadings)} principal components of {len(values)} spectra of {len(names)} samples, absorbance "
        f"shape in bins of {bands_per_bin}; limits: {100 * REFUSED_SHARE:g} % of left-out spectra, as measured and "
        "measured again with simulated faults, exceed either"
    )
    return Domain(replace(stats, method=method), np.stack([t2[0] / t2_limit, q[0] / q_limit], axis=1))


def _measured_again(values: Floats, nm: Floats, rng: np.random.Generator) -> Floats:
    n, step_nm = len(values), float(nm[1] - nm[0])
    shift_nm = rng.normal(0, SHIFT_NM, n)
    shifted = np.stack([np.interp(nm + by, nm, row) for by, row in zip(shift_nm, values, strict=True)])
    tilt = rng.uniform(-TILT_PER_UM, TILT_PER_UM, (n, 1)) * (nm - nm.mean()) / 1000
    gain = 1 + rng.uniform(-GAIN, GAIN, (n, 1)) + tilt
    # A coarser grid has bands that are wider and less noisy.
    return np.asarray(shifted * gain + rng.normal(0, NOISE / math.sqrt(max(step_nm, 1.0)), values.shape))


def _components(spectra: Floats, most: int) -> ApplicabilityDomain:
    """Principal components, with limits of 1; rounded as the bundle stores them, so that limits hold for that."""
    mean = _as_stored(spectra.mean(axis=0))
    _, singular, rows = np.linalg.svd(spectra - mean, full_matrices=False)
    variance = singular**2 / max(len(spectra) - 1, 1)
    # The mean's rounding alone leaves about 1e-14 in each bin.
    if variance[0] <= 1e-10 * spectra.shape[1]:
        raise TrainingDataError("the training spectra all have the same shape; are they copies of one file?")
    kept = min(most, int(np.count_nonzero(variance > 1e-10 * variance[0])))
    return ApplicabilityDomain(mean, _as_stored(rows[:kept]), _as_stored(variance[:kept]), 1.0, 1.0, "")


def _joint_limits(distance: Floats, samples: int) -> tuple[float, float]:
    """Limits, one for each row of `distance` (2, m), that the wanted share of columns exceeds in either row."""
    usual = np.maximum(np.quantile(distance, 0.9, axis=1), 1e-300)
    worst = np.sort((distance / usual[:, None]).max(axis=0))
    rank = math.ceil(round((worst.size + 1) * (1 - REFUSED_SHARE), 9))
    factor = float(worst[min(rank, worst.size) - 1])
    if samples + 1 < 1 / REFUSED_SHARE:
        from scipy.stats import t

        log = np.log(np.maximum(worst, 1e-300))
        quantile = float(t.ppf(1 - REFUSED_SHARE, samples - 1)) * math.sqrt(1 + 1 / samples)
        factor = max(factor, math.exp(float(log.mean()) + quantile * float(log.std(ddof=1))))
    return float(usual[0] * factor), float(usual[1] * factor)


def _most_chlorophyll(shapes: Shapes) -> float | None:
    depth = chlorophyll_depth(shapes)
    return None if depth is None else max(float(depth.max()), 0.0) + CHLOROPHYLL_ROOM


def _most_shift(shifts_nm: Floats, when_off_nm: Floats, samples: int) -> float | None:
    """Set the limit by what (n,) left-out spectra seem shifted by; None if it would not tell when they are."""
    most = max(LEAST_SHIFT_NM, SHIFT_ROOM * float(np.quantile(np.abs(shifts_nm), SHIFT_SHARE)))
    most *= 1 + SHIFT_FEW / samples
    return most if np.quantile(np.abs(when_off_nm), 1 - SHIFT_SHARE) > most else None


def _as_stored(array: Floats) -> Floats:
    return array.astype(np.float32).astype(np.float64)


def fit_interval(
    predicted: ArrayLike,
    measured: ArrayLike,
    difficulty: ArrayLike | None,
    samples: Sequence[Hashable],
    coverage: float = COVERAGE,
    residuals_of: str = "out-of-fold predictions",
) -> IntervalStats | None:
    """Fit a conformal prediction interval to predictions of samples that the model had not seen.

    The size of an error is first regressed (ridge, on its logarithm) on log T2, log Q and the prediction; slopes of
    the two distances below zero are set to zero, so that an interval never narrows with distance. The interval is
    that expected size times the quantile of `|measured - predicted|` over it, the expected sizes being taken from
    folds the sample was not in, at the rank that makes the coverage hold for a finite number of samples. Where a
    sample has several measurements, the sample counts as one.

    Args:
        predicted, measured: (n,) in the transform's space.
        difficulty: (n, 2) T2 and Q over their limits, as `Domain.difficulty` or the device's verdict has them; None
            for an interval that is equally wide everywhere.
        samples: n names; measurements of one sample are not independent.
        coverage: wanted share of new samples inside.
        residuals_of: what the predictions are, for `IntervalStats.method`.

    Returns:
        The statistics, or None if there are too few samples for this coverage: fewer than 9 for 0.9.

    Notes:
        Lei et al. 2018, JASA 113(523):1094 (split conformal, locally weighted); Vovk 2015, Annals of Mathematics and
        Artificial Intelligence 74:9 (cross-conformal); Papadopoulos et al. 2011, JAIR 40:815 (normalised). One
        half-width for both sides: in the transform's space errors are close to symmetric, and two quantiles of so
        few samples cost 4 % of width. Back in the unit the interval is asymmetric wherever there is a transform. Only
        above high estimates it reaches farther up than down: there a model that pulls towards the mean misses the
        richest, as many as it may. The score of both sides together keeps the coverage (Romano et al. 2019, NeurIPS
        32, conformalised quantile regression).
    """
    names = list(dict.fromkeys(samples))
    index = {name: i for i, name in enumerate(names)}
    sample = np.array([index[name] for name in samples], dtype=np.intp)
    # Ranks among n + 1: the new sample is one of them. The rounding takes off what floats add to whole numbers.
    rank = math.ceil(round(coverage * (len(names) + 1), 9))
    if rank > len(names):
        return None
    weights = (1.0 / np.bincount(sample))[sample]
    outputs = np.asarray(predicted, dtype=np.float64)
    errors = np.abs(np.asarray(measured, dtype=np.float64) - outputs)
    slopes, centres, spreads = (0.0, 0.0, 0.0), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    size = np.ones(outputs.size)
    if difficulty is not None and len(names) >= FEWEST_FOR_SLOPES and errors.max() > 0:
        distance = np.log(np.maximum(np.asarray(difficulty, dtype=np.float64), LEAST_RATIO))
        what = np.column_stack([distance, outputs])
        mean = np.average(what, axis=0, weights=weights)
        spread = np.sqrt(np.average((what - mean) ** 2, axis=0, weights=weights))
        spread = np.where(spread > 1e-12, spread, 1.0)
        z = np.clip((what - mean) / spread, -FARTHEST, FARTHEST)
        log_error = np.log(errors + 0.1 * np.median(errors[errors > 0]))
        fold = sample % 5
        for k in range(5):
            rest = fold != k
            size[~rest] = np.exp(z[~rest] @ _slopes(z[rest], log_error[rest], weights[rest]))
        slopes, centres, spreads = (
            (float(a[0]), float(a[1]), float(a[2])) for a in (_slopes(z, log_error, weights), mean, spread)
        )
    residuals = np.asarray(measured, dtype=np.float64) - outputs
    stats = IntervalStats(coverage, -1.0, 1.0, "", slopes, centres, spreads)
    lift, half = _lift_and_half(residuals, size, stats, outputs, weights, rank) if any(slopes) else (0.0, None)
    if half is None:
        half = _weighted_rank(errors / size, weights, rank)
    of = f"{residuals_of} of {len(names)} samples"
    if outputs.size > len(names):
        of += f", {outputs.size} measurements"
    kind = "conformal, wider with T2, Q and level" if any(slopes) else "conformal, equally wide everywhere"
    if lift:
        kind += ", and farther up for high estimates"
    return IntervalStats(coverage, -half, half, f"{kind}: {of}", slopes, centres, spreads, lift)


def _lift_and_half(
    residuals: Floats, size: Floats, stats: IntervalStats, outputs: Floats, weights: Floats, rank: int
) -> tuple[float, float]:
    """Choose the least lift with which the richest tenth is covered as well as wanted, and the half-width with it."""
    rich = (residuals + outputs) >= np.quantile(residuals + outputs, 1 - RICHEST)
    lift = half = 0.0
    for lift in LIFTS:
        up = size * lifting(stats._replace(high_lift=lift), outputs)
        scores = np.where(residuals > 0, residuals / up, -residuals / size)
        half = _weighted_rank(scores, weights, rank)
        if np.average(scores[rich] <= half, weights=weights[rich]) >= COVERAGE_OF_RICHEST:
            break
    return lift, half


def _slopes(z: Floats, log_error: Floats, weights: Floats) -> Floats:
    """Ridge slopes, those of the first two columns not below zero."""
    use = np.ones(z.shape[1], dtype=bool)
    slopes = np.zeros(z.shape[1])
    while use.any():
        left = z[:, use] - np.average(z[:, use], axis=0, weights=weights)
        right = log_error - np.average(log_error, weights=weights)
        gram = (left * weights[:, None]).T @ left + RIDGE * weights.sum() * np.eye(left.shape[1])
        slopes[:] = 0.0
        slopes[use] = np.linalg.solve(gram, (left * weights[:, None]).T @ right)
        negative = use & (slopes < 0) & (np.arange(slopes.size) < 2)
        if not negative.any():
            break
        use &= ~negative
    return slopes


def _weighted_rank(values: Floats, weights: Floats, rank: int) -> float:
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    return float(values[order][min(int(np.searchsorted(reached, rank - 1e-9)), values.size - 1)])


def fit_replicates(outputs: ArrayLike, samples: Sequence[Hashable]) -> ReplicateStats | None:
    """Find how much the points of one sample usually scatter.

    Args:
        outputs: (n,) of the network for single points, in the transform's space.
        samples: n names.

    Returns:
        The pooled standard deviation, and the one that one sample in forty exceeds (the largest, where there are fewer
        than forty); None if fewer than five samples have several points, or these never differ.
    """
    values = np.asarray(outputs, dtype=np.float64)
    groups: dict[Hashable, list[float]] = {}
    for name, value in zip(samples, values.tolist(), strict=True):
        groups.setdefault(name, []).append(value)
    several = [points for points in groups.values() if len(points) > 1]
    variances = [float(np.var(points, ddof=1)) for points in several]
    freedom = [len(points) - 1 for points in several]
    if len(variances) < 5 or max(variances) <= 0:
        return None
    rank = min(math.ceil((len(variances) + 1) * 39 / 40), len(variances))
    return ReplicateStats(
        typical=math.sqrt(float(np.average(variances, weights=freedom))),
        limit=math.sqrt(sorted(variances)[rank - 1]),
        method=f"{sum(map(len, several))} points of {len(several)} samples",
    )
