"""Soils measured in several sessions: what another white reference, lamp or packing changes, learned from the log."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from ..converters.spectra.spectrum import Floats, Spectrum
from ..edge.errors import UnsuitableSpectrumError
from ..edge.log.read import ALL, open_for_reading
from ..edge.log.spectra import iter_spectra
from ..edge.model.suitability import require_reflectance
from .errors import TrainingDataError
from .moisture import Differences, absorbances

SESSION = "another session"
FEWEST = 3
"""Differences; a jar of four mornings has as many."""


def read_sessions(path: str) -> Differences:
    """Read from a log what differs when a soil is measured again in another session, under the same name.

    Blanks do not count, nor readings without a session (files). A soil's readings of one session are averaged; each
    session is held against the one before it, if ground and instrument were the same. Neither session is the right one,
    so each difference counts in both directions.

    Raises:
        LogError: no log.
        TrainingDataError: fewer than three such differences, or names that do not stand for the same soils.
    """
    readings: dict[tuple[str, str, str], dict[int, list[Spectrum]]] = defaultdict(lambda: defaultdict(list))
    with open_for_reading(path) as db:
        for reading, spectrum in iter_spectra(db, ALL):
            session = reading.session_id
            if session is None or not reading.sample_id or reading.sample_kind == "blank" or reading.rule_broken:
                continue
            if isinstance(spectrum, Spectrum) and _usable(spectrum):
                key = reading.sample_id, spectrum.condition, spectrum.instrument
                readings[key][session].append(spectrum)
    repeated = {key: of for key, of in readings.items() if len(of) > 1}
    found = sum(len(of) - 1 for of in repeated.values())
    if found < FEWEST:
        raise TrainingDataError(
            f"{path}: soils measured again in another session under the same name: {found} times; at least {FEWEST} "
            "are needed: measure a jar each morning, or some soils of the calibration once more"
        )
    labels = [(key, session) for key, of in repeated.items() for session in sorted(of)]
    counts = [len(repeated[key][session]) for key, session in labels]
    used = [one for key, session in labels for one in repeated[key][session]]
    simulated = any(one.simulated for one in used)
    rows, grid_nm = absorbances(used)
    means = np.stack([part.mean(axis=0) for part in np.split(rows, np.cumsum(counts)[:-1])])
    keys = [key for key, _ in labels]
    later = [i for i in range(1, len(keys)) if keys[i] == keys[i - 1]]
    moved = np.stack([means[i] - means[i - 1] for i in later])
    _require_same_soils(path, moved, means[[i - 1 for i in later if i < 2 or keys[i - 2] != keys[i]]])
    soils = [keys[i][0] for i in later]
    return Differences(
        differences=np.concatenate([moved, -moved]),
        dry=np.concatenate([means[[i - 1 for i in later]], means[later]]),
        wavelengths_nm=grid_nm,
        conditions=(SESSION,) * (2 * len(later)),
        soils=(*soils, *soils),
        source=f"{len(set(soils))} {'SIMULATED ' * simulated}soil{'s' * (len(set(soils)) != 1)} of {path}",
    )


def _usable(spectrum: Spectrum) -> bool:
    try:
        require_reflectance(spectrum, spectrum.range_nm)
    except UnsuitableSpectrumError:
        return False
    return True


def _require_same_soils(path: str, moved: Floats, soils: Floats) -> None:
    """Refuse where a name's scans (m, bands) differ as much as those of different soils (n, bands) do."""
    if len(soils) < 2:
        return
    between = [np.sqrt(np.mean(np.square(soils[i] - soils[:i]), axis=1)) for i in range(1, len(soils))]
    within = np.sqrt(np.mean(np.square(moved), axis=1))
    if np.median(within) >= np.median(np.concatenate(between)):
        raise TrainingDataError(
            f"{path}: scans of one name differ between sessions as much as those of different soils, so names do not "
            "stand for the same soils in all sessions: rename readings, or leave --sessions out"
        )
