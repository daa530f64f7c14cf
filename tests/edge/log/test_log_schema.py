"""The log's tables: earlier versions come along whole or not at all, and the database itself keeps what is in it."""

from __future__ import annotations

import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import stibium.edge
from log_samples import make_full_log, spectra_in
from old_logs import everything_in, make_old_log, spectra_of
from stibium.converters.spectra.spectrum import Spectrum
from stibium.edge.engine import Engine
from stibium.edge.log.columns import TABLES
from stibium.edge.log.export import record_of_entry
from stibium.edge.log.history import iter_events, iter_scans, iter_sessions
from stibium.edge.log.read import iter_entries, open_for_reading
from stibium.edge.log.schema import SCHEMA_VERSION
from stibium.edge.log.spectra import iter_spectra
from stibium.edge.log.write import Log
from stibium.edge.model.bundle import Bundle
from stibium.edge.model.estimate import Estimate, Estimator, Refusal
from stibium.edge.record import rounded

KEPT = [table.name for table in TABLES if not table.name.startswith("taken")]


@pytest.fixture
def full_log(tmp_path: Path, shipped_bundle: Bundle, soils: list[Spectrum]) -> Path:
    path = tmp_path / "full.db"
    make_full_log(path, shipped_bundle, soils)
    return path


def tables(path: Path) -> list[tuple[str, str, str]]:
    """Every table, index and trigger with its statement, without comments, quotes, and how the words are spaced."""
    with closing(sqlite3.connect(path)) as db:
        rows = db.execute("SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY 1, 2").fetchall()
    # What `listen` kept in the log before version 4 stays.
    return [
        (kind, name, normalised(sql)) for kind, name, sql in rows if name not in ("taken_measurements", "open_points")
    ]


def normalised(sql: str) -> str:
    words = re.sub(r"--.*", "", sql).replace('"', "")
    return re.sub(r"\s*([(),])\s*", r"\1", re.sub(r"\s+", " ", words)).strip()


def version(path: Path) -> int:
    with closing(sqlite3.connect(path)) as db:
        return int(db.execute("PRAGMA user_version").fetchone()[0])


@pytest.mark.parametrize("old", [1, 2, 3])
def test_an_older_log_comes_along_without_loss(
    old: int, tmp_path: Path, shipped_bundle: Bundle, soils: list[Spectrum]
) -> None:
    path, new = tmp_path / "old.db", tmp_path / "new.db"
    spectra = spectra_of(7)
    make_old_log(path, old, spectra)
    before = everything_in(path, old)
    assert len(before["readings"]) == (8 if old == 3 else 7)
    for _ in range(2):
        Log(path).close()
        assert version(path) == SCHEMA_VERSION == 7
        assert everything_in(path, old) == before
    Log(new).close()
    assert tables(path) == tables(new)
    for spectrum, stored in zip(spectra, spectra_in(path), strict=False):
        assert stored.sample_id == spectrum.sample_id
        np.testing.assert_array_equal(stored.values, spectrum.values.astype("<f4"))
        np.testing.assert_array_equal(stored.wavelengths_nm, spectrum.wavelengths_nm)
    with Log(path, shipped_bundle.name, shipped_bundle.sha256) as log:
        Engine(Estimator(shipped_bundle), log).take(soils[:2])
    after = everything_in(path, old)
    assert {name: rows[: len(before[name])] for name, rows in after.items()} == before
    assert len(after["estimates"]) == 9
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert db.execute("PRAGMA foreign_key_check").fetchall() == []


KILLED_WHILE_MIGRATING = """
import os, signal, sys
from pathlib import Path
from stibium.edge.log import schema
from stibium.edge.log.write import Log
at, lacking = int(sys.argv[2]), schema._lacking
def killing(db):
    for number, statement in enumerate(lacking(db)):
        if number == at:
            os.kill(os.getpid(), signal.SIGKILL)
        yield statement
schema._lacking = killing
class Transaction(schema.Transaction):
    def __enter__(self):
        # So that what is not committed yet reaches the file all the same.
        self._db.execute("PRAGMA cache_size=1")
        super().__enter__()
schema.Transaction = Transaction
Log(Path(sys.argv[1]))
"""


@pytest.mark.parametrize("old", [1, 2, 3])
def test_an_older_log_that_is_only_read_stays_as_it_is(old: int, tmp_path: Path) -> None:
    path, new = tmp_path / "old.db", tmp_path / "new.db"
    make_old_log(path, old, spectra_of(7))
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copy(path, new)
    before = path.read_bytes()

    def everything_read(where: Path) -> list[object]:
        with open_for_reading(where) as db:
            spectra = [(reading, getattr(s, "values", s).tolist()) for reading, s in iter_spectra(db)]  # type: ignore[union-attr]
            scans = [scan._replace(values=None, wavelengths_nm=None) for scan in iter_scans(db)]  # type: ignore[arg-type]
            return [
                list(iter_entries(db, every=True)),
                spectra,
                list(map(repr, scans)),
                *map(list, (iter_sessions(db), iter_events(db))),
            ]

    read = everything_read(path)
    assert path.read_bytes() == before
    assert version(path) == old
    Log(new).close()
    assert everything_read(new) == read


@pytest.mark.parametrize("at", [0, 4, 17, 40])
def test_a_migration_that_is_killed_leaves_the_old_version_whole(at: int, tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    make_old_log(path, 2, spectra_of(7))
    before = everything_in(path, 2)
    done = subprocess.run([sys.executable, "-c", KILLED_WHILE_MIGRATING, str(path), str(at)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert version(path) == 2
    assert everything_in(path, 2) == before
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert db.execute("SELECT count(*) FROM sqlite_master WHERE name='sessions'").fetchone() == (0,)
    Log(path).close()
    assert version(path) == SCHEMA_VERSION
    assert everything_in(path, 2) == before


@pytest.mark.parametrize("table", KEPT)
def test_the_database_itself_keeps_every_row(table: str, full_log: Path) -> None:
    with closing(sqlite3.connect(full_log)) as db:
        (rows,) = db.execute(f"SELECT count(*) FROM {table}").fetchone()
        assert rows > 0
        with pytest.raises(sqlite3.IntegrityError, match="nothing is deleted from the log"):
            db.execute(f"DELETE FROM {table}")
        column = {"reading_scans": "role", "models": "name"}.get(table, "rowid")
        column = "software" if table == "sessions" else column
        with pytest.raises(sqlite3.IntegrityError, match="nothing in the log is changed"):
            db.execute(f"UPDATE {table} SET {column} = {column}")
        assert db.execute(f"SELECT count(*) FROM {table}").fetchone() == (rows,)


def test_no_statement_of_the_program_deletes() -> None:
    root = Path(stibium.edge.__path__[0])
    words = re.compile(
        r"\b(DELETE\s+FROM|DROP\s+(TABLE|COLUMN|TRIGGER)|TRUNCATE\s|REPLACE\s+INTO|INSERT\s+OR\s+REPLACE|VACUUM)\b",
        re.I,
    )
    modules = [path for path in root.rglob("*.py") if "sqlite3" in path.read_text("utf-8")]
    assert {"write.py", "schema.py", "read.py", "table.py", "taken.py"} <= {path.name for path in modules}
    found = {
        path.name: words.findall(path.read_text("utf-8")) for path in modules if words.search(path.read_text("utf-8"))
    }
    assert found == {}
    assert words.search("DELETE FROM readings")


def test_the_document_names_every_table_and_its_queries_run(full_log: Path) -> None:
    text = (Path(__file__).parents[3] / "docs" / "log.md").read_text("utf-8")
    with closing(sqlite3.connect(full_log)) as db:
        names = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type='table'")]
        for name in names:
            assert f"`{name}`" in text, name
        queries = text.split("```sql")[1].split("```")[0].split(";\n")
        found = [db.execute(query).fetchall() for query in queries if query.strip()]
    assert [len(rows) for rows in found] == [3, 0, 0]


@pytest.mark.parametrize(
    ("old", "lacking"),
    [
        (4, ("estimates.movement_over_limit", "refusals.after_reading", "estimates.water_index")),
        (5, ("refusals.after_reading", "estimates.water_index")),
        (6, ("estimates.water_index",)),
    ],
)
def test_a_log_of_version_4_to_6_is_read_as_it_is_and_then_gets_its_columns(
    old: int, lacking: tuple[str, ...], tmp_path: Path, shipped_bundle: Bundle, soils: list[Spectrum]
) -> None:
    path = tmp_path / "old.db"
    with Log(path) as log:
        Engine(Estimator(shipped_bundle), log).take([*soils[:2], Refusal("x.asd", "is empty", "x")])
    with closing(sqlite3.connect(path)) as db:
        for place in lacking:
            table, column = place.split(".")
            db.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
        db.execute(f"PRAGMA user_version={old}")
        db.commit()
    for _ in range(2):
        with open_for_reading(path) as db:
            entries = list(iter_entries(db))
            outcomes = [answer.outcome for entry in entries for answer in entry.estimates]
        moved = [one.movement_over_limit for one in outcomes if isinstance(one, Estimate)]
        assert len(moved) == 2
        assert old > 4 or moved == [None, None]
        # The index stands beside the reading's estimates as it did.
        shown = [record_of_entry(entry).estimates[0].water_index for entry in entries[:2]]
        assert shown == [entry.reading and rounded(entry.reading.water_index) for entry in entries[:2]]
        assert None not in shown
        assert [one.water_index for one in outcomes if isinstance(one, Estimate)] == [None, None]
        assert old > 5 or [entry.after_reading for entry in entries] == [None, None, None]
        assert entries[-1].reading is None
        Log(path).close()
        assert version(path) == SCHEMA_VERSION
