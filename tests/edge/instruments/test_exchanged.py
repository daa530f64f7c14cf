"""Another instrument plugged in while measuring: one behaviour, whatever the instrument speaks."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fieldspec_bench import soil
from framed_samples import some_spectra
from stibium.edge.errors import InstrumentExchangedError
from stibium.edge.instruments.opening import open_instrument
from stibium.edge.instruments.profile import parse_profile, profile_text
from stibium.edge.simulators.ascii_instrument import ascii_simulator
from stibium.edge.simulators.ends import PtyEnd, TcpEnd
from stibium.edge.simulators.fieldspec_instrument import VirtualFieldSpec
from stibium.edge.simulators.framed_instrument import VirtualInstrument
from stibium.edge.simulators.in_front import InFront
from stibium.edge.simulators.serve import VirtualProbe
from stibium.edge.simulators.spectra import from_spectra

LIMITS = "reply_s = 2.0\nquiet_s = 0.05\nreplug_s = 60.0\nrequest_attempts = 4\n"
FRAMED = f"[patience]\n{LIMITS}"
FIELDSPEC = f'protocol = "fieldspec"\n[patience]\n{LIMITS}'
ASCII = profile_text("ascii_spectrometer").replace("[patience]", f"[patience]\n{LIMITS}#")
SPECTRA = some_spectra(9, simulated=True)


def framed(number: int) -> Any:
    played = from_spectra(SPECTRA, raw=True)
    return VirtualInstrument(replace(played, identification=replace(played.identification, serial_number=str(number))))


def fieldspec(number: int) -> Any:
    return VirtualFieldSpec(InFront([soil(0)]), serial_number=number)


def ascii_lines(number: int) -> Any:
    player = ascii_simulator(parse_profile(ASCII, "ascii"), SPECTRA)
    player._serial_number = str(number)
    return player


@pytest.mark.parametrize(
    ("text", "make"),
    [(FRAMED, framed), (FIELDSPEC, fieldspec), (ASCII, ascii_lines)],
    ids=["framed", "fieldspec", "ascii"],
)
def test_another_instrument_is_refused_at_once_and_the_first_one_taken_back(
    text: str, make: Callable[[int], Any], tmp_path: Path
) -> None:
    ours, other = make(4711), make(4712)
    end = TcpEnd("127.0.0.1", 0) if make is fieldspec else PtyEnd(tmp_path / "port")
    profile = parse_profile(text, "test")
    if profile.ascii is not None:
        profile = replace(profile, ascii=replace(profile.ascii, lamp=replace(profile.ascii.lamp, settle_s=0.0)))
    told: list[str] = []
    with VirtualProbe(ours, end) as served:
        instrument = open_instrument(served.name, profile, told.append)
        with closing(instrument):
            assert instrument.connect().serial_number == "4711"
            values = instrument.acquire("white", 1).values
            for player in (other, other, ours):
                served.unplug()
                served._simulator = player
                served.plug()
                if player is ours:
                    scan = instrument.acquire("white", 1)
                    assert scan.values.shape == values.shape
                    assert np.isfinite(scan.values).all()
                    break
                begun_s = time.monotonic()
                with pytest.raises(
                    InstrumentExchangedError, match=r"another instrument answers now: .*4712 in place of .*4711$"
                ):
                    instrument.acquire("white", 1)
                assert time.monotonic() - begun_s < 20.0
            assert instrument.identity.serial_number == "4711"
    assert any("waiting for it to come back" in line for line in told)
    assert told[-1].endswith("connected again")
