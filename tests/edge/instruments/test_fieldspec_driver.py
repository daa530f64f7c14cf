"""The FieldSpec's driver against the virtual one, whatever goes wrong between them; over real TCP where that counts."""

from __future__ import annotations

import random
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
from fieldspec_bench import Bench, bench, quick_profile, reflectance, soil, tcp_bench
from stibium.edge.errors import (
    InstrumentError,
    InstrumentExchangedError,
    MeasurementError,
    NoSuchPortError,
    PortError,
)
from stibium.edge.instruments.fieldspec import FieldSpecInstrument
from stibium.edge.measure.references import References
from stibium.edge.protocols.fieldspec_messages import AcquireScans
from stibium.edge.protocols.fieldspec_replies import Controlled
from stibium.edge.simulators.faults import Faults
from stibium.edge.simulators.in_front import GRID_NM

SETTINGS = ("VNIR integration_ms", "SWIR1 gain", "SWIR1 offset", "SWIR2 gain", "SWIR2 offset")


# --- the way it goes ---------------------------------------------------------------------------------------


def test_it_says_who_it_is_and_delivers_reflectance_while_it_warms_and_drifts() -> None:
    with bench(warm_s=0.0, time_scale=600.0) as at:
        who = at.instrument.connect()
        assert (who.name, who.serial_number, who.firmware) == (
            "ASD FieldSpec (virtual)",
            "18000",
            "stibium virtual 1.5",
        )
        assert (who.detectors, who.splices_nm) == (("VNIR", "SWIR1", "SWIR2"), (1000.0, 1800.0))
        assert who.virtual
        assert who.simulated
        assert who.needs_dark
        assert who.shutter
        assert who.optimises
        assert who.delivers == "raw_dn"
        np.testing.assert_array_equal(at.instrument.wavelengths_nm, np.arange(350.0, 2501.0))
        settings = dict(at.instrument.optimise().values)
        assert tuple(settings) == SETTINGS
        for number in range(3):
            found = reflectance(at.instrument, 40)
            np.testing.assert_allclose(found, soil(number).reflectance, atol=0.005)
        assert at.instrument.remarks() == []
        assert at.instrument.losses() == []
        assert at.told == []


def test_the_drift_that_the_header_counts_takes_the_dark_s_drift_off() -> None:
    # Cold and a thousand times as fast: between dark and target the dark has moved by many counts.
    with bench(warm_s=0.0, time_scale=1.0) as at:
        instrument = at.ready()
        dark = instrument.acquire("dark", 1000)
        at.control.obey("cover")
        at.player._on_since_s -= 900.0  # type: ignore[operator]
        covered = instrument.acquire("target", 1000)
        assert covered.drift is not None
        assert dark.drift is not None
        assert covered.drift - dark.drift > 30
        vnir = instrument.wavelengths_nm <= 1000
        without = (covered.values - dark.values)[vnir]
        assert without.mean() < -30
        assert np.abs(instrument.correct_dark(covered, dark)[vnir]).max() < 2.0
        np.testing.assert_array_equal(instrument.correct_dark(covered, dark)[~vnir], covered.values[~vnir])


def test_the_sign_of_the_drift_is_the_profile_s() -> None:
    with bench(quick_profile(dark_drift="subtracted")) as at:
        instrument = at.ready()
        dark = instrument.acquire("dark", 10)
        white = instrument.acquire("white", 10)
        white, dark = replace(white, drift=110.0), replace(dark, drift=100.0)
        vnir = instrument.wavelengths_nm <= 1000
        expected = (white.values - dark.values - (3.0 + 10.0))[vnir]
        np.testing.assert_allclose(instrument.correct_dark(white, dark)[vnir], expected)


def test_a_scan_tells_what_the_header_tells() -> None:
    with bench() as at:
        instrument = at.ready()
        dark = instrument.acquire("dark", 7)
        white = instrument.acquire("white", 7)
        assert dark.shutter_closed is True
        assert white.shutter_closed is False
        assert (white.kind, white.unit, white.scans, dark.kind) == ("white", "raw_dn", 7, "dark")
        assert white.settings == dark.settings
        assert dict(white.settings.values)["VNIR integration_ms"] == 68.0
        assert white.saturated == white.cooler_alarms == ()
        assert white.dark_subtracted == ("SWIR1", "SWIR2")
        assert white.drift is not None
        assert white.extra["instrument_hours"] >= 1200
        assert white.extra["voltage"] == 5
        assert white.extra["SWIR1 tec_current"] == 700
        assert white.simulated
        assert white.measured_at.tzinfo is not None
        assert len({dark.key, white.key, instrument.acquire("white", 7).key}) == 3
        assert white.boot == dark.boot != 0


def test_the_shutter_is_open_after_each_dark_and_only_closed_for_it() -> None:
    with bench() as at:
        instrument = at.ready()
        instrument.acquire("dark", 1)
        assert instrument.acquire("white", 1).shutter_closed is False
        assert at.player.said[-4:] == ["IC,2,3,1", "A,1,1", "IC,2,3,0", "A,1,1"]


def test_nothing_that_could_write_the_flash_is_ever_said() -> None:
    with bench() as at:
        reflectance(at.ready())
        at.control.obey("power-cycle")
        reflectance(at.instrument)
        heads = {said.split(",")[0] for said in at.player.said}
        assert heads <= {"V", "RESTORE", "INIT", "OPT", "IC", "A", "ABORT"}
        assert {said for said in at.player.said if said.startswith(("INIT", "RESTORE"))} <= {
            "RESTORE,1", *(f"INIT,0,{name}" for name in _NAMES),
        }  # fmt: skip


_NAMES = (
    "SerialNumber",
    "VDarkCurrentCorrection",
    *(f"{d}{e}Wavelength" for d in ("V", "S1", "S2") for e in ("Starting", "Ending")),
)


@pytest.mark.parametrize(
    ("kind", "detectors", "range_nm", "bands", "splices"),
    [
        (1, ("VNIR",), (350, 1050), 701, ()),
        (4, ("SWIR1",), (1000, 1800), 801, ()),
        (5, ("VNIR", "SWIR1"), (350, 1800), 1451, (1000,)),
        (8, ("SWIR2",), (1800, 2500), 701, ()),
        (9, ("VNIR", "SWIR2"), (350, 2500), 1402, (1050,)),
        (12, ("SWIR1", "SWIR2"), (1000, 2500), 1501, (1800,)),
    ],
)
def test_every_type_has_its_detectors_and_channels(
    kind: int, detectors: tuple[str, ...], range_nm: tuple[float, float], bands: int, splices: tuple[float, ...]
) -> None:
    with bench(instrument_type=kind) as at:
        instrument = at.ready()
        who = instrument.identity
        assert (who.detectors, who.splices_nm) == (detectors, splices)
        nm = instrument.wavelengths_nm
        assert (nm[0], nm[-1], nm.size) == (*range_nm, bands)
        assert (np.diff(nm) > 0).all()
        assert who.needs_dark is who.shutter is ("VNIR" in detectors)
        if not who.shutter:
            with pytest.raises(InstrumentError, match="no VNIR, so no shutter"):
                instrument.acquire("dark", 1)
        found = reflectance(instrument, 40)
        np.testing.assert_allclose(found, np.interp(nm, GRID_NM, soil(0).reflectance), atol=0.005)
        assert not any(said.startswith("IC,2") for said in at.player.said) or who.shutter


@pytest.mark.parametrize("size", [1, 7, 1460])
def test_replies_in_pieces_of_any_size(size: int) -> None:
    with tcp_bench(piece_bytes=size) as at:
        np.testing.assert_allclose(reflectance(at.ready(), 40), soil(0).reflectance, atol=0.005)
        assert at.instrument.remarks() == []


def test_a_dark_has_to_be_there_and_of_the_same_integration_time() -> None:
    with bench() as at:
        instrument = at.ready()
        white = instrument.acquire("white", 1)
        with pytest.raises(MeasurementError, match="dark reference is missing"):
            instrument.correct_dark(white, None)
        dark = instrument.acquire("dark", 1)
        other = replace(dark, settings=replace(dark.settings, values=(("VNIR integration_ms", 34.0),)))
        with pytest.raises(MeasurementError, match="integration time of 34 ms, this with 68 ms"):
            instrument.correct_dark(white, other)


def test_the_swir_s_light_in_a_dark_is_no_drift_of_the_dark() -> None:
    with bench() as at:
        instrument = at.ready()
        references = References(instrument, at.profile.rules)
        assert references.take(instrument.acquire("dark", 10), 1) == []
        assert references.take(instrument.acquire("white", 10), 2) == []
        # The shutter is the VNIR's: in the second dark the SWIR detectors see a soil, not the panel.
        at.control.obey("sample S1")
        second = instrument.acquire("dark", 10)
        assert np.ptp(second.values[1000:]) > 5000
        assert references.take(second, 3) == []
        risen = replace(second, values=second.values + 3000.0 * (instrument.wavelengths_nm <= 1000))
        assert [finding.code for finding in references.take(risen, 4)] == ["dark_drift"]


# --- what the instrument says is wrong ---------------------------------------------------------------------


def test_too_much_light_is_flagged_and_clipped() -> None:
    with bench() as at:
        at.instrument.connect()
        at.control.obey("cover")
        with pytest.raises(InstrumentError, match=r"optimisation failed \(800\): VNIR could not be optimised \(-15\)"):
            at.instrument.optimise()
        at.control.obey("lamp off")
        at.control.obey("white")
        with pytest.raises(InstrumentError, match=r"-15\); is the probe on the white panel, and the lamp on\?"):
            at.instrument.optimise()
        at.control.obey("lamp on")
        at.control.obey("mylar")
        at.instrument.optimise()
        # Optimised on something, then set by hand to what is far too long.
        at.served.call(lambda: at.player.spectrometer.control(["2", "0", "6"], 0))
        at.served.call(lambda: at.player.spectrometer.control(["1", "1", "100"], 0))
        at.control.obey("white")
        scan = at.instrument.acquire("white", 1)
        assert scan.saturated == ("VNIR", "SWIR2")
        assert scan.values.max() == 65535.0
        assert dict(scan.settings.values)["VNIR integration_ms"] == 17.0 * 2**6


@pytest.mark.parametrize(("errbyte", "name"), [(-16, "SWIR1"), (-17, "SWIR2")])
def test_each_detector_that_cannot_be_optimised_is_named(errbyte: int, name: str) -> None:
    with bench() as at:
        at.instrument.connect()
        at.control.obey(f"answer {errbyte}")
        with pytest.raises(InstrumentError, match=f"{name} could not be optimised"):
            at.instrument.optimise()


def test_cooler_lamp_and_shutter_are_told() -> None:
    with bench() as at:
        instrument = at.ready()
        at.control.obey("cooler SWIR2")
        at.control.obey("lamp off")
        scan = instrument.acquire("target", 1)
        assert scan.cooler_alarms == ("SWIR2",)
        assert scan.extra["voltage"] == 0
        assert scan.values[instrument.wavelengths_nm > 1000].max() < 50
        at.control.obey("cooler ok")
        assert instrument.acquire("target", 1).cooler_alarms == ()
        at.control.obey("shutter stuck")
        with pytest.raises(MeasurementError, match="the shutter did not close"):
            instrument.acquire("dark", 1)
        at.control.obey("shutter free")
        assert instrument.acquire("dark", 1).shutter_closed


def test_a_shutter_that_stays_closed_is_told_with_the_scan() -> None:
    with bench() as at:
        instrument = at.ready()
        instrument.acquire("dark", 1)
        at.served.call(lambda: at.player.spectrometer.control(["2", "3", "1"], 0))
        assert instrument.acquire("target", 1).shutter_closed is True


@pytest.mark.parametrize("errbyte", [-1, -12, -13, -14])
def test_not_ready_is_asked_again(errbyte: int) -> None:
    with bench() as at:
        instrument = at.ready()
        at.control.obey(f"answer {errbyte} 2")
        instrument.acquire("target", 1)
        assert instrument.remarks() == ['2 times "not ready"']
        assert any(f"({errbyte}) (asking again)" in line for line in at.told)


def test_not_ready_for_too_long_is_an_error_in_words() -> None:
    with bench(quick_profile(not_ready_s=0.3)) as at:
        instrument = at.ready()
        at.control.obey("answer -13 1000")
        with pytest.raises(
            InstrumentError, match=r"A,1,1: measuring failed \(200\): SWIR1 not ready \(-13\) for 0.3 s"
        ):
            instrument.acquire("target", 1)


@pytest.mark.parametrize(
    ("errbyte", "says"), [(-3, "too many zeros"), (-18, "aborted"), (-77, r"does not name \(-77\)")]
)
def test_other_errors_are_told_in_words_and_the_next_scan_works(errbyte: int, says: str) -> None:
    with bench() as at:
        instrument = at.ready()
        at.control.obey(f"answer {errbyte}")
        with pytest.raises(InstrumentError, match=says):
            instrument.acquire("target", 1)
        assert instrument.acquire("target", 1).number == 1


def test_a_dark_that_fails_leaves_the_shutter_open() -> None:
    with bench() as at:
        instrument = at.ready()
        real = at.player.spectrometer.acquire
        at.player.spectrometer.acquire = lambda p, on_s, errbyte: real(p, on_s, -10)  # type: ignore[method-assign]
        with pytest.raises(InstrumentError, match="VNIR timed out"):
            instrument.acquire("dark", 1)
        at.player.spectrometer.acquire = real  # type: ignore[method-assign]
        assert at.player.said[-1] == "IC,2,3,0"
        assert instrument.acquire("white", 1).shutter_closed is False


def test_an_error_reply_that_ends_after_its_codes_is_understood() -> None:
    with bench() as at:
        instrument = at.ready()
        at.control.obey("cut")
        at.control.obey("answer -10")
        with pytest.raises(InstrumentError, match=r"VNIR timed out \(-10\)"):
            instrument.acquire("target", 1)
        at.control.obey("cut")
        at.control.obey("answer -12")
        assert instrument.acquire("target", 1).number == 1
        assert instrument.remarks()[0] == "2 new connections"


def test_measuring_before_restore_is_mended() -> None:
    with bench() as at:
        instrument = at.ready()
        at.served.call(lambda: setattr(at.player.spectrometer, "loaded", False))
        instrument.acquire("target", 1)
        assert at.player.said[-3:] == ["A,1,1", "RESTORE,1", "A,1,1"]


# --- what happens on the line ------------------------------------------------------------------------------


def run(at: Bench, state: str) -> None:
    at.instrument.connect() if state == "connect" else None
    at.instrument.optimise() if state == "optimise" else None
    if state in ("dark", "white", "target"):
        at.instrument.acquire(state, 5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("state", "after"),
    [
        *(("connect", after) for after in (0, 27, 5000)),
        *(("optimise", after) for after in (0, 27)),
        *(("dark", after) for after in (1, 300)),
        *(("white", after) for after in (0, 8000)),
        *(("target", after) for after in (255, 5000)),
    ],
)
def test_a_hang_up_in_every_state_is_mended(state: str, after: int) -> None:
    with tcp_bench() as at:
        if state != "connect":
            at.ready()
            reflectance(at.instrument)
        at.control.obey(f"hang-up {after}")
        run(at, state)
        if state == "connect":
            at.instrument.optimise()
        found = reflectance(at.instrument, 40)
        best = min(np.abs(found - soil(number).reflectance).max() for number in range(3))
        assert best < 0.005
        assert at.instrument.acquire("white", 1).shutter_closed is False


def test_what_was_lost_on_its_way_is_measured_again() -> None:
    with bench() as at:
        instrument = at.ready()
        dark, white = instrument.acquire("dark", 40), instrument.acquire("white", 40)
        for number in range(3):
            at.control.obey("hang-up 4000")
            target = instrument.acquire("target", 40)
            found = instrument.correct_dark(target, dark) / instrument.correct_dark(white, dark)
            np.testing.assert_allclose(found, soil(number).reflectance, atol=0.005)
            assert (target.settings, target.boot) == (white.settings, white.boot)
        assert instrument.remarks() == ["3 new connections"]


def test_a_power_cycle_is_noticed_and_the_settings_are_given_back() -> None:
    with bench() as at:
        instrument = at.ready()
        white = instrument.acquire("white", 1)
        at.control.obey("power-cycle")
        again = instrument.acquire("white", 1)
        assert again.boot != white.boot
        assert again.settings == white.settings
        assert instrument.remarks() == ["1 new connection", "1 restart of the instrument"]
        assert any("switched off and on; dark and white are void" in line for line in at.told)


def test_another_instrument_in_its_place_is_refused() -> None:
    with bench() as at:
        instrument = at.ready()
        at.control.obey("unplug")
        at.control.obey("serial 18002")
        at.control.obey("plug")
        with pytest.raises(InstrumentExchangedError, match="serial number 18002 in place of .*serial number 18000"):
            instrument.acquire("target", 1)


def test_an_instrument_that_does_not_come_back_is_given_up() -> None:
    with tcp_bench(quick_profile(replug_s=0.3)) as at:
        instrument = at.ready()
        at.control.obey("unplug")
        with pytest.raises(PortError, match=r"nothing listens there.*gone for 0.3 s, given up"):
            instrument.acquire("target", 1)


def test_a_reply_that_never_comes_is_one_failed_scan() -> None:
    with bench(quick_profile(reply_s=1.0, scan_s=0.01)) as at:
        instrument = at.ready()
        at.control.obey("silence")
        with pytest.raises(MeasurementError, match=r"no answer to A,1,1 in 1.* s.*[Mm]easure again"):
            instrument.acquire("target", 1)
        assert instrument.acquire("target", 1).number == 1
        assert instrument.remarks() == ["1 new connection", "1 answer that did not come"]


@pytest.mark.parametrize("state", ["optimise", "dark"])
def test_silence_in_other_states(state: str) -> None:
    with bench(quick_profile(reply_s=1.0, scan_s=0.01, optimise_s=0.5)) as at:
        at.ready()
        at.control.obey("silence")
        with pytest.raises(MeasurementError, match="no answer to"):
            run(at, state)
        assert at.instrument.acquire("white", 1).shutter_closed is False


def test_one_channel_too_few_is_one_failed_scan() -> None:
    with bench(quick_profile(reply_s=1.0, scan_s=0.01)) as at:
        instrument = at.ready()
        at.control.obey("short")
        with pytest.raises(MeasurementError, match="4 bytes of the answer to A,1,1 are missing after [01]"):
            instrument.acquire("target", 1)
        # Given up by the host, so it is still there.
        assert at.player.in_front.now.name == "white"
        dark, white = instrument.acquire("dark", 1), instrument.acquire("white", 40)
        assert np.isfinite(instrument.correct_dark(white, dark)).all()


def test_a_reply_that_comes_twice_is_never_the_next_one_s() -> None:
    with bench() as at:
        instrument = at.ready()
        dark, white = instrument.acquire("dark", 40), instrument.acquire("white", 40)
        at.control.obey("twice")
        for number in range(2):
            target = instrument.acquire("target", 40)
            found = instrument.correct_dark(target, dark) / instrument.correct_dark(white, dark)
            best = min(np.abs(found - soil(n).reflectance).max() for n in range(number, 3))
            assert best < 0.005
        assert "1 answer that was none" in instrument.remarks()


def test_a_reply_about_another_setting_is_not_taken() -> None:
    with bench() as at:
        instrument = at.ready()
        real, wrong = at.player.spectrometer.control, [True]

        def control(parameters: list[str], errbyte: int) -> Controlled:
            reply = real(parameters, errbyte)
            return replace(reply, detector=0) if wrong and wrong.pop() else reply

        at.player.spectrometer.control = control  # type: ignore[method-assign]
        assert instrument.acquire("dark", 1).shutter_closed
        assert instrument.remarks() == ["1 new connection", "1 answer that was none"]
        assert any("setting 3 of detector 2 was answered with setting 3 of detector 0" in line for line in at.told)


def test_a_greeting_that_comes_late_is_waited_for() -> None:
    with bench() as at:
        at.player.mishaps.greeting_s = 0.12
        assert at.instrument.connect().serial_number == "18000"


def test_bytes_that_come_unasked_while_waiting_are_noticed() -> None:
    with bench() as at:
        instrument = at.ready()
        at.served.call(lambda: at.player._outbox.append((0.0, b"\0\0\0d" * 20)))
        assert instrument.wait(0.5) is None
        assert "1 answer that was none" in instrument.remarks()
        instrument.acquire("target", 1)


def test_a_line_that_breaks_and_repeats_itself_never_gives_a_scan_that_is_not_whole() -> None:
    faults = Faults(duplicate=0.01, disconnect=0.01)
    with bench(quick_profile(request_attempts=10), faults, soils=1) as at:
        instrument = at.ready()
        dark, white = instrument.acquire("dark", 40), instrument.acquire("white", 40)
        for _ in range(10):
            target = instrument.acquire("target", 40)
            found = instrument.correct_dark(target, dark) / instrument.correct_dark(white, dark)
            np.testing.assert_allclose(found, soil(0).reflectance, atol=0.005)
        assert instrument.remarks()


def test_a_line_that_stalls_is_waited_for_and_given_up_in_time() -> None:
    with bench(faults=Faults(stall=0.2, stall_s=0.05), soils=1) as at:
        np.testing.assert_allclose(reflectance(at.ready(), 40), soil(0).reflectance, atol=0.005)
        assert at.instrument.remarks() == []
    with bench(quick_profile(reply_s=0.3, scan_s=600.0, longest_scan_s=600.0)) as at:
        instrument = at.ready()
        at.control.obey("short")
        # The rest of a reply that has begun is not waited for as long as a measurement may take.
        with pytest.raises(MeasurementError, match="4 bytes of the answer to A,1,1 are missing after [01]"):
            instrument.acquire("target", 1)


MISHAPS = (
    "hang-up 0", "hang-up 9", "hang-up 400", "hang-up 8859", "silence", "short", "twice", "twice 2", "answer -12",
    "answer -3", "answer -14 2", "power-cycle", "unplug", "",
)  # fmt: skip


@pytest.mark.parametrize("seed", [2, 3])
def test_whatever_happens_a_scan_is_right_or_an_error(seed: int) -> None:
    dice = random.Random(seed)
    profile = quick_profile(reply_s=1.0, scan_s=0.01)
    with bench(profile, soils=1, seed=seed) as at:
        instrument = at.ready()
        right = wrong = 0
        dark = white = None
        for _ in range(12):
            at.control.obey("white")
            if dice.random() < 0.7:
                _mishap(at, dice)
            try:
                if dark is None or white is None or dark.boot != white.boot:
                    dark, white = instrument.acquire("dark", 40), None
                    white = instrument.acquire("white", 40)
                at.control.obey("sample")
                if dice.random() < 0.5:
                    _mishap(at, dice)
                target = instrument.acquire("target", 40)
            except (MeasurementError, InstrumentError):
                wrong += 1
                continue
            assert target.shutter_closed is False
            if target.boot != white.boot:
                dark = white = None
                continue
            assert target.settings == white.settings == dark.settings
            found = instrument.correct_dark(target, dark) / instrument.correct_dark(white, dark)
            np.testing.assert_allclose(found, soil(0).reflectance, atol=0.01)
            right += 1
        assert right >= 3
        assert instrument.remarks()


def _mishap(at: Bench, dice: random.Random) -> None:
    chosen = dice.choice(MISHAPS)
    if chosen == "unplug":
        at.control.obey("unplug")
        at.after(0.1, "plug")
    elif chosen:
        at.control.obey(chosen)


def test_closing_in_the_middle_of_a_dark_opens_the_shutter() -> None:
    with bench() as at:
        instrument = at.ready()
        # As after Ctrl-C while a dark is on its way: the shutter is closed, and a reply may still come.
        instrument._set_shutter(closed=True)
        instrument._link.tell(lambda now_s: instrument._host.ask(AcquireScans(1), now_s, 60.0))
        instrument.close()
        assert at.player.said[-1] == "IC,2,3,0"
        other = at.open()
        other.connect()
        assert other.acquire("white", 1).shutter_closed is False
        other.close()


# --- who else may be there ---------------------------------------------------------------------------------


@contextmanager
def somebody(says: bytes, answers: bytes = b"") -> Iterator[str]:
    """A server that is no FieldSpec."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        stopping = threading.Event()

        def serve() -> None:
            while True:
                host, _ = server.accept()
                with host:
                    if stopping.is_set():
                        return
                    host.sendall(says)
                    while host.recv(100):
                        host.sendall(answers)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"socket://127.0.0.1:{server.getsockname()[1]}"
        stopping.set()
        with socket.create_connection(server.getsockname()):
            thread.join(10)


def connect_to(port: str) -> FieldSpecInstrument:
    from stibium.edge.instruments.serial_port import SerialPort

    instrument = FieldSpecInstrument(lambda: SerialPort(port), quick_profile(reply_s=0.2, request_attempts=2))
    instrument.connect()
    return instrument


def test_a_web_server_is_no_fieldspec() -> None:
    with (
        somebody(b"", b"HTTP/1.1 400 Bad Request\r\n\r\n") as port,
        pytest.raises(PortError, match=r"no reply to V does.*is it an ASD FieldSpec\?"),
    ):
        connect_to(port)


def test_a_silent_server_is_no_fieldspec() -> None:
    with somebody(b"hello") as port, pytest.raises(PortError, match=r"no answer to V in 0.2 s"):
        connect_to(port)


def test_a_type_that_is_not_known_is_refused() -> None:
    from stibium.edge.protocols.fieldspec_replies import Version

    with (
        somebody(b"hello", Version(100, 0, "9", 9.0, 2).pack()) as port,
        pytest.raises(InstrumentError, match="instrument type 2, whose channels are not known"),
    ):
        connect_to(port)


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = f"socket://127.0.0.1:{server.getsockname()[1]}"
    with pytest.raises(NoSuchPortError):
        connect_to(port)


def test_it_waits_for_an_instrument_that_is_not_there_yet() -> None:
    with bench() as at:
        at.control.obey("unplug")
        at.after(0.3, "plug")
        assert at.instrument.connect(wait_for_port=True).serial_number == "18000"
        assert any("(waiting)" in line for line in at.told)
