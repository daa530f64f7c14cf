"""Reflectance as a fraction of 1: what the header says of its scale, and what its values can only be."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from .errors import SpectrumFileError, UnusableSpectrumError
from .spectrum import Floats

FRACTION, PERCENT, TEN_THOUSAND = 1.0, 100.0, 10_000.0
"""What values are divided by."""
_NAMES = {FRACTION: "fractions", PERCENT: "in per cent", TEN_THOUSAND: "multiplied by 10000"}

_PERCENT = re.compile(r"%|percent|(?<![a-z])pcn?t(?![a-z])", re.IGNORECASE)
_FRACTION = re.compile(r"fraction|unitless|\[1\.0\]|0\s*(?:-|to|\.\.\.?)\s*1(?![\d.])", re.IGNORECASE)
_TIMES = re.compile(r"(?:[*x×]|times|scaled? (?:by|with)|scale factor)\s*[:=]?\s*10[ ,.]?000\b", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class Scaled:
    """Spectra of a file, brought to fractions.

    Attributes:
        values: (n, bands).
        wrong: (n,) why a spectrum could not be, "" for those that could.
        remarks: what was told by the values, where the header says nothing.
    """

    values: Floats
    wrong: tuple[str, ...]
    remarks: tuple[str, ...] = ()


def scale_in(texts: Iterable[str]) -> float | None:
    """Find by what a header says that values are to be divided; two answers are as good as none."""
    text = "\n".join(texts)
    found = [
        scale
        for scale, words in ((TEN_THOUSAND, _TIMES), (PERCENT, _PERCENT), (FRACTION, _FRACTION))
        if words.search(text)
    ]
    return found[0] if len(found) == 1 else None


def to_fractions(values: Floats, said: float | None, stated: bool, advice: str, source: str) -> Scaled:
    """Bring reflectance or transmittance to fractions of 1, each spectrum by its own values.

    Where the file is silent its values decide. The median of a soil's or a rock's bands is at most 1.2 as a fraction (a
    white panel with its noise) and at least 2 in per cent (the darkest soils); single wild bands and the noise of water
    bands do not count. A file has one scale: spectra that have another than most are refused.

    Args:
        values: (n, bands), not-a-number where there is none.
        said: what the header says that values are to be divided by.
        stated: whether the header says that the values are reflectance; else large ones may be counts.
        advice: how to write the scale into such a file.
        source: named in errors.

    Raises:
        SpectrumFileError: the spectra have two scales, as many one as the other.
    """
    seen = [_seen(row, stated) for row in values]
    scale = said
    if scale is None:
        known = Counter(one for one in seen if one is not None).most_common(2)
        if len(known) == 2 and known[0][1] == known[1][1]:
            raise SpectrumFileError(
                f"{source}: {known[0][1]} spectra are {_NAMES[known[0][0]]} by their values, and as many "
                f"{_NAMES[known[1][0]]}; give each its own file"
            )
        scale = known[0][0] if known else FRACTION
    wrong = tuple(_complaint(row, one, scale, said is not None, advice) for row, one in zip(values, seen, strict=True))
    remark = f"values taken to be {_NAMES[scale]}, which the file does not say"
    told = (remark,) if said is None and scale != FRACTION else ()
    return Scaled(values if scale == FRACTION else values / scale, wrong, told)


def to_fraction(values: Floats, said: float | None, source: str) -> tuple[Floats, list[str]]:
    """Bring (bands,) of one spectrum, stated to be reflectance or transmittance, to fractions; see `to_fractions`.

    Returns:
        The fractions, and remarks if the header says nothing of their scale.

    Raises:
        UnusableSpectrumError: the values fit no scale, or contradict the header.
    """
    done = to_fractions(values[None], said, True, "write the unit into the column's name", source)
    if done.wrong[0]:
        raise UnusableSpectrumError(f"{source}: {done.wrong[0]}")
    return done.values[0], list(done.remarks)


def _seen(row: Floats, stated: bool) -> float | None:
    """Tell the scale of one spectrum by its values; None if they fit none, or more than one."""
    finite = row[np.isfinite(row)]
    if not finite.size:
        return FRACTION
    middle, high = np.percentile(finite, (50, 90))
    # The darkest soils in per cent come close to the brightest panel as a fraction.
    if middle <= 1.2:
        return FRACTION if middle <= 0.5 or high < 2.0 else None
    if 2.0 <= middle <= 150.0:
        return PERCENT
    if stated and high >= 1000.0 and middle <= 12_000.0 and not np.mod(finite, 1).any():
        return TEN_THOUSAND
    return None


def _complaint(row: Floats, seen: float | None, scale: float, said: bool, advice: str) -> str:
    finite = row[np.isfinite(row)]
    middle, high = np.percentile(finite, (50, 90)) if finite.size else (0.0, 0.0)
    if said:
        # A dark soil in per cent may look like a fraction, a single band must not.
        fits = 0.012 * scale <= high and middle <= 1.5 * scale if scale != FRACTION else middle <= 1.5
        return "" if fits else f"the header says values are {_NAMES[scale]}, but they are {middle:.3g} in the middle"
    if seen is None:
        return f"values of {middle:.3g} in the middle are reflectance neither as a fraction nor in %; {advice}"
    if seen != scale:
        return f"values of {middle:.3g} in the middle are {_NAMES[seen]}, most of the file's {_NAMES[scale]}"
    return ""
