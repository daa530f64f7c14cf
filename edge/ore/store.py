"""Calls made at the face, kept in the log of readings: what was logged by eye is nowhere else."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from datetime import datetime, timezone
from math import isnan

from .. import __version__
from ..log.write import Log
from .answer import Answer
from .bundle import OreBundle
from .face import Known

TABLES = (
    """CREATE TABLE IF NOT EXISTS ore_calls (
    id INTEGER PRIMARY KEY,
    stored_at TEXT NOT NULL,              -- this device's clock, UTC
    software TEXT NOT NULL,
    model TEXT NOT NULL,
    model_sha256 TEXT NOT NULL,
    scenario TEXT NOT NULL,
    sample_id TEXT NOT NULL,
    probability REAL NOT NULL, low REAL, high REAL,
    threshold REAL NOT NULL,
    decision TEXT NOT NULL,               -- ore, gangue, cannot tell
    reason TEXT NOT NULL,
    flags TEXT NOT NULL,                  -- JSON: remarks
    inputs TEXT NOT NULL,                 -- JSON: variable -> value, low, high, in words, source
    contributions TEXT NOT NULL,          -- JSON: variable -> amount; with base the model's sum
    simulated INTEGER NOT NULL
)""",
    "CREATE INDEX IF NOT EXISTS ore_calls_by_sample ON ore_calls(sample_id)",
    "CREATE TRIGGER IF NOT EXISTS ore_calls_are_not_deleted BEFORE DELETE ON ore_calls"
    " BEGIN SELECT RAISE(ABORT, 'nothing is deleted from the log'); END",
    "CREATE TRIGGER IF NOT EXISTS ore_calls_are_not_changed BEFORE UPDATE ON ore_calls"
    " BEGIN SELECT RAISE(ABORT, 'nothing in the log is changed'); END",
)
"""Made at the first call; a log without them has had none."""


def store_call(log: Log, bundle: OreBundle, answer: Answer, known: Sequence[Known], remarks: Sequence[str]) -> None:
    """Store one call; when this returns it is on disk.

    Raises:
        LogError: nothing was stored.
    """
    inputs = {
        k.variable.name: {
            "value": None if isnan(k.value) else k.value,
            "low": None if isnan(k.low) else k.low,
            "high": None if isnan(k.high) else k.high,
            "words": k.words,
            "source": k.source,
        }
        for k in known
    }
    contributions = {"base": answer.base} | {c.variable: c.amount for c in answer.contributions}
    row = (
        datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
        f"stibium {__version__}",
        bundle.name,
        bundle.sha256,
        bundle.scenario.name,
        answer.id,
        answer.probability,
        answer.low,
        answer.high,
        bundle.threshold,
        answer.decision,
        answer.reason,
        json.dumps([*answer.flags, *remarks], ensure_ascii=False),
        json.dumps(inputs, ensure_ascii=False),
        json.dumps(contributions, ensure_ascii=False),
        answer.simulated,
    )

    def write(db: sqlite3.Connection) -> None:
        for statement in TABLES:
            db.execute(statement)
        db.execute(
            "INSERT INTO ore_calls(stored_at, software, model, model_sha256, scenario, sample_id, probability, low,"
            " high, threshold, decision, reason, flags, inputs, contributions, simulated)"
            " VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
            row,
        )

    log.add([], also=write)
