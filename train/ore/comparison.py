"""Five models, four scenarios, two ways of dividing the rows: every fit that the comparison is made of.

Each cell (protocol, scenario, model) is `Settings.folds` nested fits, and one on all training rows for the test set and
the device. The fits are independent of each other, so they are spread over processes; what is done is kept in the run's
folder and an interrupted comparison goes on where it stopped.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from multiprocessing.connection import wait as wait_for_end
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...converters.spectra.spectrum import Floats
from ...edge.ore.scenarios import Scenario
from ..errors import RunError
from .calibration import along
from .data import OreData
from .folder import PARTS
from .models import MODELS
from .scores import Spread, bootstrap, score, spread
from .search import Chosen, choose_and_fit
from .splits import TEST_ROWS, TRAINING_ROWS, Protocol, Split, draw_splits, folds
from .tasks import FINAL, Clock, Kept, Outcome, Progress, Task

Rows = NDArray[np.intp]

_VERSION = 1


@dataclass(frozen=True)
class Settings:
    """What a comparison depends on, beside the table.

    Attributes:
        scenarios, models: which.
        training_rows, test_rows: drawn from the table.
        folds: outer ones.
        seed: of draws, folds and models.
        fast: fewer combinations and smaller ensembles.
    """

    scenarios: tuple[Scenario, ...]
    models: tuple[str, ...] = tuple(MODELS)
    training_rows: int = TRAINING_ROWS
    test_rows: int = TEST_ROWS
    folds: int = 10
    seed: int = 42
    fast: bool = False


@dataclass(frozen=True, eq=False)
class Cell:
    """A model in a scenario under one protocol.

    Attributes:
        folds: scores of each outer fold.
        cross_validated: their mean and spread.
        unseen: (training rows,) the outer folds' probabilities put together.
        test: scores on the test rows; `test_spread` over groups drawn anew.
        test_probability, test_raw: (test rows,) calibrated, and as the library gives it.
        parameters, calibration: of the final fit.
        seconds: of a processor, for all its fits.
    """

    protocol: Protocol
    scenario: str
    model: str
    folds: tuple[dict[str, float], ...]
    cross_validated: dict[str, Spread]
    unseen: Floats
    test: dict[str, float]
    test_spread: dict[str, Spread]
    test_probability: Floats
    test_raw: Floats
    parameters: dict[str, Any]
    calibration: str
    seconds: float
    chosen: Chosen | None

    @property
    def auc(self) -> Spread:
        """The area under the ROC curve, over the outer folds."""
        return self.cross_validated["auc"]


@dataclass(frozen=True, eq=False)
class Comparison:
    """All cells, and the rows they stand on. `seconds` is how long this call took."""

    settings: Settings
    splits: tuple[Split, ...]
    cells: tuple[Cell, ...]
    seconds: float

    def cell(self, protocol: Protocol, scenario: str, model: str) -> Cell:
        """Find one."""
        return next(c for c in self.cells if (c.protocol, c.scenario, c.model) == (protocol, scenario, model))

    def split(self, protocol: Protocol) -> Split:
        """Find one."""
        return next(s for s in self.splits if s.protocol == protocol)

    @property
    def processor_s(self) -> float:
        """Seconds that all fits took of one processor, those of an interrupted run included."""
        return sum(c.seconds for c in self.cells)

    @property
    def honest(self) -> Protocol:
        """The protocol to judge by: grouped where there are groups."""
        return self.splits[0].protocol

    def best(self, scenario: str) -> Cell:
        """The model with the lowest cross-validated Brier score in a scenario."""
        cells = [c for c in self.cells if c.protocol == self.honest and c.scenario == scenario]
        return min(cells, key=lambda c: c.cross_validated["brier"].mean)


def compare(
    data: OreData,
    settings: Settings,
    folder: Path,
    jobs: int | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Comparison:
    """Fit everything.

    Args:
        data: the table.
        settings: what to compare.
        folder: of the run; finished fits are kept there until the comparison is whole.
        jobs: processes; by default as many as there are processors to run on.
        progress: called after each fit.

    Raises:
        TrainingDataError: the table has too few rows, holes or blocks of a class.
        RunError: a process was killed.
    """
    started = time.monotonic()
    splits = draw_splits(data.ore, data.groups, settings.training_rows, settings.test_rows, settings.seed)
    work = _Work(data, settings, splits)
    tasks = list(work.tasks())
    kept = Kept(folder / PARTS, work.signature())
    outcomes = {task: found for task in tasks if (found := kept.load(task)) is not None}
    clock = Clock(tasks, started, progress)
    clock.skip(outcomes)
    # The longest first, so that no process is left alone with one at the end.
    waiting = sorted((t for t in tasks if t not in outcomes), key=lambda t: -MODELS[t.model].cost)
    for task, outcome in _run(work, waiting, jobs or available_processors()):
        kept.save(task, outcome)
        outcomes[task] = outcome
        clock.tick(task)
    cells = tuple(work.cell(*key, outcomes) for key in work.cells())
    return Comparison(settings, splits, cells, time.monotonic() - started)


def forget_parts(folder: Path) -> None:
    """Remove the finished fits, once the run is whole."""
    shutil.rmtree(folder / PARTS, ignore_errors=True)


def available_processors() -> int:
    """Count the processors this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Work:
    """The tasks of a comparison, and how to do one."""

    def __init__(self, data: OreData, settings: Settings, splits: tuple[Split, ...]) -> None:
        self.settings = settings
        self.data = {s.protocol: (data.take(s.training), data.take(s.test)) for s in splits}
        self.columns = {s.name: data.columns_of(s.variables) for s in settings.scenarios}
        self.folds = {
            protocol: folds(protocol, rows.ore, rows.groups, settings.folds, settings.seed)
            for protocol, (rows, _) in self.data.items()
        }
        self.honest = splits[0].protocol
        self.sha256 = data.sha256

    def cells(self) -> Iterator[tuple[Protocol, str, str]]:
        for protocol in self.data:
            for scenario in self.settings.scenarios:
                for model in self.settings.models:
                    yield protocol, scenario.name, model

    def tasks(self) -> Iterator[Task]:
        for key in self.cells():
            for part in range(FINAL, self.settings.folds):
                yield Task(*key, part)

    def signature(self) -> str:
        """What a kept fit must have in common with this comparison."""
        about = {"version": _VERSION, "table": self.sha256, **asdict(self.settings)}
        return json.dumps(about, sort_keys=True)

    def rows(self, task: Task) -> tuple[OreData, OreData]:
        """Training rows and the rows to predict."""
        training, test = self.data[task.protocol]
        if task.part == FINAL:
            return training, test
        first, second = self.folds[task.protocol][task.part]
        return training.take(first), training.take(second)

    def do(self, task: Task) -> Outcome:
        # Of the processor: what else runs on the machine is not the fit's doing.
        started = time.process_time()
        training, unseen = self.rows(task)
        columns = self.columns[task.scenario]
        chosen = choose_and_fit(
            MODELS[task.model],
            training.features[:, columns],
            training.ore,
            training.groups,
            task.protocol,
            self.settings.seed,
            self.settings.fast,
        )
        raw = chosen.model.plain(unseen.features[:, columns])
        return Outcome(
            along(chosen.model.curve, raw),
            raw,
            dict(chosen.parameters),
            chosen.calibration,
            time.process_time() - started,
            chosen if task.part == FINAL and task.protocol == self.honest else None,
        )

    def cell(self, protocol: Protocol, scenario: str, model: str, outcomes: dict[Task, Outcome]) -> Cell:
        training, test = self.data[protocol]
        parts = [outcomes[Task(protocol, scenario, model, part)] for part in range(self.settings.folds)]
        final = outcomes[Task(protocol, scenario, model, FINAL)]
        unseen = np.empty(len(training.ore))
        scores = []
        for (_, left_out), part in zip(self.folds[protocol], parts, strict=True):
            unseen[left_out] = part.probability
            scores.append(score(part.probability, training.ore[left_out]))
        groups = test.groups if test.groups is not None else np.arange(len(test.ore))
        return Cell(
            protocol,
            scenario,
            model,
            tuple(scores),
            spread(scores),
            unseen,
            score(final.probability, test.ore),
            bootstrap(final.probability, test.ore, groups, self.settings.seed),
            final.probability,
            final.raw,
            final.parameters,
            final.calibration,
            sum(o.seconds for o in (*parts, final)),
            final.chosen,
        )


_work: _Work | None = None


def _enter(work: _Work) -> None:
    global _work
    _work = work
    # Ctrl-C is the command's to take; its processes end when it does.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Stop when the command is killed; what it had handed out would otherwise be fitted for nobody."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait_for_end([parent.sentinel])
    os._exit(1)


def _do(task: Task) -> Outcome:
    assert _work is not None
    return _work.do(task)


def _run(work: _Work, tasks: Sequence[Task], jobs: int) -> Iterator[tuple[Task, Outcome]]:
    if jobs == 1 or len(tasks) < 2:
        for task in tasks:
            yield task, work.do(task)
        return
    # One thread each: the processes are the parallel part. Children read the environment when they start.
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(jobs, len(tasks)), mp_context=context, initializer=_enter, initargs=(work,))
    try:
        running: dict[Future[Outcome], Task] = {pool.submit(_do, task): task for task in tasks}
        while running:
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                yield running.pop(future), future.result()
    except BrokenProcessPool as error:
        raise RunError(
            "a process that fitted models was killed, perhaps for want of memory; give the same command again, with "
            "--jobs 1: what is done is kept"
        ) from error
    finally:
        # Also when the reader stops half way: what has not begun must not begin.
        pool.shutdown(cancel_futures=True)
        if before is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = before
