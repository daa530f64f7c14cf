"""The measuring routine on a bench: what it asks for, what it refuses, and that all of it is in the log."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from routine_bench import BENCH, QUICK, Bench, BenchInstrument
from scan_samples import GRID_NM, SOIL, band
from stibium.converters.spectra.spectrum import Position
from stibium.edge.errors import (
    InstrumentError,
    InstrumentExchangedError,
    MeasurementError,
    ProfileError,
)
from stibium.edge.gates.scans import Scan, ScanSettings
from stibium.edge.log.disk_room import DiskRoom
from stibium.edge.log.read import iter_entries
from stibium.edge.measure.controls import Stated
from stibium.edge.measure.plan import Plan
from stibium.edge.measure.position import Fix
from stibium.edge.measure.routine import do
from stibium.edge.measure.steps import Command, parse_command
from stibium.edge.model.bundle import Bundle
from stibium.edge.model.estimate import Estimate, Estimator, Refusal

Make = Callable[..., Bench]


@pytest.fixture(scope="module")
def estimator(shipped_bundle: Bundle) -> Estimator:
    return Estimator(shipped_bundle)


@pytest.fixture
def soil(shipped_bundle: Bundle) -> np.ndarray:
    """A soil that the shipped model knows, on the bench's wavelengths."""
    golden = shipped_bundle.golden
    assert golden is not None
    return np.interp(GRID_NM, golden.wavelengths_nm, golden.reflectance[0])


@pytest.fixture
def make(tmp_path: Path, estimator: Estimator, soil: np.ndarray) -> Make:
    def made(**options: Any) -> Bench:
        bench = Bench(tmp_path, estimator, **options)
        bench.instrument.in_front = soil
        return bench.begin()

    return made


def outcome(bench: Bench) -> Estimate | Refusal:
    result = bench.sample().result
    assert result is not None
    return result.outcome


def refusal(bench: Bench) -> str:
    found = outcome(bench)
    assert isinstance(found, Refusal)
    # A reading that breaks a rule is stored whole, and no model may make an estimate of it later.
    rows = bench.rows(
        "SELECT rule_broken, reason FROM readings r JOIN refusals f ON f.reading_id = r.id ORDER BY r.id DESC"
    )
    assert rows[0] == (found.reason, found.reason)
    assert bench.rows("SELECT count(*) FROM estimates WHERE reading_id = (SELECT max(id) FROM readings)") == [(0,)]
    return found.reason


def spoiled(**changes: Any) -> Callable[[Scan], Scan]:
    return lambda scan: replace(scan, **changes)


# --- a good day -------------------------------------------------------------------------------------------


def test_a_sample_is_measured_from_white_to_estimate(make: Make, soil: np.ndarray, estimator: Estimator) -> None:
    bench = make(operator="Ana")
    assert bench.step == "white"
    assert [fact.text for fact in bench.type("")] == ["dark taken", "white taken"]
    assert bench.prompt().text == "sample-001 1/3, Enter"
    found = outcome(bench)
    assert isinstance(found, Estimate)
    assert (found.sample_id, found.points, found.simulated) == ("sample-001", 3, True)
    assert bench.prompt().text == "sample-002 1/3, Enter"
    # All five scans are there as delivered, tied to the reading by their part in it.
    rows = bench.rows(
        "SELECT role, kind, point, s.sample_id FROM reading_scans JOIN scans s ON s.id = scan_id ORDER BY s.id"
    )
    assert rows == [("dark", "dark", 0, ""), ("white", "white", 0, "")] + [
        ("target", "target", point, "sample-001") for point in (1, 2, 3)
    ]
    assert len(bench.instrument.acknowledged) == 5
    (row,) = bench.rows("SELECT operator, instrument, ended_at FROM sessions")
    assert row == ("Ana", "Probe 7", None)
    assert bench.session.close()
    assert bench.rows("SELECT ended_at IS NULL FROM sessions") == [(0,)]


def test_what_is_told_is_in_the_log_already(make: Make) -> None:
    bench = make()
    seen: list[int] = []

    def look(fact: Any) -> None:
        if fact.result is not None:
            seen.append(bench.rows("SELECT count(*) FROM readings WHERE sample_id = 'sample-001'")[0][0])

    bench.session.tell = look
    for _ in range(4):
        bench.type("")
    assert seen == [1]


def test_reflectance_needs_no_panel(make: Make) -> None:
    bench = make(instrument=BenchInstrument(replace(BENCH, delivers="reflectance", needs_dark=False)))
    assert bench.step == "point"
    assert "no dark, no white" in bench.type("w")[0].text


def test_names_are_typed_scanned_or_counted(make: Make) -> None:
    bench = make(points=1, plan=Plan(names=("A1",), prefix="RS"))
    bench.type("")
    assert outcome(bench).sample_id == "A1"
    bench.type("KX-0107 ")
    assert outcome(bench).sample_id == "KX-0107"
    assert outcome(bench).sample_id == "RS001"
    bench.type("RS041")
    assert outcome(bench).sample_id == "RS041"
    assert bench.state.planned.sample_id == "RS042"
    bench.type("i q")
    assert bench.state.planned.sample_id == "q"


@given(st.text(max_size=300))
def test_any_line_is_a_command_a_name_or_none(line: str) -> None:
    command = parse_command(line)
    if command is not None:
        assert isinstance(command, Command)
        assert command.argument.isprintable() or "\t" in command.argument
        assert len(command.argument) <= 200


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("\n", Command("")),
        ("w\n", Command("w")),
        ("n two  words \n", Command("n", "two  words")),
        ("RS 7\n", Command("i", "RS 7")),
        ("x\n", None),
        ("i x\n", Command("i", "x")),
        ("\x1b[AB12\n", Command("i", "[AB12")),
    ],
)
def test_lines_are_read(line: str, command: Command | None) -> None:
    assert parse_command(line) == command


def test_notes_and_place_stand_beside_the_reading(make: Make) -> None:
    fix = Fix(Position(41.1, -8.5, 90.0), datetime(2026, 6, 1, 9, 0, tzinfo=timezone.utc), "gpsd", "3D")

    class Here:
        def latest(self) -> Fix:
            return fix

    bench = make(position=Here(), points=2)
    bench.type("", "n under a pine", "", "n wet", "")
    (row,) = bench.rows(
        "SELECT notes, latitude_deg, longitude_deg, altitude_m, position_source, position_at FROM readings"
    )
    assert row == ("under a pine\nwet", 41.1, -8.5, 90.0, "gpsd", "2026-06-01T09:00:00+00:00")


def test_a_note_says_which_sample_it_goes_to_and_after_a_result_goes_to_that_one(make: Make) -> None:
    bench = make(points=1, operator="Ana")
    assert bench.type("n first")[0].text == "note for sample-001: first"
    bench.type("", "")
    assert bench.type("n roots in it")[0].text == "note for sample-001: roots in it"
    bench.type("KX-17")
    assert bench.type("n beside the adit")[0].text == "note for KX-17: beside the adit"
    bench.type("")
    assert bench.rows("SELECT sample_id, notes FROM readings ORDER BY id") == [
        ("sample-001", "first"),
        ("KX-17", "beside the adit"),
    ]
    # The reading itself stays as it is; what is said of it afterwards stands beside it.
    assert bench.rows("SELECT reading_id, kind, value, who FROM corrections") == [
        (1, "note", '{"text": "roots in it"}', "Ana")
    ]
    entries = list(iter_entries(bench.engine.log.database))
    assert [entry.reading.notes for entry in entries if entry.reading] == ["first\nroots in it", "beside the adit"]


def test_a_place_that_is_not_known_is_said_once(make: Make) -> None:
    class Lost:
        def latest(self) -> None:
            return None

        def complaint(self) -> str:
            return "gpsd has no fix yet"

    bench = make(position=Lost(), points=1)
    bench.type("")
    assert "no position: gpsd has no fix yet" in bench.type("")[0].text
    assert "no position" not in bench.type("")[0].text
    assert bench.rows("SELECT DISTINCT latitude_deg FROM readings") == [(None,)]


def test_the_panels_certificate_multiplies(make: Make, tmp_path: Path) -> None:
    certificate = tmp_path / "panel.csv"
    certificate.write_text("nm,panel\n" + "".join(f"{nm:g},{0.5 + 1e-4 * (nm - 350):.6f}\n" for nm in GRID_NM))
    bench = make(points=1, rules=replace(QUICK, panel_reflectance_file=str(certificate)))
    bench.instrument.in_front = SOIL
    bench.type("")
    spectrum = bench.sample().result.spectrum  # type: ignore[union-attr]
    np.testing.assert_allclose(spectrum.values, SOIL * (0.5 + 1e-4 * (GRID_NM - 350)), rtol=1e-4)  # type: ignore[union-attr]
    # Measured against itself a grey panel still reads 1.
    bench.instrument.in_front = bench.instrument.panel
    assert [fact.text for fact in bench.type("p", "")] == ["the panel reads 1"]
    with pytest.raises(ProfileError, match=r"nowhere.csv: .* is not there"):
        make(rules=replace(QUICK, panel_reflectance_file="nowhere.csv"))


# --- rules ------------------------------------------------------------------------------------------------


def test_a_cold_instrument_warms_up_first(make: Make) -> None:
    bench = make(rules=replace(QUICK, warm_up_min=15.0), on_for_min=4.0)
    prompt = bench.prompt()
    assert (prompt.step.value, prompt.text, prompt.wait_s) == ("warm-up", "Warming up, 11:00 min left", 660.0)
    bench.wait_min(11)
    assert bench.step == "white"


def test_a_warm_up_that_is_cut_short_is_remarked(make: Make) -> None:
    bench = make(rules=replace(QUICK, warm_up_min=15.0), points=1)
    assert "cut short" in bench.type("s")[0].text
    bench.type("")
    found = outcome(bench)
    assert isinstance(found, Estimate)
    assert any(flag.startswith("warm-up cut short") for flag in found.flags)


def test_a_white_that_ages_is_asked_for_and_without_it_there_is_no_estimate(make: Make) -> None:
    bench = make()
    bench.type("", "", "")
    bench.wait_min(31)
    assert bench.step == "white"
    assert "white reference 31 min old" in bench.type("s")[0].text
    assert bench.step == "point"
    reason = refusal(bench)
    assert "white reference 31 min old, 30 min are allowed" in reason
    # Asked for again with the next sample, and then all is well.
    assert bench.step == "white"
    bench.type("")
    assert isinstance(outcome(bench), Estimate)


def test_enter_answers_what_was_asked_and_nothing_that_has_become_due_since(make: Make) -> None:
    bench = make()
    bench.type("", "")
    assert bench.step == "point"
    bench.wait_min(31)
    scans = bench.rows("SELECT count(*) FROM scans")
    do(bench.session, Command(""))
    do(bench.session, Command("s"))
    # The soil is under the probe, not the panel: nothing may be taken for a white now.
    assert bench.rows("SELECT count(*) FROM scans") == scans
    assert bench.facts[-1].text == "things have changed since that was asked"
    assert bench.step == "white"


def test_a_white_lasts_less_while_warming(make: Make) -> None:
    bench = make(rules=replace(QUICK, warming_min=30.0), on_for_min=16.0)
    bench.type("")
    bench.wait_min(9)
    assert bench.step == "point"
    bench.wait_min(2)
    assert bench.step == "white"


def test_without_any_white_the_counts_are_stored(make: Make) -> None:
    bench = make(points=1)
    bench.type("s")
    assert refusal(bench) == "dark reference missing: take it first; white reference missing: take it first"
    assert bench.rows("SELECT quantity FROM readings") == [("raw_dn",)]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"saturated": ("SWIR1",)}, "SWIR1 saturated"),
        ({"shutter_closed": True}, "shutter closed"),
        ({"cooler_alarms": ("SWIR2",)}, "cooler alarm of SWIR2"),
        ({"values": np.full(GRID_NM.size, np.nan)}, "no numbers"),
        ({"values": np.full(GRID_NM.size, 400.0)}, "no light from the sample"),
    ],
)
def test_a_bad_point_is_measured_again_and_too_many_refuse_the_sample(
    make: Make, changes: dict[str, Any], words: str
) -> None:
    bench = make()
    bench.type("", "")
    bench.instrument.spoil = [spoiled(**changes)]
    assert words in bench.type("")[0].text
    assert bench.prompt().text == "sample-001 2/3, Enter"
    assert isinstance(outcome(bench), Estimate)
    assert bench.rows("SELECT count(*) FROM events WHERE kind = 'point_refused'") == [(1,)]
    # The bad scan is in the log all the same, and in no reading.
    assert bench.rows("SELECT count(*) FROM scans WHERE kind = 'target'") == [(4,)]
    assert bench.rows("SELECT count(*) FROM reading_scans WHERE role = 'target'") == [(3,)]
    bench.instrument.spoil = [spoiled(**changes)] * 3
    found = outcome(bench)
    assert isinstance(found, Refusal)
    assert words in found.reason
    assert "0 of 3 points" in found.reason


def test_noise_and_steps_are_refused_with_their_size(make: Make, soil: np.ndarray) -> None:
    bench = make(points=1, rules=replace(QUICK, repeats_most=0))
    bench.type("")
    bench.instrument.in_front = soil + np.random.default_rng(3).normal(0, 0.02, GRID_NM.size)
    assert "noise 0.0" in refusal(bench)
    bench.instrument.in_front = soil + np.where(GRID_NM > 1000, 0.1, 0.0)
    assert "step of +0.1" in refusal(bench)


def test_points_that_scatter_are_measured_again(make: Make, soil: np.ndarray) -> None:
    bench = make()
    bench.type("", "")
    bench.instrument.in_front = 2.0 * soil
    bench.type("")
    bench.instrument.in_front = soil
    told = bench.type("")
    assert told[-1].text.endswith("; point 2 again")
    found = outcome(bench)
    assert isinstance(found, Estimate)
    spectrum = bench.facts[-1].result.spectrum  # type: ignore[union-attr]
    np.testing.assert_allclose(spectrum.values, soil, rtol=1e-4)  # type: ignore[union-attr]


def test_points_that_never_agree_are_refused(make: Make, soil: np.ndarray) -> None:
    bench = make()
    bench.type("")
    for factor in (1.0, 2.0, 0.5, 3.0, 0.7):
        bench.instrument.in_front = factor * soil
        told = bench.type("")
    (fact,) = (fact for fact in told if fact.result is not None)
    assert isinstance(fact.result.outcome, Refusal)  # type: ignore[union-attr]
    assert "the 3 points scatter by" in fact.result.outcome.reason  # type: ignore[union-attr]
    assert bench.rows("SELECT count(*) FROM scans WHERE kind = 'target'") == [(5,)]


def test_a_white_without_light_or_a_saturated_one_is_not_taken(make: Make) -> None:
    bench = make(instrument=BenchInstrument(replace(BENCH, optimises=True)))
    assert bench.step == "optimise"
    bench.type("")
    bench.instrument.spoil = [None, spoiled(saturated=("VNIR",))]
    assert "VNIR saturated in the white" in bench.type("")[-1].text
    assert bench.step == "optimise"
    bench.type("", "")
    assert bench.step == "point"
    assert bench.instrument.optimised == 2
    bench.instrument.lamp = 0.3
    told = bench.type("w", "")
    assert "VNIR sees 30 % of the last white's light" in told[-1].text
    assert bench.rows("SELECT count(*) FROM events WHERE kind = 'reference_refused'") == [(2,)]


def test_a_panel_that_no_longer_reads_one_voids_the_white(make: Make) -> None:
    bench = make(points=1)
    bench.type("")
    outcome(bench)
    bench.wait_min(16)
    assert bench.step == "panel check"
    bench.instrument.in_front, soil = bench.instrument.panel, bench.instrument.in_front
    assert bench.type("")[0].text == "the panel reads 1"
    bench.instrument.in_front = soil
    outcome(bench)
    bench.instrument.in_front = 0.95 * bench.instrument.panel
    (fact,) = bench.type("p", "")
    assert "the panel reads VNIR 0.950, SWIR1 0.950, SWIR2 0.950, not 1" in fact.text
    assert "since the last good check: sample-002" in fact.text
    assert bench.step == "white"
    bench.instrument.in_front = soil
    bench.type("s")
    assert "the panel reads" in refusal(bench)
    bench.type("")
    assert isinstance(outcome(bench), Estimate)


def test_shifted_wavelengths_forbid_estimates_until_they_are_right(make: Make, soil: np.ndarray) -> None:
    bench = make(points=1, rules=replace(QUICK, wavelength_check_every_min=60.0))
    bench.type("")
    assert bench.step == "wavelength check"
    mylar = lambda shift_nm: band(1661.0 + shift_nm) * band(2131.1 + shift_nm) / 0.9  # noqa: E731
    bench.instrument.in_front = soil
    assert "is the probe on the Mylar sheet" in bench.type("")[0].text
    bench.instrument.in_front = mylar(3.0)
    assert "(+3.0 nm)" in bench.type("")[0].text
    bench.instrument.in_front = soil
    assert "is found at 1664.0 nm" in refusal(bench)
    bench.type("v")
    bench.instrument.in_front = mylar(0.2)
    assert bench.type("")[0].text == "wavelengths hold: +0.2 nm at 1661 nm, +0.2 nm at 2131.1 nm"
    bench.instrument.in_front = soil
    assert isinstance(outcome(bench), Estimate)


def test_an_instrument_that_was_switched_off_warms_up_and_takes_new_references(make: Make) -> None:
    bench = make(rules=replace(QUICK, warm_up_min=15.0), on_for_min=20.0)
    bench.type("", "")
    bench.instrument.boot += 1
    told = bench.type("")
    assert "switched off and on: warm up again" in told[0].text
    assert bench.step == "warm-up"
    bench.wait_min(15)
    assert bench.step == "white"
    bench.type("")
    assert bench.prompt().text == "sample-001 2/3, Enter"
    assert isinstance(outcome(bench), Estimate)


def test_other_settings_ask_for_new_references(make: Make) -> None:
    bench = make()
    bench.type("")
    bench.instrument.settings = ScanSettings((("integration_us", 34000.0), ("gain", 0.0)))
    assert "taken with other settings" in bench.type("")[0].text
    assert bench.step == "white"
    bench.type("")
    assert isinstance(outcome(bench), Estimate)


def test_another_instruments_scan_is_refused(make: Make) -> None:
    bench = make(points=1)
    bench.type("")
    bench.instrument.spoil = [spoiled(key=("Probe 8", 5, 99, 1))]
    assert "measured by Probe 8, and the session is Probe 7's" in refusal(bench)
    bench.instrument.spoil = [InstrumentExchangedError("bench: another instrument answers now")]
    with pytest.raises(InstrumentExchangedError):
        bench.type("")
    assert bench.rows("SELECT count(*) FROM events WHERE kind = 'exchanged'") == [(1,)]


def test_a_measurement_from_before_its_white_is_refused(make: Make) -> None:
    bench = make(points=1, rules=replace(QUICK, repeats_most=0))
    bench.type("")
    bench.instrument.spoil = [spoiled(taken_s=9000.0)]
    assert "before its white reference" in refusal(bench)


def test_a_clock_that_jumps_is_remarked_beside_the_reading(make: Make) -> None:
    bench = make(points=1, rules=replace(QUICK, clock_jump_s=60.0))
    bench.type("")
    bench.session.watch.at += timedelta(hours=2)
    told = bench.type("")
    assert "clock jumped 72" in told[0].text
    found = told[-1].result.outcome  # type: ignore[union-attr]
    assert isinstance(found, Estimate)
    assert any("clock jumped" in flag for flag in found.flags)
    assert isinstance(outcome(bench), Estimate)
    assert bench.rows("SELECT count(*) FROM events WHERE kind = 'clock'") == [(1,)]


def test_an_instrument_of_the_wrong_range_measures_and_nothing_is_estimated(make: Make) -> None:
    instrument = BenchInstrument()
    bench = make(points=1, instrument=instrument, rules=replace(QUICK, noise_most=0.0))
    instrument.wavelengths_nm = GRID_NM + 200.0
    bench.session.introduce()
    assert "No estimates: the instrument covers 550-2700 nm" in bench.facts[-1].text
    bench.type("")
    found = outcome(bench)
    assert isinstance(found, Refusal)
    assert "the model needs 400-2450 nm" in found.reason
    # No rule of measuring is broken: a model that needs less may be asked later.
    assert bench.rows("SELECT rule_broken, reason FROM readings r JOIN refusals f ON f.reading_id = r.id") == [
        ("", found.reason)
    ]


def test_a_full_disk_stops_measuring(make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bench = make()
    bench.type("", "")
    monkeypatch.setattr(type(bench.log), "room", lambda self: DiskRoom(tmp_path, 1_000_000, 10**9))
    assert bench.step == "disk"
    scans = bench.rows("SELECT count(*) FROM scans")
    bench.type("")
    assert bench.rows("SELECT count(*) FROM scans") == scans
    monkeypatch.setattr(type(bench.log), "room", lambda self: DiskRoom(tmp_path, 100_000_000, 10**9))
    told = bench.type("")
    assert "100 MB left on the disk" in told[0].text
    assert "left on the disk" not in bench.type("")[0].text


def test_failures_are_told_and_five_in_a_row_end_it(make: Make) -> None:
    bench = make(points=1)
    bench.type("")
    bench.instrument.lost = ["measurement 3 never arrived"]
    bench.instrument.spoil = [MeasurementError("bench: the rest did not come; measure again")]
    assert [fact.text for fact in bench.type("")] == [
        "measurement 3 never arrived",
        "the rest did not come; measure again",
    ]
    assert isinstance(outcome(bench), Estimate)
    bench.instrument.spoil = [MeasurementError("bench: no")] * 5
    with pytest.raises(InstrumentError, match="5 measurements in a row failed"):
        bench.type(*[""] * 5)


def test_nothing_left_ends_the_session(make: Make) -> None:
    bench = make(points=1)
    bench.instrument.left = 1
    bench.type("", "")
    assert "nothing more to measure" in bench.type("")[0].text
    assert bench.step == "done"


# --- repeating and leaving out ----------------------------------------------------------------------------


def test_points_and_samples_are_repeated_and_left_out(make: Make) -> None:
    bench = make(points=2)
    bench.type("", "")
    assert bench.type("r")[0].text == "point 1 again"
    assert bench.prompt().text == "sample-001 1/2, Enter"
    assert outcome(bench).sample_id == "sample-001"
    bench.type("r")
    assert outcome(bench).sample_id == "sample-001"
    assert bench.rows("SELECT count(*) FROM readings WHERE sample_id = 'sample-001'") == [(2,)]
    bench.type("s")
    assert bench.prompt().text == "sample-003 1/2, Enter"
    bench.type("")
    assert "e rename other" in bench.type("i other")[0].text
    told = bench.type("s")
    assert told[0].result.outcome.reason == "1 of 2 points"  # type: ignore[union-attr]
    assert bench.state.run.soils == 2


# --- controls ---------------------------------------------------------------------------------------------


def test_controls_are_put_in_and_judged(make: Make, soil: np.ndarray, shipped_bundle: Bundle) -> None:
    plan = Plan(prefix="RS", blank_every=2, reference_every=2, duplicate_every=2, reference_id="OREAS")
    bench = make(points=1, count=2, plan=plan, stated=Stated(50.0, 5.0))
    bench.type("")
    assert [outcome(bench).sample_id for _ in range(5)] == ["RS001", "RS002", "blank-1", "OREAS", "RS002-dup"]
    assert bench.step == "done"
    rows = bench.rows("SELECT sample_id, sample_kind, duplicate_of FROM readings ORDER BY id")
    assert rows[2:] == [("blank-1", "blank", ""), ("OREAS", "reference", ""), ("RS002-dup", "duplicate", "RS002")]
    controls = [fact.text for fact in bench.facts if "control" in fact.kind]
    assert len(controls) == 3
    assert controls[0].startswith("blank blank-1 ")
    assert "stated 50.0 is" in controls[1]
    assert controls[2].startswith("duplicate RS002-dup passed")
    assert bench.rows("SELECT count(*) FROM events WHERE kind = 'control'") == [(3,)]


def test_a_control_that_fails_is_counted(make: Make, shipped_bundle: Bundle) -> None:
    golden = shipped_bundle.golden
    assert golden is not None
    rich = np.interp(GRID_NM, golden.wavelengths_nm, golden.reflectance[int(np.argmax(golden.expected))])
    bench = make(points=1, plan=Plan(blank_every=1))
    bench.type("")
    outcome(bench)
    bench.instrument.in_front = rich
    outcome(bench)
    assert bench.state.failed_controls == 1
    assert "blank blank-1 FAILED" in bench.facts[-1].text
