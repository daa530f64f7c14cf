"""The parts of `make soak`, each for seconds; and that they notice what they are there to notice."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from line_processes import Listener
from shots import REASONS, Shots, shipped_bundle, shipped_soils
from soak import Account, measure_in_a_row, replay, settle
from stibium.edge.simulators.ends import PtyEnd
from stibium.edge.simulators.framed_instrument import VirtualInstrument
from stibium.edge.simulators.serve import VirtualProbe

pytestmark = pytest.mark.usefixtures("virtual_only")


@pytest.mark.parametrize("button", [False, True], ids=["asked", "button"])
def test_replay_with_mishaps(tmp_path: Path, button: bool) -> None:
    account = replay(tmp_path, 4.0, (0.1, 0.4), button, seed=21, scan_share=0.1, least=15)
    assert account.measured >= 15
    assert account.answered + account.not_through + sum(account.refused.values()) == account.measured
    assert len(account.refused) >= 3
    assert account.faults


def test_in_a_row(tmp_path: Path) -> None:
    assert "0 lost, 0 doubled" in measure_in_a_row(tmp_path, 300)


def test_what_is_lost_doubled_changed_or_refused_wrongly_is_noticed(tmp_path: Path) -> None:
    shots = Shots(shipped_soils(), bad_every=5)
    shots.limit = 5 * len(REASONS)
    listener = Listener(tmp_path, shipped_bundle())
    with VirtualProbe(VirtualInstrument(shots.simulation()), PtyEnd(tmp_path / "port")) as probe:
        done = listener.run(probe.name, "--points", "1")
    account = Account()
    settle(account, shots, listener.log, tmp_path, done.out, done.err)
    assert account.refused == dict.fromkeys(REASONS, 1)
    assert account.answered == 4 * len(REASONS)

    untouched = listener.log.read_bytes()

    def columns_of(table: str, after: int = 1) -> str:
        with closing(sqlite3.connect(listener.log)) as db:
            return ", ".join(f'"{row[1]}"' for row in db.execute(f"PRAGMA table_info({table})").fetchall()[after:])

    for harm, says in {
        "DELETE FROM estimates WHERE reading_id = 3; DELETE FROM reading_scans WHERE reading_id = 3;"
        "DELETE FROM readings WHERE id = 3": "lost without a word",
        "UPDATE refusals SET reason = 'never arrived' WHERE id = 2": "is bad",
        "UPDATE readings SET sample_id = 'M0000001' WHERE sample_id = 'M0000002'": "not the values measured",
        "UPDATE readings SET spectrum = zeroblob(length(spectrum)) WHERE id = 1": "not the values measured",
        "INSERT INTO refusals(stored_at, software, source, sample_id, reason)"
        " SELECT stored_at, software, source, 'M0000000', 'the moon' FROM refusals LIMIT 1": "is good and was refused",
        "INSERT INTO readings SELECT * FROM (SELECT 99 AS id, "
        f"{columns_of('readings')} FROM readings WHERE sample_id = 'M0000001');"
        f"INSERT INTO estimates SELECT 99, 99, {columns_of('estimates', 2)} FROM estimates WHERE id = 1": "there twice",
    }.items():
        listener.log.write_bytes(untouched)
        with closing(sqlite3.connect(listener.log)) as db:
            # The log refuses any of this by itself, so its guards are taken away first.
            guards = db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
            db.executescript("".join(f"DROP TRIGGER {name};" for (name,) in guards) + harm)
        with pytest.raises(AssertionError, match=says):
            settle(Account(), shots, listener.log, tmp_path, done.out, done.err)
