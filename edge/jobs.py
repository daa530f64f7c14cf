"""Many files in batches, which can be answered apart: over processes or a cluster (`workers`).

What comes out is what one process gives, in the same order, whoever answered.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import chain
from typing import Any, NamedTuple

from ..converters.spectra.spectrum import Condition, Spectrum, with_remarks
from .engine import Engine, average_files, in_chunks, sample_key
from .files import in_condition, iter_file, iter_paths
from .gates.rules import DEFAULT_RULES
from .log.write import Result
from .model.bundle import read_bundle
from .model.estimate import Estimate, Estimator, Refusal
from .model.replicates import MeanSpectrum
from .seen import Seen
from .workers import Workers

FILES = 256
BYTES = 16 << 20
"""A batch is full with so many files, or so many bytes of them: a task of some tenths of a second to a second, beside
which what a cluster's scheduler takes for one is little."""


class Batch(NamedTuple):
    """Files that are answered together; a Refusal stands for what cannot be listed."""

    number: int
    files: tuple[str | Refusal, ...]


class Task(NamedTuple):
    """How batches are answered; small, and the same for all of them.

    Attributes:
        models: paths of bundles, one an element.
        average: see `average_files`.
        gates: hold spectra against the default rules.
        condition: of the ground, for spectra whose file does not say; see `files.in_condition`. None to leave it.
        stability: see `Engine`.
    """

    models: tuple[str, ...]
    average: bool
    gates: bool
    condition: Condition | None = None
    stability: bool = False


def batches(paths: Iterable[str | os.PathLike[str]], average: bool) -> Iterator[Batch]:
    """Divide files and folders into batches, in the order of `iter_paths`.

    Where samples are averaged a batch ends between two samples: the files on both sides are read to see that.
    """
    found = list(iter_paths(paths))
    first, number = 0, 0
    while first < len(found):
        end, size = first, 0
        while end < len(found) and end - first < FILES and size < BYTES:
            path = found[end]
            size += os.path.getsize(path) if isinstance(path, str) and os.path.isfile(path) else 0
            end += 1
        while average and end < len(found) and _go_on(found[end - 1], found[end]):
            end += 1
        yield Batch(number, tuple(found[first:end]))
        first, number = end, number + 1


def _go_on(before: str | Refusal, after: str | Refusal) -> bool:
    """Say whether the last sample of a file goes on in the next one."""
    if isinstance(before, Refusal) or isinstance(after, Refusal) or os.path.dirname(before) != os.path.dirname(after):
        return False
    last = deque(iter_file(before), maxlen=1)
    first = next(iter(iter_file(after)), None)
    if not last or first is None:
        # Nothing in one of them: what lies beyond it may belong together.
        return True
    key = sample_key(last[0])
    return key is not None and key == sample_key(first)


def answer(task: Task, batch: Batch) -> list[Result]:
    """Answer one batch; nothing is stored."""
    engine = _engine(task)
    items = _items_of(batch)
    if task.condition is not None:
        items = (in_condition(item, task.condition) for item in items)
    if task.average:
        items = average_files(items)
    return [result for chunk in in_chunks(items) for result in engine.answer(chunk)]


def read_batch(batch: Batch) -> list[Spectrum | Refusal]:
    """Read one batch."""
    return list(_items_of(batch))


def _items_of(batch: Batch) -> Iterator[Spectrum | Refusal]:
    return chain.from_iterable((path,) if isinstance(path, Refusal) else iter_file(path) for path in batch.files)


def iter_spectra_by(workers: Workers, paths: Iterable[str | os.PathLike[str]]) -> Iterator[Spectrum | Refusal]:
    """Read files and folders as `files.iter_spectra` does, whoever reads."""
    seen = Seen()
    for items in workers(read_batch, batches(paths, average=False)):
        for item in items:
            yield item if isinstance(item, Refusal) else seen.told(item)


class CarriedEstimator:
    """An estimator that another process gets as the path of its bundle."""

    def __init__(self, estimator: Estimator) -> None:
        self.estimator = estimator

    def __reduce__(self) -> tuple[Any, ...]:
        return _carried, (self.estimator.bundle.path,)

    def __call__(self, spectra: Sequence[Spectrum]) -> list[Estimate | Refusal]:
        """Answer as a device does: what the default rules refuse has no estimate."""
        return [result.outcome for result in Engine(self.estimator, None).answer(spectra)]


@lru_cache(maxsize=1)
def _carried(path: str) -> CarriedEstimator:
    return CarriedEstimator(Estimator(read_bundle(path)))


def told_from_others(result: Result, seen: Seen) -> Result:
    """Remark what earlier spectra say of one, though another process has read it.

    Args:
        result: in the order of the files.
        seen: what came before it.

    Returns:
        The result as one process would have given it.
    """
    spectrum = result.spectrum
    if spectrum is None:
        return result
    if isinstance(spectrum, MeanSpectrum):
        points = tuple(seen.told(point) for point in spectrum.points)
        told: Spectrum = with_remarks(replace(spectrum, points=points), (r for point in points for r in point.remarks))
    else:
        told = seen.told(spectrum)
    added = told.remarks[len(spectrum.remarks) :]
    if not added:
        return result

    def answered(outcome: Estimate | Refusal) -> Estimate | Refusal:
        if isinstance(outcome, Refusal):
            return outcome
        before = len(spectrum.remarks)
        return outcome._replace(flags=(*outcome.flags[:before], *added, *outcome.flags[before:]))

    others = tuple((by, answered(outcome)) for by, outcome in result.others)
    return result._replace(spectrum=told, outcome=answered(result.outcome), others=others)


@lru_cache(maxsize=1)
def _engine(task: Task) -> Engine:
    first, *others = [Estimator(read_bundle(path)) for path in task.models]
    return Engine(first, None, DEFAULT_RULES if task.gates else None, others, task.stability)
