"""The framed probe behind the face that every instrument has, over a real pseudo-terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest
from framed_samples import GRID_NM, some_spectra
from own_port import own_pty
from stibium.edge.errors import (
    InstrumentError,
    MeasurementError,
    NothingLeftError,
)
from stibium.edge.instruments.driver import Instrument
from stibium.edge.instruments.opening import open_instrument
from stibium.edge.instruments.profile import Profile
from stibium.edge.protocols.host import Timeouts
from stibium.edge.simulators.ends import End, PtyEnd, TcpEnd
from stibium.edge.simulators.framed_instrument import VirtualInstrument
from stibium.edge.simulators.serve import VirtualProbe
from stibium.edge.simulators.spectra import FramedSimulation, from_spectra

PATIENT = Profile(timeouts=Timeouts(reply_s=1.0, quiet_s=0.1, replug_s=30.0))
SPECTRA = some_spectra(3, splices_nm=(1000.0, 1830.0), simulated=True)


@pytest.fixture(params=["pty", "tcp"])
def end(request: pytest.FixtureRequest, tmp_path: Path) -> End:
    return PtyEnd(tmp_path / "port") if request.param == "pty" else TcpEnd("127.0.0.1", 0)


@contextmanager
def opened(
    simulation: FramedSimulation, end: End | None = None, **options: object
) -> Iterator[tuple[VirtualProbe, Instrument]]:
    player = VirtualInstrument(simulation, **options)  # type: ignore[arg-type]
    with VirtualProbe(player, end or own_pty()) as probe:
        instrument = open_instrument(probe.name, PATIENT)
        with closing(instrument):
            instrument.connect()
            yield probe, instrument


def test_counts_come_with_what_is_known_of_them() -> None:
    with opened(from_spectra(SPECTRA, raw=True), boot=77) as (_, instrument):
        who = instrument.identity
        assert (who.delivers, who.needs_dark, who.shutter, who.optimises) == ("raw_dn", True, True, False)
        assert who.detectors == ("VNIR", "SWIR1", "SWIR2")
        assert who.simulated
        assert who.virtual
        np.testing.assert_array_equal(instrument.wavelengths_nm, GRID_NM)
        scans = {kind: instrument.acquire(kind, 7) for kind in ("dark", "white", "target")}  # type: ignore[arg-type]
        for kind, scan in scans.items():
            instrument.acknowledge(scan)
            assert (scan.kind, scan.unit, scan.scans, scan.boot, scan.simulated) == (kind, "raw_dn", 7, 77, True)
        assert len({scan.key for scan in scans.values()}) == 3
        assert str(scans["white"].settings) == "integration_us 17000, gain 0"
        span = instrument.correct_dark(scans["white"], scans["dark"])
        light = instrument.correct_dark(scans["target"], scans["dark"])
        np.testing.assert_allclose(light / span, SPECTRA[0].values, rtol=1e-5)
        with pytest.raises(MeasurementError, match="dark reference is missing"):
            instrument.correct_dark(scans["white"], None)
        with pytest.raises(InstrumentError, match="by itself"):
            instrument.optimise()


def test_reflectance_needs_no_references_and_ends_when_all_is_played(end: End) -> None:
    with opened(from_spectra(SPECTRA), end) as (_, instrument):
        assert instrument.identity.delivers == "reflectance"
        assert not instrument.identity.needs_dark
        for spectrum in SPECTRA:
            scan = instrument.acquire("target", 1)
            instrument.acknowledge(scan)
            np.testing.assert_array_equal(instrument.correct_dark(scan, None), spectrum.values)
            assert scan.label == spectrum.sample_id
        with pytest.raises(NothingLeftError):
            instrument.acquire("target", 1)
        assert instrument.losses() == []
        assert instrument.remarks() == []


def test_what_the_button_measures_is_given_once_and_acknowledged() -> None:
    with opened(from_spectra(SPECTRA), button_s=0.0) as (_, instrument):
        labels = []
        for _ in SPECTRA:
            scan = instrument.wait(20.0)
            assert scan is not None
            labels.append(scan.label)
            instrument.acknowledge(scan)
        assert labels == [spectrum.sample_id for spectrum in SPECTRA]


def test_unplugged_amid_every_measurement(end: End) -> None:
    notices: list[str] = []
    player = VirtualInstrument(from_spectra(SPECTRA, payload_limit=64))
    with (
        VirtualProbe(player, end, unplug_every=1, unplug_s=0.05) as probe,
        closing(open_instrument(probe.name, PATIENT, notices.append)) as instrument,
    ):
        instrument.connect()
        for spectrum in SPECTRA:
            scan = instrument.acquire("target", 1)
            instrument.acknowledge(scan)
            np.testing.assert_array_equal(scan.values, spectrum.values)
        assert player.measured == len(SPECTRA)
        assert f"{len(SPECTRA)} new connections" in instrument.remarks()
        assert instrument.losses() == []
    assert any("hung up; was it unplugged? (waiting for it to come back)" in line for line in notices)
    assert any("connected again" in line for line in notices)


def test_what_happened_on_the_line_is_told(tmp_path: Path) -> None:
    end = PtyEnd(tmp_path / "port")
    with VirtualProbe(VirtualInstrument(from_spectra(SPECTRA)), end) as probe:
        instrument = open_instrument(probe.name, PATIENT)
        with closing(instrument):
            instrument.connect()
            probe.unplug(power=True)
            probe.plug()
            instrument.acknowledge(instrument.acquire("target", 1))
            assert instrument.remarks() == ["1 new connection", "1 restart of the instrument"]
