"""What every way of measuring shares: estimate, store, and only then show."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby

from ..converters.spectra.spectrum import Spectrum
from .estimate import Estimator, Refusal
from .log import Log, Result
from .replicates import mean_spectrum

CHUNK = 64
"""Spectra that share one pass and one commit where many come at once, as from a folder."""


class Engine:
    """An estimator with a log behind it."""

    def __init__(self, estimator: Estimator, log: Log) -> None:
        self.estimator = estimator
        self.log = log

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
        results = [Result(i, next(outcomes)) if isinstance(i, Spectrum) else Result(None, i) for i in items]
        self.log.add(results, also)
        return results


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
