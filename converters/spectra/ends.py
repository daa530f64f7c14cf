"""Bands at the ends of a spectrum that hold no number: instruments see little there, and few models use them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .errors import UnusableSpectrumError
from .spectrum import Floats

_OUTERMOST = 20
"""Bands are left out within the first and the last of so many parts."""


def usable_between(usable: NDArray[np.bool_]) -> slice:
    """Give what is left of (bands,) without the unusable ones in the outermost twentieth, and those outside of them.

    Where others are unusable too it is all of them: then nothing is mended by leaving some out.
    """
    if usable.all():  # as nearly always
        return slice(0, usable.size)
    outer = usable.size // _OUTERMOST
    before, after = (np.flatnonzero(~part[:outer]) for part in (usable, usable[::-1]))
    first = int(before[-1]) + 1 if before.size else 0
    kept = slice(first, usable.size - (int(after[-1]) + 1 if after.size else 0))
    return kept if usable[kept].all() else slice(0, usable.size)


def remarks_on_ends(wavelengths_nm: Floats, kept: slice) -> list[str]:
    """Say which bands were left out at the ends of (bands,) wavelengths."""
    ends = [wavelengths_nm[: kept.start], wavelengths_nm[kept.stop :]]
    return [f"{end[0]:g}-{end[-1]:g} nm left out, no usable value there" for end in ends if end.size]


def over_reference(target: Floats, reference: Floats, source: str) -> Floats:
    """Divide (bands,) of a target by those of its white reference; not-a-number at ends without a reference.

    Raises:
        UnusableSpectrumError: the reference is 0 or less somewhere else. The message names `source`.
    """
    kept = usable_between(reference > 0)
    dark = int(np.count_nonzero(~(reference[kept] > 0)))
    if dark:
        raise UnusableSpectrumError(
            f"{source}: has no reflectance column, and its white reference is 0 or less at {dark} bands; "
            "take a new white reference"
        )
    ratio = np.full(target.size, np.nan)
    ratio[kept] = target[kept] / reference[kept]
    return ratio


def without_empty_ends(wavelengths_nm: Floats, values: Floats) -> tuple[Floats, Floats, list[str]]:
    """Leave out bands at the ends of (bands,) whose values are no finite numbers, and give remarks that say so."""
    kept = usable_between(np.isfinite(values))
    return wavelengths_nm[kept], values[kept], remarks_on_ends(wavelengths_nm, kept)
