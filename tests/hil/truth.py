"""What an instrument was played with, against what a log holds: nothing lost, nothing doubled, nothing changed."""

from __future__ import annotations

import shutil
import sqlite3
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
from stibium.converters.spectra.spectrum import Spectrum


def numbered(base: Sequence[Spectrum], count: int, prefix: str = "N") -> list[Spectrum]:
    """Make soils that can be told apart by name and by every value, exact in the protocol's float32."""
    made = []
    for number in range(count):
        soil = base[number % len(base)]
        values = (soil.values * (1 + 1e-4 * (number // len(base)))).astype(np.float32).astype(np.float64)
        made.append(
            Spectrum(
                soil.wavelengths_nm,
                values,
                "reflectance",
                f"{prefix}{number:05d}",
                splices_nm=soil.splices_nm,
                comment="simulated",
                simulated=True,
            )
        )
    return made


def readings(log: Path) -> list[tuple[str, bytes]]:
    """(sample, values as they are stored) of every reading, oldest first."""
    with closing(sqlite3.connect(log, timeout=30)) as db:
        return db.execute("SELECT sample_id, spectrum FROM readings ORDER BY id").fetchall()


def refusals(log: Path) -> list[tuple[str, str]]:
    """(sample, reason) of every refusal, oldest first."""
    with closing(sqlite3.connect(log, timeout=30)) as db:
        return db.execute("SELECT sample_id, reason FROM refusals ORDER BY id").fetchall()


def stored_values(spectrum: Spectrum) -> bytes:
    """The values as the log keeps them."""
    return spectrum.values.astype("<f4").tobytes()


def assert_each_once(log: Path, spectra: Sequence[Spectrum]) -> None:
    """Every spectrum is in the log once, with its own values, and answered."""
    assert_true(log, spectra)
    assert Counter(name for name, _ in readings(log)) == Counter(s.sample_id for s in spectra)
    with closing(sqlite3.connect(log)) as db:
        (answers,) = db.execute("SELECT count(DISTINCT reading_id) FROM estimates").fetchone()
    assert answers == len(spectra)


def assert_true(log: Path, spectra: Sequence[Spectrum]) -> None:
    """Whatever is in the log has the values of the spectrum of its name."""
    truth = {spectrum.sample_id: stored_values(spectrum) for spectrum in spectra}
    for name, values in readings(log):
        assert values == truth[name], f"{name} has other values than were measured"


def assert_sound(log: Path, scratch: Path) -> int:
    """Check the database as it lies there, on a copy, so that recovery is left to the program; give its readings."""
    scratch.mkdir(exist_ok=True)
    copy = scratch / "copy.db"
    for suffix in ("", "-wal", "-shm"):
        Path(f"{copy}{suffix}").unlink(missing_ok=True)
    # As the process left it: the index in -shm is no part of the data and is made anew.
    for suffix in ("", "-wal"):
        if Path(f"{log}{suffix}").exists():
            shutil.copyfile(f"{log}{suffix}", f"{copy}{suffix}")
    return assert_intact(copy)


def assert_intact(database: Path) -> int:
    """Check every page and reference of a database; give the number of readings, 0 before it has a schema."""
    with closing(sqlite3.connect(database)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert db.execute("PRAGMA foreign_key_check").fetchall() == []
        if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'readings'").fetchone():
            return 0
        (readings,) = db.execute("SELECT count(*) FROM readings").fetchone()
        (whole,) = db.execute(
            "SELECT count(*) FROM readings r WHERE EXISTS (SELECT 1 FROM estimates e WHERE e.reading_id = r.id)"
            " OR EXISTS (SELECT 1 FROM refusals f WHERE f.reading_id = r.id)"
        ).fetchone()
        assert whole == readings, "a reading without its answer"
        return int(readings)
