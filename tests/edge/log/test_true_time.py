"""The right time of readings of a device whose clock is wrong: of the same power-up, before and after, and said."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from log_samples import a_scan
from stibium.converters.spectra.spectrum import Spectrum
from stibium.edge.log.columns import ReadingFacts
from stibium.edge.log.day import day_lines, day_of, last_day, records_of
from stibium.edge.log.export import iter_records
from stibium.edge.log.read import open_for_reading
from stibium.edge.log.true_time import add_time_offset, signed
from stibium.edge.log.write import Log, Result, add_event, now
from stibium.edge.model.bundle import Bundle
from stibium.edge.model.estimate import Refusal
from stibium.edge.record import ReadingRecord


def take(log: Log, soil: Spectrum, number: int, at: datetime, session: int | None = None, **extra: object) -> None:
    scan = a_scan(number, measured_at=at, extra=extra)
    scan_id = log.add_scan(scan, session_id=session, kind="target", wavelengths_nm=soil.wavelengths_nm)
    about = ReadingFacts(session_id=session, scan_ids=((scan_id, "target"),))
    log.add([Result(soil, Refusal("a.asd", "tried", "a"), about)])


def records(path: Path) -> list[ReadingRecord]:
    with open_for_reading(path) as db:
        return list(iter_records(db))


def test_readings_of_that_power_up_are_corrected_and_others_are_not(tmp_path: Path, soils: list[Spectrum]) -> None:
    path = tmp_path / "log.db"
    soil = soils[0]
    device = datetime.now(timezone.utc)
    offset_s = 5000.0
    with Log(path) as log:
        take(log, soil, 1, device - timedelta(seconds=100), host_boot="b", monotonic_s=900.0)
        add_time_offset(log, offset_s, "phone", "b", 1000.0)
        take(log, soil, 2, device + timedelta(seconds=50), host_boot="b", monotonic_s=1050.0)
        # The network sets the clock: the stored time is right now, and nothing is added.
        take(log, soil, 3, device + timedelta(seconds=offset_s + 80), host_boot="b", monotonic_s=1080.0)
        # The clock is set back by hand.
        take(log, soil, 4, device - timedelta(days=3), host_boot="b", monotonic_s=1100.0)
        take(log, soil, 5, device, host_boot="another", monotonic_s=1000.0)
        take(log, soil, 6, device)
        log.add([Result(soil, Refusal("b.asd", "tried", "b"))])
    found = records(path)
    offsets = [one.time_offset_s for one in found]
    assert offsets[0] == pytest.approx(offset_s, abs=1)
    assert offsets[1] == pytest.approx(offset_s, abs=1)
    assert offsets[3] == pytest.approx(offset_s + 100 + 3 * 86400, abs=1)
    assert [one.corrected_at for one in found][4:] == [None, None, None]
    assert offsets[2] is None
    right = datetime.fromisoformat(found[1].corrected_at or "")
    assert right == pytest.approx(device + timedelta(seconds=offset_s + 50), abs=timedelta(seconds=2))
    assert "time corrected by +1:23:20, as the phone said" in found[0].flags
    assert found[0].stored_at != found[0].corrected_at
    assert not any("corrected" in flag for flag in found[4].flags)


def test_a_log_without_another_clock_is_as_before(
    tmp_path: Path, soils: list[Spectrum], shipped_bundle: Bundle
) -> None:
    with Log(tmp_path / "log.db") as log:
        take(log, soils[0], 1, datetime.now(timezone.utc), host_boot="b", monotonic_s=1.0)
    (one,) = records(tmp_path / "log.db")
    assert (one.corrected_at, one.time_offset_s) == (None, None)


def test_what_cannot_be_read_of_it_corrects_nothing(tmp_path: Path, soils: list[Spectrum]) -> None:
    with Log(tmp_path / "log.db") as log:
        take(log, soils[0], 1, datetime.now(timezone.utc), host_boot="b", monotonic_s="x")
        take(log, soils[0], 2, datetime.now(timezone.utc), host_boot="c", monotonic_s=3.0)
        add_time_offset(log, 1e6, "phone", "b", 1.0)
        for details in (
            {},
            {"host_boot": "c", "at": "x", "offset_s": 9, "monotonic_s": 1},
            {"host_boot": "c", "at": now(), "offset_s": 1e300, "monotonic_s": 1},
        ):
            add_event(log.database, "time_offset", "damaged", details, None)
    assert [one.corrected_at for one in records(tmp_path / "log.db")] == [None, None]


def test_a_day_is_that_of_the_right_time(tmp_path: Path, soils: list[Spectrum]) -> None:
    """A device goes on from when it was switched off, the evening before; the phone says so in the middle of the day."""
    path, days = tmp_path / "log.db", 3
    device = datetime.now(timezone.utc)
    with Log(path) as log:
        begun = {"host_boot": "b", "begun_monotonic_s": 900.0}
        facts = dict.fromkeys(("port", "instrument", "profile_name", "profile_text", "operator"), "")
        session = log.begin_session(**facts, settings=begun)  # type: ignore[arg-type]
        take(log, soils[0], 1, device, host_boot="yesterday's", monotonic_s=5.0)
        for number, monotonic_s in ((2, 1001.0), (3, 1002.0)):
            take(log, soils[0], number, device, session, host_boot="b", monotonic_s=monotonic_s)
            details = {"kind": "white", "host_boot": "b", "monotonic_s": monotonic_s}
            log.add_event("reference_taken", "white", details, session)
        log.end_session(session)
        add_time_offset(log, days * 86400.0, "phone", "b", 1000.0)
    today = device.astimezone().date()
    with open_for_reading(path) as db:
        right = last_day(db)
        before, after = day_of(db, today), day_of(db, today + timedelta(days=days))
        last = [one.reading for one in records_of(db, today + timedelta(days=days), last=1)]
    assert right == today + timedelta(days=days)
    assert [[one.reading for one in day.readings] for day in (before, after)] == [[1], [2, 3]]
    assert last == [3]
    assert [len(day.whites) for day in (before, after)] == [0, 2]
    (one,) = after.sessions
    assert one.started_at[:10] == (one.ended_at or "")[:10] == right.isoformat()
    assert before.sessions == ()
    assert "time corrected by +3 days" in "\n".join(day_lines(after))
    assert "corrected" not in "\n".join(day_lines(before))


def test_signs() -> None:
    assert signed(11525) == "+3:12:05"
    assert signed(-2 * 86400 - 3600) == "-2 days, 1:00:00"
