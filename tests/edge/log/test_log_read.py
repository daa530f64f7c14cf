"""Reading the log back: everything that was stored, by filters, also from a disk that cannot be written."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from log_samples import MEASURED_AT, a_scan, make_full_log, own_disk, spectra_in
from old_logs import make_old_log, spectra_of
from stibium.converters.spectra.spectrum import Spectrum
from stibium.edge.errors import LogError
from stibium.edge.log.columns import Reading, ReadingFacts, StoredModel
from stibium.edge.log.history import iter_events, iter_scans, iter_sessions
from stibium.edge.log.read import Chosen, Entry, iter_entries, open_for_reading
from stibium.edge.log.spectra import iter_spectra
from stibium.edge.log.table import as_json
from stibium.edge.log.write import Log, Result
from stibium.edge.model.bundle import Bundle
from stibium.edge.model.estimate import Estimate, Estimator, Refusal
from stibium.edge.model.replicates import MeanSpectrum


@pytest.fixture
def full_log(tmp_path: Path, shipped_bundle: Bundle, soils: list[Spectrum]) -> Path:
    path = tmp_path / "what? 100%#1" / "full.db"
    make_full_log(path, shipped_bundle, soils)
    return path


@dataclass(frozen=True)
class Line:
    """One answer of an entry."""

    entry: Entry
    reading: Reading | None
    outcome: Estimate | Refusal
    model: StoredModel | None
    software: str
    stored_at: str


def entries(path: Path, every: bool = False, **chosen: object) -> list[Entry]:
    with open_for_reading(path) as db:
        return list(iter_entries(db, Chosen(**chosen), every))  # type: ignore[arg-type]


def lines(path: Path, every: bool = False, **chosen: object) -> list[Line]:
    return [
        Line(entry, entry.reading, answer.outcome, answer.model, answer.software, answer.stored_at)
        for entry in entries(path, every, **chosen)
        for answer in (*entry.estimates, *entry.refusals)
    ]


def names(found: list[Line]) -> list[str]:
    return [line.outcome.sample_id for line in found]


def test_what_was_stored_comes_back(full_log: Path, shipped_bundle: Bundle) -> None:
    found = lines(full_log)
    assert names(found) == ["T0", "T1", "T2", "T3", "T4"]
    first = found[0]
    assert isinstance(first.outcome, Estimate)
    assert first.reading is not None
    assert (first.reading.latitude_deg, first.reading.longitude_deg, first.reading.altitude_m) == (
        41.1496,
        -8.361,
        120.5,
    )
    assert first.reading.settings == {"integration_time_ms": 68, "white_age_min": 3.5}
    assert (first.reading.notes, first.reading.position_source) == ("stony, below the adit", "gpsd")
    assert first.reading.position_at == MEASURED_AT.isoformat()
    assert (found[2].reading.sample_kind, found[2].reading.duplicate_of) == ("duplicate", "T0")
    assert first.model is not None
    assert (first.model.name, first.model.calibrated_range) == (shipped_bundle.name, shipped_bundle.calibrated_range)
    assert first.outcome.points == 2
    assert first.software.startswith("stibium ")
    assert found[3].reading.rule_broken == found[3].outcome.reason
    assert found[4].reading is None
    assert found[4].entry.session_id == first.entry.session_id == 1


def test_an_estimate_comes_back_as_it_was(full_log: Path, shipped_bundle: Bundle, soils: list[Spectrum]) -> None:
    with open_for_reading(full_log) as db:
        stored = [spectrum for _, spectrum in iter_spectra(db)]
    again = Estimator(shipped_bundle).estimate(stored)
    for entry, estimate in zip(lines(full_log)[:3], again, strict=False):
        before = entry.outcome
        assert isinstance(before, Estimate)
        assert isinstance(estimate, Estimate)
        for name in (
            "value",
            "low",
            "high",
            "points_low",
            "points_high",
            "scatter_over_limit",
            "detection_limit",
            "critical_level",
        ):
            assert getattr(before, name) == pytest.approx(getattr(estimate, name), rel=1e-3), name
        for name in ("bound", "verdict", "reason", "flags", "points", "measurement", "measured_at", "element", "unit"):
            assert getattr(before, name) == getattr(estimate, name), name


def test_the_points_of_a_mean_are_kept(full_log: Path, soils: list[Spectrum]) -> None:
    with open_for_reading(full_log) as db:
        stored = {
            reading.sample_id: spectrum for reading, spectrum in iter_spectra(db) if isinstance(spectrum, Spectrum)
        }
    mean = stored["T1"]
    assert isinstance(mean, MeanSpectrum)
    assert [point.measurement for point in mean.points] == ["1", "2"]
    np.testing.assert_array_equal(mean.points[1].values, (soils[1].values ** 1.2).astype("<f4"))
    assert mean.points[0].splices_nm == soils[1].splices_nm
    assert type(stored["T3"]) is Spectrum


def test_filters(full_log: Path) -> None:
    assert names(lines(full_log, sample="T[12]")) == ["T1", "T2"]
    assert names(lines(full_log, sample="*")) == ["T0", "T1", "T2", "T3", "T4"]
    assert names(lines(full_log, refused=True)) == ["T3", "T4"]
    assert names(lines(full_log, session=1)) == ["T0", "T1", "T2", "T3", "T4"]
    assert lines(full_log, session=2) == []
    assert names(lines(full_log, element="Sb")) == ["T0", "T1", "T2"]
    assert lines(full_log, element="As") == []
    inside = names(lines(full_log, verdict="inside"))
    outside = names(lines(full_log, verdict="outside"))
    assert sorted(inside + outside) == ["T0", "T1", "T2"]
    assert names(lines(full_log, simulated=True)) == ["T0", "T1", "T2", "T3"]
    assert lines(full_log, simulated=False) == []
    now = datetime.now(timezone.utc)
    assert len(lines(full_log, since=now - timedelta(hours=1), until=now + timedelta(hours=1))) == 5
    assert lines(full_log, since=now + timedelta(hours=1)) == []
    # The same moment in another time zone is the same moment.
    elsewhere = (now - timedelta(hours=1)).astimezone(timezone(timedelta(hours=9)))
    assert len(lines(full_log, since=elsewhere)) == 5
    assert lines(full_log, until=elsewhere) == []


def test_the_latest_estimate_counts_and_all_are_there(full_log: Path, shipped_bundle: Bundle) -> None:
    before = lines(full_log)
    with Log(full_log, "other.tflite", "cd" * 32, (0.0, 9.0)) as log:
        newer = before[0].outcome._replace(value=7.0, bound="")
        ids = [entry.reading.id for entry in before[:2] if entry.reading]
        refusal = Refusal("x", "covers 350-1075 nm", "T1")
        assert log.add_estimates([(ids[0], newer), (ids[1], refusal)]) == [True, True]
        assert log.add_estimates([(ids[0], newer), (ids[1], refusal)]) == [False, False]
    after = lines(full_log)
    assert names(after) == ["T0", "T1", "T2", "T3", "T4"]
    assert isinstance(after[0].outcome, Estimate)
    assert after[0].outcome.value == 7.0
    assert after[0].model is not None
    assert after[0].model.calibrated_range == (0.0, 9.0)
    assert isinstance(after[1].outcome, Estimate)
    every = lines(full_log, every=True)
    assert names(every) == ["T0", "T0", "T1", "T1", "T2", "T3", "T4"]
    assert [type(entry.outcome) for entry in every[2:4]] == [Estimate, Refusal]
    assert every[3].model is not None
    assert names(lines(full_log, refused=True)) == ["T1", "T3", "T4"]


def test_raw_scans_come_back_as_delivered(full_log: Path) -> None:
    with open_for_reading(full_log) as db:
        scans = list(iter_scans(db, session_id=1))
        assert [scan.kind for scan in scans] == ["dark", "white", *["target"] * 6]
        made_of = list(iter_scans(db, reading_id=2))
        assert list(iter_scans(db, session_id=2)) == []
    assert [(scan.kind, scan.sample_id, scan.point) for scan in made_of] == [
        ("dark", "", 0),
        ("white", "", 0),
        ("target", "T1", 1),
        ("target", "T1", 2),
    ]
    one = a_scan(21)
    stored = made_of[2]
    np.testing.assert_array_equal(stored.values, one.values.astype("<f4"))
    assert stored.scan_key == one.key
    assert stored.measured_at == one.measured_at
    assert (stored.boot, stored.number, stored.scans, stored.unit) == (3, 21, 10, "raw_dn")
    assert stored.settings == {"VNIR integration_ms": 68.0, "SWIR1 gain": 512.0}
    assert stored.flags["drift"] == 12.0
    assert stored.flags["temperature_c"] is None
    assert stored.flags["lamp_v"] == pytest.approx(11.5)
    assert (stored.flags["raw"], stored.flags["counts"]) == ("01ff", [0, 1, 2])


def test_a_scan_offered_twice_is_stored_once(tmp_path: Path) -> None:
    nm = np.linspace(350, 2500, 40)
    with Log(tmp_path / "log.db") as log:
        session = log.begin_session(port="p")
        ids = [
            log.add_scan(a_scan(n, 40), session_id=session, kind="target", wavelengths_nm=nm) for n in (1, 2, 1, 2, 3)
        ]
        assert ids == [1, 2, 1, 2, 3]
        # The same number after the instrument was switched on again is another scan.
        other = a_scan(1, 40, key=("ASD FieldSpec 18234", 4, 1, 4_000_000_001), boot=4)
        assert log.add_scan(other, session_id=None, kind="target", wavelengths_nm=nm) == 4
        values = np.array([np.nan, np.inf, 1e30, -5.0])
        wild = a_scan(9, values=values, key=("", 0, 2**62, 0))
        log.add_scan(wild, session_id=session, kind="white", wavelengths_nm=nm[:4])
    with open_for_reading(tmp_path / "log.db") as db:
        last = list(iter_scans(db))[-1]
    np.testing.assert_array_equal(last.values, values.astype("<f4"))


def test_sessions_and_events(full_log: Path) -> None:
    with Log(full_log) as log:
        second = log.begin_session(port="socket://pi:4001", operator="Jos\udce9", settings={"points": 5})
        log.add_event("clock_jumped", "the clock went back by 3 h", {"seconds": -10800.0, "bad": float("inf")}, second)
        log.add_event("disk_low", "12 MB left")
        # As after a crash: this log's own connection sees which sessions have no end.
        assert [session.id for session in list(iter_sessions(log.database, unfinished=True))] == [second]
        with pytest.raises(LogError, match="no session 99"):
            log.end_session(99)
    with open_for_reading(full_log) as db:
        first, cut_off = iter_sessions(db)
        events = list(iter_events(db))
        assert [event.kind for event in iter_events(db, Chosen(session=second))] == ["clock_jumped"]
        assert [session.id for session in iter_sessions(db, Chosen(session=1))] == [1]
    assert (first.operator, first.profile_text, first.model) == (
        "Inês",
        'protocol = "fieldspec"\n',
        "sb_simulated.tflite",
    )
    assert (first.readings, first.refusals, first.scans) == (4, 2, 8)
    assert first.ended_at is not None
    assert cut_off.ended_at is None
    assert (cut_off.operator, cut_off.model, cut_off.settings) == ("Jos?", None, {"points": 5})
    assert [event.kind for event in events] == ["optimised", "rule_broken", "clock_jumped", "disk_low"]
    assert events[2].details == {"seconds": -10800.0, "bad": None}
    assert events[3].session_id is None


def test_a_reading_of_scans_that_are_not_there_is_not_stored(
    full_log: Path, shipped_bundle: Bundle, soils: list[Spectrum]
) -> None:
    with Log(full_log) as log, pytest.raises(LogError, match="FOREIGN KEY"):
        log.add([Result(soils[0], Refusal("x", "y"), ReadingFacts(scan_ids=((99, "target"),)))])
    assert len(lines(full_log, every=True)) == 5


def test_names_in_another_encoding_are_stored(tmp_path: Path, soils: list[Spectrum]) -> None:
    name = os.fsdecode(b"Covas do Bar\xe3o")
    with Log(tmp_path / "log.db") as log:
        log.add([Result(replace(soils[0], sample_id=name, source=name, comment=name), Refusal(name, name, name))])
    assert names(lines(tmp_path / "log.db")) == ["Covas do Bar?o"]


def test_an_older_log_is_read(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    make_old_log(path, 1, spectra_of(3))
    found = lines(path)
    assert names(found) == ["P000", "P001", "P002", "x"]
    assert isinstance(found[0].outcome, Estimate)
    assert (found[0].outcome.value, found[0].stored_at) == (100.0, "2025-05-01T10:00:00.000+00:00")
    assert found[0].model is not None
    assert found[0].model.calibrated_range is None


ANY_TEXT = st.text(st.characters(exclude_categories=()))
"""With the halves of characters that a file name in another encoding becomes."""


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT | st.binary() | st.datetimes(),
        lambda inner: st.lists(inner) | st.tuples(inner) | st.dictionaries(ANY_TEXT | st.integers(), inner),
        max_leaves=12,
    )
)
def test_whatever_an_instrument_says_becomes_json_that_is_stored(said: object) -> None:
    text = as_json({"said": said})
    with closing(sqlite3.connect(":memory:")) as db:
        (back, valid) = db.execute("SELECT ?1, json_valid(?1)", (text,)).fetchone()
    assert valid == 1
    assert set(json.loads(back)) == {"said"}


def test_what_is_no_log_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(LogError, match="there is no log"), open_for_reading(tmp_path / "none.db"):
        pass
    assert not (tmp_path / "none.db").exists()
    text = tmp_path / "notes.txt"
    text.write_text("not a database, but long enough to be looked at\n" * 50)
    with (
        pytest.raises(LogError, match=r"notes\.txt: the log cannot be read: file is not a database; name another"),
        open_for_reading(text),
    ):
        pass
    foreign = tmp_path / "foreign.db"
    with closing(sqlite3.connect(foreign)) as db:
        db.execute("CREATE TABLE mine(x)")
    with pytest.raises(LogError, match="another program"), open_for_reading(foreign):
        pass


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Path]:
    with own_disk(tmp_path / "mounted") as place:
        yield place


def test_a_log_on_a_disk_that_cannot_be_written_is_read(full_log: Path, mounted: Path, soils: list[Spectrum]) -> None:
    shutil.copy(full_log, mounted / "log.db")
    subprocess.run(["mount", "-o", "remount,ro", str(mounted)], check=True)
    assert names(lines(mounted / "log.db")) == ["T0", "T1", "T2", "T3", "T4"]
    with pytest.raises(LogError, match="permission is needed"):
        Log(mounted / "log.db")
    subprocess.run(["mount", "-o", "remount,rw", str(mounted)], check=True)
    # A card pulled while the program ran: the newest reading is in the write-ahead file only.
    with Log(full_log) as log:
        log.add([Result(soils[0], Refusal("x", "newest", "T9"))])
        for end in ("", "-wal"):
            shutil.copy(f"{full_log}{end}", f"{mounted / 'log.db'}{end}")
    subprocess.run(["mount", "-o", "remount,ro", str(mounted)], check=True)
    with pytest.raises(LogError, match="copy both files"):
        lines(mounted / "log.db")


def test_a_log_that_may_not_be_written_is_read(full_log: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everything; the test with a file system of its own stands for this one")
    full_log.chmod(0o444)
    full_log.parent.chmod(0o555)
    try:
        assert names(lines(full_log)) == ["T0", "T1", "T2", "T3", "T4"]
        with pytest.raises(LogError, match="permission is needed"):
            Log(full_log)
    finally:
        full_log.parent.chmod(0o755)


def test_what_is_stored_while_a_list_is_read_does_not_disturb_it(full_log: Path, soils: list[Spectrum]) -> None:
    with Log(full_log) as log, open_for_reading(full_log) as db:
        seen = []
        for entry in iter_entries(db):
            seen += [answer.outcome.sample_id for answer in (*entry.estimates, *entry.refusals)]
            log.add([Result(soils[0], Refusal("x", "stored meanwhile", "N"))])
    # Each of the streams that are merged is one moment of the log; a later moment may have more, never less.
    assert [name for name in seen if name != "N"] == ["T0", "T1", "T2", "T3", "T4"]
    assert len(lines(full_log)) == 5 + len(seen)


MEMORY = """
import resource, sys
from stibium.edge.log.read import iter_entries, open_for_reading
with open_for_reading(sys.argv[1]) as db:
    count = sum(1 for _ in iter_entries(db))
print(count, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_the_last_are_those_measured_last_where_the_clock_was_set_back(
    tmp_path: Path, soils: list[Spectrum], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files that were refused before, by a clock that was ahead, must not stand before what was measured since."""
    path = tmp_path / "log.db"
    ahead = (datetime.now(timezone.utc) + timedelta(days=400)).isoformat(timespec="milliseconds")
    with Log(path) as log:
        with monkeypatch.context() as wrong:
            wrong.setattr("stibium.edge.log.write.now", lambda: ahead)
            log.add([Result(None, Refusal(f"{number}.asd", "cut off", "")) for number in range(5)])
            log.add([Result(soils[0], Refusal("a.asd", "tried", "before"))])
        log.add([Result(soils[0], Refusal("a.asd", "tried", "after"))])
    with open_for_reading(path) as db:
        last = [one.reading.id if one.reading else None for one in iter_entries(db, last=3)]
        every = [one.reading.id if one.reading else None for one in iter_entries(db)]
    assert last[-1] == 2
    assert every[-1] == 2
    assert every.count(None) == 5


def test_files_that_were_refused_stand_where_they_were_refused_whatever_the_clock(
    tmp_path: Path, soils: list[Spectrum], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, hours = tmp_path / "log.db", iter((9, 7, 8, 6, 10, 5))
    monkeypatch.setattr("stibium.edge.log.write.now", lambda: f"2026-05-06T{next(hours):02d}:00:00.000+00:00")
    with Log(path) as log:
        for number in range(6):
            log.add([Result(soils[0] if number % 2 else None, Refusal(f"{number}.asd", "cut off", ""))])
    with open_for_reading(path) as db:
        every = [one.refusals[0].outcome.source for one in iter_entries(db)]
        assert every == [f"{number}.asd" for number in range(6)]
        for last in range(1, 7):
            assert [one.refusals[0].outcome.source for one in iter_entries(db, last=last)] == every[-last:]


def test_memory_does_not_grow_with_the_log(full_log: Path) -> None:
    peaks = []
    with closing(sqlite3.connect(full_log)) as db:
        for more in (1_000, 19_000):
            (last,) = db.execute("SELECT max(id) FROM readings").fetchone()
            many = f"WITH RECURSIVE n(i) AS (SELECT {last + 1} UNION ALL SELECT i + 1 FROM n WHERE i < {last + more})"
            own = [row[1] for row in db.execute("PRAGMA table_info(readings)") if row[1] not in ("id", "spectrum")]
            db.execute(
                f"{many} INSERT INTO readings(id, spectrum, {', '.join(own)})"
                f" SELECT n.i, zeroblob(40), {', '.join('r.' + name for name in own)} FROM n, readings r WHERE r.id=1"
            )
            own = [row[1] for row in db.execute("PRAGMA table_info(estimates)") if row[1] not in ("id", "reading_id")]
            db.execute(
                f"{many} INSERT INTO estimates(reading_id, {', '.join(own)})"
                f" SELECT n.i, {', '.join('e.' + name for name in own)} FROM n, estimates e WHERE e.id = 1"
            )
            db.commit()
            command = [sys.executable, "-c", MEMORY, str(full_log)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            found, peak = map(int, done.stdout.split())
            assert found == last + more + 1
            peaks.append(peak)
    assert peaks[1] < 1.2 * peaks[0]


def test_every_spectrum_comes_back_in_order(full_log: Path) -> None:
    assert [spectrum.sample_id for spectrum in spectra_in(full_log)] == ["T0", "T1", "T2", "T3"]
