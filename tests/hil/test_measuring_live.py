"""Spectra in at one end of a port, estimates out at the other: all programs as they are, on real ports.

Most of these run against real hardware as well: `pytest tests/hil --port /dev/ttyUSB0`.
"""

from __future__ import annotations

import signal
import sqlite3
import subprocess
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from line_processes import PATIENCE_S, STIBIUM, Listener, playing
from record_check import read_records
from stibium.converters.spectra.spectrum import Spectrum
from stibium.converters.spectra.table.write import write_table
from stibium.edge.engine import average_samples
from stibium.edge.instruments.recording import decode_recording, read_recording
from stibium.edge.model.bundle import Bundle
from stibium.edge.model.estimate import Estimate, Estimator

if TYPE_CHECKING:
    from conftest import Instrument

POINTS = 3
NOW = ("--white", "now")


def expected(bundle: Bundle, spectra: Sequence[Spectrum]) -> list[Estimate]:
    """What the estimator says of the same spectra without a line in between."""
    means = [item for item in average_samples(spectra) if isinstance(item, Spectrum)]
    outcomes = Estimator(bundle).estimate(means)
    assert all(isinstance(outcome, Estimate) for outcome in outcomes)
    return outcomes  # type: ignore[return-value]


def assert_estimates(records: list[dict[str, Any]], estimates: Sequence[Estimate], rel: float = 1e-5) -> None:
    """Rounded to six figures, the same; counts make other floats, and a network in eight bits answers in steps."""
    assert [record["status"] for record in records] == ["estimated"] * len(estimates)
    assert [record["sample_id"] for record in records] == [estimate.sample_id for estimate in estimates]
    assert [record["verdict"] for record in records] == [estimate.verdict for estimate in estimates]
    for record, estimate in zip(records, estimates, strict=True):
        shown = None if estimate.bound == "< LOD" else pytest.approx(estimate.value, rel=rel)
        assert record["said"] == shown
        assert record["said_low"] == pytest.approx(estimate.low, rel=rel)
        assert record["said_high"] == pytest.approx(estimate.high, rel=rel)
        assert record["t2_over_limit"] == pytest.approx(estimate.t2_over_limit, rel=min(max(rel, 1e-4), 2e-3))


def logged(log: Path) -> list[tuple[str, str, float]]:
    """(sample, measurement, value as it is shown) of every estimate in a log."""
    with closing(sqlite3.connect(log)) as db:
        return db.execute(
            "SELECT sample_id, measurement, CASE bound WHEN '< LOD' THEN NULL ELSE value END FROM estimates JOIN readings ON readings.id = reading_id"
            " ORDER BY estimates.id"
        ).fetchall()


# --- also with real hardware -----------------------------------------------------------------------------


def test_what_is_measured_is_estimated_logged_and_shown(
    instrument: Instrument, listener: Listener, shipped_bundle: Bundle
) -> None:
    done = listener.run(instrument.port, *NOW, "--count", "2", "--points", str(POINTS))
    assert len(done.records) == 2
    assert done.code == (1 if any(record["status"] == "refused" for record in done.records) else 0)
    shown = [(r["sample_id"], r["measurement"], r["said"]) for r in done.records if r["status"] == "estimated"]
    for (sample, measurement, value), row in zip(shown, logged(listener.log), strict=True):
        assert (sample, measurement) == row[:2]
        assert value == (None if row[2] is None else pytest.approx(row[2], rel=1e-5))
    for record in done.records:
        assert record["measurement"] in ("", f"mean of {POINTS}")
        assert instrument.port in record["source"]
    if instrument.spectra is not None:
        assert_estimates(done.records, expected(shipped_bundle, instrument.spectra[: 2 * POINTS]))
        assert all(record["simulated"] for record in done.records)
        assert "SIMULATED spectra" in done.err


def test_samples_are_named_as_asked(instrument: Instrument, listener: Listener) -> None:
    done = listener.run(instrument.port, *NOW, "--count", "2", "--points", "1", "--prefix", "RS")
    assert [record["sample_id"] for record in done.records] == ["RS001", "RS002"]
    done = listener.run(instrument.port, *NOW, "--sample-id", "soil 7", "--points", "2")
    assert [record["sample_id"] for record in done.records] == ["soil 7"]


def test_a_recorded_session_replays_to_the_same_estimates(
    instrument: Instrument, listener: Listener, tmp_path: Path
) -> None:
    path = tmp_path / "session.txt"
    live = listener.run(instrument.port, *NOW, "--count", "2", "--points", str(POINTS), "--record", str(path))
    decoded = decode_recording(path)
    assert decoded.damaged == 0
    assert decoded.unfinished == ()
    values = ("sample_id", "status", "said", "said_low", "said_high", "verdict", "reason")
    wanted = [[record[name] for name in values] for record in live.records]

    replayed = listener.run(f"replay://{path}", "--points", str(POINTS))
    assert [[record[name] for name in values] for record in replayed.records] == wanted

    with playing(tmp_path, "--recording", str(path), "--speed", "full") as port:
        played = listener.run(port, *NOW, "--points", str(POINTS))
    assert [[record[name] for name in values] for record in played.records] == wanted
    assert "nothing more to measure" in played.err

    # Byte by byte it is the same measurements again: a log that holds them does not take them twice.
    other = Listener(tmp_path, listener.bundle)
    other.log = tmp_path / "other.db"
    with playing(tmp_path, "--recording", str(path), "--verbatim", "--speed", "real") as port:
        verbatim = other.run(port, "--passive", "--count", "2", "--points", str(POINTS))
    assert [[record[name] for name in values] for record in verbatim.records] == wanted


def test_a_recording_is_not_overwritten(instrument: Instrument, listener: Listener, tmp_path: Path) -> None:
    path = tmp_path / "session.txt"
    path.write_text("precious")
    done = listener.run(instrument.port, *NOW, "--count", "1", "--record", str(path))
    assert (done.code, done.out) == (1, "")
    assert path.read_text() == "precious"
    assert done.err.strip().endswith("is there already; name another file to record in")


@pytest.mark.parametrize("instrument", ["pty"], indirect=True)
def test_a_second_listener_is_turned_away(instrument: Instrument, listener: Listener) -> None:
    with listener.running(instrument.port, *NOW, "--passive", "--points", "1") as first:
        assert first.stderr is not None
        assert instrument.port in first.stderr.readline()
        done = listener.run(instrument.port, *NOW, "--count", "1")
        assert done.code == 1
        assert "measures with this instrument; end it first" in done.err
        assert len(done.err.splitlines()) == 1


# --- with the virtual probe only -------------------------------------------------------------------------


def each_once(log: Path, played: Sequence[Spectrum]) -> bool:
    """Whether a log holds every played point exactly once."""
    return Counter(sample for sample, _, _ in logged(log)) == Counter(spectrum.sample_id for spectrum in played)


@pytest.mark.usefixtures("virtual_only")
@pytest.mark.parametrize(
    "options",
    [
        ("--misbehave", "flip=0.001"),
        ("--misbehave", "drop=0.0005,garbage=0.0005,duplicate=0.05,wrong-length=0.05"),
        ("--misbehave", "disconnect=0.005,stall=0.005,stall-s=0.3", "--unplug-s", "0.05"),
        ("--unplug-every", "2", "--unplug-s", "0.05"),
    ],
    ids=["flip", "drop-and-more", "disconnect-and-stall", "unplug"],
)
def test_whatever_the_line_does_the_estimates_are_those_of_the_spectra(
    listener: Listener,
    played: list[Spectrum],
    played_file: Path,
    shipped_bundle: Bundle,
    tmp_path: Path,
    options: tuple[str, ...],
) -> None:
    link = tmp_path / "port"
    with playing(tmp_path, str(played_file), "--speed", "full", "--link", str(link), "--seed", "4", *options) as port:
        done = listener.run(port, "--points", str(POINTS))
    assert done.code == 0, done.err
    assert_estimates(done.records, expected(shipped_bundle, played))
    assert len(logged(listener.log)) == len(done.records)
    assert (
        "unplugged" in done.err if "unplug" in str(options) else "damaged frames" in done.err or "disc" in str(options)
    )


@pytest.mark.usefixtures("virtual_only")
def test_counts_with_dark_and_white_give_the_same_estimates(
    listener: Listener, played: list[Spectrum], played_file: Path, shipped_bundle: Bundle, tmp_path: Path
) -> None:
    with playing(tmp_path, str(played_file), "--speed", "full", "--raw") as port:
        done = listener.run(port, "--points", str(POINTS), stdin="\n")
    assert done.code == 0, done.err
    assert "Put the probe on the white panel, then press Enter" in done.err
    # Counts have the seven figures of a float32; the derivative of absorbance leaves four or five of them.
    assert_estimates(done.records, expected(shipped_bundle, played), rel=shipped_bundle.golden.tolerance)


@pytest.mark.usefixtures("virtual_only")
def test_nobody_to_ask_for_the_white_panel_is_a_usage_error(
    listener: Listener, played_file: Path, tmp_path: Path
) -> None:
    with playing(tmp_path, str(played_file), "--speed", "full", "--raw") as port:
        done = listener.run(port, "--count", "1")
    assert done.code == 2
    assert done.out == ""
    assert "give --white now with the probe on the white panel" in done.err


@pytest.mark.usefixtures("virtual_only")
def test_power_lost_asks_for_dark_and_white_again(
    listener: Listener, played: list[Spectrum], played_file: Path, shipped_bundle: Bundle, tmp_path: Path
) -> None:
    # With dark and white before them, the seventh measurement is the fifth point.
    cut = ("--raw", "--unplug-every", "7", "--unplug-power", "--unplug-s", "0.05", "--link", str(tmp_path / "port"))
    with playing(tmp_path, str(played_file), "--speed", "full", *cut) as port:
        done = listener.run(port, "--points", "1", "--white", "now")
        assert done.code == 1
        assert [record["status"] for record in done.records] == ["estimated"] * 4 + ["refused"]
        assert done.records[4]["sample_id"] == "HIL1"
        assert "switched off and on: take dark and white again" in done.records[4]["reason"]
        assert "switched off and on; start again with the probe on the white panel" in done.err

    whole = Listener(tmp_path, listener.bundle)
    whole.log = tmp_path / "whole.db"
    with playing(tmp_path, str(played_file), "--speed", "full", *cut) as port:
        done = whole.run(port, "--points", "1", stdin="\n" * 100)
    assert done.code == 1, done.err
    assert done.err.count("Put the probe on the white panel") == done.err.count("white taken") > 2
    good = [record for record in done.records if record["status"] == "estimated"]
    assert len(good) > len(played) / 2
    assert all("take dark and white again" in r["reason"] for r in done.records if r["status"] == "refused")
    assert len(done.records) == len(played)


@pytest.mark.usefixtures("virtual_only")
def test_a_bad_measurement_is_refused_and_the_next_one_taken(
    listener: Listener, played: list[Spectrum], tmp_path: Path
) -> None:
    from dataclasses import replace

    spectra = [played[0], replace(played[3], saturated=("SWIR1",)), played[6]]
    path = tmp_path / "three.csv"
    write_table(path, spectra)
    with playing(tmp_path, str(path), "--speed", "full") as port:
        done = listener.run(port, "--points", "1")
    assert done.code == 1
    assert [record["status"] for record in done.records] == ["estimated", "refused", "estimated"]
    assert done.records[1]["sample_id"] == "HIL1"
    assert "SWIR1 saturated" in done.records[1]["reason"]


@pytest.mark.usefixtures("virtual_only")
def test_a_new_label_begins_a_new_sample_however_many_points_the_last_one_had(
    listener: Listener, played: list[Spectrum], shipped_bundle: Bundle, tmp_path: Path
) -> None:
    cut_short = [*played[:2], *played[3:6]]
    write_table(tmp_path / "five.csv", cut_short)
    with playing(tmp_path, str(tmp_path / "five.csv"), "--speed", "full") as port:
        done = listener.run(port, "--points", str(POINTS))
    assert done.code == 0, done.err
    assert [(record["sample_id"], record["points"]) for record in done.records] == [("HIL0", 2), ("HIL1", 3)]
    assert_estimates(done.records, expected(shipped_bundle, cut_short))


@pytest.mark.usefixtures("virtual_only")
def test_the_button_measures_when_nobody_asks(
    listener: Listener, played: list[Spectrum], played_file: Path, shipped_bundle: Bundle, tmp_path: Path
) -> None:
    with playing(tmp_path, str(played_file), "--speed", "full", "--button", "0") as port:
        done = listener.run(port, "--passive", "--count", "4", "--points", str(POINTS))
    assert done.code == 0, done.err
    assert_estimates(done.records, expected(shipped_bundle, played))


@pytest.mark.usefixtures("virtual_only")
@pytest.mark.parametrize("shown_before_kill", [0, 1, 4])
def test_killed_at_any_moment_each_measurement_is_stored_once(
    listener: Listener, played: list[Spectrum], played_file: Path, tmp_path: Path, shown_before_kill: int
) -> None:
    with playing(tmp_path, str(played_file), "--speed", "full", "--button", "0") as port:
        for _ in range(2):
            with listener.running(port, "--passive", "--points", "1") as process:
                assert process.stdout is not None
                assert process.stderr is not None
                process.stderr.readline()
                for _ in range(shown_before_kill):
                    assert process.stdout.readline()
                process.send_signal(signal.SIGKILL)
                process.wait(PATIENCE_S)
        left = len(played) - len(logged(listener.log))
        assert left <= len(played) - 2 * shown_before_kill
        done = listener.run(port, "--passive", "--points", "1")
    assert done.code == 0, done.err
    assert each_once(listener.log, played)
    assert len(done.records) == left


@pytest.mark.usefixtures("virtual_only")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_ends_with_a_summary(listener: Listener, played_file: Path, tmp_path: Path, number: int) -> None:
    with (
        playing(tmp_path, str(played_file), "--speed", "full") as port,
        listener.running(port, "--passive", "--points", "1") as process,
    ):
        assert process.stderr is not None
        process.stderr.readline()
        process.send_signal(number)
        _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0
    assert errors.splitlines()[-1].startswith("0 estimated, 0 refused")
    assert "Traceback" not in errors


@pytest.mark.usefixtures("virtual_only")
def test_listening_may_begin_before_the_instrument_is_there(
    listener: Listener, played_file: Path, tmp_path: Path
) -> None:
    link = tmp_path / "port"
    with listener.running(str(link), "--wait-for-port", "--count", "1", "--points", "1") as process:
        assert process.stderr is not None
        assert "no such port" in process.stderr.readline()
        with playing(tmp_path, str(played_file), "--speed", "full", "--link", str(link)):
            out, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0
    assert len(out.splitlines()) == 1


@pytest.mark.usefixtures("virtual_only")
def test_a_port_with_nobody_behind_it(listener: Listener, tmp_path: Path) -> None:
    done = listener.run(str(tmp_path / "ttyUSB7"), "--count", "1")
    assert (done.code, done.out) == (1, "")
    assert len(done.err.splitlines()) == 1
    assert "ttyUSB7: no such port" in done.err
    hasty = tmp_path / "hasty.toml"
    hasty.write_text("[patience]\nreply_s = 0.05\nrequest_attempts = 2\n")
    done = listener.run("loop://", "--profile", str(hasty), "--count", "1")
    assert (done.code, done.out) == (1, "")
    # Before it stands which of the two profiles counts.
    last = done.err.splitlines()[-1]
    assert last == "stibium: loop://: what is sent comes back: a loop, or an echoing line, but no instrument"


# --- one byte in a hundred damaged -----------------------------------------------------------------------


@pytest.fixture
def half(played: list[Spectrum]) -> list[Spectrum]:
    """Two of the four samples."""
    return played[: 2 * POINTS]


@pytest.fixture
def session(listener: Listener, half: list[Spectrum], tmp_path: Path) -> Path:
    """A recorded session: six measurements."""
    path, spectra = tmp_path / "session.txt", tmp_path / "half.csv"
    write_table(spectra, half)
    with playing(tmp_path, str(spectra), "--speed", "full") as port:
        done = listener.run(port, "--points", "1", "--record", str(path))
    assert done.code == 0, done.err
    listener.log = tmp_path / "after.db"
    return path


@pytest.mark.usefixtures("virtual_only")
def test_a_recording_played_over_a_line_with_one_percent_damage_arrives_whole(
    session: Path, listener: Listener, half: list[Spectrum], shipped_bundle: Bundle, tmp_path: Path
) -> None:
    noise = ("--misbehave", "flip=0.01", "--seed", "11", "--frame-bytes", "64")
    with playing(tmp_path, "--recording", str(session), "--speed", "full", *noise) as port:
        done = listener.run(port, "--points", str(POINTS))
    assert done.code == 0, done.err
    assert_estimates(done.records, expected(shipped_bundle, half))
    assert len(logged(listener.log)) == 2
    damaged = next(part for part in done.err.splitlines()[-1].split("; ") if part.endswith("damaged frames"))
    assert int(damaged.split()[0]) > 200


@pytest.mark.usefixtures("virtual_only")
@pytest.mark.parametrize("as_port", [False, True], ids=["replay", "verbatim"])
def test_a_damaged_recording_replayed_loses_no_good_frame_and_invents_none(
    session: Path, listener: Listener, half: list[Spectrum], tmp_path: Path, as_port: bool
) -> None:
    damaged = tmp_path / "damaged.txt"
    whole = damage(session, damaged)
    before, after = decode_recording(session), decode_recording(damaged)
    assert after.frames == whole
    assert before.frames * 0.05 < whole < before.frames * 0.5
    assert len(before.measurements) == len(half)
    # A whole spectrum has some 45 frames: with one byte in a hundred damaged none comes through without
    # asking again, and a recording cannot be asked. So all must be refused, each with its reason.
    assert after.measurements == ()
    if as_port:
        with playing(tmp_path, "--recording", str(damaged), "--verbatim", "--speed", "full") as port:
            process = subprocess.Popen(
                [*listener.command(port, "--passive", "--points", "1")], stdout=subprocess.PIPE, text=True
            )
            with process:
                assert process.stdout is not None
                lines = [process.stdout.readline() for _ in range(len(half) - 1)]
                process.send_signal(signal.SIGINT)
                process.wait(PATIENCE_S)
        assert all('"status": "refused"' in line for line in lines)
        return
    done = listener.run(f"replay://{damaged}", "--points", "1")
    assert done.code == 1
    assert {record["status"] for record in done.records} == {"refused"}
    assert len(done.records) == len(half)
    assert all("arrive" in record["reason"] for record in done.records)
    assert logged(listener.log) == []
    assert f"{after.damaged} damaged frames" in done.err


def damage(source: Path, target: Path) -> int:
    """Copy a recording with one byte in a hundred of the instrument's changed; return how many frames were spared.

    The identification is spared, without which nothing can be made of the rest.
    """
    import random

    dice = random.Random(8)
    lines, data = [], bytearray()
    for piece in read_recording(source):
        if piece.direction == "<":
            lines.append((piece.at_s, len(piece.data)))
            data += piece.data
    starts = [i for i in range(len(data) - 1) if data[i] == 0 and (i == 0 or data[i - 1] == 0) and data[i + 1] != 0]
    owner = -1
    hit = set()
    for place in range(len(data)):
        if owner + 1 < len(starts) and place == starts[owner + 1]:
            owner += 1
        if owner > 0 and dice.random() < 0.01:
            hit.add(owner)
            data[place] ^= dice.randrange(1, 256)
    with target.open("w") as file:
        file.write("# stibium recording 1\n")
        at = 0
        for at_s, size in lines:
            file.write(f"{at_s:.6f} < {data[at : at + size].hex()}\n")
            at += size
    return len(starts) - len(hit)


# --- spectra of real soils, where they are at hand -------------------------------------------------------


@pytest.mark.usefixtures("virtual_only")
def test_real_spectra_give_over_a_line_what_they_give_from_their_file(
    shared_data: Path, listener: Listener, shipped_bundle: Bundle, tmp_path: Path
) -> None:
    files = sorted((shared_data / "instruments").rglob("*.asd"))
    agreed = 0
    for path in files:
        from_file = subprocess.run(
            [
                STIBIUM,
                "predict",
                str(path),
                "--model",
                str(listener.bundle),
                "--log",
                str(tmp_path / "p.db"),
                "--format",
                "jsonl",
            ],
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_S,
        )
        if from_file.returncode != 0:
            continue
        (wanted,) = read_records(from_file.stdout)
        with playing(tmp_path, str(path), "--speed", "full") as port:
            done = listener.run(port, "--points", "1")
        (record,) = done.records
        assert record["status"] == "estimated"
        assert (record["sample_id"], record["verdict"]) == (wanted["sample_id"], wanted["verdict"])
        assert record["shown"] == wanted["shown"] or record["said"] == pytest.approx(
            wanted["said"], rel=shipped_bundle.golden.tolerance
        )
        agreed += 1
    assert agreed
