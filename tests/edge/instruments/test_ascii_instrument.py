"""The driver of ASCII instruments against the virtual one, over real pseudo-terminals and TCP ports, faults included."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from framed_samples import some_spectra
from own_port import own_pty
from stibium.converters.spectra.spectrum import Spectrum
from stibium.edge.errors import (
    InstrumentError,
    InstrumentExchangedError,
    MeasurementError,
    NothingLeftError,
    PortError,
    ProfileError,
)
from stibium.edge.instruments.ascii import AsciiInstrument
from stibium.edge.instruments.driver import Instrument
from stibium.edge.instruments.opening import open_instrument
from stibium.edge.instruments.profile import Profile, parse_profile, read_profile
from stibium.edge.instruments.serial_port import SerialPort
from stibium.edge.model.bundle import Bundle
from stibium.edge.model.suitability import require_reflectance
from stibium.edge.protocols.host import Timeouts
from stibium.edge.simulators.ascii_instrument import VirtualAsciiInstrument, ascii_simulator
from stibium.edge.simulators.ends import End, PtyEnd, TcpEnd
from stibium.edge.simulators.faults import Faults
from stibium.edge.simulators.serve import VirtualProbe
from wire import Wire, wired

HASTY = Timeouts(reply_s=0.3, quiet_s=0.05, replug_s=20.0, request_attempts=4)
PATIENT = replace(HASTY, reply_s=1.0, request_attempts=40)
SOILS = some_spectra(3, simulated=True)


def hasty(profile: Profile, patience: Timeouts = HASTY) -> Profile:
    settings = profile.ascii
    assert settings is not None
    return replace(profile, timeouts=patience, ascii=replace(settings, lamp=replace(settings.lamp, settle_s=0.0)))


TRIAD = hasty(read_profile("as7265x"))
EXAMPLE = hasty(read_profile("ascii_spectrometer"))
SIMPLE = hasty(
    parse_profile(
        """
        name = "reflectometer"
        protocol = "ascii"
        [ascii.commands]
        acquire = "S"
        [ascii.values]
        delivers = "percent"
        [ascii.wavelengths]
        nm = [700, 600, 500]
        """,
        "simple",
    )
)
PER_BAND = hasty(
    parse_profile(
        """
        name = "scanning monochromator"
        protocol = "ascii"
        [ascii]
        ok = "END"
        [ascii.commands]
        acquire = "SCAN {scans}"
        [ascii.values]
        delivers = "reflectance"
        lines = "per_band"
        separator = ";"
        value_column = 2
        wavelength_column = 1
        """,
        "per band",
    )
)


@contextmanager
def playing(
    profile: Profile,
    faults: Faults | None = None,
    spectra: list[Spectrum] = SOILS,
    said: list[str] | None = None,
    **options: Any,
) -> Iterator[tuple[Instrument, Wire, VirtualAsciiInstrument]]:
    """A driver and the simulator that it speaks to, without a port and without waiting."""
    player = ascii_simulator(profile, spectra)
    with wired(player, faults=faults, **({"unplug_s": 0.1} | options)) as wire:
        instrument = AsciiInstrument(wire.open, profile, said.append if said is not None else None)
        with closing(instrument):
            yield instrument, wire, player


@contextmanager
def playing_on(end: End, profile: Profile) -> Iterator[Instrument]:
    """The same, on a real port."""
    with (
        VirtualProbe(ascii_simulator(profile, SOILS), end) as probe,
        closing(open_instrument(probe.name, profile)) as instrument,
    ):
        yield instrument


@pytest.mark.parametrize("end", [PtyEnd, lambda: TcpEnd("127.0.0.1", 0)], ids=["pty", "tcp"])
@pytest.mark.parametrize("profile", [TRIAD, EXAMPLE, SIMPLE, PER_BAND], ids=lambda p: p.name)
def test_what_lies_in_front_of_it_comes_out(profile: Profile, end: Callable[[], End]) -> None:
    with playing_on(end(), profile) as instrument:
        identity = instrument.connect()
        assert identity.virtual
        assert identity.simulated
        assert identity.name == profile.name
        nm = instrument.wavelengths_nm
        assert (np.diff(nm) > 0).all()
        white = instrument.acquire("white", 2) if identity.delivers == "raw_dn" else None
        dark = instrument.acquire("dark", 2) if identity.needs_dark else None
        for soil in SOILS:
            scan = instrument.acquire("target", 3)
            assert scan.simulated
            assert scan.scans == 3
            truth = np.interp(nm, soil.wavelengths_nm, soil.values)
            values = instrument.correct_dark(scan, dark)
            if white is not None:
                values = values / instrument.correct_dark(white, dark)
            # Counts are whole numbers; the white is at least 6000 of them.
            assert np.allclose(values, truth, atol=3e-4 if white is not None else 1e-6)
        with pytest.raises(NothingLeftError, match="played all"):
            instrument.acquire("target", 1)
        assert instrument.losses() == []
        assert instrument.wait(0.01) is None


def test_identity_settings_and_keys() -> None:
    with playing(TRIAD) as (instrument, _, _player):
        identity = instrument.connect()
        assert identity.firmware == "virtual 1.0"
        assert (identity.delivers, identity.needs_dark, identity.shutter) == ("raw_dn", True, True)
        first, second = instrument.acquire("white", 1), instrument.acquire("white", 1)
        assert first.values.tolist() == second.values.tolist()
        assert first.key != second.key
        assert first.settings.values == (("integration_ms", 100.0),)
        assert first.saturated == ()
        with pytest.raises(InstrumentError, match="set in the profile"):
            instrument.optimise()
        with pytest.raises(MeasurementError, match="no dark reference"):
            instrument.correct_dark(first, None)


def test_lamp_is_off_for_the_dark_only_and_at_the_end() -> None:
    player = ascii_simulator(TRIAD, SOILS)
    with VirtualProbe(player, own_pty()) as probe, closing(open_instrument(probe.name, TRIAD)) as instrument:
        instrument.connect()
        assert player._lamp
        dark = instrument.acquire("dark", 2)
        assert dark.values.max() < 500
        assert player._lamp
        instrument.close()
        with closing(SerialPort(probe.name)) as port:
            port.write(b"AT\n")
            heard = b""
            while b"OK" not in heard:
                heard += port.read(5.0)
        assert not player._lamp


def test_saturated_bands_name_their_detector() -> None:
    settings = EXAMPLE.ascii
    assert settings is not None
    profile = replace(EXAMPLE, ascii=replace(settings, values=replace(settings.values, saturation=30000.0)))
    with playing(profile) as (instrument, _, _player):
        instrument.connect()
        # The lamp's hump is highest about 1400 nm, beyond the splice at 1000 nm.
        assert instrument.acquire("white", 1).saturated == ("SWIR",)
        assert instrument.acquire("dark", 1).saturated == ()


def test_as7265x_is_read_and_refused_by_a_model_of_the_whole_range(shipped_bundle: Bundle) -> None:
    with playing(TRIAD) as (instrument, _, _player):
        instrument.connect()
        white, dark = instrument.acquire("white", 1), instrument.acquire("dark", 1)
        scan = instrument.acquire("target", 1)
        values = instrument.correct_dark(scan, dark) / instrument.correct_dark(white, dark)
        spectrum = Spectrum(instrument.wavelengths_nm, values, "reflectance", "S0", simulated=scan.simulated)
    with pytest.raises(Exception, match=r"covers 410-940 nm; the model needs 400-2450 nm"):
        require_reflectance(spectrum, shipped_bundle.recipe.range_nm)


@pytest.mark.parametrize(
    "faults",
    [
        Faults(flip=0.004),
        Faults(drop=0.004),
        Faults(garbage=0.004),
        Faults(duplicate=0.2),
        Faults(stall=0.1, stall_s=0.5),
        Faults(disconnect=0.05),
    ],
    ids=["flip", "drop", "garbage", "duplicate", "stall", "disconnect"],
)
def test_a_bad_line_never_leads_to_a_scan_of_the_wrong_size(faults: Faults) -> None:
    profile = replace(TRIAD, timeouts=PATIENT)
    clean = Faults()
    with playing(profile, clean, [*SOILS] * 2) as (instrument, wire, _player):
        instrument.connect()
        wire.served._line._faults = faults
        values: list[np.ndarray] = []
        refused: list[str] = []
        for _ in range(6):
            try:
                scan = instrument.acquire("target", 1)
            except MeasurementError as error:
                refused.append(str(error))
                continue
            assert scan.values.shape == (18,)
            assert np.isfinite(scan.values).all()
            values.append(scan.values)
        # There is no checksum: a changed digit passes, and only that. Most of the values are right.
        assert len(values) >= 5
        assert all(why.startswith("wire: ") for why in refused)
        truth = [np.median(np.array(values[i::3]), axis=0) for i in range(3)]
        assert all((white > 400).mean() > 0.8 for white in truth)


def test_pulled_and_plugged_in_again_no_target_is_lost_or_doubled() -> None:
    said: list[str] = []
    expected = [np.interp(sorted(TRIAD.ascii.wavelengths_nm), s.wavelengths_nm, s.values) for s in SOILS]  # type: ignore[union-attr]
    with playing(TRIAD, said=said, unplug_every=3) as (instrument, _, _player):
        instrument.connect()
        white, dark = instrument.acquire("white", 1), instrument.acquire("dark", 1)
        for truth in expected:
            scan = instrument.acquire("target", 1)
            values = instrument.correct_dark(scan, dark) / instrument.correct_dark(white, dark)
            assert np.allclose(values, truth, atol=3e-4)
    assert any("waiting for it to come back" in line for line in said)
    assert any("connected again" in line for line in said)
    assert any("new connections" in remark for remark in instrument.remarks())


@pytest.mark.parametrize("power", [False, True])
def test_pulled_after_any_byte_the_scan_comes_out_right(power: bool) -> None:
    with playing(TRIAD, unplug_s=0.01, unplug_power=power) as (instrument, wire, _player):
        instrument.connect()
        expected = instrument.acquire("white", 1).values.tolist()
        # In the notice, between two lines, in a number, and near the end.
        for count in (0, 1, 30, 41, 42, 43, 60, 100, 120):
            wire.served.hang_up_after(count)
            assert instrument.acquire("white", 1).values.tolist() == expected, count
        assert int(instrument.remarks()[-1].split()[0]) == 9


def test_power_is_lost_and_the_instrument_set_up_again() -> None:
    with playing(TRIAD) as (instrument, wire, player):
        instrument.connect()
        before = instrument.acquire("white", 1)
        wire.served.unplug(power=True)
        assert not player._lamp
        wire.clock.after(0.2, wire.served.plug)
        after = instrument.acquire("white", 1)
        assert after.values.tolist() == before.values.tolist()
        assert player._integration_ms == pytest.approx(100.8)


def test_another_instrument_is_not_taken_for_the_first() -> None:
    profile = replace(EXAMPLE, timeouts=replace(HASTY, replug_s=1.0))
    with playing(profile) as (instrument, wire, player):
        instrument.connect()
        assert instrument.identity.serial_number == "VIRTUAL-1"
        wire.served.unplug()
        player._serial_number = "VIRTUAL-2"
        wire.clock.after(0.1, wire.served.plug)
        with pytest.raises(
            InstrumentExchangedError, match=r"another instrument answers now: .*VIRTUAL-2 in place of .*VIRTUAL-1"
        ):
            instrument.acquire("target", 1)


def test_the_wrong_profile_is_said() -> None:
    settings = EXAMPLE.ascii
    assert settings is not None
    other = replace(
        EXAMPLE, name="other", ascii=replace(settings, commands=replace(settings.commands, identify=None, acquire="X"))
    )
    player = ascii_simulator(EXAMPLE, SOILS)
    with (
        VirtualProbe(player, own_pty()) as probe,
        closing(open_instrument(probe.name, other)) as instrument,
        pytest.raises(PortError, match="answers X with 'ERROR unknown command'"),
    ):
        instrument.connect()
    assert settings.commands.identify is not None
    wrong = replace(settings.commands, identify=replace(settings.commands.identify, expect="FOO"))
    with VirtualProbe(ascii_simulator(EXAMPLE, SOILS), own_pty()) as probe:
        foo = replace(EXAMPLE, name="foo", ascii=replace(settings, commands=wrong))
        with (
            closing(open_instrument(probe.name, foo)) as instrument,
            pytest.raises(PortError, match="not the instrument"),
        ):
            instrument.connect()


class Scripted:
    """A port that answers from a function."""

    def __init__(self, answer: Callable[[str], bytes]) -> None:
        self.name, self._answer, self._waiting = "scripted", answer, b""
        self.sent: list[str] = []

    def read(self, timeout_s: float) -> bytes:
        data, self._waiting = self._waiting, b""
        return data

    def write(self, data: bytes) -> None:
        command = data.decode().strip()
        self.sent.append(command)
        self._waiting += self._answer(command)

    def close(self) -> None:
        pass


QUICK = replace(SIMPLE, timeouts=replace(HASTY, reply_s=0.01, quiet_s=0.001, request_attempts=3, replug_s=0.01))


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (b"", "silent: no answer in 0.03 s"),
        (b"1,2,3", "S: a line was cut off after 5 bytes"),
        (b"1,2\n", "2 values, where 3 are due"),
        (b"\xf0\x9f\n", "byte 0xf0, which is no text"),
        (b"S\n", "what is sent comes back"),
        (b"1,nan,3\n", "'nan' is no number"),
        (b"9" * 70000 + b"\n", "where at most 65536 are expected"),
    ],
)
def test_why_nobody_is_there(answer: bytes, says: str) -> None:
    instrument = AsciiInstrument(lambda: Scripted(lambda _: answer), QUICK)
    with pytest.raises(PortError) as caught:
        instrument.connect()
    assert str(caught.value).startswith("scripted: ")
    assert says in str(caught.value)


@pytest.mark.parametrize("endless", [b"garbage ", b"#note\n", b"\r\n\r\n", b"line\n", b"\x00\xff"])
def test_a_port_that_never_stops_talking_is_given_up(endless: bytes) -> None:
    class Babbling(Scripted):
        def read(self, timeout_s: float) -> bytes:
            return endless

    settings = QUICK.ascii
    assert settings is not None
    patience = replace(QUICK.timeouts, longest_scan_s=0.05)
    marks = replace(settings.line, ok="OK", ignore="#", longest_line=4096)
    profile = replace(QUICK, timeouts=patience, ascii=replace(settings, line=marks))
    instrument = AsciiInstrument(lambda: Babbling(lambda _: b""), profile)
    with pytest.raises(PortError, match=r"scripted: S: .*are profile and speed"):
        instrument.connect()


def test_a_closed_instrument_says_so_and_is_closed_again() -> None:
    instrument = AsciiInstrument(lambda: Scripted(lambda _: b"1,2,3\n"), QUICK)
    instrument.connect()
    instrument.close()
    instrument.close()
    assert instrument.name == "scripted"
    with pytest.raises(PortError, match="scripted: the port is not open"):
        instrument.acquire("target", 1)


def test_an_echo_is_tolerated_and_a_real_instrument_gets_no_cue() -> None:
    port = Scripted(lambda command: f"{command}\r\n10,20,30\r\n".encode())
    instrument = AsciiInstrument(lambda: port, QUICK)
    identity = instrument.connect()
    assert not identity.virtual
    assert not identity.simulated
    assert instrument.acquire("target", 2).values.tolist() == [0.3, 0.2, 0.1]
    assert port.sent == ["S"] * 3


def test_a_socket_that_is_open_and_silent_is_given_up() -> None:
    alive = [True]
    port = Scripted(lambda _: b"1,2,3\n" if alive[0] else b"")
    instrument = AsciiInstrument(lambda: port, QUICK)
    instrument.connect()
    alive[0] = False
    with pytest.raises(PortError, match="given up"):
        instrument.acquire("target", 1)


def test_an_instrument_that_says_errors_is_believed_at_last() -> None:
    answers = iter([b"1,2,3\n", b"E lamp\n", b"1,2,3\n", *[b"E lamp\n"] * 9])
    settings = QUICK.ascii
    assert settings is not None
    profile = replace(QUICK, ascii=replace(settings, line=replace(settings.line, error="E")))
    instrument = AsciiInstrument(lambda: Scripted(lambda _: next(answers)), profile)
    instrument.connect()
    assert instrument.acquire("target", 1).values.tolist() == [0.03, 0.02, 0.01]
    with pytest.raises(InstrumentError, match="answers S with 'E lamp'"):
        instrument.acquire("target", 1)


def test_what_an_ascii_instrument_cannot_be_made_of() -> None:
    with pytest.raises(ProfileError, match="not a profile of an ASCII instrument"):
        AsciiInstrument(lambda: Scripted(lambda _: b""), Profile())
    with pytest.raises(ProfileError, match="not a profile"):
        ascii_simulator(Profile(), SOILS)
    with pytest.raises(Exception, match="covers 500-600 nm; the instrument measures 410-940 nm"):
        ascii_simulator(TRIAD, some_spectra(1, np.arange(500.0, 601.0)))
