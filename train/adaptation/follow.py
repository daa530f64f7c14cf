"""What a bundle says of its answers, as it follows from the left-out errors of an adaptation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ...converters.spectra.spectrum import Floats
from ...edge.model.applicability import (
    ApplicabilityDomain,
    absorbance_shapes,
    band_shifts,
    distances,
    shape_changes,
    unexplained,
)
from ...edge.model.bundle import Bundle
from ...edge.model.conditions import Conditions, depths, sees_water
from ...edge.model.interval import IntervalStats, normal_quantile
from ...edge.model.target import DetectionStats, Transform, forward, inverse
from ...edge.units import plain, shown_unit
from ..applicability import CONTRAST_ROOM, COVERAGE, LEVEL_ROOM
from ..errors import TrainingDataError
from .output import FEWEST

FALSE_SHARE = 0.05
NO_RELATION = 0.05
"""Chance by which unlike series would go together as well as those of samples do."""
NEW_SAMPLES = 1.5
"""Times by which readings of new samples differ more than those of pairs that were left out: pairs are few, and often
samples that the model was trained on. Found on maize, where intervals held 77 to 85 % without it."""


def t_quantile(share: float, freedom: int) -> float:
    """One-sided quantile of Student's t distribution."""
    from scipy.stats import t

    return float(t.ppf(share, max(freedom, 1)))


def correlation(wanted: Floats, outputs: Floats) -> tuple[float, float]:
    """Give Pearson's r of two series (n,), and how much of it unlike series reach by chance in 5 % of cases."""
    spread = float(np.std(wanted)) * float(np.std(outputs))
    r = float(np.mean((wanted - wanted.mean()) * (outputs - outputs.mean()))) / spread if spread > 0 else 0.0
    t = t_quantile(1 - NO_RELATION, wanted.size - 2)
    return r, t / float(np.sqrt(wanted.size - 2 + t**2))


def own_interval(bundle: Bundle, rmse: float, freedom: int, samples: int) -> IntervalStats:
    """Make the interval of a few samples' left-out errors: as wide as Student's t says for so few.

    Their errors hold the uncertainty of the fitted figures already, so no more is added. How the parent's intervals
    widen was found on other ground and is dropped.
    """
    coverage = bundle.interval.coverage if bundle.interval else COVERAGE
    half = max(t_quantile(0.5 + coverage / 2, freedom) * rmse, 1e-12)
    method = f"t quantile, {freedom} degrees of freedom, of the left-out errors of {samples} samples of an adaptation"
    return IntervalStats(coverage, -half, half, method)


def wider_interval(stats: IntervalStats | None, rmse: float, freedom: int, pairs: int) -> IntervalStats | None:
    """Add to a parent's interval what its answers differ by on another instrument.

    Not in quadrature: where a spectrum is corrected badly the model errs too.
    """
    if stats is None:
        return None
    extra = NEW_SAMPLES * t_quantile(0.5 + stats.coverage / 2, freedom) * rmse
    return stats._replace(
        low_offset=stats.low_offset - extra,
        high_offset=stats.high_offset + extra,
        method=f"{stats.method}; and t quantile of the left-out differences of {pairs} pairs of an adaptation",
    )


def with_own_detection(parent: Bundle, adapted: Bundle, freedom: int) -> Bundle:
    """Give an adapted model its critical level and detection limit, see `own_detection`.

    The parent's error model stays where errors are no larger than the parent's: it says more.
    """
    if adapted.interval is None:
        return adapted
    found = own_detection(parent, adapted.interval, freedom, adapted.calibrated_range[1])
    if found == _known(parent):
        return adapted
    return replace(adapted, detection=found, error_model=None)


def own_detection(bundle: Bundle, interval: IntervalStats, freedom: int, highest: float) -> DetectionStats | None:
    """Move critical level and detection limit by as much as errors are larger than the parent's.

    Where the parent can tell all that it was calibrated on from nothing, and errors are now so large that its lowest
    contents cannot be, there is a limit now. Errors that are smaller by the few samples at hand lower nothing.

    Args:
        bundle: the parent.
        interval: of the adapted model.
        freedom: degrees of freedom it stands on; 0 for a normal distribution.
        highest: end of the calibrated range.
    """
    transform = bundle.transform
    two_sided = t_quantile(0.5 + interval.coverage / 2, freedom) if freedom else normal_quantile(interval.coverage)
    one_sided = t_quantile(1 - FALSE_SHARE, freedom) if freedom else normal_quantile(1 - 2 * FALSE_SHARE)
    error = interval.high_offset * one_sided / two_sided
    known = _known(bundle)
    if known is not None:
        before = 0.0
        if bundle.interval is not None:
            normal = normal_quantile(bundle.interval.coverage)
            before = bundle.interval.high_offset * normal_quantile(1 - 2 * FALSE_SHARE) / normal
        more = max(error - before, 0.0)
        if not more:
            return known
        critical = _moved(known.critical, more, transform)
        limit = max(_moved(known.limit, 2 * more, transform), critical)
        return DetectionStats(min(critical, highest), min(limit, highest), f"{known.method}; errors of an adaptation")
    if transform == "log10":
        return None
    critical, limit = (float(inverse(np.array(times * error), transform)) for times in (1, 2))
    if critical <= bundle.calibrated_range[0]:
        return None
    return DetectionStats(min(critical, highest), min(limit, highest), "errors of an adaptation, from a content of 0")


def _known(bundle: Bundle) -> DetectionStats | None:
    model = bundle.error_model
    if model is None:
        return bundle.detection
    if model.critical is None:
        return None
    # Even the richest are missed too often: so they are with larger errors.
    limit = bundle.calibrated_range[1] if model.limit is None else model.limit
    return DetectionStats(model.critical, max(limit, model.critical), model.method)


def _moved(value: float, by: float, transform: Transform) -> float:
    # A critical level of zero has no logarithm.
    at = forward(np.array(max(value, 1e-9)), transform)
    return float(inverse(at + by, transform))


def following_domain(parent: Bundle, on_grid: Floats, what: str) -> tuple[ApplicabilityDomain | None, str]:
    """Let the applicability domain follow to where the adaptation was judged, as far as that is needed.

    Where all of its spectra are inside nothing changes. Else the domain's centre moves by the mean of what they
    differ by, if that brings them nearer, and limits widen to the farthest of them, each held against the centre that
    the others give.

    Args:
        parent: whose domain it is.
        on_grid: (n, bands) corrected reflectance on the model's grid, one a sample.
        what: the spectra are, in words.

    Returns:
        The domain, and what was done to it in words, "" for nothing.
    """
    domain, recipe = parent.domain, parent.recipe
    if domain is None or domain.space != "absorbance shape":
        return domain, ""
    preprocessed = recipe.preprocess(on_grid, recipe.grid_nm, ())
    seen = absorbance_shapes(preprocessed.reflectance, preprocessed.reflectance_nm, domain.bands_per_bin)
    brightness = _reaching(domain.brightness_range, seen.brightness, LEVEL_ROOM)
    contrast = _reaching(domain.contrast_range, seen.contrast, 0.0, CONTRAST_ROOM)
    still = distances(seen.shapes, domain)
    done: list[str] = []
    found = domain
    if max(still.t2.max(), still.q.max()) > 1:
        apart = seen.shapes - domain.mean
        n = len(apart)
        # Each against the shift that the others give.
        others = (apart.sum(axis=0) - apart) / max(n - 1, 1)
        moved = distances(seen.shapes - others, domain)
        farthest = {"still": still, "moved": moved}
        use = min(farthest, key=lambda name: float(np.maximum(farthest[name].t2, farthest[name].q).max()))
        far = farthest[use]
        if use == "moved":
            mean = (domain.mean + apart.mean(axis=0)).astype(np.float32).astype(np.float64)
            found = replace(found, mean=mean)
            done.append(f"its centre moved to that of {n} {what}")
        wider = [max(1.0, float(values.max())) for values in (far.t2, far.q)]
        if max(wider) > 1:
            done.append(f"its limits times {wider[0]:.3g} (T2) and {wider[1]:.3g} (Q), to the farthest of {n} {what}")
        found = replace(found, t2_limit=found.t2_limit * wider[0], q_limit=found.q_limit * wider[1])
    if (brightness, contrast) != (domain.brightness_range, domain.contrast_range):
        done.append(f"brightness and contrast to those of {len(seen.shapes)} {what}")
        found = replace(found, brightness_range=brightness, contrast_range=contrast)
    if found.most_shift_nm is not None:
        changes = shape_changes(seen, preprocessed.reflectance, found.bands_per_bin)
        shifts_nm = band_shifts(distances(seen.shapes, found).deviation, unexplained(changes, found))
        farthest_nm = float(np.abs(shifts_nm).max())
        if farthest_nm > found.most_shift_nm:
            done.append(f"its limit of a shift to {farthest_nm:.2g} nm, to the farthest of {len(seen.shapes)} {what}")
            found = replace(found, most_shift_nm=farthest_nm)
    words = "; ".join(done)
    return (replace(found, method=f"{found.method}; {words}"), words) if words else (domain, "")


def following_conditions(parent: Bundle, said: Sequence[str], on_grid: Floats) -> Conditions | None:
    """Add the ground that an adaptation was judged on to what a model is for.

    Args:
        parent: the model.
        said: n conditions of the assayed samples, "" where nobody said.
        on_grid: (n, bands) corrected reflectance on the model's grid.
    """
    stats, recipe = parent.conditions, parent.recipe
    if stats is None:
        return None
    counts = dict(stats.counts)
    for condition, samples in Counter(said).items():
        # Fewer say nothing of how the model does there.
        if samples >= FEWEST:
            counts[condition] = counts.get(condition, 0) + samples
    water = stats.water
    if water is not None and sees_water(recipe.reflectance_nm):
        deep, clay = depths(recipe.preprocess(on_grid, recipe.grid_nm, ()).reflectance, recipe.reflectance_nm)
        beyond = deep - (water.offset + water.slope * clay)
        water = water._replace(most=max(water.most, float(beyond.max())))
    return stats._replace(
        counts=counts, water=water, method=f"{stats.method}; and {len(said)} samples of an adaptation"
    )


def _reaching(
    allowed: tuple[float, float] | None, seen: Floats, room: float, factor: float = 1.0
) -> tuple[float, float] | None:
    """Widen a range to what was seen, with the room that a calibration's has, where something was beyond."""
    if allowed is None:
        return None
    low, high = allowed
    if float(seen.min()) < low:
        low = (float(seen.min()) - room) / factor
    if float(seen.max()) > high:
        high = (float(seen.max()) + room) * factor
    return low, high


def own_range(
    bundle: Bundle, measured: Sequence[float], stretched: bool, reach: tuple[float, float]
) -> tuple[float, float]:
    """Say within which contents an adapted model answers.

    The parent's range and what the new samples hold. Where a slope was fitted to them, no farther from them than half
    of what they span: beyond, an error of the slope would count more than all else. And never beyond what the network
    can say at all: there every spectrum gets the same answer.

    Args:
        bundle: the parent.
        measured: contents of the new samples.
        stretched: whether a slope was fitted.
        reach: lowest and highest that the corrected network can answer, in the unit.

    Raises:
        TrainingDataError: nothing is left.
    """
    low, high = min(measured), max(measured)
    all_low, all_high = min(low, bundle.calibrated_range[0]), max(high, bundle.calibrated_range[1])
    if stretched:
        room = (high - low) / 2
        all_low, all_high = max(low - room, all_low), min(high + room, all_high)
    found = max(all_low, reach[0]), min(all_high, reach[1])
    if not found[0] < found[1]:
        raise TrainingDataError(
            f"{bundle.name} answers {plain(reach[0])} to {plain(reach[1])} {shown_unit(bundle.unit)} at most when "
            f"corrected so, and the samples hold {plain(low)} to {plain(high)}: measure pairs, or train on such samples"
        )
    return found
