"""What was taken from a drop folder, remembered in the log's own database.

The memory is written in the transaction that stores the readings (`Log.add`): a program that is killed at any
moment has either stored a file's readings and knows it, or neither.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ...converters.spectra.spectrum import Spectrum
from ..errors import LogError
from ..model.estimate import Refusal

Signature = tuple[int, ...]
"""Size in bytes, modification and change time in ns of a file, then of each file that belongs to it."""


class TakenMeanwhileError(Exception):
    """Another process has taken one of these files since; nothing was stored."""


@dataclass(frozen=True)
class Piece:
    """Part of a complete file, or all of it: what is new in it, and what to remember with it.

    Attributes:
        path: the file.
        items: spectra, or the refusal, not taken before.
        fingerprints: one for each item.
        signature: on the last piece of a file, the state it was read in; None before that, and for a file
            that could not be opened, which is looked at again.
    """

    path: str
    items: tuple[Spectrum | Refusal, ...]
    fingerprints: tuple[bytes, ...]
    signature: Signature | None


class Taken:
    """Memory of the files and spectra that were taken.

    Args:
        database: the log's connection.
    """

    def __init__(self, database: sqlite3.Connection) -> None:
        self._db = database

    def _rows(self, statement: str, values: tuple[bytes, ...] = ()) -> list[tuple[Any, ...]]:
        try:
            return self._db.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise LogError(f"the log cannot be used to remember which files were taken: {error}") from error

    def signatures(self, folder: str) -> dict[str, Signature]:
        """Give the files below a folder that were read to the end, with the state they were in."""
        below = os.fsencode(os.path.join(folder, ""))
        rows = self._rows(
            "SELECT path, signature FROM taken_files WHERE path >= ? AND path < ?", (below, below[:-1] + b"0")
        )
        return {os.fsdecode(path): tuple(map(int, text.split())) for path, text in rows}

    def fingerprints(self, path: str) -> set[bytes]:
        """Give the fingerprints of all that was ever taken from a path."""
        rows = self._rows("SELECT fingerprint FROM taken_items WHERE path = ?", (os.fsencode(path),))
        return {fingerprint for (fingerprint,) in rows}

    def mark(self, pieces: Iterable[Piece], database: sqlite3.Connection) -> None:
        """Write pieces down, inside the open transaction that stores their items.

        Raises:
            TakenMeanwhileError: one of the items is there already.
        """
        for piece in pieces:
            path = os.fsencode(piece.path)
            try:
                database.executemany(
                    "INSERT INTO taken_items(path, fingerprint) VALUES (?, ?)",
                    [(path, fingerprint) for fingerprint in piece.fingerprints],
                )
            except sqlite3.IntegrityError as error:
                raise TakenMeanwhileError(piece.path) from error
            if piece.signature is not None:
                database.execute(
                    "INSERT INTO taken_files(path, signature) VALUES (?, ?)"
                    " ON CONFLICT(path) DO UPDATE SET signature = excluded.signature",
                    (path, " ".join(map(str, piece.signature))),
                )


def fingerprints_of(items: Iterable[Spectrum | Refusal]) -> list[bytes]:
    """Give 16 bytes for each item of one file that tell it from every other; equal items are numbered.

    They are made from what a spectrum says (sample, time, wavelengths, values), not from the file's bytes: a
    table that has grown by some rows gives the old fingerprints for the old rows.
    """
    seen: Counter[bytes] = Counter()
    fingerprints = []
    for item in items:
        digest = hashlib.blake2b(digest_size=16)
        if isinstance(item, Spectrum):
            name = (item.sample_id, item.measurement, str(item.measured_at), item.quantity, item.simulated)
            digest.update(repr(name).encode("utf-8", "surrogatepass"))
            digest.update(item.wavelengths_nm.tobytes())
            digest.update(item.values.tobytes())
        else:
            digest.update(f"refused {item.sample_id} {item.reason}".encode("utf-8", "surrogatepass"))
        first = digest.digest()
        if seen[first]:
            digest.update(str(seen[first]).encode())
        seen[first] += 1
        fingerprints.append(digest.digest())
    return fingerprints
