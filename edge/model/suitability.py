"""Whether a model can take a spectrum as it is: quantity, range, sampling, and where its detectors join."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ...converters.spectra.spectrum import AnySpectrum, Floats, Spectrum, with_remarks
from ..errors import UnsuitableSpectrumError
from .filled import filled_in
from .grid import Grid
from .joins import BOUNDARIES_NM, find_step, joins_in
from .recipe import Blocks, Recipe
from .replicates import MeanSpectrum
from .steps import SpliceCorrection

HIGHEST_REFLECTANCE = 1.5
"""A matt soil reads below 1; a value above this is no reflectance fraction (percent, counts, a failed white)."""
NEGATIVE = 0.2
"""Part of the bands; what is darker than the dark in more of them was no reflectance."""
MARK = 0.5
"""No reflectance is so far below zero; -9999, -999 and -1.23e34 are, in per cent and in ten-thousandths too."""
WATER_NM = ((1350.0, 1400.0, 1430.0, 1500.0), (1830.0, 1900.0, 1930.0, 2050.0))
"""Shoulder, inner part and shoulder of the bands of water and hydroxyl that every ground has."""
STANDS_UP = 0.01
"""Of the line over its shoulders. No ground reflects more within both bands than beside; absorbance is higher there."""
ROUGH = 0.3
"""Of the mean, from one band to the next: what differs by more is noise."""
COARSER, TOO_COARSE = 2.0, 2.5
"""Times the calibration's distance of bands that is remarked for models that do not say what they can bear; and times
that, from where on nothing is estimated."""
FLOOR_MOST_NM = 150.0
"""Of an end that software cut off as too dark: a red soil's blue; what is dark for longer had no light."""
NAMED_NEAR_NM = 10.0
"""A step so near to a join that the file names is that join's: of an overlap some name the middle, some the end."""
LARGE_STEP = 0.01
"""Of the reflectance at a join: about what separates two measurements of one soil."""


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
            f"holds {spectrum.quantity.replace('_', ' ')}; the model needs reflectance: "
            + ("; ".join(spectrum.remarks) or "measure a white reference")
        )
    if first_nm > range_nm[0] + 1e-6 or last_nm < range_nm[1] - 1e-6:
        raise UnsuitableSpectrumError(
            f"covers {first_nm:g}-{last_nm:g} nm; the model needs {range_nm[0]:g}-{range_nm[1]:g} nm"
            + "".join(f"; {remark}" for remark in spectrum.remarks)
        )
    if spectrum.saturated:
        raise UnsuitableSpectrumError(f"{', '.join(spectrum.saturated)} saturated: optimise again, then measure again")
    values = spectrum.values if spectrum.quantity == "reflectance" else np.power(10.0, -spectrum.values)
    first, end = np.searchsorted(spectrum.wavelengths_nm, (range_nm[0] - 1e-6, range_nm[1] + 1e-6))
    nm, used = spectrum.wavelengths_nm[first:end], values[first:end]
    if not used.size:
        raise UnsuitableSpectrumError(
            f"has no band between {range_nm[0]:g} and {range_nm[1]:g} nm, which the model needs"
        )
    if used.min() <= 0:
        at_nm = nm[int(used.argmin())]
        below = np.count_nonzero(used <= 0)
        if below > NEGATIVE * used.size:
            raise UnsuitableSpectrumError(
                f"is not above zero in {below} of {used.size} bands: no reflectance, but a derivative or another "
                "preprocessing of one? Give it as it was measured"
            )
        if used.min() <= -MARK:
            raise UnsuitableSpectrumError(
                f"has {used.min():.4g} at {at_nm:g} nm, a mark for a missing value: measure or export all bands"
            )
        raise UnsuitableSpectrumError(
            f"reflectance {used.min():.3g} at {at_nm:g} nm is not above zero: check dark current and white reference"
        )
    if spectrum.quantity == "reflectance" and _stands_up(spectrum.wavelengths_nm, values):
        raise UnsuitableSpectrumError(
            "its bands of water at 1414 and 1915 nm stand up, as in absorbance: write `absorbance` into its header, "
            "or give reflectance"
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


def _stands_up(nm: Floats, values: Floats) -> bool:
    """Tell whether both bands of water are higher than a straight line over them."""
    for band in WATER_NM:
        low, first, end, high = (int(at) for at in nm.searchsorted(band))
        if low == 0 or high == nm.size or first == end:
            return False
        part = ((nm[first] + nm[end - 1]) / 2 - nm[low]) / (nm[high] - nm[low])
        within = values[first:end]
        if within.mean() < (1 + STANDS_UP) * (values[low] + part * (values[high] - values[low])):
            return False
        # By sunlight there is nothing but noise in these bands.
        if np.abs(np.diff(within)).max(initial=0.0) > ROUGH * within.mean():
            return False
    return True


def check_sampling(
    wavelengths_nm: Floats, range_nm: tuple[float, float], calibration_nm: Floats, most: float | None = None
) -> list[str]:
    """Compare the distance of bands with that in the calibration: over a hole, what a model needs is only guessed.

    Args:
        wavelengths_nm: (bands,) of the spectrum.
        range_nm: first and last wavelength the model needs.
        calibration_nm: (bands',) of the calibration's spectra.
        most: times the calibration's distance that the model can bear; None if its training did not find out.

    Returns:
        A remark if bands lie farther apart than the calibration's, else none.

    Raises:
        UnsuitableSpectrumError: they lie so far apart that nothing can be estimated.
    """
    most = COARSER if most is None else most
    times, before_nm, after_nm, usual = _widest(wavelengths_nm, range_nm, calibration_nm)
    if times <= most:
        return []
    where = f"{before_nm:g} and {after_nm:g} nm"
    if times > most * TOO_COARSE:
        raise UnsuitableSpectrumError(
            f"has no band between {where}; the model was calibrated with one every {usual:.3g} nm: "
            "measure or export all bands"
        )
    return [f"bands of {where} are {times:.1f} times as far apart as the calibration's"]


def check_filled(
    spectrum: Spectrum, range_nm: tuple[float, float], calibration_nm: Floats, most: float | None = None
) -> list[str]:
    """Hold what was filled in to the rule of `check_sampling`, as the hole that it was.

    Args:
        spectrum: of any quantity.
        range_nm, calibration_nm, most: see `check_sampling`.

    Returns:
        Remarks if an end of the spectrum lies on a floor, and if more bands were filled in than the model can bear to
        miss.

    Raises:
        UnsuitableSpectrumError: so many that nothing can be estimated.
    """
    stretches = filled_in(spectrum.values)
    if not stretches:
        return []
    nm, values = spectrum.wavelengths_nm, spectrum.values
    darkest = values.max() if spectrum.quantity == "absorbance" else values.min()
    measured = np.full(values.size, True)
    remarks = []
    for first, last in stretches:
        # Software cuts off what is too dark at an end; a hole has brighter bands on both sides.
        at_an_end = (first == 0 or last == values.size - 1) and nm[last] - nm[first] <= FLOOR_MOST_NM
        if at_an_end and values[first] == values[last] == darkest:
            if nm[first] < range_nm[1] and nm[last] > range_nm[0]:
                remarks.append(f"bands from {nm[first]:g} to {nm[last]:g} nm were cut off at the least value of all")
        else:
            measured[first + 1 : last] = False
    most = COARSER if most is None else most
    times, before_nm, after_nm, _ = _widest(nm[measured], range_nm, calibration_nm)
    if times <= most:
        return remarks
    what = f"bands from {before_nm:g} to {after_nm:g} nm lie on one curve to the last digit: filled in, not measured"
    if times > most * TOO_COARSE:
        raise UnsuitableSpectrumError(f"{what}; take the file that the instrument wrote, or measure again")
    return [*remarks, what]


def _widest(
    wavelengths_nm: Floats, range_nm: tuple[float, float], calibration_nm: Floats
) -> tuple[float, float, float, float]:
    """Find the widest distance of two bands.

    Returns:
        It, in times of the calibration's there; the two bands; and the calibration's, in nm.
    """
    first, end = np.searchsorted(wavelengths_nm, (range_nm[0] + 1e-6, range_nm[1] - 1e-6))
    nm = wavelengths_nm[max(first - 1, 0) : end + 1]
    usual = np.interp((nm[1:] + nm[:-1]) / 2, calibration_nm[1:], np.diff(calibration_nm))
    times = np.diff(nm) / usual / (1 + 1e-6)
    worst = int(times.argmax())
    return float(times[worst]), float(nm[worst]), float(nm[worst + 1]), float(usual[worst])


def find_joins(spectrum: Spectrum, calibrated_nm: tuple[float, ...]) -> tuple[tuple[float, ...], list[str]]:
    """Find where a spectrum's detectors join if its file does not say so, or not as an instrument can have it.

    A model whose calibration had its steps taken out at the joins gives another answer where they are left in.

    Args:
        spectrum: reflectance or absorbance.
        calibrated_nm: joins of the calibration's spectra. With the same ones nothing need be looked for.

    Returns:
        The joins, in nm, and remarks on those that the file does not name.
    """
    named, nm = spectrum.splices_nm, spectrum.wavelengths_nm
    if named == calibrated_nm:
        return named, []
    joins: set[float] = {join for join in named if not any(low <= join <= high for low, high in BOUNDARIES_NM)}
    remarks = []
    for low, high in BOUNDARIES_NM:
        here = [join for join in named if low <= join <= high]
        if nm[0] > low or nm[-1] < high:
            joins.update(here)
            continue
        at_nm = find_step(nm, spectrum.values, low, high)
        told = at_nm is not None and any(abs(join - at_nm) <= NAMED_NEAR_NM for join in here)
        joins.update(here if at_nm is None or told else [at_nm])
        if at_nm is None and not here:
            remarks.append(f"where its detectors join near {(low + high) / 2:.0f} nm is not known, no step taken out")
        elif at_nm is not None and not here:
            remarks.append(f"detector join at {at_nm:g} nm not named but found by its step")
        elif at_nm is not None and not told:
            remarks.append(
                f"a step at {at_nm:g} nm, where the file names the join at {here[0]:g} nm: the step is believed"
            )
    return tuple(sorted(joins)), remarks


def with_joins(spectrum: AnySpectrum, calibrated_nm: tuple[float, ...]) -> AnySpectrum:
    """Give a spectrum, and the points of a mean, the joins that `find_joins` finds, and its remarks on them."""
    if spectrum.splices_nm == calibrated_nm or spectrum.quantity not in ("reflectance", "absorbance"):
        return spectrum
    joins_nm, remarks = find_joins(spectrum, calibrated_nm)
    if isinstance(spectrum, MeanSpectrum):
        points = tuple(replace(point, splices_nm=joins_nm) for point in spectrum.points)
        spectrum = replace(spectrum, points=points)
    return with_remarks(replace(spectrum, splices_nm=joins_nm), remarks)


def corrects_joins(recipe: Recipe | Blocks) -> bool:
    """Tell whether the preprocessing takes out steps at detector joins."""
    return isinstance(recipe.beginning[0], SpliceCorrection)


def remarks_on_steps(wavelengths_nm: Floats, values: Floats, splices_nm: tuple[float, ...]) -> list[list[str]]:
    """Say of (n, bands) reflectance where a step at a join is too large for a model calibrated on spectra without any.

    Returns:
        (n,) remarks.
    """
    joins = joins_in(Grid(wavelengths_nm, splices_nm), SpliceCorrection.width_nm)
    if joins is None:
        return [[] for _ in values]
    left, right = joins.sides(values)
    relative = (right - left) / ((right + left) / 2)
    return [
        [
            f"a step of {100 * step:.2g} % between its detectors at {nm:g} nm; the model was calibrated without joins"
            for nm, step in zip(joins.middles_nm, steps, strict=True)
            if abs(step) > LARGE_STEP
        ]
        for steps in relative.tolist()
    ]


def step_to_blame(spectrum: Spectrum, values: Floats, recipe: Recipe | Blocks) -> str:
    """Say so if reflectance is not above zero only where the step at a detector join was taken out; else ""."""
    first = recipe.beginning[0]
    if not isinstance(first, SpliceCorrection):
        return ""
    nm = spectrum.wavelengths_nm
    joins = joins_in(Grid(nm, spectrum.splices_nm), first.width_nm)
    if joins is None:
        return ""
    used = slice(*np.searchsorted(nm, (recipe.range_nm[0] - 1e-6, recipe.range_nm[1] + 1e-6)))
    corrected = first.apply(values, nm, spectrum.splices_nm)[used]
    if values[used].min() <= 0 or corrected.min() > 0:
        return ""
    left, right = joins.sides(values)
    worst = int(np.abs(right - left).argmax())
    return (
        f"its detectors differ by {abs(right - left)[worst]:.2g} at {joins.middles_nm[worst]:g} nm, more than the "
        f"{values[used].min():.2g} that it reflects where it is darkest: let the instrument warm up, take a new white "
        "reference and measure again"
    )
