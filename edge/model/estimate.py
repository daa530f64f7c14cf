"""Spectrum + bundle -> Estimate: the value, its interval, and whether the spectrum belongs to the calibration."""

from collections.abc import Sequence
from datetime import datetime
from functools import cached_property
from itertools import groupby
from typing import NamedTuple

import numpy as np

from ...converters.spectra.spectrum import Floats, Spectrum
from ..errors import BundleError, PreprocessError, UnsuitableSpectrumError
from ..units import plain, shown_unit
from .applicability import Applicability, Verdict, assess
from .bundle import Bundle
from .conditions import depths, remarks_on_ground, sees_water, why_not
from .correction import Correction
from .interval import interval, normal_quantile
from .lineage import other_instrument
from .movement import NOT_KNOWN, Directions, Movement, find_directions, largest_movements
from .recipe import Blocks, Preprocessed, Recipe
from .replicates import MeanSpectrum, Scatter, scatter
from .runtime import Runtime
from .suitability import (
    check_filled,
    check_sampling,
    corrects_joins,
    remarks_on_steps,
    require_reflectance,
    step_to_blame,
    with_joins,
)
from .target import Bound, bounds_of, forward, inverse, not_detected, within_range

BATCH_BYTES = 16 << 20
"""More than all arrays of a batch take together."""


class Refusal(NamedTuple):
    """A spectrum or file that no estimate is made from, and why, in one line."""

    source: str
    reason: str
    sample_id: str = ""


class Estimate(NamedTuple):
    """What the model says of one spectrum, and how far to trust it.

    Attributes:
        sample_id, measurement, source, measured_at: copied from the spectrum.
        element, unit: what `value`, `low` and `high` are, such as Sb in ppm.
        value: what the model says, kept within the calibrated range.
        bound: "" for a plain value, ">" or "<" where the model points beyond the calibrated range, "< LOD" where the
            sample cannot be told from one that holds nothing; no value is shown then, and the interval is open below.
        low, high: prediction interval, within the calibrated range; None if the bundle has no statistics for it. It
            is wider the farther the spectrum lies from the calibration, and if its points scatter too much.
        coverage: stated share of true values inside the interval, such as 0.9.
        verdict: "inside" or "outside" the calibration; "unknown" if the bundle cannot tell.
        reason: in words, why the verdict is not "inside".
        flags: further remarks, such as "simulated model".
        t2_over_limit, q_over_limit: Hotelling T2 and Q residual over their limits; above 1 is outside.
        simulated: True if the model or the spectrum is simulated.
        points: measurements that the spectrum is the mean of; 1 for a single one.
        points_low, points_high: lowest and highest estimate from a single point, within the calibrated range.
        scatter_over_limit: standard deviation of the points' estimates, in the transform's space, over what the
            calibration's samples show; above 1 the interval is widened and a flag says so.
        detection_limit: of the model; None if it has none.
        critical_level: the estimate up to which a sample cannot be told from one that holds nothing; None if nothing in
            the calibration shows it.
        water_index: depth of the water band at 1930 nm over the calibration's spread, 0 being its mean; None if the
            bundle does not say.
        movement_over_limit: how far the answer moves at most under its noise, a shift, an offset or a slope that its
            instrument may have, over what its interval reaches; above 1 it is unstable, the interval is widened and a
            flag says so. None if that was not asked, or the bundle cannot tell.
    """

    sample_id: str
    measurement: str
    source: str
    measured_at: datetime | None
    element: str
    unit: str
    value: float
    bound: Bound
    low: float | None
    high: float | None
    coverage: float | None
    verdict: Verdict
    reason: str
    flags: tuple[str, ...]
    t2_over_limit: float | None
    q_over_limit: float | None
    simulated: bool
    points: int = 1
    points_low: float | None = None
    points_high: float | None = None
    scatter_over_limit: float | None = None
    detection_limit: float | None = None
    critical_level: float | None = None
    water_index: float | None = None
    movement_over_limit: float | None = None

    @property
    def trusted(self) -> bool:
        """True if the value may stand without a warning beside it."""
        steady = within_limits(self.scatter_over_limit, self.movement_over_limit)
        return self.verdict == "inside" and not self.bound and steady


def within_limits(scatter_over_limit: float | None, movement_over_limit: float | None) -> bool:
    """Tell whether points agree and the answer is stable, as far as that is known; see `Estimate`."""
    return all((over or 0) <= 1 for over in (scatter_over_limit, movement_over_limit))


NOTHING = np.empty(0)


class _Reading(NamedTuple):
    """What the network answers for one spectrum: its output, and what that is in the element's unit.

    `reach` is how far the interval reaches down and up in the transform's space; `features` are scaled; `light` is the
    mean reflectance.
    """

    output: float
    applicability: Applicability
    value: float
    bound: Bound
    low: float | None
    high: float | None
    reach: tuple[float, float] = (0.0, 0.0)
    remarks: tuple[str, ...] = ()
    water_index: float | None = None
    features: Floats = NOTHING
    light: float = 0.0


class Shared:
    """What models that prepare spectra in the same way need to compute once; for one batch of spectra."""

    def __init__(self) -> None:
        self._joined: dict[object, Sequence[Spectrum]] = {}
        self._prepared: dict[object, tuple[Sequence[Spectrum], Preprocessed]] = {}

    def joined(self, spectra: Sequence[Spectrum], joins_nm: tuple[float, ...]) -> Sequence[Spectrum]:
        """Give spectra with detector joins, the same objects to each model that asks for the same joins."""
        if joins_nm not in self._joined:
            self._joined[joins_nm] = [with_joins(spectrum, joins_nm) for spectrum in spectra]
        return self._joined[joins_nm]

    def preprocess(
        self, recipe: Recipe | Blocks, correction: Correction, spectra: Sequence[Spectrum], values: Floats
    ) -> Preprocessed:
        """Correct and preprocess (spectra, bands) `values` of spectra on one grid, once for models that do the same."""
        key = (recipe, correction.spectra, tuple(map(id, spectra)))
        if key not in self._prepared:
            first = spectra[0]
            prepared = correction.preprocess(recipe, values, first.wavelengths_nm, first.splices_nm)
            # The spectra are kept with it, so that no other can come to have their identity.
            self._prepared[key] = spectra, prepared
        return self._prepared[key][1]


class Estimator:
    """A loaded bundle, ready to answer. Not for use from several threads at once."""

    def __init__(self, bundle: Bundle) -> None:
        """Load the network.

        Raises:
            BundleError: this runtime cannot load it, or the bundle's statistics are of other bands than its
                preprocessing gives, as in a file of a development version.
        """
        self.bundle = bundle
        self._levels = bundle.levels
        self.runtime = Runtime(bundle.model, known_good=bundle.is_known)
        self.joins_nm = bundle.golden.splices_nm if bundle.golden and corrects_joins(bundle.recipe) else ()
        _check_domain(bundle)
        # glibc keeps freed memory for the next batch only up to twice the largest block that was ever given back.
        np.empty(BATCH_BYTES, dtype=np.uint8)

    def estimate(
        self, spectra: Sequence[Spectrum], shared: Shared | None = None, noise: Sequence[float] | None = None
    ) -> list[Estimate | Refusal]:
        """Answer for each spectrum, in order; one that cannot be used never stops the others.

        The points of a `MeanSpectrum` are estimated too, for their scatter; the answer is for the mean.

        Args:
            spectra: n.
            shared: what other models have computed of the same spectra.
            noise: (n,) standard deviation of each spectrum's reflectance, from band to band; answers then say how
                stable they are. None where that is not asked.
        """
        flat: list[Spectrum] = []
        shared = shared or Shared()
        if self.joins_nm:
            spectra = shared.joined(spectra, self.joins_nm)
        for spectrum in spectra:
            flat += [spectrum, *_points(spectrum)]
        readings = iter(self._read(flat, shared))
        read = [(next(readings), [next(readings) for _ in _points(spectrum)]) for spectrum in spectra]
        moved = {} if noise is None else self._movements([reading for reading, _ in read], noise)
        remarks = [NOT_KNOWN] if noise is not None and self._directions is None else []
        return [
            reading if isinstance(reading, Refusal) else self._answer(spectrum, reading, points, moved.get(i), remarks)
            for i, (spectrum, (reading, points)) in enumerate(zip(spectra, read, strict=True))
        ]

    def outputs(self, spectra: Sequence[Spectrum]) -> list[float | Refusal]:
        """Give what the network answers to each spectrum, in the transform's space and beyond the calibrated range too.

        The points of a `MeanSpectrum` are not looked at.
        """
        joined = [with_joins(spectrum, self.joins_nm) if self.joins_nm else spectrum for spectrum in spectra]
        readings = self._read(joined, Shared())
        return [reading if isinstance(reading, Refusal) else reading.output for reading in readings]

    @cached_property
    def _directions(self) -> Directions | None:
        return find_directions(self.bundle, self._within_range)

    def _within_range(self, features: Floats) -> Floats:
        """Answer to (n, features...) in the transform's space, kept within the calibrated range."""
        ends = forward(np.array(self.bundle.calibrated_range), self.bundle.transform)
        return np.clip(self.bundle.correction.of_outputs(self.runtime.run(features)), *ends)

    def _movements(self, readings: Sequence[_Reading | Refusal], noise: Sequence[float]) -> dict[int, Movement]:
        """Say how far answers move, by their number; nothing of those that are refused."""
        known = [(i, one) for i, one in enumerate(readings) if isinstance(one, _Reading)]
        bundle, stats = self.bundle, self.bundle.interval
        if not known or self._directions is None or stats is None:
            return {}
        ends = forward(np.array(bundle.calibrated_range), bundle.transform)

        found = largest_movements(
            self._directions,
            self._within_range,
            stats.coverage,
            np.clip([one.output for _, one in known], *ends),
            np.stack([one.features for _, one in known]),
            np.array([one.light for _, one in known]),
            np.array([noise[i] for i, _ in known]),
            np.array([one.reach for _, one in known]),
        )
        return {i: movement for (i, _), movement in zip(known, found, strict=True)}

    def _read(self, spectra: list[Spectrum], shared: Shared) -> list[_Reading | Refusal]:
        readings: list[_Reading | Refusal] = []
        for _, group in groupby(spectra, key=_grid_key):
            readings.extend(self._read_one_grid(list(group), shared))
        return readings

    def _read_one_grid(self, spectra: list[Spectrum], shared: Shared) -> list[_Reading | Refusal]:
        recipe, golden, most = self.bundle.recipe, self.bundle.golden, self.bundle.stability.sampling_most
        readings: dict[int, _Reading | Refusal] = {}
        usable: dict[int, list[str]] = {}
        rows: list[Floats] = []
        for i, spectrum in enumerate(spectra):
            try:
                row = require_reflectance(spectrum, recipe.range_nm)
                more: list[str] = []
                # A mean hides what was filled in at one of its points.
                for one in (spectrum, *_points(spectrum)):
                    more += check_filled(one, recipe.range_nm, golden.wavelengths_nm, most) if golden else []
                rows.append(row)
                usable[i] = list(dict.fromkeys(more))
            except UnsuitableSpectrumError as error:
                readings[i] = Refusal(spectrum.source, str(error), spectrum.sample_id)
        if usable:
            of_grid = [spectra[i] for i in usable]
            run = self._run(of_grid, np.stack(rows), shared)
            readings |= {
                i: one._replace(remarks=(*one.remarks, *filled)) if filled and isinstance(one, _Reading) else one
                for (i, filled), one in zip(usable.items(), run, strict=True)
            }
        return [readings[i] for i in range(len(spectra))]

    def _run(self, spectra: list[Spectrum], values: Floats, shared: Shared) -> list[_Reading | Refusal]:
        recipe, golden = self.bundle.recipe, self.bundle.golden
        nm, splices_nm = spectra[0].wavelengths_nm, spectra[0].splices_nm
        remarks: list[str] = []
        try:
            if golden is not None:
                remarks = check_sampling(
                    nm, recipe.range_nm, golden.wavelengths_nm, self.bundle.stability.sampling_most
                )
            preprocessed = shared.preprocess(recipe, self.bundle.correction, spectra, values)
        except UnsuitableSpectrumError as error:
            return [Refusal(spectrum.source, str(error), spectrum.sample_id) for spectrum in spectra]
        except PreprocessError as error:
            if len(spectra) == 1:
                why = step_to_blame(spectra[0], values[0], recipe) or str(error)
                return [Refusal(spectra[0].source, why, spectra[0].sample_id)]
            # One of them is at fault: find it without losing the rest.
            return [self._run([s], values[i : i + 1], shared)[0] for i, s in enumerate(spectra)]
        scaled = self.bundle.scaling.apply(preprocessed.features)
        outputs = self.bundle.correction.of_outputs(self.runtime.run(scaled))
        unfit, water = self._ground(spectra, preprocessed)
        readings = self._to_unit(outputs, assess(preprocessed, self.bundle.domain, unfit))
        light = preprocessed.reflectance.mean(axis=1).tolist()
        readings = [
            reading._replace(features=row, light=mean)
            for reading, row, mean in zip(readings, scaled, light, strict=True)
        ]
        if water:
            readings = [reading._replace(water_index=index) for reading, index in zip(readings, water, strict=True)]
        if golden is not None and splices_nm and not self.joins_nm:
            steps = remarks_on_steps(nm, values, splices_nm)
            readings = [
                reading._replace(remarks=(*remarks, *more)) for reading, more in zip(readings, steps, strict=True)
            ]
        elif remarks:
            readings = [reading._replace(remarks=tuple(remarks)) for reading in readings]
        return [
            reading
            if np.isfinite(reading.output)
            else Refusal(spectrum.source, "the model gives no number for this spectrum", spectrum.sample_id)
            for spectrum, reading in zip(spectra, readings, strict=True)
        ]

    def _ground(self, spectra: list[Spectrum], preprocessed: Preprocessed) -> tuple[list[str], list[float | None]]:
        """Say of each spectrum why its ground is none that the model is for, and how wet it is; nothing if unknown."""
        stats = self.bundle.conditions
        if stats is None:
            return [], []
        water = clay = None
        if stats.water is not None:
            water, clay = depths(preprocessed.reflectance, preprocessed.reflectance_nm)
        return why_not([spectrum.condition for spectrum in spectra], water, clay, stats)

    def _to_unit(
        self, outputs: Floats, applicability: Sequence[Applicability], extra_sd: float = 0.0
    ) -> list[_Reading]:
        """Take (n,) outputs to the element's unit; all at once, since each call of NumPy costs as much as for many."""
        bundle = self.bundle
        to_unit = bundle.transform, bundle.calibrated_range
        values = within_range(outputs, *to_unit)
        lows: Sequence[float | None] = [None] * len(outputs)
        highs = lows
        reach = [(0.0, 0.0)] * len(outputs)
        if bundle.interval is not None:
            t2 = q = None
            if bundle.domain is not None:
                t2 = np.array([a.t2_over_limit for a in applicability], dtype=np.float64)
                q = np.array([a.q_over_limit for a in applicability], dtype=np.float64)
            # As in the calibration, whose answers were kept within the range when their errors were taken.
            within = np.clip(outputs, *forward(np.array(bundle.calibrated_range), bundle.transform))
            ends = interval(within, bundle.interval, t2, q, extra_sd)
            lows, highs = (within_range(end, *to_unit) for end in ends)
            reach = list(zip((within - ends[0]).tolist(), (ends[1] - within).tolist(), strict=True))
        undetected = not_detected(values, lows, self._levels)
        bounds = bounds_of(outputs, *to_unit, undetected)
        if bundle.interval is not None and any(undetected):
            # What cannot be told from nothing may be nothing.
            lowest = bundle.calibrated_range[0]
            lows = [lowest if nothing else low for nothing, low in zip(undetected, lows, strict=True)]
        return [
            _Reading(*of_one)
            for of_one in zip(outputs.tolist(), applicability, values, bounds, lows, highs, reach, strict=True)
        ]

    def _answer(
        self,
        spectrum: Spectrum,
        reading: _Reading,
        points: Sequence[_Reading | Refusal],
        moved: Movement | None,
        more: Sequence[str],
    ) -> Estimate:
        bundle, belongs = self.bundle, reading.applicability
        usable = [point for point in points if isinstance(point, _Reading)]
        remarks = [*reading.remarks, *more]
        extra_sd = 0.0
        if moved is not None and moved.over_limit > 1 and bundle.interval is not None:
            # As much as the answer moves is added to the interval in quadrature.
            extra_sd = abs(moved.by) / normal_quantile(bundle.interval.coverage)
            remarks.insert(0, self._unstable(reading, moved))
        if other := other_instrument(bundle.lineage, spectrum.instrument):
            remarks.append(other)
        if bundle.conditions is not None and belongs.verdict != "outside":
            remarks += remarks_on_ground(spectrum.condition, bundle.conditions)
        scattered = None
        if len(usable) > 1:
            scattered = scatter([point.output for point in usable], bundle.replicates, bundle.interval)
            extra_sd = float(np.hypot(extra_sd, scattered.extra_sd))
        if extra_sd:
            (wider,) = self._to_unit(np.array([reading.output]), [belongs], extra_sd)
            reading = wider._replace(water_index=reading.water_index)
        # What the file leaves in doubt comes first: `jobs.told_from_others` adds to it afterwards.
        flags = [*spectrum.remarks, *_replicate_flags(points, usable, scattered, belongs), *remarks]
        if bundle.simulated:
            flags.append("simulated model")
        if spectrum.simulated:
            flags.append("simulated spectrum")
        return Estimate(
            sample_id=spectrum.sample_id,
            measurement=spectrum.measurement,
            source=spectrum.source,
            measured_at=spectrum.measured_at,
            element=bundle.element,
            unit=bundle.unit,
            value=reading.value,
            bound=reading.bound,
            low=reading.low,
            high=reading.high,
            coverage=bundle.interval.coverage if bundle.interval else None,
            verdict=belongs.verdict,
            reason=belongs.reason,
            flags=tuple(flags),
            t2_over_limit=belongs.t2_over_limit,
            q_over_limit=belongs.q_over_limit,
            simulated=bundle.simulated or spectrum.simulated,
            points=max(len(points), 1),
            points_low=min((point.value for point in usable), default=None),
            points_high=max((point.value for point in usable), default=None),
            scatter_over_limit=scattered.over_limit if scattered else None,
            detection_limit=self._levels.limit,
            critical_level=self._levels.critical,
            water_index=reading.water_index,
            movement_over_limit=moved.over_limit if moved else None,
        )

    def _unstable(self, reading: _Reading, moved: Movement) -> str:
        """Say what would be read instead."""
        ends = forward(np.array(self.bundle.calibrated_range), self.bundle.transform)
        value = float(inverse(np.clip(reading.output, *ends) + moved.by, self.bundle.transform))
        return (
            f"unstable: {moved.cause} would make it {plain(value, 3)} {shown_unit(self.bundle.unit)}, "
            f"{moved.over_limit:.1f} times as far off as its interval reaches"
        )


def _check_domain(bundle: Bundle) -> None:
    domain, conditions = bundle.domain, bundle.conditions
    if conditions is not None and conditions.water is not None and not sees_water(bundle.recipe.reflectance_nm):
        raise BundleError(
            f"{bundle.path or bundle.name}: it tells water by bands that its preprocessing cuts away; train and export "
            "it again"
        )
    if domain is None:
        return
    bins = bundle.recipe.wavelengths_nm.size
    if domain.space == "absorbance shape":
        bins = bundle.recipe.reflectance_nm.size // domain.bands_per_bin
    if domain.mean.size != bins:
        raise BundleError(
            f"{bundle.path or bundle.name}: its statistics are of {domain.mean.size} bands and its preprocessing gives "
            f"{bins}; train and export it again"
        )


def _points(spectrum: Spectrum) -> tuple[Spectrum, ...]:
    return spectrum.points if isinstance(spectrum, MeanSpectrum) else ()


def _replicate_flags(
    points: Sequence[_Reading | Refusal], usable: Sequence[_Reading], scattered: Scatter | None, mean: Applicability
) -> list[str]:
    flags = []
    if scattered is not None and scattered.over_limit is not None and scattered.over_limit > 1:
        times = f"{scattered.over_limit:.1f} times the limit"
        flags.append(f"the {len(usable)} points scatter more than usual ({times}): measure again")
    outside = sum(point.applicability.verdict == "outside" for point in usable)
    # Where the mean is outside too, its reason says enough.
    if outside and mean.verdict == "inside":
        flags.append(f"{outside} of {len(points)} points outside the calibration")
    refused = [point for point in points if isinstance(point, Refusal)]
    if refused:
        flags.append(f"{len(refused)} of {len(points)} points cannot be used alone: {refused[0].reason}")
    return flags


def _grid_key(spectrum: Spectrum) -> tuple[object, ...]:
    # First, last and number of bands alone would merge two grids of the same span and unlike spacing.
    return spectrum.splices_nm, spectrum.wavelengths_nm.tobytes()
