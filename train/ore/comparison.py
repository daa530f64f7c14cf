"""Five models, four scenarios: every fit that the comparison is made of.

Each cell (scenario, model) is `Settings.folds` nested fits, and one on all training rows for the test set and the
device, which also measures what neighbours give away (`leakage`). The fits are independent of each other, so they are
spread over processes; what is done is kept in the run's folder and an interrupted comparison goes on where it stopped.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ...converters.spectra.spectrum import Floats
from ...edge.ore.model import Below
from ...edge.ore.scenarios import Scenario
from ...edge.workers import workers_for
from .calibration import along, calibration_error, chance_error
from .data import OreData
from .folder import PARTS
from .leakage import Leakage, measure_leakage
from .models import MODELS
from .scores import Spread, bootstrap, score, spread
from .search import Chosen, choose_and_fit
from .splits import TEST_ROWS, TRAINING_ROWS, Split, draw_split, folds
from .tasks import FINAL, Clock, Kept, Outcome, Progress, Task

Rows = NDArray[np.intp]

_VERSION = 5


@dataclass(frozen=True)
class Settings:
    """What a comparison depends on, beside the table.

    Attributes:
        scenarios, models: which.
        training_rows, test_rows: drawn from the table.
        folds: outer ones.
        seed: of draws, folds and models.
        fast: fewer combinations and smaller ensembles.
        below: what stands for a value below a detection limit; "choose" lets the folds decide.
    """

    scenarios: tuple[Scenario, ...]
    models: tuple[str, ...] = tuple(MODELS)
    training_rows: int = TRAINING_ROWS
    test_rows: int = TEST_ROWS
    folds: int = 10
    seed: int = 42
    fast: bool = False
    below: Below | Literal["choose"] = "choose"


@dataclass(frozen=True, eq=False)
class Cell:
    """A model in a scenario.

    Attributes:
        folds: scores of each outer fold.
        cross_validated: their mean and spread.
        unseen: (training rows,) the outer folds' probabilities put together.
        test: scores on the test rows; `test_spread` over groups drawn anew.
        test_probability, test_raw: (test rows,) calibrated, and as the library gives it.
        parameters, calibration: of the final fit.
        unseen_error, unseen_chance: calibration error of `unseen`, all left-out holes together, and what it would be
            were the probabilities true. Of single folds `chance_error`, of the test rows `test_chance_error`.
        seconds: of a processor, for all its fits.
        leakage: what neighbours give away; None if the table has no holes.
    """

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
    unseen_error: float
    unseen_chance: float
    chance_error: float
    test_chance_error: float
    seconds: float
    chosen: Chosen
    leakage: Leakage | None


@dataclass(frozen=True, eq=False)
class Comparison:
    """All cells, and the rows they stand on. `seconds` is how long this call took; `grouped`: whole holes apart."""

    settings: Settings
    split: Split
    grouped: bool
    cells: tuple[Cell, ...]
    seconds: float

    def of(self, scenario: str) -> list[Cell]:
        """Return the cells of a scenario."""
        return [c for c in self.cells if c.scenario == scenario]

    def cell(self, scenario: str, model: str) -> Cell:
        """Find one."""
        return next(c for c in self.cells if (c.scenario, c.model) == (scenario, model))

    def best(self, scenario: str) -> Cell:
        """The model with the lowest cross-validated Brier score in a scenario."""
        return min(self.of(scenario), key=lambda c: c.cross_validated["brier"].mean)

    @property
    def processor_s(self) -> float:
        """Seconds that all fits took of one processor, those of an interrupted run included."""
        return sum(c.seconds for c in self.cells)


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
        JobsError: a process was killed.
    """
    started = time.monotonic()
    split = draw_split(data.ore, data.groups, settings.training_rows, settings.test_rows, settings.seed)
    work = _Work(data, settings, split)
    tasks = list(work.tasks())
    kept = Kept(folder / PARTS, work.signature())
    outcomes = {task: found for task in tasks if (found := kept.load(task)) is not None}
    clock = Clock(tasks, started, progress)
    clock.skip(outcomes)
    # The longest first, so that no process is left alone with one at the end.
    waiting = sorted((t for t in tasks if t not in outcomes), key=lambda t: -MODELS[t.model].cost)
    for task, outcome in workers_for(jobs)(work.do, waiting, in_order=False):
        kept.save(task, outcome)
        outcomes[task] = outcome
        clock.tick(task)
    cells = tuple(work.cell(*key, outcomes) for key in work.cells())
    return Comparison(settings, split, data.groups is not None, cells, time.monotonic() - started)


def forget_parts(folder: Path) -> None:
    """Remove the finished fits, once the run is whole."""
    shutil.rmtree(folder / PARTS, ignore_errors=True)


class _Work:
    """The tasks of a comparison, and how to do one."""

    def __init__(self, data: OreData, settings: Settings, split: Split) -> None:
        self.settings = settings
        self.training, self.test = data.take(split.training), data.take(split.test)
        self.columns = {s.name: data.columns_of(s.variables) for s in settings.scenarios}
        self.folds = folds(self.training.ore, self.training.groups, settings.folds, settings.seed)
        self.sha256 = data.sha256

    def cells(self) -> Iterator[tuple[str, str]]:
        for scenario in self.settings.scenarios:
            for model in self.settings.models:
                yield scenario.name, model

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
        if task.part == FINAL:
            return self.training, self.test
        first, second = self.folds[task.part]
        return self.training.take(first), self.training.take(second)

    def do(self, task: Task) -> tuple[Task, Outcome]:
        # Of the processor: what else runs on the machine is not the fit's doing.
        started = time.process_time()
        training, unseen = self.rows(task)
        columns = self.columns[task.scenario]
        variables = tuple(training.variables[i] for i in columns)
        chosen = choose_and_fit(
            MODELS[task.model],
            training.marked[:, columns],
            training.ore,
            training.groups,
            self.settings.seed,
            self.settings.fast,
            interval=task.part == FINAL,
            variables=variables,
            below=self.settings.below,
        )
        raw = chosen.model.plain(unseen.marked[:, columns])
        leakage = None
        if task.part == FINAL and training.groups is not None:
            leakage = measure_leakage(
                MODELS[task.model],
                chosen.parameters,
                training.marked[:, columns],
                training.ore,
                training.groups,
                self.settings.folds,
                self.settings.seed,
                variables,
            )
        return task, Outcome(
            along(chosen.model.curve, raw),
            raw,
            dict(chosen.parameters),
            chosen.calibration,
            time.process_time() - started,
            chosen if task.part == FINAL else None,
            leakage,
        )

    def cell(self, scenario: str, model: str, outcomes: dict[Task, Outcome]) -> Cell:
        ore, test = self.training.ore, self.test
        parts = [outcomes[Task(scenario, model, part)] for part in range(self.settings.folds)]
        final = outcomes[Task(scenario, model, FINAL)]
        unseen = np.empty(len(ore))
        scores, by_chance = [], []
        for (_, left_out), part in zip(self.folds, parts, strict=True):
            unseen[left_out] = part.probability
            scores.append(score(part.probability, ore[left_out]))
            by_chance.append(chance_error(part.probability, self.training.holes[left_out], self.settings.seed))
        assert final.chosen is not None
        return Cell(
            scenario,
            model,
            tuple(scores),
            spread(scores),
            unseen,
            score(final.probability, test.ore),
            bootstrap(final.probability, test.ore, test.holes, self.settings.seed),
            final.probability,
            final.raw,
            final.parameters,
            final.calibration,
            calibration_error(unseen, ore),
            chance_error(unseen, self.training.holes, self.settings.seed),
            float(np.mean(by_chance)),
            chance_error(final.probability, test.holes, self.settings.seed),
            sum(o.seconds for o in (*parts, final)),
            final.chosen,
            final.leakage,
        )
