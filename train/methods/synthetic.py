"""Spectra of soils that nobody measured, made from those that were measured, for a student to be taught on.

Mixtures of a few training soils in absorbance, moved a little along the directions in which soils differ, and the
training soils themselves, many times; each disturbed as an instrument would disturb it. Where it is known what water
changes in soils, half of them are made wet.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...converters.spectra.spectrum import Floats

LEAST_REFLECTANCE = 1e-4
ASD_JOINS_NM = (1000.0, 1830.0)
"""Where steps are made in spectra that do not say where their detectors join."""
CHUNK = 1000
MOST_WATER = 1.2
"""Times the water of a soil that is added to another one: a soil may take up more."""


@dataclass(frozen=True)
class Disturbance:
    """How far off an instrument may be: standard deviations, drawn anew for each spectrum.

    Attributes:
        noise: of each band by itself, in reflectance as a fraction.
        offset: of all bands together, likewise.
        gain: share of the reflectance, as a white reference that is not quite white makes it.
        step: likewise, of all bands beyond a detector join.
        slope: absorbance at either end of the spectrum.
        scale: share of the absorbance.
        shift_nm: of the wavelengths.
    """

    noise: float = 3e-4
    offset: float = 0.0
    gain: float = 0.02
    step: float = 0.002
    slope: float = 0.005
    scale: float = 0.01
    shift_nm: float = 0.2


def absorbance_of(reflectance: Floats) -> Floats:
    """Give absorbance, log10(1 / R), for reflectance as a fraction; what is not above zero counts as very dark."""
    return np.asarray(-np.log10(np.maximum(reflectance, LEAST_REFLECTANCE)))


def disturb(
    absorbance: Floats, nm: Floats, joins_nm: Sequence[float], by: Disturbance, rng: np.random.Generator
) -> Floats:
    """Give reflectance (n, bands) as a fraction, each row disturbed in its own way.

    Args:
        absorbance: (n, bands).
        nm: (bands,) ascending.
        joins_nm: where detectors join.
        by: how strongly.
        rng: draws.
    """
    n = len(absorbance)

    def drawn(sd: float) -> Floats:
        return rng.normal(0.0, sd, (n, 1))

    # A shift is small against the width of any band, so that three terms of Taylor's series follow it.
    slope = np.gradient(absorbance, nm, axis=1)
    shift = drawn(by.shift_nm)
    moved = absorbance + shift * slope + shift**2 / 2 * np.gradient(slope, nm, axis=1)
    moved *= 1.0 + drawn(by.scale)
    moved += drawn(by.slope) * np.interp(nm, [nm[0], nm[-1]], [-1.0, 1.0])
    moved -= _log10_of_one_and(drawn(by.gain))
    for join in joins_nm:
        moved[:, nm > join] -= _log10_of_one_and(drawn(by.step))
    reflectance = np.exp(-np.log(10.0) * moved)
    reflectance += drawn(by.offset)
    reflectance += by.noise * rng.standard_normal(reflectance.shape)
    return np.asarray(np.maximum(reflectance, LEAST_REFLECTANCE))


def _log10_of_one_and(share: Floats) -> Floats:
    return np.asarray(np.log10(np.maximum(1.0 + share, 0.1)))


@dataclass(frozen=True)
class Synthesis:
    """How synthetic spectra are made.

    Attributes:
        mixtures: how many.
        soils: that each is mixed from.
        concentration: of the Dirichlet distribution of the shares; below 1 one soil leads.
        beyond: by how much shares may be below 0 and above 1, 1 together; mixtures beyond the soils are few.
        components: principal components that mixtures are moved along at most.
        jitter: by how much, in standard deviations of the component.
        copies, most_copies: of each measured spectrum, and of all together.
        disturbance: of all.
        watered: share of them that water is added to, where it is known what that changes.
        told: shares of noise and shift that the teacher sees, of what the student sees of them, to be tried in turn. At
            1 the student answers them as the teacher does; below it learns to answer them less.
    """

    mixtures: int = 9000
    soils: int = 3
    concentration: float = 0.6
    beyond: float = 0.1
    components: int = 40
    jitter: float = 0.15
    copies: int = 20
    most_copies: int = 6000
    disturbance: Disturbance = Disturbance()
    watered: float = 0.5
    told: tuple[float, ...] = (0.5, 0.25, 0.0)


def synthetic_spectra(
    reflectance: Floats,
    nm: Floats,
    splices_nm: Sequence[float],
    synthesis: Synthesis,
    share: float,
    rng: np.random.Generator,
    water: Floats | None = None,
) -> Iterator[tuple[Floats, Floats]]:
    """Make synthetic spectra from training rows alone, in portions.

    Args:
        reflectance: (n, bands) of the training rows.
        nm: (bands,) ascending.
        splices_nm: where detectors join; () if unknown.
        synthesis: how many, and how.
        share: of noise and shift that the teacher is told; see `Synthesis`.
        rng: draws.
        water: (q, bands) of absorbance, that water changes in soils; None where that is not known.

    Yields:
        Reflectance (up to 1000, bands) that the teacher is asked about, and the same with all of noise and shift, for
        the student: first mixtures, then the training rows.
    """
    joins = tuple(splices_nm) or ASD_JOINS_NM
    for portion in mixed_rows(absorbance_of(reflectance), synthesis, rng):
        if water is not None:
            is_wet = rng.random((len(portion), 1)) < synthesis.watered
            portion = np.where(is_wet, with_water(portion, water, 1, rng), portion)
        by, seed = synthesis.disturbance, int(rng.integers(2**32))
        told = replace(by, noise=share * by.noise, shift_nm=share * by.shift_nm)
        # The same draws for both.
        asked, seen = (disturb(portion, nm, joins, how, np.random.default_rng(seed)) for how in (told, by))
        yield asked, seen


def with_water(
    absorbance: Floats, differences: Floats, copies: int, rng: np.random.Generator, least: float = 0.0
) -> Floats:
    """Give (copies * n, bands): each row with a random share of some difference added.

    Args:
        absorbance: (n, bands).
        differences: (q, bands) of damp or wet soils minus the same soils dry.
        copies: of each row.
        rng: draws.
        least: share.
    """
    rows = np.tile(absorbance, (copies, 1))
    drawn = differences[rng.integers(0, len(differences), len(rows))]
    return np.asarray(rows + rng.uniform(least, MOST_WATER, (len(rows), 1)) * drawn)


def mixed_rows(rows: Floats, synthesis: Synthesis, rng: np.random.Generator) -> Iterator[Floats]:
    """Mix rows (n, bands), and give each of them several times: see `synthetic_spectra`, but not disturbed."""
    n = len(rows)
    _, singular, directions = np.linalg.svd(rows - rows.mean(axis=0), full_matrices=False)
    kept = min(synthesis.components, len(singular))
    moves = synthesis.jitter / np.sqrt(n) * singular[:kept, None] * directions[:kept]
    for first in range(0, synthesis.mixtures, CHUNK):
        count = min(CHUNK, synthesis.mixtures - first)
        yield _shares(count, n, synthesis, rng) @ rows + rng.standard_normal((count, kept)) @ moves
    copies = max(1, min(synthesis.copies, synthesis.most_copies // n))
    again = np.tile(np.arange(n), copies)
    for first in range(0, len(again), CHUNK):
        yield rows[again[first : first + CHUNK]]


def _shares(count: int, n: int, synthesis: Synthesis, rng: np.random.Generator) -> Floats:
    """Draw (count, n) shares of the training rows, of which all but a few are zero and each row is 1 together."""
    soils = min(synthesis.soils, n)
    # A random order of all rows begins with a random few of them.
    chosen = np.argsort(rng.random((count, n)), axis=1)[:, :soils]
    drawn = rng.dirichlet(np.full(soils, synthesis.concentration), count)
    shares = np.zeros((count, n))
    np.put_along_axis(shares, chosen, drawn * (1.0 + soils * synthesis.beyond) - synthesis.beyond, axis=1)
    return shares
