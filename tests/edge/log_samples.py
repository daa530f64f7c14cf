"""A log with something in every table, as a measuring session leaves it."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
from stibium.converters.spectra.spectrum import Position, Spectrum
from stibium.edge.gates.scans import Scan, ScanSettings
from stibium.edge.log.columns import CORRECTIONS, ORE_CALLS, TIME_OFFSETS, ReadingFacts
from stibium.edge.log.read import open_for_reading
from stibium.edge.log.spectra import iter_spectra
from stibium.edge.log.write import Log, Result, now
from stibium.edge.model.bundle import Bundle
from stibium.edge.model.estimate import Estimator, Refusal
from stibium.edge.model.replicates import mean_spectrum

MEASURED_AT = datetime(2026, 5, 6, 9, 30, tzinfo=timezone.utc)


def a_scan(number: int, bands: int = 2151, kind: str = "target", **changes: object) -> Scan:
    """A scan of raw counts, as a driver gives it."""
    values = np.random.default_rng(number).uniform(1000, 60000, bands)
    facts: dict[str, object] = {
        "kind": kind,
        "values": values,
        "unit": "raw_dn",
        "key": ("ASD FieldSpec 18234", 3, number, 4_000_000_000 + number),
        "number": number,
        "taken_s": 12.5 + number,
        "measured_at": MEASURED_AT + timedelta(seconds=number),
        "scans": 10,
        "settings": ScanSettings((("VNIR integration_ms", 68.0), ("SWIR1 gain", 512.0))),
        "boot": 3,
        "drift": 12.0,
        "temperature_c": float("nan"),
        "extra": {"lamp_v": np.float32(11.5), "raw": b"\x01\xff", "when": MEASURED_AT, "counts": np.arange(3)},
    }
    return Scan(**(facts | changes))  # type: ignore[arg-type]


def correct(db: sqlite3.Connection) -> None:
    """Write what somebody said of a reading afterwards, a comparison with another clock, and a call at the face."""
    CORRECTIONS.insert(db, at=now(), reading_id=2, kind="photo", value={"file": "T1.jpg"}, who="Inês")
    TIME_OFFSETS.insert(db, at=now(), offset_s=86400.25, source="phone", host_boot="boot-1")
    texts = dict.fromkeys(("software", "model", "model_sha256", "scenario", "decision", "reason"), "x")
    numbers = {"probability": 0.8, "low": None, "high": None, "threshold": 0.5, "simulated": True}
    more = {"stored_at": now(), "sample_id": "F1", "flags": (), "inputs": {"Pb": float("nan")}, "contributions": {}}
    ORE_CALLS.insert(db, **texts, **numbers, **more)


def make_full_log(path: Path, bundle: Bundle, soils: Sequence[Spectrum]) -> None:
    """One session: dark, white, three samples of two points each, two at a position; a refused reading, two events, a
    correction and a time offset."""
    estimator = Estimator(bundle)
    nm = soils[0].wavelengths_nm
    with Log(path, bundle.name, bundle.sha256, bundle.calibrated_range) as log:
        session = log.begin_session(
            port="/dev/ttyUSB0",
            instrument="ASD FieldSpec 18234",
            profile_name="fieldspec4",
            profile_text='protocol = "fieldspec"\n',
            operator="Inês",
            settings={"points": 2},
        )
        log.add_event("optimised", "integration time 68 ms", {"integration_ms": 68}, session)
        dark = log.add_scan(a_scan(1, kind="dark"), session_id=session, kind="dark", wavelengths_nm=nm)
        white = log.add_scan(a_scan(2, kind="white"), session_id=session, kind="white", wavelengths_nm=nm)
        for number, soil in enumerate(soils[:3]):
            targets, points = [], []
            for point in (1, 2):
                scan = a_scan(10 * (number + 1) + point)
                targets.append(
                    log.add_scan(
                        scan,
                        session_id=session,
                        kind="target",
                        wavelengths_nm=nm,
                        sample_id=f"T{number}",
                        point=point,
                    )
                )
                values = soil.values ** (1 + 0.1 * point)
                points.append(replace(soil, sample_id=f"T{number}", values=values, measurement=str(point)))
            mean = replace(
                mean_spectrum(points),
                position=Position(41.1496, -8.361 - number / 1000, 120.5) if number != 1 else None,
                measured_at=MEASURED_AT + timedelta(minutes=number),
                instrument="ASD FieldSpec 18234",
                extra={"integration_time_ms": 68},
            )
            about = ReadingFacts(
                session_id=session,
                scan_ids=((dark, "dark"), (white, "white"), *((target, "target") for target in targets)),
                settings={"white_age_min": 3.5},
                notes="stony, below the adit",
                sample_kind="duplicate" if number == 2 else "sample",
                duplicate_of="T0" if number == 2 else "",
                position_source="gpsd" if number != 1 else "",
                position_at=MEASURED_AT,
            )
            log.add([Result(mean, estimator.estimate([mean])[0], about)])
        stale = replace(soils[3], sample_id="T3")
        why = "white reference is 31 min old, 15 min are allowed"
        about = ReadingFacts(session_id=session, rule_broken=why)
        log.add([Result(stale, Refusal("/dev/ttyUSB0", why, "T3"), about)])
        log.add([Result(None, Refusal("/dev/ttyUSB0", "the shutter was closed", "T4"), about)])
        log.add_event("rule_broken", why, None, session)
        log.end_session(session)
        log.add([], also=correct)


def spectra_in(path: Path) -> list[Spectrum]:
    """Every spectrum of a log, in the order they were stored; none may be refused."""
    with open_for_reading(path) as db:
        found = [spectrum for _, spectrum in iter_spectra(db)]
    assert not [spectrum for spectrum in found if isinstance(spectrum, Refusal)]
    return [spectrum for spectrum in found if isinstance(spectrum, Spectrum)]


@contextmanager
def own_disk(place: Path) -> Iterator[Path]:
    """A real file system of its own, of 48 MB; the test is skipped where none can be mounted."""
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=48m", "stibium-test", str(place)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("a file system can be mounted by root only")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)
