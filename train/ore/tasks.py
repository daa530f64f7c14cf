"""The single fits of a comparison: what one is, where finished ones are kept, how long the others will take."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...converters.spectra.files import replacing
from ...converters.spectra.spectrum import Floats
from .leakage import Leakage
from .models import MODELS
from .search import Chosen

FINAL = -1
"""Part of the task that fits all training rows."""


@dataclass(frozen=True)
class Task:
    """One nested fit: `part` is the outer fold, or `FINAL`."""

    scenario: str
    model: str
    part: int

    @property
    def name(self) -> str:
        """For a file."""
        digest = hashlib.sha256(self.scenario.encode()).hexdigest()[:8]
        return f"{digest}-{self.model}-{self.part}"


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a fit predicted for the rows it had not seen; `chosen` and `leakage` only of the final one."""

    probability: Floats
    raw: Floats
    parameters: dict[str, Any]
    calibration: str
    seconds: float
    chosen: Chosen | None = None
    leakage: Leakage | None = None


@dataclass(frozen=True)
class Progress:
    """How far it is: fits done and to be done, and seconds left."""

    done: int
    total: int
    remaining_s: float


class Kept:
    """Finished fits on disk; those of other settings are removed."""

    def __init__(self, folder: Path, signature: str) -> None:
        self._folder = folder
        about = folder / "settings.json"
        if not about.is_file() or about.read_text(encoding="utf-8") != signature:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            about.write_text(signature, encoding="utf-8")

    def load(self, task: Task) -> Outcome | None:
        """Give a fit that is done already, or None."""
        path = self._folder / f"{task.name}.npz"
        if not path.is_file():
            return None
        with np.load(path, allow_pickle=False) as stored:
            about = json.loads(str(stored["about"]))
            return Outcome(stored["probability"], stored["raw"], **about)

    def save(self, task: Task, outcome: Outcome) -> None:
        """Keep a fit, whole or not at all."""
        if outcome.chosen is not None:
            # A live model is not kept: reading one back would run whatever the file holds.
            return
        path = self._folder / f"{task.name}.npz"
        about = {
            "parameters": outcome.parameters,
            "calibration": outcome.calibration,
            "seconds": outcome.seconds,
        }
        with replacing(os.fspath(path)) as file:
            np.savez(file, probability=outcome.probability, raw=outcome.raw, about=json.dumps(about))


class Clock:
    """Tells how long is left, from what the fits so far took, weighted by what each kind costs."""

    def __init__(self, tasks: Sequence[Task], started: float, progress: Callable[[Progress], None] | None) -> None:
        self._left = sum(MODELS[t.model].cost for t in tasks)
        self._spent = 0.0
        self._done, self._total = 0, len(tasks)
        self._started = started
        self._progress = progress

    def skip(self, done: dict[Task, Outcome]) -> None:
        """Count fits that were done before."""
        self._left -= sum(MODELS[t.model].cost for t in done)
        self._done += len(done)

    def tick(self, task: Task) -> None:
        """Count a fit, and tell how long the others will take."""
        cost = MODELS[task.model].cost
        self._left -= cost
        self._spent += cost
        self._done += 1
        if self._progress is not None:
            rate = (time.monotonic() - self._started) / self._spent
            self._progress(Progress(self._done, self._total, max(self._left, 0.0) * rate))
