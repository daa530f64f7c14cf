"""Counts over the counts of a white reference, and whether what comes out can be a reflectance."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from .errors import UnusableSpectrumError
from .spectrum import Floats, Quantity

LARGEST = 100.0
"""No channel of a reflectance is beyond this, even where the reference has next to no light."""
PERCENT = 2.0
"""More than half of the channels above this: percent or counts, not a fraction."""
DARK = 0.001
"""More than half of the channels below this: nothing came back."""
LARGEST_ABSORBANCE = 10.0


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
