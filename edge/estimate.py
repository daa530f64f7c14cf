"""Spectrum + bundle -> Estimate: the value, its interval, and whether the spectrum belongs to the calibration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from ..converters.spectra.spectrum import Spectrum
from .errors import PreprocessError, UnsuitableSpectrumError
from .preprocess import Preprocessed
from .runtime import Runtime

if TYPE_CHECKING:
    from .bundle import Bundle, DomainStats

Floats = NDArray[np.float64]
Transform = Literal["none", "sqrt", "log10"]
Verdict = Literal["inside", "outside", "unknown"]

HIGHEST_REFLECTANCE = 1.5
"""A matt soil reads below 1; a value above this is no reflectance fraction (percent, counts, a failed white)."""


@dataclass(frozen=True)
class Refusal:
    """A spectrum or file that no estimate is made from, and why, in one line."""

    source: str
    reason: str
    sample_id: str = ""


@dataclass(frozen=True)
class Estimate:
    """What the model says of one spectrum, and how far to trust it.

    Attributes:
        sample_id, measurement, source, measured_at: copied from the spectrum.
        element, unit: what `value`, `low` and `high` are, such as Sb in ppm.
        value: kept within the calibrated range.
        bound: "" for a plain value, ">" or "<" where the model points beyond the calibrated range.
        low, high: prediction interval, within the calibrated range; None if the bundle has no statistics for it.
        coverage: stated share of true values inside the interval, such as 0.9.
        verdict: "inside" or "outside" the calibration; "unknown" if the bundle cannot tell.
        reason: in words, why the verdict is not "inside".
        flags: further remarks, such as "simulated model".
        t2_over_limit, q_over_limit: Hotelling T2 and Q residual over their limits; above 1 is outside.
        simulated: True if the model or the spectrum is simulated.
    """

    sample_id: str
    measurement: str
    source: str
    measured_at: datetime | None
    element: str
    unit: str
    value: float
    bound: Literal["", ">", "<"]
    low: float | None
    high: float | None
    coverage: float | None
    verdict: Verdict
    reason: str
    flags: tuple[str, ...]
    t2_over_limit: float | None
    q_over_limit: float | None
    simulated: bool

    @property
    def trusted(self) -> bool:
        """True if the value may stand without a warning beside it."""
        return self.verdict == "inside" and not self.bound


def forward(values: Floats, transform: Transform) -> Floats:
    """Take values in the element's unit, any shape, to the space the network is trained in."""
    values = np.asarray(values, dtype=np.float64)
    if transform == "log10":
        return np.log10(values)
    return np.sqrt(values) if transform == "sqrt" else values


def inverse(values: Floats, transform: Transform) -> Floats:
    """Take values from the network's space back to the element's unit; no correction of the mean is made.

    Back from log10 the answer is a median, not a mean (Miller 1984, The American Statistician 38(2):124).
    """
    values = np.asarray(values, dtype=np.float64)
    if transform == "log10":
        return np.power(10.0, values)
    return np.square(np.maximum(values, 0.0)) if transform == "sqrt" else values


def require_reflectance(spectrum: Spectrum, range_nm: tuple[float, float]) -> Floats:
    """Give the spectrum's reflectance, or say why no estimate may be made from it.

    Args:
        spectrum: reflectance, or absorbance, which is turned back into reflectance.
        range_nm: first and last wavelength the model needs.

    Returns:
        (bands,) reflectance as a fraction.

    Raises:
        UnsuitableSpectrumError: wrong quantity, wrong range, saturated, or no plausible reflectance in that range.
    """
    first_nm, last_nm = spectrum.range_nm
    if spectrum.quantity not in ("reflectance", "absorbance"):
        raise UnsuitableSpectrumError(
            f"holds {spectrum.quantity.replace('_', ' ')}; the model needs reflectance: measure a white reference"
        )
    if first_nm > range_nm[0] + 1e-6 or last_nm < range_nm[1] - 1e-6:
        raise UnsuitableSpectrumError(
            f"covers {first_nm:g}-{last_nm:g} nm; the model needs {range_nm[0]:g}-{range_nm[1]:g} nm"
        )
    if spectrum.saturated:
        raise UnsuitableSpectrumError(f"{', '.join(spectrum.saturated)} saturated: optimise again, then measure again")
    values = spectrum.values if spectrum.quantity == "reflectance" else np.power(10.0, -spectrum.values)
    first, end = np.searchsorted(spectrum.wavelengths_nm, (range_nm[0] - 1e-6, range_nm[1] + 1e-6))
    nm, used = spectrum.wavelengths_nm[first:end], values[first:end]
    if used.min() <= 0:
        at_nm = nm[int(used.argmin())]
        raise UnsuitableSpectrumError(
            f"reflectance {used.min():.3g} at {at_nm:g} nm is not above zero: check dark current and white reference"
        )
    if used.max() > HIGHEST_REFLECTANCE:
        at_nm = nm[int(used.argmax())]
        raise UnsuitableSpectrumError(
            f"reflectance {used.max():.3g} at {at_nm:g} nm is above {HIGHEST_REFLECTANCE:g}: "
            "in percent, or a bad white reference?"
        )
    if used.max() - used.min() < 1e-6:
        raise UnsuitableSpectrumError("reflectance is the same at every wavelength: no light, or no instrument")
    return values


class Estimator:
    """A loaded bundle, ready to answer. Not for use from several threads at once."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self.runtime = Runtime(bundle.model)

    def estimate(self, spectra: Sequence[Spectrum]) -> list[Estimate | Refusal]:
        """Answer for each spectrum, in order; one that cannot be used never stops the others."""
        answers: list[Estimate | Refusal] = []
        for _, group in groupby(spectra, key=_grid_key):
            answers.extend(self._estimate_on_one_grid(list(group)))
        return answers

    def _estimate_on_one_grid(self, spectra: list[Spectrum]) -> list[Estimate | Refusal]:
        answers: dict[int, Estimate | Refusal] = {}
        usable: list[int] = []
        rows: list[Floats] = []
        for i, spectrum in enumerate(spectra):
            try:
                rows.append(require_reflectance(spectrum, self.bundle.recipe.range_nm))
                usable.append(i)
            except UnsuitableSpectrumError as error:
                answers[i] = Refusal(spectrum.source, str(error), spectrum.sample_id)
        if usable:
            values = np.stack(rows)
            for i, answer in zip(usable, self._answer([spectra[i] for i in usable], values), strict=True):
                answers[i] = answer
        return [answers[i] for i in range(len(spectra))]

    def _answer(self, spectra: list[Spectrum], values: Floats) -> list[Estimate | Refusal]:
        try:
            preprocessed = self.bundle.recipe.preprocess(values, spectra[0].wavelengths_nm, spectra[0].splices_nm)
        except PreprocessError as error:
            if len(spectra) == 1:
                return [Refusal(spectra[0].source, str(error), spectra[0].sample_id)]
            # One of them is at fault: find it without losing the rest.
            return [self._answer([s], values[i : i + 1])[0] for i, s in enumerate(spectra)]
        outputs = self.runtime.run(self.bundle.scaling.apply(preprocessed.features))
        verdicts = judge(preprocessed, self.bundle.domain)
        return [
            self._one(spectrum, float(output), verdict)
            for spectrum, output, verdict in zip(spectra, outputs, verdicts, strict=True)
        ]

    def _one(self, spectrum: Spectrum, output: float, judged: Judgement) -> Estimate | Refusal:
        bundle = self.bundle
        if not np.isfinite(output):
            return Refusal(spectrum.source, "the model gives no number for this spectrum", spectrum.sample_id)
        lowest, highest = bundle.calibrated_range
        plain = float(inverse(np.array(output), bundle.transform))
        bound: Literal["", ">", "<"] = ">" if plain > highest else "<" if plain < lowest else ""
        low = high = coverage = None
        if bundle.interval is not None:
            ends = np.array([output + bundle.interval.low_offset, output + bundle.interval.high_offset])
            low, high = (float(v) for v in np.clip(inverse(ends, bundle.transform), lowest, highest))
            coverage = bundle.interval.coverage
        flags = []
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
            value=min(max(plain, lowest), highest),
            bound=bound,
            low=low,
            high=high,
            coverage=coverage,
            verdict=judged.verdict,
            reason=judged.reason,
            flags=tuple(flags),
            t2_over_limit=judged.t2_over_limit,
            q_over_limit=judged.q_over_limit,
            simulated=bundle.simulated or spectrum.simulated,
        )


@dataclass(frozen=True)
class Judgement:
    """Whether one spectrum belongs to the calibration, and why not."""

    verdict: Verdict
    reason: str = ""
    t2_over_limit: float | None = None
    q_over_limit: float | None = None


def judge(preprocessed: Preprocessed, domain: DomainStats | None) -> list[Judgement]:
    """Hold preprocessed spectra against the calibration's principal components.

    Hotelling T2 is the distance inside the space of the calibration soils, the Q residual the squared distance
    from it (Jackson & Mudholkar 1979, Technometrics 21(3):341). The limits were set at training.

    Args:
        preprocessed: `spectra` (n, bands) on the model's grid.
        domain: the bundle's statistics; None gives the verdict "unknown".

    Returns:
        n judgements.
    """
    spectra = preprocessed.spectra
    if domain is None:
        return [Judgement("unknown", "the bundle has no statistics of its calibration")] * len(spectra)
    centred = spectra - domain.mean
    scores = centred @ domain.loadings.T
    t2 = np.sum(scores**2 / domain.score_variance, axis=1) / domain.t2_limit
    residuals = centred - scores @ domain.loadings
    q = np.sum(residuals**2, axis=1) / domain.q_limit
    return [
        _judgement(float(t2[i]), float(q[i]), preprocessed.wavelengths_nm[int(np.argmax(residuals[i] ** 2))])
        for i in range(len(spectra))
    ]


def _judgement(t2: float, q: float, worst_nm: float) -> Judgement:
    if q > 1:
        reason = f"unlike the calibration soils, most at {worst_nm:.0f} nm (Q residual {_times(q)} its limit)"
    elif t2 > 1:
        reason = f"more extreme than the calibration soils (Hotelling T2 {_times(t2)} its limit)"
    else:
        return Judgement("inside", "", t2, q)
    return Judgement("outside", reason, t2, q)


def _times(ratio: float) -> str:
    # How far beyond a hundredfold says nothing more.
    return f"{ratio:.1f} times" if ratio < 100 else "over 100 times"


def _grid_key(spectrum: Spectrum) -> tuple[object, ...]:
    # First, last and number of bands alone would merge two grids of the same span and unlike spacing.
    return spectrum.splices_nm, spectrum.wavelengths_nm.tobytes()
