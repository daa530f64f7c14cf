"""Are the log's rows as they were stored? What can be read is compared with its hash, and the rest is named."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator

from .columns import READINGS, TABLES, spectrum_sha256


def damaged_rows(db: sqlite3.Connection, last: int | None) -> Iterator[str]:
    """Give a line for each row that cannot be read, and for each spectrum that is not the one that was stored.

    Args:
        db: from `read.open_for_reading`.
        last: so many of each table, the last ones; None for all.
    """
    limit = f"ORDER BY id DESC LIMIT {int(last)}" if last is not None else ""
    for table in TABLES:
        if table.columns[0].name != "id":
            continue
        for row in db.execute(f"SELECT {table.select('t')} FROM {table.name} t {limit}"):
            damage = table.read_what_can_be(row)[1]
            if damage:
                yield damage
    yield from _changed_spectra(db, limit)


def _changed_spectra(db: sqlite3.Connection, limit: str) -> Iterator[str]:
    grids: dict[int, str] = {}
    hashed = READINGS.only("id", "grid_id", "spectrum", "spectrum_sha256").select("t")
    # A reading from before version 4 of the log has no hash.
    for number, grid_id, spectrum, sha256 in db.execute(f"SELECT {hashed} FROM readings t {limit}"):
        if grid_id not in grids:
            found = db.execute("SELECT wavelengths_nm FROM grids WHERE id = ?", (grid_id,)).fetchone()
            grids[grid_id] = hashlib.sha256(found[0] if found else b"").hexdigest()
        if sha256 is not None and spectrum_sha256(grids[grid_id], bytes(spectrum)) != sha256:
            yield f"damaged in the log: row {number} of readings, the spectrum is not the one that was stored"
