"""The log's columns: one line adds one; several models answer in one transaction; a damaged row is refused alone."""

from __future__ import annotations

import hashlib
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from log_samples import make_full_log
from old_logs import spectra_of
from stibium.converters.spectra.spectrum import Spectrum
from stibium.edge.errors import LogError
from stibium.edge.log.columns import CORRECTIONS, TIME_OFFSETS, ReadingFacts, StoredModel
from stibium.edge.log.history import iter_sessions
from stibium.edge.log.read import Chosen, Entry, iter_entries, open_for_reading
from stibium.edge.log.spectra import iter_spectra
from stibium.edge.log.write import Log, Result, now
from stibium.edge.model.bundle import Bundle
from stibium.edge.model.estimate import Estimate, Refusal

SB = Estimate("S", "", "x", None, "Sb", "ppm", 7.0, "", 5.0, 9.0, 0.9, "inside", "", ("a",), 0.1, 0.1, False)
AS = SB._replace(element="As", value=3.0, verdict="outside", critical_level=1.5, detection_limit=4.0)


@pytest.fixture
def full_log(tmp_path: Path, shipped_bundle: Bundle, soils: list[Spectrum]) -> Path:
    path = tmp_path / "full.db"
    make_full_log(path, shipped_bundle, soils)
    return path


def entries(path: Path, **chosen: object) -> list[Entry]:
    with open_for_reading(path) as db:
        return list(iter_entries(db, Chosen(**chosen)))  # type: ignore[arg-type]


WITH_ONE_COLUMN_MORE = """
import importlib.util, sqlite3, sys
spec = importlib.util.find_spec("stibium.edge.log.columns")
source = spec.loader.get_source(spec.name)
line = "    water_index: float | None = column(REAL, NULLABLE, _FACTS)\\n"
assert source.count(line) == 1
more = "    lamp_h: float | None = column(REAL, NULLABLE, _SPECTRUM, lambda s: s.extra.get('lamp_h'))\\n"
module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
exec(compile(source.replace(line, line + more), spec.origin, "exec"), module.__dict__)

from stibium.edge.log import read, schema, write
schema.SCHEMA_VERSION = read.SCHEMA_VERSION = 8
sys.path.insert(0, sys.argv[1])
from dataclasses import replace
from old_logs import spectra_of
from stibium.edge.model.estimate import Refusal
for path in sys.argv[2:]:
    with write.Log(path) as log:
        log.add([write.Result(replace(spectra_of(1)[0], extra={"lamp_h": 41.5}), Refusal("x", "y"))])
    with read.open_for_reading(path) as db:
        print([entry.reading.lamp_h for entry in read.iter_entries(db) if entry.reading])
    print(*(sql for sql, in sqlite3.connect(path).execute("SELECT sql FROM sqlite_master WHERE name = 'readings'")))
"""


def test_a_new_column_is_one_line_and_a_higher_version(full_log: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", WITH_ONE_COLUMN_MORE, str(Path(__file__).parents[1]), str(full_log)]
    done = subprocess.run([*command, str(tmp_path / "new.db")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    grown, made = done.stdout.split("[41.5]\n")
    stored, grown = grown.split("\n", 1)
    assert stored == "[None, None, None, None, 41.5]"
    assert "lamp_h REAL" in made
    assert "".join(made.split()) == "".join(grown.split())
    with pytest.raises(LogError, match="version 8, this program writes version 7"):
        Log(full_log)


def test_several_models_answer_in_one_transaction(tmp_path: Path, soils: list[Spectrum]) -> None:
    path = tmp_path / "log.db"
    others = (
        (StoredModel("cd" * 32, "as.tflite", 1.0, 50.0), AS),
        (StoredModel("ef" * 32, "pb.tflite", 2.0, 60.0), Refusal("x", "covers 350-1075 nm", "S")),
    )
    with Log(path, "sb.tflite", "ab" * 32, (0.0, 9.0)) as log:
        (stored,) = log.add([Result(soils[0], SB, others=others)])
        assert stored.reading_id == 1
        with pytest.raises(LogError):
            log.add([Result(soils[0], SB, others=((others[0][0], AS._replace(value=float("nan"))),))])
    (entry,) = entries(path)
    assert entry.reading is not None
    found = [(a.outcome.element, a.outcome.value, a.model.name, a.model.calibrated_range) for a in entry.estimates if isinstance(a.outcome, Estimate) and a.model]  # fmt: skip
    assert found == [("Sb", 7.0, "sb.tflite", (0.0, 9.0)), ("As", 3.0, "as.tflite", (1.0, 50.0))]
    assert entry.estimates[1].outcome.critical_level == 1.5  # type: ignore[union-attr]
    # Asked together with the others, it says beside their answers why it gave none.
    assert [(a.model.name, a.outcome) for a in entry.refusals if a.model] == [("pb.tflite", others[1][1])]
    assert [a.outcome.element for e in entries(path, element="As") for a in e.estimates] == ["As"]  # type: ignore[union-attr]
    assert [a.outcome.element for e in entries(path, verdict="inside") for a in e.estimates] == ["Sb"]  # type: ignore[union-attr]
    (refused,) = entries(path, refused=True)
    assert [(a.model.name, a.outcome.reason) for a in refused.refusals if a.model] == [
        ("pb.tflite", "covers 350-1075 nm")
    ]  # type: ignore[union-attr]
    with Log(path, "as.tflite", "cd" * 32) as log:
        assert log.add_estimates([(1, AS)]) == [False]


def test_condition_and_corrections(full_log: Path, soils: list[Spectrum]) -> None:
    with Log(full_log) as log:
        damp, moist = replace(soils[0], condition="damp"), replace(soils[0])
        object.__setattr__(moist, "condition", "moist")
        log.add([Result(damp, Refusal("x", "y"), ReadingFacts(water_index=1.75))])
        with pytest.raises(LogError, match="CHECK"):
            log.add([Result(moist, Refusal("x", "y"))])
        void = {"at": now(), "kind": "void", "value": {"why": "slipped"}, "who": "Inês"}
        with pytest.raises(LogError, match="FOREIGN KEY"):
            log.add([], also=lambda db: CORRECTIONS.insert(db, reading_id=99, **void))
        log.add([], also=lambda db: CORRECTIONS.insert(db, reading_id=2, **void))
    reading = entries(full_log)[-1].reading
    assert reading is not None
    assert (reading.condition, reading.water_index) == ("damp", 1.75)
    with open_for_reading(full_log) as db:
        said = [CORRECTIONS.read(row) for row in db.execute(f"SELECT {CORRECTIONS.select('c')} FROM corrections c")]
        offsets = [
            TIME_OFFSETS.read(row) for row in db.execute(f"SELECT {TIME_OFFSETS.select('o')} FROM time_offsets o")
        ]
    assert [(one["reading_id"], one["kind"], one["value"], one["who"]) for one in said] == [
        (2, "photo", {"file": "T1.jpg"}, "Inês"),
        (2, "void", {"why": "slipped"}, "Inês"),
    ]
    assert [(one["offset_s"], one["source"], one["host_boot"]) for one in offsets] == [(86400.25, "phone", "boot-1")]


def test_the_hash_is_as_the_document_says(full_log: Path) -> None:
    with closing(sqlite3.connect(full_log)) as db:
        rows = db.execute(
            "SELECT spectrum_sha256, spectrum, wavelengths_nm FROM readings r JOIN grids g ON g.id = grid_id"
        ).fetchall()
    assert len(rows) == 4
    for sha256, spectrum, wavelengths_nm in rows:
        assert sha256 == hashlib.sha256(hashlib.sha256(wavelengths_nm).digest() + spectrum).hexdigest()


def damage(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as db:
        for (trigger,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            db.execute(f"DROP TRIGGER {trigger}")
        for statement in statements:
            db.execute(statement)
        db.commit()


def test_a_damaged_row_is_refused_and_the_rest_goes_on(full_log: Path) -> None:
    damage(
        full_log,
        "UPDATE readings SET settings = '{\"white' WHERE id = 1",
        "UPDATE readings SET measured_at = 'noon', stored_at = 3 WHERE id = 2",
        "UPDATE estimates SET flags = '5' WHERE reading_id = 3",
        "UPDATE readings SET spectrum = substr(spectrum, 1, 7) WHERE id = 4",
        "UPDATE refusals SET stored_at = '' WHERE reading_id IS NULL",
    )
    found = entries(full_log)
    said = [answer.outcome.reason for entry in found for answer in entry.refusals]
    assert [entry.reading.sample_id for entry in found if entry.reading] == ["T0", "T1", "T2", "T3"]
    by_row = sorted(reason for reason in said if reason.startswith("damaged in the log: "))
    assert [reason.partition(" (")[0].removeprefix("damaged in the log: ") for reason in by_row] == [
        "row 1 of readings, settings",
        "row 2 of readings, stored_at",
        "row 2 of refusals, stored_at",
        "row 3 of estimates, flags",
    ]
    with open_for_reading(full_log) as db:
        spectra = [spectrum for _, spectrum in iter_spectra(db)]
    assert [type(spectrum).__name__ for spectrum in spectra] == ["Refusal", "Refusal", "MeanSpectrum", "Refusal"]
    for arguments in ((), ("--export", str(full_log.with_suffix(".csv"))), ("--format", "jsonl")):
        command = [sys.executable, "-m", "stibium.edge", "log", "--log", str(full_log), *arguments]
        done = subprocess.run(command, capture_output=True, text=True)
        assert "Traceback" not in done.stderr, done.stderr
        text = done.stdout if "--export" not in arguments else full_log.with_suffix(".csv").read_text("utf-8")
        assert sum("damaged in the log: row" in line for line in text.splitlines()) == 4, text


def test_a_damaged_session_is_one_line(full_log: Path) -> None:
    damage(full_log, "UPDATE sessions SET settings = '[]'")
    with (
        pytest.raises(LogError, match="damaged in the log: row 1 of sessions, settings"),
        open_for_reading(full_log) as db,
    ):
        list(iter_sessions(db))


def test_the_last_ones_come_in_the_order_of_all(
    tmp_path: Path, soils: list[Spectrum], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stibium.edge.log.write.now", lambda: "2026-05-06T09:30:00.000+00:00")
    with Log(tmp_path / "log.db") as log:
        log.add([Result(soils[0], Refusal("x", "y")), Result(None, Refusal("a", "b"))] * 3)
    with open_for_reading(tmp_path / "log.db") as db:
        forth = [entry.reading and entry.reading.id for entry in iter_entries(db)]
        for last in range(1, 8):
            assert [entry.reading and entry.reading.id for entry in iter_entries(db, last=last)] == forth[-last:]


def steps(path: Path, last: int | None) -> int:
    """Instructions of SQLite's machine that reading takes."""
    count = 0

    def one() -> int:
        nonlocal count
        count += 1
        return 0

    with open_for_reading(path) as db:
        db.set_progress_handler(one, 1)
        found = list(iter_entries(db, last=last))
        db.set_progress_handler(None, 1)
    assert len(found) == 20
    assert [entry.stored_at for entry in found] == sorted(entry.stored_at for entry in found)
    return count


def test_the_last_readings_cost_the_same_in_a_larger_log(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    with Log(path, "sb.tflite", "ab" * 32) as log:
        log.add([Result(spectrum, SB._replace(sample_id=spectrum.sample_id)) for spectrum in spectra_of(10)])
        log.add([Result(None, Refusal("x.asd", "is empty"))])
    taken = []
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA synchronous=OFF")
        for total in (2_000, 200_000):
            (last,) = db.execute("SELECT max(id) FROM readings").fetchone()
            many = f"WITH RECURSIVE n(i) AS (SELECT {last + 1} UNION ALL SELECT i + 1 FROM n WHERE i < {total})"
            for table, number in (("readings", "id"), ("estimates", "reading_id")):
                own = [
                    f'"{row[1]}"' for row in db.execute(f"PRAGMA table_info({table})") if row[1] not in ("id", number)
                ]
                db.execute(
                    f"{many} INSERT INTO {table}({number}, {', '.join(own)})"
                    f" SELECT n.i, {', '.join('t.' + name for name in own)} FROM n, {table} t WHERE t.id = 10"
                )
            db.commit()
            taken.append(steps(path, 20))
    assert taken[0] == pytest.approx(taken[1], rel=0.05)
    assert taken[0] < 10_000
