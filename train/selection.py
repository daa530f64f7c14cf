"""Which samples to send to the laboratory: those that are most unlike each other and what is known already.

References:
    Kennard & Stone 1969, Technometrics 11(1):137.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..converters.spectra.spectrum import Floats, Position, Spectrum
from ..edge.model.applicability import absorbance_shapes
from ..edge.model.recipe import Recipe
from ..edge.model.steps import Resample, SpliceCorrection
from ..edge.model.suitability import require_reflectance
from .errors import TrainingDataError
from .samples import FEWEST_NM, used_range

Spread = Literal["spectra", "position"]
BIN_NM = 10
EXPLAINED = 0.99
"""Share of the spectra's variance that their components hold."""
MOST_COMPONENTS = 10
EARTH_M = 6_371_000.0


@dataclass(frozen=True)
class Candidate:
    """A sample that may be sent to the laboratory.

    Attributes:
        spectrum: of it, the mean of its measurements.
        measured: True if the device has measured it; such come first.
    """

    spectrum: Spectrum
    measured: bool


@dataclass(frozen=True)
class Selected:
    """A sample to be sent.

    Attributes:
        order: from 1; the first ones matter most.
        candidate: what it is.
        distance: to the nearest of those before it and of those assayed, over the median distance of all candidates;
            None for the first where nothing is known.
    """

    order: int
    candidate: Candidate
    distance: float | None


def select(candidates: Sequence[Candidate], assayed: Sequence[Spectrum], count: int, spread: Spread) -> list[Selected]:
    """Choose samples by Kennard and Stone, each as far as can be from those chosen and those assayed.

    Args:
        candidates: samples without assay; those that the device has measured are used up first.
        assayed: spectra of samples whose content is known.
        count: how many; fewer come if there are no more.
        spread: "spectra" for distances between spectra; "position" adds distances on the ground, of equal weight.

    Raises:
        TrainingDataError: nothing to choose from, spectra without a common range, or samples without a position.
    """
    if not candidates:
        raise TrainingDataError("nothing to choose from: no sample without an assay has a usable spectrum")
    spectra = [*(c.spectrum for c in candidates), *assayed]
    apart = _between(_scores(spectra))
    if spread == "position":
        apart = np.hypot(apart, _between(_places(spectra, len(candidates))))
    n = len(candidates)
    chosen: list[int] = list(range(n, len(spectra)))
    found: list[Selected] = []
    groups = [[i for i in range(n) if candidates[i].measured], [i for i in range(n) if not candidates[i].measured]]
    for group in groups:
        left = list(group)
        while left and len(found) < count:
            if chosen:
                nearest = apart[np.ix_(left, chosen)].min(axis=1)
                at = int(nearest.argmax())
                distance = float(nearest[at])
            else:
                # Of the two that are farthest apart; the other one follows.
                at, distance = int(apart[np.ix_(left, left)].max(axis=1).argmax()), math.nan
            number = left.pop(at)
            chosen.append(number)
            found.append(Selected(len(found) + 1, candidates[number], None if math.isnan(distance) else distance))
    return found


def as_candidates(
    from_files: Iterable[Spectrum], from_log: Iterable[Spectrum], known: Collection[str]
) -> tuple[list[Candidate], list[Spectrum]]:
    """Divide spectra, one a sample, into candidates and those that are assayed.

    Args:
        from_files, from_log: means; a sample that stands in both is the log's.
        known: names of the assayed samples.
    """
    candidates: dict[str, Candidate] = {}
    assayed: dict[str, Spectrum] = {}
    for spectra, measured in ((from_log, True), (from_files, False)):
        for spectrum in spectra:
            if spectrum.sample_id in known:
                assayed.setdefault(spectrum.sample_id, spectrum)
            else:
                candidates.setdefault(spectrum.sample_id, Candidate(spectrum, measured))
    return list(candidates.values()), list(assayed.values())


def _scores(spectra: Sequence[Spectrum]) -> Floats:
    """Give (n, components) scores of absorbance shapes, over the range that all have."""
    ranges = [used_range(s) for s in spectra]
    first_nm, last_nm = math.ceil(max(r[0] for r in ranges)), math.floor(min(r[1] for r in ranges))
    if last_nm - first_nm < FEWEST_NM:
        raise TrainingDataError(
            f"the spectra have {max(last_nm - first_nm, 0)} nm in common; {FEWEST_NM:g} nm are needed to compare them"
        )
    recipe = Recipe((SpliceCorrection(), Resample(first_nm, last_nm, 1.0)))
    rows = [
        recipe.preprocess(require_reflectance(s, (first_nm, last_nm)), s.wavelengths_nm, s.splices_nm).features
        for s in spectra
    ]
    shapes = absorbance_shapes(np.stack(rows), recipe.grid_nm, BIN_NM).shapes
    u, s, _ = np.linalg.svd(shapes - shapes.mean(axis=0), full_matrices=False)
    explained = np.cumsum(s**2) / max(float(np.sum(s**2)), 1e-300)
    kept = min(int(np.searchsorted(explained, EXPLAINED)) + 1, MOST_COMPONENTS)
    return np.asarray(u[:, :kept] * s[:kept])


def _places(spectra: Sequence[Spectrum], candidates: int) -> Floats:
    """Give (n, 3) places in metres; assayed ones without a position are far from nobody and at the middle."""
    without = [s.sample_id for s in spectra[:candidates] if s.position is None]
    if without:
        more = ", ..." if len(without) > 3 else ""
        raise TrainingDataError(
            f"{len(without)} of {candidates} samples have no position ({', '.join(without[:3])}{more}); leave them "
            "out, or use --spread spectra"
        )
    known = [s.position for s in spectra if s.position is not None]
    at = np.array([_on_sphere(position) for position in known])
    middle = at.mean(axis=0)
    return np.array([middle if s.position is None else _on_sphere(s.position) for s in spectra])


def _on_sphere(position: Position) -> tuple[float, float, float]:
    latitude, longitude = math.radians(position.latitude_deg), math.radians(position.longitude_deg)
    flat = EARTH_M * math.cos(latitude)
    return flat * math.cos(longitude), flat * math.sin(longitude), EARTH_M * math.sin(latitude)


def _between(points: Floats) -> NDArray[np.float64]:
    """Give (n, n) distances over their median."""
    centred = points - points.mean(axis=0)
    squares = np.sum(centred**2, axis=1)
    apart = np.sqrt(np.maximum(squares[:, None] + squares - 2 * centred @ centred.T, 0.0))
    pairs = apart[np.triu_indices(len(points), 1)]
    usual = float(np.median(pairs)) if pairs.size else 0.0
    return np.asarray(apart / usual if usual > 0 else apart)
