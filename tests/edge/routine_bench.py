"""An instrument on a bench, with a clock that a test turns, and a session that measures with it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
from scan_samples import DARK, GRID_NM, IDENTITY, LIGHT, SETTINGS, SOIL, a_scan
from stibium.edge.engine import Engine
from stibium.edge.errors import NothingLeftError
from stibium.edge.gates.rules import Rules
from stibium.edge.gates.scans import Identity, Scan, ScanKind, ScanSettings
from stibium.edge.instruments.profile import Measuring, Profile
from stibium.edge.log.write import Log
from stibium.edge.measure.points import who
from stibium.edge.measure.resume import take_up, unfinished_sessions
from stibium.edge.measure.routine import do, prompt
from stibium.edge.measure.session import Session
from stibium.edge.measure.state import SessionSettings, State
from stibium.edge.measure.steps import Command, Fact, Prompt, parse_command
from stibium.edge.model.estimate import Estimator

BENCH = replace(IDENTITY, optimises=False, simulated=True)


class BenchInstrument:
    """Measures `in_front` against the panel, as an `Instrument`.

    `spoil` changes the next scans, one function for each; None leaves one as it is.
    """

    name = "bench"

    def __init__(self, identity: Identity = BENCH) -> None:
        self.identity = identity
        self.wavelengths_nm = GRID_NM
        self.in_front = SOIL
        self.panel = np.ones(GRID_NM.size)
        self.lamp = 1.0
        self.now_s = 10_000.0
        self.boot = 5
        self.number = 0
        self.settings = SETTINGS
        self.spoil: list[Callable[[Scan], Scan] | Exception | None] = []
        self.acknowledged: list[tuple[str, int, int, int]] = []
        self.lost: list[str] = []
        self.optimised = 0
        self.log_path: Path | None = None
        self.left = 10**9

    def monotonic(self) -> float:
        return self.now_s

    def connect(self, wait_for_port: bool = False) -> Identity:
        return self.identity

    def optimise(self) -> ScanSettings:
        self.optimised += 1
        self.settings = ScanSettings((("integration_us", 17000.0 + self.optimised), ("gain", 0.0)))
        return self.settings

    def acquire(self, kind: ScanKind, scans: int) -> Scan:
        self.now_s += 1.0
        spoil = self.spoil.pop(0) if self.spoil else None
        if isinstance(spoil, Exception):
            raise spoil
        if kind == "target":
            self.left -= 1
            if self.left < 0:
                raise NothingLeftError("bench: nothing more to measure")
        self.number += 1
        surface = {"dark": np.zeros(GRID_NM.size), "white": self.panel, "target": self.in_front}[kind]
        values = (DARK + self.lamp * surface * LIGHT).astype(np.float32).astype(np.float64)
        scan = a_scan(
            kind,
            values,
            key=("Probe 7", self.boot, self.number, int(values.sum())),
            number=self.number,
            taken_s=self.now_s,
            measured_at=datetime.now(timezone.utc),
            scans=scans,
            settings=self.settings,
            boot=self.boot,
            simulated=True,
        )
        return scan if spoil is None else spoil(scan)

    def wait(self, timeout_s: float) -> Scan | None:
        return None

    def acknowledge(self, scan: Scan) -> None:
        """What is acknowledged has to be in the file already, for everybody to read."""
        if self.log_path is not None:
            with closing(sqlite3.connect(self.log_path)) as db:
                assert db.execute(
                    "SELECT count(*) FROM scans WHERE number=? AND boot=?", (scan.number, scan.boot)
                ).fetchone() == (1,)
        self.acknowledged.append(scan.key)

    def correct_dark(self, scan: Scan, dark: Scan | None) -> Any:
        return scan.values if dark is None else scan.values - dark.values

    def remarks(self) -> list[str]:
        return []

    def losses(self) -> list[str]:
        lost, self.lost = self.lost, []
        return lost

    def close(self) -> None:
        pass


QUICK = Rules(warm_up_min=0.0, warming_min=0.0, clock_jump_s=0.0)
"""No warm-up, and a clock of its own that no clock on the wall follows."""


class Bench:
    """A session on the bench."""

    def __init__(
        self,
        folder: Path,
        estimator: Estimator,
        rules: Rules = QUICK,
        instrument: BenchInstrument | None = None,
        position: Any = None,
        log: Log | None = None,
        **settings: Any,
    ) -> None:
        self.instrument = instrument or BenchInstrument()
        bundle = estimator.bundle
        self.log = log or Log(folder / "log.db", bundle.name, bundle.sha256)
        self.instrument.log_path = self.log.path
        self.engine = Engine(estimator, self.log, rules)
        self.profile = Profile(measuring=Measuring(white_valid_min=30.0), rules=rules)
        self.settings = SessionSettings(**{"points": 3, "scans": 10, **settings})
        self.facts: list[Fact] = []
        self.position = position
        self.session = self._fresh(self.settings)

    def _fresh(self, settings: SessionSettings) -> Session:
        return Session(
            self.instrument,
            self.engine,
            self.profile,
            settings,
            self.facts.append,
            self.position,
            self.instrument.monotonic,
        )

    @property
    def state(self) -> State:
        return self.session.state

    def begin(self) -> Bench:
        self.session.begin("bench", "bench", "")
        return self

    def resume(self) -> Bench:
        """As a new process would, after this one was killed."""
        found = unfinished_sessions(self.log.database, who(self.instrument.identity), self.settings.unattended)[-1]
        self.session = self._fresh(found.settings)
        take_up(self.session, found)
        return self

    def prompt(self) -> Prompt:
        return prompt(self.session)

    def type(self, *lines: str) -> list[Fact]:
        """Type lines; give what was told of them."""
        before = len(self.facts)
        for line in lines:
            command = parse_command(line)
            assert isinstance(command, Command), line
            prompt(self.session)
            do(self.session, command)
        return self.facts[before:]

    def sample(self) -> Fact:
        """Press Enter until the next sample is done."""
        for _ in range(40):
            told = self.type("")
            for fact in told:
                if fact.result is not None:
                    return fact
        raise AssertionError([fact.text for fact in self.facts])

    def wait_min(self, minutes: float) -> None:
        self.instrument.now_s += 60 * minutes

    @property
    def step(self) -> str:
        return self.prompt().step.value

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.log.path)) as db:
            return db.execute(statement).fetchall()
