"""Spectra as arrays: checks, resampling, detector joins, absorbance, replicates.

Here and in `continuum` and `filters` every step is a function of one spectrum (bands,) or many (n, bands), in float64,
on wavelengths in nm that ascend. Each has a twin `*_operator` that takes everything but the values: what depends on
the grid alone is worked out once there, and the `Operator` it gives is what a recipe runs spectra through, unchecked.
Inputs are never changed; a result may share memory with its input where nothing had to be done.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...converters.spectra.spectrum import Floats
from ..errors import PreprocessError, WavelengthRangeError

Operator = Callable[[Floats], Floats]
SpliceMethod = Literal["additive", "multiplicative"]
Detector = Literal["VNIR", "SWIR1", "SWIR2"]

DETECTORS_NM: dict[Detector, float] = {"VNIR": 700.0, "SWIR1": 1400.0, "SWIR2": 2100.0}
"""A wavelength that each detector sees, whatever the maker's joins: how a detector is found by its name."""
SAME_NM = 1e-6
"""Wavelengths closer than this are the same."""
UNIFORM = 1e-3
"""Steps of a uniform grid differ by less than this fraction: room for wavelengths stored as float32 micrometres."""


def as_wavelengths(wavelengths_nm: ArrayLike) -> Floats:
    """Check a wavelength axis: (bands,), two at least, finite and ascending, in nm.

    Raises:
        PreprocessError: if it is not.
    """
    nm = np.asarray(wavelengths_nm, dtype=np.float64)
    if nm.ndim != 1 or nm.size < 2:
        raise PreprocessError(f"wavelengths have shape {nm.shape}: a list of two or more is needed")
    if not (nm[1:] > nm[:-1]).all() or not np.isfinite(nm[[0, -1]]).all():
        raise PreprocessError("wavelengths do not ascend")
    return nm


def as_spectra(values: ArrayLike, bands: int | None = None) -> Floats:
    """Check spectra: (bands,) or (n, bands), finite.

    Raises:
        PreprocessError: another shape, not `bands` bands, or a value that is not a number.
    """
    spectra = np.asarray(values, dtype=np.float64)
    if spectra.ndim not in (1, 2) or spectra.shape[-1] < 1:
        raise PreprocessError(f"spectra have shape {spectra.shape}: (bands,) or (n, bands) is needed")
    if bands is not None and spectra.shape[-1] != bands:
        raise PreprocessError(f"{spectra.shape[-1]} values for {bands} wavelengths: one each is needed")
    if not np.isfinite(spectra).all():
        raise PreprocessError(f"value {which(spectra, ~np.isfinite(spectra))} is not a finite number: measure again")
    return spectra


def which(spectra: Floats, bad: NDArray[np.bool_], wavelengths_nm: Floats | None = None) -> str:
    """Name the first bad value in words, and the spectra of a batch that have one."""
    where = tuple(int(i) for i in np.argwhere(bad)[0])
    band = f"band {where[-1]}" if wavelengths_nm is None else f"{wavelengths_nm[where[-1]]:g} nm"
    text = f"{spectra[where]:.3g} at {band}"
    if spectra.ndim == 1 or spectra.shape[0] == 1:
        return text
    others = np.flatnonzero(bad.any(axis=1))[1:]
    if others.size == 0:
        return f"{text} of spectrum {where[0]}"
    named = ", ".join(str(row) for row in others[:5]) + (", ..." if others.size > 5 else "")
    return f"{text} of spectrum {where[0]} (of {spectra.shape[0]}; also in {named})"


def uniform_step_nm(wavelengths_nm: Floats) -> float:
    """Give the step of a uniform grid, in nm.

    Raises:
        PreprocessError: the grid is not uniform.
    """
    steps = np.diff(wavelengths_nm)
    step_nm = float((wavelengths_nm[-1] - wavelengths_nm[0]) / steps.size)
    if np.abs(steps - step_nm).max() > UNIFORM * step_nm:
        raise PreprocessError(
            f"wavelengths step by {steps.min():.3g} to {steps.max():.3g} nm: resample to a uniform grid first"
        )
    return step_nm


def _require_range(nm: Floats, first_nm: float, last_nm: float) -> None:
    if first_nm < nm[0] - SAME_NM or last_nm > nm[-1] + SAME_NM:
        raise WavelengthRangeError(f"covers {nm[0]:g}-{nm[-1]:g} nm; {first_nm:g}-{last_nm:g} nm is needed")


def resample_operator(from_nm: ArrayLike, to_nm: ArrayLike) -> Operator:
    """Twin of `resample`."""
    source, target = as_wavelengths(from_nm), as_wavelengths(to_nm)
    _require_range(source, float(target[0]), float(target[-1]))
    start = int(np.searchsorted(source, target[0] - SAME_NM))
    stop = start + target.size
    if stop <= source.size and np.abs(source[start:stop] - target).max() <= SAME_NM:
        return (lambda values: values) if target.size == source.size else (lambda values: values[..., start:stop])
    right = np.clip(np.searchsorted(source, target), 1, source.size - 1)
    left = right - 1
    weight = np.clip((target - source[left]) / (source[right] - source[left]), 0.0, 1.0)

    def interpolate(values: Floats) -> Floats:
        low = values.take(left, axis=-1)
        step = values.take(right, axis=-1)
        step -= low
        step *= weight
        step += low
        return step

    return interpolate


def resample(values: ArrayLike, from_nm: ArrayLike, to_nm: ArrayLike) -> Floats:
    """Interpolate linearly onto another wavelength grid.

    Linear and not a spline: a spline rings on both sides of a detector step and can leave the range of what was
    measured, and there is no detail for it to restore, since an instrument's resolution is wider than its sampling.

    Args:
        values: (bands,) or (n, bands), any unit.
        from_nm: (bands,) the values' wavelengths.
        to_nm: (bands',) wanted wavelengths.

    Returns:
        (bands',) or (n, bands'); the values themselves, not a copy, where the wanted wavelengths are a run of theirs.

    Raises:
        WavelengthRangeError: the wanted wavelengths reach beyond the values'.
        PreprocessError: wavelengths that do not ascend, values that are not finite or do not match.
    """
    source = as_wavelengths(from_nm)
    return resample_operator(source, to_nm)(as_spectra(values, source.size))


def _line_to(at_nm: float, nm: Floats, bands: slice, width_nm: float) -> Floats:
    """Give (all bands,) weights whose product with a spectrum is the value at `at_nm` of a straight line.

    It is the least-squares line through those of `bands` that lie within `width_nm` of `at_nm`, or the nearest two.
    """
    distance = np.abs(nm[bands] - at_nm)
    used = distance <= max(width_nm, float(np.sort(distance)[:2][-1]))
    x = nm[bands][used] - at_nm
    centred = x - x.mean()
    spread = float(np.square(centred).sum())
    line = np.full(x.size, 1 / x.size)
    if spread > 0:
        line -= x.mean() * centred / spread
    weights = np.zeros(nm.size)
    weights[bands][used] = line
    return weights


def splice_correct_operator(
    wavelengths_nm: ArrayLike,
    splices_nm: Sequence[float],
    method: SpliceMethod = "additive",
    reference: Detector = "SWIR1",
    width_nm: float = 10.0,
) -> Operator:
    """Twin of `splice_correct`."""
    nm = as_wavelengths(wavelengths_nm)
    splices = np.sort(np.asarray(splices_nm, dtype=np.float64))
    if not np.isfinite(splices).all() or splices.ndim != 1:
        raise PreprocessError(f"detector joins {splices_nm!r} are no wavelengths in nm")
    if method not in ("additive", "multiplicative") or reference not in DETECTORS_NM or not width_nm > 0:
        raise PreprocessError(
            f"a splice correction is additive or multiplicative, its reference {', '.join(DETECTORS_NM)} and its "
            f"width above 0 nm; not {method!r}, {reference!r} and {width_nm:g} nm"
        )
    detector_of_band = np.searchsorted(splices, nm, side="left")
    joins = (np.flatnonzero(np.diff(detector_of_band)) + 1).tolist()
    if not joins:
        return lambda values: values
    detectors = [slice(a, b) for a, b in pairwise([0, *joins, nm.size])]
    nearest_band = int(np.abs(nm - DETECTORS_NM[reference]).argmin())
    fixed = next(i for i, bands in enumerate(detectors) if bands.start <= nearest_band < bands.stop)

    # Everything beside the joins is a sum over the few bands next to them, and is taken in one product.
    middles = [(nm[join - 1] + nm[join]) / 2 for join in joins]
    lines = np.array(
        [
            [_line_to(at, nm, detectors[i], width_nm), _line_to(at, nm, detectors[i + 1], width_nm)]
            for i, at in enumerate(middles)
        ]
    )
    support = np.flatnonzero(lines.any(axis=(0, 1)))
    to_left, to_right = (np.ascontiguousarray(lines[:, side, support].T) for side in (0, 1))
    # Steps add up outward from the detector that stays: +1 for those to its left, -1 to its right.
    add_up = np.array(
        [[(i <= join < fixed) - (fixed <= join < i) for i in range(len(detectors))] for join in range(len(joins))],
        dtype=np.float64,
    )
    moved = [i for i in range(len(detectors)) if i != fixed]

    def correct(values: Floats) -> Floats:
        beside = values.take(support, axis=-1)
        left, right = beside @ to_left, beside @ to_right
        corrected = values.copy()
        if method == "additive":
            shift = (right - left) @ add_up
            for i in moved:
                corrected[..., detectors[i]] += shift[..., i : i + 1]
            return corrected
        for side in (left, right):
            if not (side > 0).all():
                raise PreprocessError(
                    f"reflectance beside a detector join, {which(side, ~(side > 0), np.array(middles))}, is not above "
                    "zero: no factor can take the step out"
                )
        factor = np.exp(np.log(right / left) @ add_up)
        for i in moved:
            corrected[..., detectors[i]] *= factor[..., i : i + 1]
        return corrected

    return correct


def splice_correct(
    values: ArrayLike,
    wavelengths_nm: ArrayLike,
    splices_nm: Sequence[float],
    method: SpliceMethod = "additive",
    reference: Detector = "SWIR1",
    width_nm: float = 10.0,
) -> Floats:
    """Remove the steps where one detector ends and the next begins.

    On each side of a join a straight line through the last `width_nm` is carried on to the middle of the join; the
    difference of the two lines, or their ratio, is the step. The reference detector stays as it is, the others are
    moved as a whole, by a constant or a factor, outward from it. A slope or a curve that runs on across the join is
    not taken for a step; a whole absorption band within `width_nm` would be.

    SWIR1 is the usual reference: its detector is cooled, while VNIR drifts as the instrument warms up (Beal and Eamon
    1996, "Dynamic, parabolic linear transformations of 'stepped' radiometric data", Analytical Spectral Devices, on
    which ViewSpec Pro's splice correction rests; that one bends the outer detectors instead of moving them).

    Args:
        values: (bands,) or (n, bands) reflectance.
        wavelengths_nm: (bands,).
        splices_nm: each join, in nm; a band at the join belongs to the detector before it. With () or joins outside
            the grid there is nothing to do.
        method: "additive" or "multiplicative".
        reference: the detector that stays: the one that sees 700 nm (VNIR), 1400 nm (SWIR1) or 2100 nm (SWIR2), or
            comes nearest to it.
        width_nm: how far from the join the lines are laid; two bands at least, where there are two.

    Returns:
        Same shape as `values`.

    Raises:
        PreprocessError: unknown method or reference; a line that is not above zero where a factor is wanted.
    """
    nm = as_wavelengths(wavelengths_nm)
    return splice_correct_operator(nm, splices_nm, method, reference, width_nm)(as_spectra(values, nm.size))


def cut_bands(wavelengths_nm: ArrayLike, first_nm: float, last_nm: float) -> slice:
    """Find the bands from `first_nm` to `last_nm`, both included; raises as `cut` does."""
    nm = as_wavelengths(wavelengths_nm)
    if not first_nm < last_nm:
        raise PreprocessError(f"{first_nm:g}-{last_nm:g} nm is no range")
    _require_range(nm, first_nm, last_nm)
    kept = slice(int(np.searchsorted(nm, first_nm - SAME_NM)), int(np.searchsorted(nm, last_nm + SAME_NM)))
    if kept.stop - kept.start < 2:
        raise PreprocessError(f"{first_nm:g}-{last_nm:g} nm holds fewer than two bands")
    return kept


def cut(values: ArrayLike, wavelengths_nm: ArrayLike, first_nm: float, last_nm: float) -> tuple[Floats, Floats]:
    """Keep the bands from `first_nm` to `last_nm`, both included.

    Args:
        values: (bands,) or (n, bands).
        wavelengths_nm: (bands,).
        first_nm: start of the range.
        last_nm: end of the range.

    Returns:
        The values and the wavelengths that are left; views, not copies.

    Raises:
        WavelengthRangeError: the wavelengths do not cover that range.
        PreprocessError: the range is empty or holds fewer than two bands.
    """
    nm = as_wavelengths(wavelengths_nm)
    kept = cut_bands(nm, first_nm, last_nm)
    return as_spectra(values, nm.size)[..., kept], nm[kept]


def to_absorbance_operator(wavelengths_nm: Floats | None = None) -> Operator:
    """Twin of `to_absorbance`."""

    def absorb(reflectance: Floats) -> Floats:
        if not (reflectance > 0).all():
            raise PreprocessError(
                f"reflectance {which(reflectance, ~(reflectance > 0), wavelengths_nm)} is not above zero and has no "
                "absorbance: check dark current and white reference"
            )
        absorbance: Floats = np.log10(reflectance)
        return np.negative(absorbance, out=absorbance)

    return absorb


def to_absorbance(reflectance: ArrayLike, wavelengths_nm: ArrayLike | None = None) -> Floats:
    """Turn reflectance into apparent absorbance, A = log10(1 / R).

    Args:
        reflectance: (bands,) or (n, bands), as a fraction.
        wavelengths_nm: (bands,), only to name the wavelength in an error.

    Returns:
        Same shape as `reflectance`, no unit.

    Raises:
        PreprocessError: reflectance at or below zero; the message says in which spectrum and where.
    """
    spectra = as_spectra(reflectance)
    return to_absorbance_operator(None if wavelengths_nm is None else as_wavelengths(wavelengths_nm))(spectra)


def standard_normal_variate_operator() -> Operator:
    """Twin of `standard_normal_variate`."""

    def normalise(values: Floats) -> Floats:
        centred: Floats = values - values.mean(axis=-1, keepdims=True)
        spread = np.sqrt(np.square(centred).sum(axis=-1, keepdims=True) / max(values.shape[-1] - 1, 1))
        flat = spread <= 1e-12 * np.abs(values).max(axis=-1, keepdims=True)
        if flat.any():
            raise PreprocessError(
                f"value {which(values, flat & np.ones(values.shape, dtype=bool))} is the same at every other band: "
                "the spectrum has no variance to be scaled by"
            )
        centred /= spread
        return centred

    return normalise


def standard_normal_variate(values: ArrayLike) -> Floats:
    """Give each spectrum mean 0 and standard deviation 1 (Barnes et al. 1989, Applied Spectroscopy 43:772).

    Args:
        values: (bands,) or (n, bands).

    Returns:
        Same shape as `values`, no unit; the standard deviation is the sample's, over bands - 1.

    Raises:
        PreprocessError: a spectrum that is the same at every band.
    """
    return standard_normal_variate_operator()(as_spectra(values))


def average_replicates(values: ArrayLike, groups: Sequence[Hashable]) -> tuple[Floats, list[Hashable]]:
    """Average the spectra of each group, such as the five points of one sample.

    Args:
        values: (n, bands).
        groups: (n,) names, such as sample ids.

    Returns:
        (groups, bands) means, and the groups' names in the order in which they first occur.

    Raises:
        PreprocessError: not one name for each spectrum, or no spectra.
    """
    spectra = as_spectra(values)
    if spectra.ndim != 2 or len(groups) != spectra.shape[0] or not len(groups):
        raise PreprocessError(f"{len(groups)} names for spectra of shape {spectra.shape}: one each is needed")
    rows: dict[Hashable, list[int]] = {}
    for row, group in enumerate(groups):
        rows.setdefault(group, []).append(row)
    means: Floats = np.stack([spectra[members].mean(axis=0) for members in rows.values()])
    return means, list(rows)
