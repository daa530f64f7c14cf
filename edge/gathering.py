"""Files of one sample that come one after the other, for `watch --average`: held until nothing new comes of it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator

from ..converters.spectra.spectrum import Spectrum
from .drop_folder import BATCH_ITEMS, DropFolder
from .log.taken import Piece

MOST_HELD = 512
"""Spectra held at a time, as far as that can be: of many files at once, those of all samples but the last go on."""

_Key = tuple[str, str]


class Gathering:
    """Holds what a drop folder gives. What is not given on is not remembered either, and comes again at the next start.

    Args:
        pause_s: a sample is complete when nothing new has come of it for so long.
        clock: seconds; must not jump.
    """

    def __init__(self, pause_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._pause_s, self._clock = pause_s, clock
        self._held: dict[str, list[Piece]] = {}
        self._came_s: dict[_Key, float] = {}

    @property
    def paths(self) -> frozenset[str]:
        """The files that are held."""
        return frozenset(self._held)

    def clear(self) -> None:
        """Forget everything; it comes again."""
        self._held.clear()
        self._came_s.clear()

    def poll(self, watched: DropFolder, everything: bool = False) -> Iterator[list[Piece]]:
        """List the folder, read what is due, and give what is complete, each sample's files together.

        Args:
            watched: the folder; see its own `poll` for what the caller has to do with a batch.
            everything: wait for nothing more.
        """
        came: set[str] = set()
        for batch in watched.poll():
            watched.hold(batch)
            last = self._add(batch, came)
            if sum(len(piece.items) for pieces in self._held.values() for piece in pieces) > MOST_HELD:
                yield from self._give(set(self._came_s) - last)
        now_s = self._clock()
        yield from self._give(
            {key for key, at_s in self._came_s.items() if everything or now_s - at_s >= self._pause_s}
        )

    def _add(self, batch: list[Piece], came: set[str]) -> set[_Key]:
        """Hold pieces; of a file that has changed, the new ones in place of the old."""
        last: set[_Key] = set()
        for piece in batch:
            if piece.path not in came:
                came.add(piece.path)
                self._held[piece.path] = []
            self._held[piece.path].append(piece)
            last = _samples(piece)
            self._came_s.update(dict.fromkeys(last, self._clock()))
        return last

    def _give(self, quiet: set[_Key]) -> Iterator[list[Piece]]:
        """Give the files of which every sample is quiet, and every file of these samples too."""
        of = {path: set().union(*map(_samples, pieces)) for path, pieces in self._held.items()}
        while True:
            ready = [path for path in sorted(of) if of[path] <= quiet]
            open_samples = set().union(*(of[path] for path in of if not of[path] <= quiet))
            if not quiet & open_samples:
                break
            quiet = quiet - open_samples
        batch: list[Piece] = []
        for number, path in enumerate(ready):
            batch += self._held.pop(path)
            following = of[ready[number + 1]] if number + 1 < len(ready) else set()
            if sum(len(piece.items) for piece in batch) >= BATCH_ITEMS and not of[path] & following:
                yield batch
                batch = []
        if batch:
            yield batch
        for key in quiet:
            self._came_s.pop(key, None)


def _samples(piece: Piece) -> set[_Key]:
    folder = os.path.dirname(piece.path)
    return {(folder, item.sample_id) for item in piece.items if isinstance(item, Spectrum) and item.sample_id}
