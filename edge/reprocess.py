"""Estimates made again, from the spectra in the log, by another model."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ..converters.spectra.spectrum import Spectrum
from .engine import CHUNK
from .log.columns import Reading
from .log.read import Chosen, Outcome, iter_outcomes
from .log.spectra import unanswered
from .log.write import Log
from .model.estimate import Estimate, Estimator, Refusal
from .model.replicates import MeanSpectrum

NO_POINTS = "how its points scatter is not known, for they were not stored before version 3 of the log"
MEAN_OF = "mean of "
"""What `replicates.mean_spectrum` calls a mean."""


@dataclass(frozen=True)
class Redone:
    """A reading with the latest estimate there was, and what the model makes of it now.

    Attributes:
        before: for the same element; None if no model has estimated it.
    """

    reading: Reading
    before: Outcome | None
    outcome: Estimate | Refusal


def redo(db: sqlite3.Connection, estimator: Estimator, log: Log | None, chosen: Chosen) -> Iterator[list[Redone]]:
    """Estimate the readings that a model has neither answered nor refused, a chunk at a time.

    Each chunk is on disk before it is given. Whoever is killed and starts again goes on where it ended; two at once
    store no answer twice.

    Args:
        db: from `log_read.open_for_reading`.
        estimator: with the model.
        log: to store in, opened for the same model; None to store nothing.
        chosen: which readings.

    Raises:
        LogError: nothing of the chunk was stored.
    """
    after = 0
    while chunk := unanswered(db, estimator.bundle.sha256, chosen, after, CHUNK):
        after = chunk[-1][0].id
        outcomes = _estimates(estimator, chunk)
        before = [_latest(db, reading, estimator.bundle.element) for reading, _ in chunk]
        new = [True] * len(chunk)
        if log is not None:
            ids = [reading.id for reading, _ in chunk]
            new = log.add_estimates(list(zip(ids, outcomes, strict=True)))
        yield [
            Redone(reading, earlier, outcome)
            for (reading, _), earlier, outcome, is_new in zip(chunk, before, outcomes, new, strict=True)
            if is_new
        ]


def _estimates(estimator: Estimator, chunk: Sequence[tuple[Reading, Spectrum | Refusal]]) -> list[Estimate | Refusal]:
    barred: dict[int, Refusal] = {}
    spectra: list[Spectrum] = []
    for number, (reading, spectrum) in enumerate(chunk):
        if isinstance(spectrum, Refusal):
            barred[number] = spectrum
        elif reading.rule_broken:
            barred[number] = Refusal(reading.source, reading.rule_broken, reading.sample_id)
        else:
            spectra.append(spectrum)
    answers = iter([_marked(s, answer) for s, answer in zip(spectra, estimator.estimate(spectra), strict=True)])
    return [barred[number] if number in barred else next(answers) for number in range(len(chunk))]


def _marked(spectrum: Spectrum, answer: Estimate | Refusal) -> Estimate | Refusal:
    lost = spectrum.measurement.startswith(MEAN_OF) and not isinstance(spectrum, MeanSpectrum)
    return replace(answer, flags=(*answer.flags, NO_POINTS)) if lost and isinstance(answer, Estimate) else answer


def _latest(db: sqlite3.Connection, reading: Reading, element: str) -> Outcome | None:
    return next(iter_outcomes(db, Chosen(element=element, reading=reading.id)), None)
