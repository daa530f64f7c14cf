"""Bands that nobody measured, where a file has them all the same: held, or laid on a line or a spline over a hole."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...converters.spectra.spectrum import Floats

_FEWEST = 12
"""Bands on one curve that make a stretch. Of some 900 soils of 1 to 5 nm, kept in full, none has more than 8;
instruments that give 3 to 4 nm as 1 nm have as many as lie between two of their own bands."""
_WIDTH = 5
"""Bands of a fourth difference."""
_EVERY = (_FEWEST - _WIDTH + 1) // 2
"""So that any stretch has two of the places that are looked at first."""
_SINGLE, _DOUBLE = 2e-6, 1e-13
"""Of the largest value: what fourth differences of a curve come to in numbers of single precision, and of double."""
_ROUGH, _SMOOTH = 10.0, 1e-6
"""Times the former that a spectrum's fourth differences are, mostly, where its noise shows; and of the largest value,
where it shows in double precision."""
_OF_ALL = 3
"""Fourth differences, and steps, of which one is looked at to tell what is usual."""
_UPPER = 0.95
"""Part of the fourth differences that are next to none where a spectrum was laid out between bands far apart."""
_FEWEST_ROUNDED, _CLEAR = 40, 20.0
"""Of values that were rounded to more than their noise, many neighbours are equal: bands of a stretch, and the steps of
rounding by which the next band leaves it. Of the same soils rounded to 2 to 6 digits none has both."""
_FEWEST_AMONG_NOISE, _OF_ROUNDING, _NOISE, _BESIDE = 20, 8.0, 40.0, 32
"""Of values with so many digits that their noise shows: bands that make a stretch; and, in steps of rounding, what
fourth differences of a rounded curve come to at most, and what half of so many on either side exceed."""
_MOST_DECIMALS, _WHOLE = 7, 0.02
"""Of values that are looked at for their digits; and of a last digit, what is none."""
_OFF, _ONE = 0.2, 0.3
"""Of a step of rounding, by which values of other digits than the rest's are beside it; and of `_SINGLE`, what is the
same step still."""


def filled_in(values: Floats) -> list[tuple[int, int]]:
    """Find stretches of a spectrum that lie on one curve to the last digit, as no detector measures them.

    Equal bands, straight lines and what a cubic spline puts into a hole have fourth differences of zero, or of what
    rounding makes of that; what is measured has noise. A stretch that was filled in and then rounded to as much as the
    noise cannot be told, unless it is long and flat.

    Args:
        values: (bands,).

    Returns:
        The first and the last band of each stretch.
    """
    found = _among_noise(values)
    others = _to_the_last_bit(values)
    return found + [one for one in others if not any(one[0] <= last and first <= one[1] for first, last in found)]


def _to_the_last_bit(values: Floats) -> list[tuple[int, int]]:
    """Find stretches that lie on a curve to the last bit of their numbers, and long flat ones of rounded values."""
    largest = float(np.abs(values[::_EVERY]).max(initial=0.0))
    rough = _SINGLE * largest
    first_look = np.abs(_fourth(values, _EVERY)) <= rough
    if not (first_look[1:] & first_look[:-1]).any():
        return []
    fourth = np.abs(_fourth(values, 1))
    some = fourth[::_OF_ALL]
    middle, upper = some.size // 2, int(_UPPER * some.size)
    usual, high = np.partition(some, (middle, upper))[[middle, upper]].tolist()
    if usual > _ROUGH * rough:
        on_curve = fourth <= rough
    elif usual > _SMOOTH * largest or high > _ROUGH * rough:
        on_curve = fourth <= _DOUBLE * largest
    else:  # what was computed has no noise, what was rounded often none that shows
        still = values[1:] == values[:-1]
        on_curve = still[:-3] & still[1:-2] & still[2:-1] & still[3:]
    first, last = _runs(on_curve, _FEWEST).T
    if not first.size:
        return []
    kept = ~_may_be_rounded(values, fourth, first, last, rough)
    return list(zip(first[kept].tolist(), last[kept].tolist(), strict=True))


def _among_noise(values: Floats) -> list[tuple[int, int]]:
    """Find stretches that lie on a curve to the last of their digits, where the bands beside have noise in these."""
    step = _step_of_rounding(values)
    if not step or values.size < _FEWEST_AMONG_NOISE:
        return []
    fourth = np.abs(_fourth(values, 1))
    above = np.concatenate([[0], np.cumsum(fourth > _NOISE * step)])
    first, last = _runs(fourth <= _OF_ROUNDING * step, _FEWEST_AMONG_NOISE).T
    kept = np.full(first.size, True)
    for begin in (first - _BESIDE, last - _WIDTH + 2):
        from_, to = begin.clip(0), (begin + _BESIDE).clip(0, fourth.size)
        kept &= (to - from_ >= _BESIDE // 2) & (2 * (above[to] - above[from_]) > to - from_)
    return list(zip(first[kept].tolist(), last[kept].tolist(), strict=True))


def _step_of_rounding(values: Floats) -> float:
    """Give the step in which most values go that were written with few decimals; 0.0 for others."""
    some, step = values[::_MOST_DECIMALS], 0.0
    for decimals in range(_MOST_DECIMALS, 0, -1):
        scaled = some * 10.0**decimals
        if 2 * np.count_nonzero(np.abs(scaled - np.rint(scaled)) < _WHOLE) <= some.size:
            break
        step = 10.0**-decimals
    return step


def _runs(on_curve: NDArray[np.bool_], fewest: int) -> NDArray[np.intp]:
    """Give (n, 2) the first and the last band of each stretch of at least so many, whose fourth differences are."""
    begin, end = np.flatnonzero(np.diff(np.concatenate([[False], on_curve, [False]]))).reshape(-1, 2).T
    long = end - begin > fewest - _WIDTH
    return np.stack([begin[long], end[long] + _WIDTH - 2], axis=1)


def _off(steps: Floats) -> bool:
    """Say whether values, in steps of rounding, lie between these."""
    beyond = steps - steps[0]
    return bool(np.abs(beyond - np.rint(beyond)).max() > _OFF)


def _fourth(values: Floats, every: int) -> Floats:
    """Fourth differences, one of each so many."""
    end = values.size - _WIDTH + 1
    a, b, c, d, e = (values[i : end + i : every] for i in range(_WIDTH))
    return np.asarray(a + e - 4 * (b + d) + 6 * c)


def _may_be_rounded(
    values: Floats, fourth: Floats, first: NDArray[np.intp], last: NDArray[np.intp], rough: float
) -> NDArray[np.bool_]:
    """Say of each stretch whether the spectrum's values are so coarse that it may be measured too."""
    steps = np.diff(values)
    within = np.zeros(values.size + 1, dtype=np.intp)
    np.add.at(within, first, 1)
    np.add.at(within, last, -1)
    others = steps[within.cumsum()[: steps.size] == 0]
    gaps = np.diff(np.unique((others if others.size > _FEWEST else steps)[::_OF_ALL]))
    gaps = gaps[gaps > _ONE * rough]
    if not gaps.size:
        return np.full(first.size, True)
    least = float(gaps[gaps < 1.5 * gaps.min()].mean())
    if least < rough:
        return np.full(first.size, False)
    moves = np.concatenate([[0], np.cumsum(steps != 0)])
    of_other_digits = moves[last] > moves[first]  # what is flat has the digits of its own first band
    for i in np.flatnonzero(of_other_digits).tolist():
        of_other_digits[i] = _off(values[first[i] : last[i] + 1] / least)
    beside = np.maximum(fourth[np.maximum(first - 1, 0)], fourth[np.minimum(last - _WIDTH + 2, fourth.size - 1)])
    return np.asarray(~of_other_digits & ((last - first + 1 < _FEWEST_ROUNDED) | (beside <= _CLEAR * least)))
