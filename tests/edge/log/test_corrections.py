"""What somebody says of a reading afterwards: rows that change nothing, and that every list and export heeds."""

from __future__ import annotations

import csv
import json
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from record_check import conforms
from stibium.converters.spectra.spectrum import Spectrum
from stibium.edge.errors import CorrectionError
from stibium.edge.log.columns import CORRECTIONS, ReadingFacts
from stibium.edge.log.corrections import KINDS, correct
from stibium.edge.log.export import iter_records
from stibium.edge.log.names import known_as, known_exactly, names_taken, reading_of, warning_of
from stibium.edge.log.read import Chosen, open_for_reading
from stibium.edge.log.spectra import iter_spectra
from stibium.edge.log.typed import parse_correction
from stibium.edge.log.write import Log, Result, now
from stibium.edge.model.bundle import Bundle
from stibium.edge.model.estimate import Estimator
from stibium.edge.record import ReadingRecord, as_json, as_rows


@pytest.fixture(scope="module")
def answered(shipped_bundle: Bundle, soils: list[Spectrum]) -> list[Result]:
    estimator = Estimator(shipped_bundle)
    return [Result(soil, estimator.estimate([soil])[0]) for soil in soils[:5]]


@pytest.fixture
def log(tmp_path: Path, shipped_bundle: Bundle, answered: list[Result]) -> Iterator[Log]:
    """Readings 1, 2, 3 are RS001, RS002, RS003 of session 1, 4 and 5 are RS001 and RS004 of session 2."""
    bundle = shipped_bundle
    with Log(tmp_path / "log.db", bundle.name, bundle.sha256, bundle.calibrated_range) as opened:
        sessions = [opened.begin_session(port=f"/dev/ttyUSB{n}") for n in range(2)]
        names = [("RS001", 0), ("RS002", 0), ("RS003", 0), ("RS001", 1), ("RS004", 1)]
        for (name, session), result in zip(names, answered, strict=True):
            assert result.spectrum is not None
            spectrum = replace(result.spectrum, sample_id=name)
            about = ReadingFacts(session_id=sessions[session])
            opened.add(
                [result._replace(spectrum=spectrum, outcome=result.outcome._replace(sample_id=name), about=about)]
            )
        yield opened


def records(log: Log, **chosen: Any) -> dict[int | None, ReadingRecord]:
    with open_for_reading(log.path) as db:
        found = list(iter_records(db, Chosen(**chosen)))
    for record in found:
        conforms(json.loads(json.dumps(as_json(record))))
    return {record.reading: record for record in found}


def rows(log: Log) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(log.path)) as db:
        return [*db.execute("SELECT * FROM readings"), *db.execute("SELECT * FROM estimates")]


def test_nothing_is_changed_and_everything_is_heeded(log: Log) -> None:
    before = rows(log)
    correct(log, 1, "rename", {"sample_id": "RS 9"}, "Ana")
    correct(log, 1, "note", {"text": "ochre"}, "Ana")
    correct(log, 1, "place", {"latitude_deg": 41.1, "longitude_deg": -8.4, "altitude_m": None}, "Ana")
    correct(log, 1, "condition", {"condition": "wet"}, "Ana")
    correct(log, 2, "void", {"reason": "wrong pit"}, "Ana")
    correct(log, 3, "again", {"counts": 5}, "Ana")
    assert rows(log) == before
    found = records(log)
    assert set(found) == {1, 4, 5}
    one = found[1]
    assert (one.sample_id, one.notes, one.condition, one.soil) == ("RS 9", "ochre", "wet", "1/RS 9")
    assert (one.latitude_deg, one.longitude_deg, one.altitude_m, one.position_source) == (41.1, -8.4, None, "typed in")
    assert [(said.kind, said.who) for said in one.corrections] == [
        (k, "Ana") for k in ("rename", "note", "place", "condition")
    ]
    assert "renamed RS001 -> RS 9" in one.corrections[0].text
    assert "renamed RS001 -> RS 9" in as_rows(one)[0]["corrections"]
    assert set(records(log, sample="RS 9")) == {1}
    assert set(records(log, sample="RS001")) == {4}
    with open_for_reading(log.path) as db:
        spectra = {reading.id: spectrum for reading, spectrum in iter_spectra(db)}
    assert set(spectra) == {1, 4, 5}
    assert spectra[1].sample_id == "RS 9"
    assert isinstance(spectra[1], Spectrum)
    assert spectra[1].position is not None


def test_what_does_not_count_is_shown_with_its_history_and_never_trusted(log: Log) -> None:
    correct(log, 2, "void", {"reason": "wrong pit"}, "Ana")
    correct(log, 3, "again", {"counts": 5})
    found = records(log, void=True)
    assert set(found) == {1, 2, 3, 4, 5}
    assert (found[2].void, found[3].void, found[1].void) == (
        "void: wrong pit",
        "measured again: reading 5 counts",
        "",
    )
    (said,) = found[2].estimates
    assert not said.trusted
    assert said.value is None
    assert said.shown.startswith("(")
    assert said.flags[0] == "void: wrong pit"


def test_what_was_taken_back_holds_no_more(log: Log) -> None:
    void = correct(log, 2, "void", {"reason": ""})
    name = correct(log, 2, "rename", {"sample_id": "X1"})
    correct(log, 2, "undo", {"correction": void})
    assert records(log)[2].sample_id == "X1"
    correct(log, 2, "undo", {"correction": name})
    assert records(log)[2].sample_id == "RS002"
    assert set(records(log, sample="RS002")) == {2}
    assert [said.undone for said in records(log)[2].corrections] == [True, True, False, False]
    with pytest.raises(CorrectionError, match="taken back already"):
        correct(log, 2, "undo", {"correction": void})
    with pytest.raises(CorrectionError, match="no correction 1 to take back"):
        correct(log, 3, "undo", {"correction": void})


def test_equal_names_of_two_sessions_are_two_soils_until_somebody_says_so(log: Log) -> None:
    assert {n: one.soil for n, one in records(log).items()} == {
        1: "1/RS001", 2: "1/RS002", 3: "1/RS003", 4: "2/RS001", 5: "2/RS004",
    }  # fmt: skip
    correct(log, 4, "together", {"with": 1})
    correct(log, 5, "together", {"with": 4})
    soils = {n: one.soil for n, one in records(log).items()}
    assert soils[1] == soils[4] == soils[5] == "1/RS001"
    correct(log, 1, "together", {"with": 5})  # in a circle
    assert len({one.soil for n, one in records(log).items() if n in (1, 4, 5)}) == 1
    correct(log, 1, "rename", {"sample_id": "A"})
    assert records(log)[5].soil == "1/A"


@pytest.mark.parametrize(
    ("reading", "kind", "value", "why"),
    [
        (99, "void", {"reason": ""}, "reading 99 is not in this log"),
        (1, "delete", {}, "no such correction; there are void, again"),
        (1, "rename", {"sample_id": " "}, "a name has 1 to 200 characters"),
        (1, "rename", {}, "sample_id is missing"),
        (1, "note", {"text": 7}, "is no text"),
        (1, "place", {"latitude_deg": 141.1, "longitude_deg": 0}, "latitude is -90 to 90"),
        (1, "place", {"latitude_deg": float("nan"), "longitude_deg": 0}, "latitude is -90 to 90"),
        (1, "condition", {"condition": "moist"}, "the ground is dry, damp, wet"),
        (1, "together", {"with": 1}, "is the reading itself"),
        (1, "together", {"with": "RS002"}, "is no number of a reading"),
        (1, "again", {"counts": 77}, "reading 77 is not in this log"),
        (1, "again", {"counts": 2}, "reading 2 does not count itself"),
    ],
)
def test_what_cannot_be_is_refused_and_not_written(
    log: Log, reading: int, kind: str, value: dict[str, Any], why: str
) -> None:
    correct(log, 2, "void", {"reason": ""})
    with pytest.raises(CorrectionError, match=why):
        correct(log, reading, kind, value)
    assert log.database.execute("SELECT count(*) FROM corrections").fetchone() == (1,)


@pytest.mark.parametrize(("column", "value"), [("value", "{broken"), ("value", '{"sample_id": 7}'), ("kind", None)])
def test_a_damaged_correction_makes_its_reading_a_damaged_one(log: Log, column: str, value: Any) -> None:
    correct(log, 1, "rename", {"sample_id": "X"})
    if column == "kind":
        log.add([], also=lambda db: CORRECTIONS.insert(db, at=now(), reading_id=1, kind="place", value={}, who=""))
    else:
        log.database.execute("DROP TRIGGER corrections_are_not_changed")
        log.database.execute("UPDATE corrections SET value = ?", (value,))
    found = records(log)
    assert found[1].status == "refused"
    assert "of corrections" in found[1].reason
    assert set(found) == {1, 2, 3, 4, 5}


@given(st.text(max_size=60))
def test_any_words_are_a_correction_or_refused(words: str) -> None:
    with closing(sqlite3.connect(":memory:")) as db:
        db.execute(CORRECTIONS.create)
        try:
            kind, value = parse_correction(db, 1, words)
        except CorrectionError:
            return
        assert kind in KINDS
        json.dumps(value)


def test_names_are_found_whatever_their_case_and_as_corrected(log: Log) -> None:
    correct(log, 2, "rename", {"sample_id": "Adit 3"})
    correct(log, 3, "void", {"reason": ""})
    db = log.database
    assert [one.reading for one in known_as(db, "rs 001")] == [1, 4] == [one.reading for one in known_as(db, "RS_01")]
    assert [(one.reading, one.sample_id) for one in known_as(db, "ADIT3")] == [(2, "Adit 3")]
    assert known_as(db, "RS002") == known_as(db, "RS003") == known_as(db, " ") == []
    assert [one.reading for one in known_exactly(db, "Adit 3")] == [2]
    assert known_exactly(db, "adit 3") == known_exactly(db, "RS002") == []
    assert names_taken(db, 2) == {"rs1", "rs2", "rs3", "adit3"}
    assert names_taken(db, 3) == {"rs1", "rs2", "rs3", "rs4", "adit3"}
    assert reading_of(db, "5").reading == 5
    assert reading_of(db, "adit 3").reading == 2
    with pytest.raises(LookupError, match=r"one of several soils; .* 1 \(RS001, session 1\), 4 \(RS001, session 2\)"):
        reading_of(db, "RS001")


def test_a_number_that_is_a_name_too_is_asked_about(log: Log) -> None:
    correct(log, 2, "rename", {"sample_id": "5"})
    db = log.database
    with pytest.raises(
        LookupError, match=r"'5' may be reading 5 \(RS004\) or sample 5 \(reading 2\); .* reading 5 or reading 2"
    ):
        reading_of(db, "5")
    assert [reading_of(db, text).reading for text in ("reading 5", "Reading 2", "3")] == [5, 2, 3]
    correct(log, 5, "rename", {"sample_id": "4"})
    correct(log, 4, "rename", {"sample_id": "5"})
    correct(log, 4, "void", {})
    # One that is left out, or is the reading itself, is no other one.
    correct(log, 3, "rename", {"sample_id": "3"})
    assert reading_of(db, "3").reading == 3


def test_leaving_out_what_counts_for_another_is_warned_of(log: Log) -> None:
    assert warning_of(log.database, 1, "void", {}) == ""
    correct(log, 1, "again", {"counts": 2})
    assert "in place of reading 1: undo that one's correction" in warning_of(log.database, 2, "void", {})
    assert warning_of(log.database, 2, "note", {"text": "x"}) == warning_of(log.database, 3, "void", {}) == ""
    correct(log, 1, "undo", {"correction": 1})
    assert warning_of(log.database, 2, "void", {}) == ""


@pytest.mark.parametrize("number", [2**70, -(2**70), 2**63])
def test_a_number_beyond_all_numbers_is_no_reading(log: Log, number: int) -> None:
    for reading, kind, value in (
        (number, "void", {}),
        (1, "together", {"with": number}),
        (1, "again", {"counts": number}),
        (1, "undo", {"correction": number}),
    ):
        with pytest.raises(CorrectionError):
            correct(log, reading, kind, value)
    with pytest.raises(LookupError):
        reading_of(log.database, str(number))
    done = stibium(log, "--session", str(number))
    assert (done.returncode, done.stderr.count("Overflow")) == (2, 0)


@pytest.mark.parametrize(
    ("one", "other"),
    [("..", ".."), ("\uff32\uff33\uff17", "rs7"), ("\u00e9-1", "e\u0301 1")],
)
def test_a_name_that_looks_the_same_is_known(log: Log, one: str, other: str) -> None:
    correct(log, 1, "rename", {"sample_id": one})
    assert [known.reading for known in known_as(log.database, other)] == [1]


def stibium(log: Log, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "stibium.edge", "log", "--log", str(log.path), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_the_command_corrects_lists_and_exports(log: Log, tmp_path: Path) -> None:
    done = stibium(log, "edit", "RS002", "void", "wrong", "pit", "--who", "Ana")
    assert done.returncode == 0, done.stderr
    assert "reading 2 (RS002)" in done.stdout
    assert "Ana: void: wrong pit" in done.stdout
    listed = stibium(log)
    assert "RS002" not in listed.stdout
    assert "left out: 1 reading that does not count" in listed.stderr
    shown = stibium(log, "--history")
    assert "void: wrong pit" in shown.stdout
    assert "left out" not in shown.stderr
    assert stibium(log, "--export", str(tmp_path / "day.csv")).returncode == 0
    with open(tmp_path / "day.csv", newline="", encoding="utf-8") as file:
        exported = list(csv.DictReader(file))
    assert [row["reading"] for row in exported] == ["1", "3", "4", "5"]
    assert [row["soil"] for row in exported] == ["1/RS001", "1/RS003", "2/RS001", "2/RS004"]
    assert stibium(log, "edit", "2", "undo").returncode == 0
    assert "RS002" in stibium(log).stdout


@pytest.mark.parametrize(
    "typed", [("41.2 -8.3",), ("41.2", "-8.3"), ("41,2;", "-8,3"), ("-41.2", "-8.3", "--who", "Ana"), ("8.3W", "41.2N")]
)
def test_a_place_is_taken_as_people_write_it(log: Log, typed: tuple[str, ...]) -> None:
    done = stibium(log, "edit", "2", "place", *typed)
    assert done.returncode == 0, done.stderr
    assert re.search(r": place -?41.2, -8.3$", done.stdout.strip())


@pytest.mark.parametrize(
    ("arguments", "code", "why"),
    [
        (("edit", "2", "note", "wet", "--whom", "Ana"), 2, "No such option"),
        (("edit", "2", "note", "-x"), 2, "No such option"),
        (("edit", "RS001", "void"), 1, "one of several soils"),
        (("edit", "99", "void"), 1, "the log has no reading '99'"),
        (("edit", "2", "paint", "it"), 1, "'paint' cannot be said of a reading; write one of: void wrong pit"),
        (("edit", "2", "place", "41"), 1, "write degrees with a point"),
        (("edit", "2"), 2, "Missing argument"),
        (("--refused", "edit", "2", "void"), 2, "edit takes none of these: --refused"),
        (("delete", "2"), 2, "No such command 'delete'"),
    ],
)
def test_bad_corrections_end_in_one_line(log: Log, arguments: tuple[str, ...], code: int, why: str) -> None:
    done = stibium(log, *arguments)
    assert done.returncode == code
    assert why in done.stderr
    assert "Traceback" not in done.stderr
