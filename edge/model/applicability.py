"""The applicability domain: whether a spectrum is like those that the model was calibrated on.

Its statistics come with the bundle, fitted by `stibium.train.applicability`; here they are only applied.
docs/applicability.md says why these and not others, with what was measured.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...converters.spectra.spectrum import Floats
from .recipe import Preprocessed

Verdict = Literal["inside", "outside", "unknown"]
Space = Literal["absorbance shape", "preprocessed"]

LEAST_REFLECTANCE = 1e-4
LEAST_CONTRAST = 1e-6

REGIONS_NM: tuple[tuple[float, float, str], ...] = (
    (350, 600, "iron oxides"),
    (640, 730, "iron oxides, in plants of chlorophyll"),
    (800, 1050, "iron"),
    (1370, 1470, "water and hydroxyl"),
    (1660, 1820, "organic matter"),
    (1860, 2020, "water"),
    (2140, 2240, "clay minerals and mica"),
    (2300, 2370, "carbonate and of clay with magnesium"),
)
"""From, to, and what absorbs there in soils (Stenberg et al. 2010, Advances in Agronomy 107:163)."""

_APART_NM = 100.0
"""Of the two bands by which a shift is told."""

CHLOROPHYLL_NM = (550.0, 675.0, 750.0)
"""Green peak, red band and the plateau beyond the red edge."""


@dataclass(frozen=True, eq=False)
class ApplicabilityDomain:
    """What the calibration spectra look like, and the limits within which a spectrum is like them.

    Attributes:
        mean: (bins,).
        loadings: (components, bins), orthonormal rows.
        score_variance: (components,).
        t2_limit, q_limit: limits of Hotelling T2 and of the Q residual.
        method: how the limits were set.
        space: "absorbance shape": absorbance in bins of neighbouring bands, each spectrum with mean 0 and standard
            deviation 1. "preprocessed": what the recipe makes of a spectrum, as bundles of version 1 have it.
        bands_per_bin: neighbouring bands of the model's grid that make a bin.
        residual_scale: (bins,) what residuals are divided by before Q; None for nothing.
        brightness_range: lowest and highest mean absorbance that is allowed; None for any.
        contrast_range: lowest and highest standard deviation of the absorbance over the spectrum; None for any.
        most_chlorophyll: largest depth in absorbance of the band at 675 nm, for the wording only; None if unknown.
        most_shift_nm: how far a spectrum's bands may lie from where the calibration has them, all together; None where
            the calibration's bands cannot tell it, as in bundles of before.
    """

    mean: Floats
    loadings: Floats
    score_variance: Floats
    t2_limit: float
    q_limit: float
    method: str
    space: Space = "preprocessed"
    bands_per_bin: int = 1
    residual_scale: Floats | None = None
    brightness_range: tuple[float, float] | None = None
    contrast_range: tuple[float, float] | None = None
    most_chlorophyll: float | None = None
    most_shift_nm: float | None = None


class Applicability(NamedTuple):
    """Whether one spectrum is inside the applicability domain, and why not."""

    verdict: Verdict
    reason: str = ""
    t2_over_limit: float | None = None
    q_over_limit: float | None = None


class Shapes(NamedTuple):
    """Spectra as the applicability domain sees them.

    Attributes:
        shapes: (n, bins) absorbance with mean 0 and standard deviation 1.
        brightness: (n,) mean absorbance.
        contrast: (n,) standard deviation of absorbance over the spectrum.
        wavelengths_nm: (bins,) centres.
    """

    shapes: Floats
    brightness: Floats
    contrast: Floats
    wavelengths_nm: Floats


def absorbance_shapes(reflectance: ArrayLike, wavelengths_nm: ArrayLike, bands_per_bin: int) -> Shapes:
    """Bin reflectance, take its absorbance, and separate shape from level and contrast.

    The shape (a standard normal variate: Barnes et al. 1989, Applied Spectroscopy 43(5):772) does not change with
    the white reference or with how hard the probe is pressed on; bins keep the noise of single bands out.

    Args:
        reflectance: (n, bands) as a fraction; values of zero and less are taken for almost black.
        wavelengths_nm: (bands,).
        bands_per_bin: bands that are averaged; bands left over at the end are not used.
    """
    values, nm = np.asarray(reflectance, dtype=np.float64), np.asarray(wavelengths_nm, dtype=np.float64)
    bins = nm.size // bands_per_bin
    used = bins * bands_per_bin
    average = np.full(bands_per_bin, 1.0 / bands_per_bin)
    binned = values[:, :used].reshape(-1, bands_per_bin) @ average
    absorbance = -np.log10(np.maximum(binned, LEAST_REFLECTANCE)).reshape(len(values), bins)
    brightness = absorbance.mean(axis=1)
    absorbance -= brightness[:, None]
    contrast = np.sqrt(np.einsum("ij,ij->i", absorbance, absorbance) / bins)
    absorbance /= np.maximum(contrast, LEAST_CONTRAST)[:, None]
    return Shapes(absorbance, brightness, contrast, nm[:used].reshape(bins, bands_per_bin) @ average)


def chlorophyll_depth(shapes: Shapes) -> Floats | None:
    """Measure the band at 675 nm against the line from 550 to 750 nm, in absorbance; None where these are not covered.

    Returns:
        (n,) positive where there is a band.
    """
    nm = shapes.wavelengths_nm
    if nm[0] > CHLOROPHYLL_NM[0] or nm[-1] < CHLOROPHYLL_NM[2]:
        return None
    green, red, beyond = (shapes.shapes[:, int(np.argmin(np.abs(nm - at)))] for at in CHLOROPHYLL_NM)
    along = (CHLOROPHYLL_NM[1] - CHLOROPHYLL_NM[0]) / (CHLOROPHYLL_NM[2] - CHLOROPHYLL_NM[0])
    depth: Floats = (red - green - along * (beyond - green)) * shapes.contrast
    return depth


class Distances(NamedTuple):
    """How far spectra are from the calibration.

    Attributes:
        t2, q: (n,) Hotelling T2 and Q residual over their limits.
        deviation: (n, bins) what of each spectrum the components do not explain, over its usual size.
        scores: (n, components) divided by their standard deviation.
    """

    t2: Floats
    q: Floats
    deviation: Floats
    scores: Floats


def distances(spectra: Floats, domain: ApplicabilityDomain) -> Distances:
    """Compare spectra, (n, bins) in the domain's space, with the calibration's principal components.

    Hotelling T2 is the distance inside the space of the calibration soils, the Q residual the squared distance
    from it (Jackson & Mudholkar 1979, Technometrics 21(3):341).
    """
    centred = spectra - domain.mean
    scores = centred @ domain.loadings.T
    centred = unexplained(centred, domain, scores)
    q = np.einsum("ij,ij->i", centred, centred) / domain.q_limit
    scores /= np.sqrt(domain.score_variance)
    t2 = np.einsum("ij,ij->i", scores, scores) / domain.t2_limit
    return Distances(t2, q, centred, scores)


def unexplained(differences: Floats, domain: ApplicabilityDomain, scores: Floats | None = None) -> Floats:
    """Give what the components do not explain of (n, bins) differences of spectra, over its usual size."""
    scores = differences @ domain.loadings.T if scores is None else scores
    rest = differences - scores @ domain.loadings
    return rest if domain.residual_scale is None else np.asarray(rest / domain.residual_scale)


def shape_changes(shapes: Shapes, reflectance: Floats, bands_per_bin: int) -> Floats:
    """Say how `absorbance_shapes` change if all bands lie 1 nm farther up.

    Args:
        shapes: of `reflectance`.
        reflectance: (n, bands), evenly spaced.
        bands_per_bin: as for the shapes.

    Returns:
        (n, bins).
    """
    nm, bins = shapes.wavelengths_nm, shapes.wavelengths_nm.size
    # What a bin loses is what its two ends differ by; an end lies between two bands.
    starts = np.arange(0, (bins + 1) * bands_per_bin, bands_per_bin)
    before, after = np.maximum(starts - 1, 0), np.minimum(starts, reflectance.shape[1] - 1)
    ends = (reflectance[:, before] + reflectance[:, after]) / 2
    # Back from absorbance of mean 0 and deviation 1 to the bins' reflectance.
    contrast = np.maximum(shapes.contrast, LEAST_CONTRAST)[:, None]
    binned = np.power(10.0, -(shapes.shapes * contrast + shapes.brightness[:, None]))
    changes = np.diff(ends, axis=1) / ((nm[1] - nm[0]) * math.log(10) * binned)
    changes -= changes.mean(axis=1, keepdims=True)
    changes -= shapes.shapes * (np.einsum("ij,ij->i", shapes.shapes, changes) / bins)[:, None]
    return np.asarray(changes / contrast)


def band_shifts(deviation: Floats, changes: Floats) -> Floats:
    """Say by how many nm the bands of spectra lie farther up than the calibration's, by least squares.

    Only what the components do not explain counts: bands that lie elsewhere from soil to soil tell no shift.

    Args:
        deviation: (n, bins), of `distances`.
        changes: (n, bins) of `shape_changes`, of which what the components explain is taken out; weighed likewise.

    Returns:
        (n,) nm.
    """
    size = np.einsum("ij,ij->i", changes, changes)
    return np.asarray(np.einsum("ij,ij->i", deviation, changes) / np.maximum(size, 1e-12))


def assess(
    preprocessed: Preprocessed, domain: ApplicabilityDomain | None, unfit: Sequence[str] = ()
) -> list[Applicability]:
    """Compare each spectrum with the limits of the applicability domain.

    Args:
        preprocessed: n spectra on the model's grid.
        domain: the bundle's statistics; None gives the verdict "unknown".
        unfit: n reasons for which the ground is none that the model is for, "" for none; () for none at all.

    Returns:
        (n,) verdicts, with the reason for each that is not "inside".
    """
    if domain is None:
        unknown = Applicability("unknown", "the bundle has no statistics of its calibration")
        why = unfit or [""] * len(preprocessed.spectra)
        return [Applicability("outside", one) if one else unknown for one in why]
    shapes = None
    spectra, nm = preprocessed.spectra, preprocessed.wavelengths_nm
    if domain.space == "absorbance shape":
        shapes = absorbance_shapes(preprocessed.reflectance, preprocessed.reflectance_nm, domain.bands_per_bin)
        spectra, nm = shapes.shapes, shapes.wavelengths_nm
    far = distances(spectra, domain)
    outside = (far.t2 > 1) | (far.q > 1)
    ground = unfit or [""] * len(outside)
    shifted = [""] * len(outside)
    if shapes is not None:
        outside |= _beyond(shapes.brightness, domain.brightness_range)
        outside |= _beyond(shapes.contrast, domain.contrast_range)
        if domain.most_shift_nm is not None:
            shifted = _shifted(preprocessed.reflectance, shapes, far, domain, domain.most_shift_nm)
    known = [of_ground or of_shift for of_ground, of_shift in zip(ground, shifted, strict=True)]
    outside |= np.array([bool(why) for why in known])
    reasons = [_reason(i, far, shapes, nm, domain, known[i]) if out else "" for i, out in enumerate(outside)]
    return [
        Applicability("outside" if why else "inside", why, t2, q)
        for why, t2, q in zip(reasons, far.t2.tolist(), far.q.tolist(), strict=True)
    ]


def _beyond(values: Floats, allowed: tuple[float, float] | None) -> NDArray[np.bool_]:
    if allowed is None:
        return np.zeros(values.shape, dtype=np.bool_)
    return (values < allowed[0]) | (values > allowed[1])


def _shifted(
    reflectance: Floats, shapes: Shapes, far: Distances, domain: ApplicabilityDomain, most_nm: float
) -> list[str]:
    """Say of each spectrum whether its bands lie elsewhere than the calibration's, all by as much; "" for those near.

    Of a spectrum that is unlike the calibration, a shift is told only if it explains most of that.
    """
    nm = shapes.wavelengths_nm
    changes = unexplained(shape_changes(shapes, reflectance, domain.bands_per_bin), domain)
    by_nm = band_shifts(far.deviation, changes)
    explains = np.square(by_nm) * np.einsum("ij,ij->i", changes, changes)
    told = (np.abs(by_nm) > most_nm) & ((far.q <= 1) | (explains > far.q * domain.q_limit / 2))
    found = [""] * len(by_nm)
    for i in np.flatnonzero(told).tolist():
        share = by_nm[i] * far.deviation[i] * changes[i]
        first = int(share.argmax())
        share[np.abs(nm - nm[first]) < _APART_NM] = -np.inf
        places = " and ".join(f"{nm[at]:.0f}" for at in sorted((first, int(share.argmax()))))
        found[i] = (
            f"bands lie about {abs(by_nm[i]):.1f} nm too {'high' if by_nm[i] > 0 else 'low'}, as at {places} nm "
            f"({most_nm:.1f} nm allowed): check the instrument's wavelengths"
        )
    return found


def _reason(i: int, far: Distances, shapes: Shapes | None, nm: Floats, domain: ApplicabilityDomain, known: str) -> str:
    """Say in words what is most unlike the calibration soils; what is known of it already comes before distances."""
    contrast = brightness = 0.0
    if shapes is not None:
        contrast, brightness = float(shapes.contrast[i]), float(shapes.brightness[i])
        if domain.contrast_range and contrast < domain.contrast_range[0]:
            return "flatter than any calibration soil: a panel, or nothing under the probe?"
        depth = chlorophyll_depth(shapes)
        if depth is not None and domain.most_chlorophyll is not None and depth[i] > domain.most_chlorophyll:
            return "a band at 675 nm that no calibration soil has: chlorophyll of a plant?"
    if known:
        return known
    if shapes is not None and far.t2[i] <= 1 and far.q[i] <= 1:
        if domain.contrast_range and contrast > domain.contrast_range[1]:
            return "stronger contrast than any calibration soil"
        level = "darker" if domain.brightness_range and brightness > domain.brightness_range[1] else "brighter"
        return f"{level} than any calibration soil, {100 * 10**-brightness:.0f} % on average"
    t2, q = float(far.t2[i]), float(far.q[i])
    if q > 1:
        at_nm = nm[int(np.argmax(far.deviation[i] ** 2))]
        return f"unlike the calibration soils, most at {_place(at_nm)} (Q residual {_times(q)} its limit)"
    explained = far.scores[i] * np.sqrt(domain.score_variance) @ domain.loadings
    at_nm = nm[int(np.argmax(np.abs(explained)))]
    return f"more extreme than the calibration soils, most at {_place(at_nm)} (Hotelling T2 {_times(t2)} its limit)"


def _place(nm: float) -> str:
    for first, last, what in REGIONS_NM:
        if first <= nm < last:
            return f"{nm:.0f} nm, a band of {what}"
    return f"{nm:.0f} nm"


def _times(ratio: float) -> str:
    # How far beyond a hundredfold says nothing more.
    return f"{ratio:.1f} times" if ratio < 100 else "over 100 times"
