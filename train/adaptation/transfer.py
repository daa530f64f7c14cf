"""From the absorbance one instrument sees to that of another, fitted to the same samples measured on both.

References:
    Wang, Veltkamp & Kowalski 1991, Analytical Chemistry 63(23):2750 (direct and piecewise direct standardisation).
    Du et al. 2011, Analytica Chimica Acta 690(1):64 (spectral space transformation).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from ...converters.spectra.spectrum import Floats
from ...edge.model.correction import SpectraCorrection

Kind = Literal["offset", "SST", "DS", "PDS"]
Decomposition = tuple[Floats, ...]
RANKS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 14, 16)
HALF_WINDOWS_NM = (0.0, 6.0, 16.0)
PIECE_RANKS = (1, 2, 3)
LEAST_SINGULAR = 1e-6
"""Of the largest singular value: what is below is rounding."""


@dataclass(frozen=True)
class Way:
    """One way to correct spectra.

    Attributes:
        kind: of correction.
        rank: number of components.
        half_window: bands on either side, for PDS.
        window_nm: that these make, in words' use only.
    """

    kind: Kind
    rank: int = 0
    half_window: int = 0
    window_nm: float = 0.0

    def __str__(self) -> str:
        """Name it."""
        if self.kind == "offset":
            return "mean difference of the spectra"
        window = f", window {self.window_nm:g} nm" if self.kind == "PDS" else ""
        return f"{self.kind}{window}, rank {self.rank}"


def ways(pairs: int, bands: int, step_nm: float) -> Iterator[Way]:
    """Name the ways that so many pairs can be tried with, the simplest first.

    Args:
        pairs: that each fit has.
        bands: of the grid.
        step_nm: between bands.
    """
    yield Way("offset")
    ranks = [rank for rank in RANKS if rank <= min(pairs - 2, bands)]
    windows = dict.fromkeys(round(half_nm / step_nm) for half_nm in HALF_WINDOWS_NM)
    for half in windows:
        if 2 * half + 1 <= bands:
            for rank in PIECE_RANKS:
                if rank <= min(pairs - 2, 2 * half + 1):
                    yield Way("PDS", rank, half, (2 * half + 1) * step_nm)
    kinds: tuple[Kind, ...] = ("SST", "DS")
    for kind in kinds:
        yield from (Way(kind, rank) for rank in ranks)


def fit_ways(ways: Sequence[Way], parent: Floats, child: Floats) -> list[SpectraCorrection]:
    """Fit corrections.

    Args:
        ways: to correct.
        parent, child: (n, bands) absorbance of the same samples, in the same order.

    Returns:
        A correction for each way, rounded as a bundle stores it.
    """
    parent_mean, child_mean = parent.mean(axis=0), child.mean(axis=0)
    x, y = child - child_mean, parent - parent_mean
    # Ways that differ in rank alone share their decomposition.
    decomposed: dict[tuple[Kind, int], Decomposition] = {}
    corrections = []
    for way in ways:
        key = way.kind, way.half_window
        if key not in decomposed:
            decomposed[key] = _decompose(way, x, y)
        weights, left, right = map(_as_stored, _terms(way, decomposed[key], y))
        correction = SpectraCorrection(np.zeros(x.shape[1]), weights, left, right, str(way))
        offset = _as_stored(parent_mean - correction.apply(child_mean[None])[0])
        corrections.append(replace(correction, offset=offset))
    return corrections


def mean_of(corrections: Sequence[SpectraCorrection], method: str) -> SpectraCorrection:
    """Put the mean of several corrections into one, with no more components than it needs."""
    if len(corrections) == 1:
        return corrections[0]
    count = len(corrections)
    window = max(c.weights.shape[1] for c in corrections)
    weights = np.zeros((corrections[0].offset.size, window))
    for c in corrections:
        beside = (window - c.weights.shape[1]) // 2
        weights[:, beside : window - beside] += c.weights / count
    # All of them see the child through the spectra of the same pairs.
    basis, inner = np.linalg.qr(np.hstack([c.left for c in corrections]))
    u, s, vt = np.linalg.svd(inner @ np.vstack([c.right for c in corrections]) / count, full_matrices=False)
    rank = int(np.count_nonzero(s > LEAST_SINGULAR * max(float(s.max(initial=0.0)), 1e-300)))
    left, right = basis @ (u[:, :rank] * s[:rank]), vt[:rank]
    offset = np.mean([c.offset for c in corrections], axis=0)
    return SpectraCorrection(_as_stored(offset), _as_stored(weights), _as_stored(left), _as_stored(right), method)


def _decompose(way: Way, x: Floats, y: Floats) -> Decomposition:
    if way.kind == "offset":
        return ()
    if way.kind == "PDS":
        half = way.half_window
        padded = np.pad(x, ((0, 0), (half, half)), mode="edge") if half else x
        x = np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1, axis=1).transpose(1, 0, 2)
    elif way.kind == "SST":
        x = np.hstack([y, x])
    return tuple(np.linalg.svd(x, full_matrices=False))


def _terms(way: Way, decomposed: Decomposition, y: Floats) -> tuple[Floats, Floats, Floats]:
    """Give weights, left and right of a `SpectraCorrection` for centred spectra."""
    bands = y.shape[1]
    one, none = np.ones((bands, 1)), (np.zeros((bands, 0)), np.zeros((0, bands)))
    if way.kind == "offset":
        return (one, *none)
    u, s, vt = decomposed
    if way.kind == "PDS":
        kept = s[:, : way.rank]
        usable = kept > LEAST_SINGULAR * np.maximum(s[:, :1], 1e-300)
        inverse = np.where(usable, 1.0 / np.where(usable, kept, 1.0), 0.0)
        on_scores = inverse * np.einsum("bnk,nb->bk", u[:, :, : way.rank], y)
        return (np.einsum("bkw,bk->bw", vt[:, : way.rank], on_scores), *none)
    rank = max(1, min(way.rank, int(np.count_nonzero(s > LEAST_SINGULAR * s[0]))))
    if way.kind == "DS":
        return np.zeros((bands, 1)), vt[:rank].T / s[:rank], u[:, :rank].T @ y
    # What the child sees of the components that both share is taken off, and what the parent sees is put on.
    of_parent, of_child = vt[:rank, :bands], vt[:rank, bands:]
    return one, np.linalg.pinv(of_child), of_parent - of_child


def _as_stored(array: Floats) -> Floats:
    return np.asarray(array, dtype=np.float32).astype(np.float64)
