"""Counts over the counts of a white reference, and whether what comes out can be a reflectance."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from .errors import UnusableSpectrumError
from .spectrum import Floats, Quantity, Spectrum

LARGEST = 100.0
"""No channel of a reflectance is beyond this, even where the reference has next to no light."""
PERCENT = 2.0
"""More than half of the channels above this: percent or counts, not a fraction."""
DARK = 0.001
"""More than half of the channels below this: nothing came back."""
LARGEST_ABSORBANCE = 10.0


def divide_by_white(target: Spectrum, white: Spectrum) -> Spectrum:
    """Turn raw counts into reflectance by a white reference that may have been taken with other settings.

    Args:
        target: raw counts (quantity raw_dn), with integration_time_ms, swir1_gain and swir2_gain in `extra`.
        white: the same of the white panel, on the same wavelengths.

    Returns:
        `target` with quantity reflectance: counts over counts, times the ratio of the integration times
        (white over target) in the VNIR and of the gain settings (target over white) in SWIR1 and SWIR2. A
        gain setting g amplifies by 2048 / g.

    Raises:
        UnusableSpectrumError: not raw counts, different wavelengths, a setting that is needed and missing,
            or values that cannot be reflectance.
    """
    if target.quantity != "raw_dn" or white.quantity != "raw_dn":
        raise UnusableSpectrumError(
            f"{target.source}: {target.quantity} over {white.quantity} of {white.source}; both must be raw counts"
        )
    if not np.array_equal(target.wavelengths_nm, white.wavelengths_nm):
        raise UnusableSpectrumError(f"{target.source}: its wavelengths are not those of {white.source}")
    nm = target.wavelengths_nm
    scale = np.ones(nm.size)
    for detector, setting, over, under in (
        ("VNIR", "integration_time_ms", white, target),
        ("SWIR1", "swir1_gain", target, white),
        ("SWIR2", "swir2_gain", target, white),
    ):
        bands = _bands_of(detector, nm, target.splices_nm)
        above, below = over.extra.get(setting), under.extra.get(setting)
        if above == below or (bands is not None and not bands.any()):
            continue
        if not above or not below or bands is None:
            raise UnusableSpectrumError(
                f"{target.source}: {setting} is {target.extra.get(setting)}, in {white.source} "
                f"{white.extra.get(setting)}: "
                f"{'where the detectors join is not known' if bands is None else 'no scale between them'}"
            )
        scale[bands] = above / below
    with np.errstate(all="ignore"):
        values = target.values / white.values * scale
    check_plausible(values, "reflectance", target.source, nm, target.values, white.values)
    return replace(target, values=values, quantity="reflectance")


def _bands_of(detector: str, nm: Floats, splices_nm: tuple[float, ...]) -> NDArray[np.bool_] | None:
    """Say which bands (bands,) a detector has measured; None if the splices do not tell."""
    lower = next((splice_nm for splice_nm in splices_nm if splice_nm < 1300), None)
    upper = next((splice_nm for splice_nm in splices_nm if splice_nm >= 1300), None)
    # The detectors end near 1000 and 1800 nm; some cover a little more alone, none as much as this.
    if (lower is None and nm[0] < 900 and nm[-1] > 1200) or (upper is None and nm[-1] > 2000 and nm[0] < 1600):
        return None
    first_nm = lower if lower is not None else (np.inf if nm[0] < 900 else -np.inf)
    second_nm = upper if upper is not None else (np.inf if nm[0] < 1600 else -np.inf)
    edges = {"VNIR": (-np.inf, first_nm), "SWIR1": (first_nm, second_nm), "SWIR2": (second_nm, np.inf)}[detector]
    return (nm > edges[0]) & (nm <= edges[1])


def possible(values: Floats, quantity: Quantity, white: Floats | None) -> NDArray[np.bool_]:
    """Say which of (bands,) values can be of `quantity`, made with a white reference of (bands,), if there was one."""
    # Not-a-number fails the first, but an infinite reference makes an innocent zero.
    within: NDArray[np.bool_] = np.abs(values) <= _largest(quantity)
    return within if white is None else within & np.isfinite(white)


def _largest(quantity: Quantity) -> float:
    return LARGEST_ABSORBANCE if quantity == "absorbance" else LARGEST


def check_plausible(
    values: Floats,
    quantity: Quantity,
    source: str,
    wavelengths_nm: Floats,
    target: Floats,
    white: Floats | None,
) -> None:
    """Refuse what cannot be a reflectance, transmittance or absorbance.

    Args:
        values: (bands,) of `quantity`.
        source: named in errors.
        wavelengths_nm: (bands,) in nm.
        target, white: (bands,) what `values` were made of, to say which of them is to blame.

    Raises:
        UnusableSpectrumError: values that are not numbers or beyond any doubt too large, a white reference of
            zeros, percent or counts in place of a fraction, or no light at all.
    """
    sizes = np.abs(values)
    if not possible(values, quantity, white).all():
        _refuse(values, _largest(quantity), quantity, source, wavelengths_nm, target, white)
    if quantity == "absorbance":
        return
    high = np.count_nonzero(sizes > PERCENT)
    if 2 * high > sizes.size:
        raise UnusableSpectrumError(
            f"{source}: {high} of {sizes.size} values are above {PERCENT:g}: percent or counts, "
            "not a fraction; save it as reflectance"
        )
    low = np.count_nonzero(sizes < DARK)
    if quantity == "reflectance" and 2 * low > sizes.size:
        raise UnusableSpectrumError(
            f"{source}: {low} of {sizes.size} values are below {DARK:g}: no light came back, or target and "
            "reference are not of the same kind; measure again"
        )


def _refuse(
    values: Floats,
    largest: float,
    quantity: str,
    source: str,
    wavelengths_nm: Floats,
    target: Floats,
    white: Floats | None,
) -> NoReturn:
    def of_all(bad: Any) -> str:
        return f"{np.count_nonzero(bad)} of {bad.size} (first at {wavelengths_nm[bad][0]:g} nm)"

    for name, numbers in (("spectrum", target), ("white reference", white)):
        if numbers is not None and not np.isfinite(numbers).all():
            raise UnusableSpectrumError(
                f"{source}: values of the {name} that are not numbers: {of_all(~np.isfinite(numbers))}; measure again"
            )
    if white is not None and not white.all():
        raise UnusableSpectrumError(
            f"{source}: the white reference is zero in {of_all(white == 0)}; take a new white reference"
        )
    raise UnusableSpectrumError(
        f"{source}: {quantity} beyond {largest:g} in {of_all(~(np.abs(values) <= largest))}; measure again"
    )
