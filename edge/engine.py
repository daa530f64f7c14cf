"""What every way of measuring shares: estimate, store, and only then show."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from ..converters.spectra.spectrum import Spectrum
from .log.write import Log, ReadingFacts, Result
from .model.estimate import Estimate, Estimator, Refusal
from .model.replicates import MeanSpectrum, mean_spectrum

if TYPE_CHECKING:
    from .gates.rules import Rules

CHUNK = 64
"""Spectra that share one pass and one commit where many come at once, as from a folder."""


class Engine:
    """An estimator with a log behind it.

    Args:
        estimator: loaded.
        log: open.
        rules: limits that spectra have to keep to, beside what the estimator refuses; None for no others.
    """

    def __init__(self, estimator: Estimator, log: Log, rules: Rules | None = None) -> None:
        self.estimator = estimator
        self.log = log
        self.rules = rules

    def take(
        self,
        items: Sequence[Spectrum | Refusal],
        also: Callable[[sqlite3.Connection], None] | None = None,
    ) -> list[Result]:
        """Estimate what can be estimated and commit everything; what is returned is already on disk.

        Args:
            items: spectra, and refusals of what could not be read, in the order to keep.
            also: what else to write in the same transaction; see `Log.add`.

        Raises:
            LogError: the log could not be written; nothing of `items` may be shown.
        """
        spectra = [item for item in items if isinstance(item, Spectrum)]
        outcomes = iter(self.estimator.estimate(spectra))
        results = [
            self._judged(item, next(outcomes)) if isinstance(item, Spectrum) else Result(None, item) for item in items
        ]
        self.log.add(results, also)
        return results

    def _judged(self, spectrum: Spectrum, outcome: Estimate | Refusal) -> Result:
        """Put the reason in the place of an estimate that breaks a rule."""
        if self.rules is None or isinstance(outcome, Refusal):
            return Result(spectrum, outcome)
        # Not for every start: files are estimated without rules.
        from .gates.finding import reason
        from .gates.reflectance import replicate_scatter, spectrum_gates

        found = spectrum_gates(spectrum, self.rules, self.estimator.bundle.recipe.range_nm)
        if isinstance(spectrum, MeanSpectrum):
            found += replicate_scatter([point.values for point in spectrum.points], self.rules)
        broken = reason(found)
        if not broken:
            return Result(spectrum, outcome)
        return Result(spectrum, Refusal(spectrum.source, broken, spectrum.sample_id), ReadingFacts(rule_broken=broken))


def in_chunks(items: Iterable[Spectrum | Refusal], size: int = CHUNK) -> Iterator[list[Spectrum | Refusal]]:
    """Give a long stream in lists of at most `size`, so that memory does not grow with it."""
    chunk: list[Spectrum | Refusal] = []
    for item in items:
        chunk.append(item)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def average_samples(items: Iterable[Spectrum | Refusal]) -> Iterator[Spectrum | Refusal]:
    """Replace neighbouring measurements of one sample by their mean spectrum.

    The mean keeps its measurements, so that their scatter can be told. Only neighbours are joined, so a stream of any
    length passes through; files of a folder come sorted by name, which puts a sample's measurements side by side.
    Measurements on different wavelength grids, or of different quantities, are not joined. A saturated measurement is
    kept out of the mean and comes as it is.
    """
    for key, group in groupby(items, key=_sample_key):
        members = list(group)
        if key is None or len(members) == 1:
            yield from members
            continue
        yield mean_spectrum([m for m in members if isinstance(m, Spectrum)])


def _sample_key(item: Spectrum | Refusal) -> object:
    if isinstance(item, Refusal) or item.saturated:
        return None
    return item.sample_id, item.quantity, item.splices_nm, item.wavelengths_nm.tobytes(), item.simulated
