"""`stibium probe --instrument fieldspec` in a process of its own, and the driver at the other end."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from line_processes import PATIENCE_S, STIBIUM
from stibium.converters.spectra.spectrum import Spectrum
from stibium.edge.instruments.fieldspec import FieldSpecInstrument
from stibium.edge.instruments.opening import open_instrument
from stibium.edge.instruments.profile import parse_profile

PROFILE = parse_profile('protocol = "fieldspec"\n[patience]\nquiet_s = 0.1\nreply_s = 60.0\n', "bench")


@contextmanager
def probe(*options: str) -> Iterator[tuple[subprocess.Popen[str], FieldSpecInstrument]]:
    command = [STIBIUM, "probe", "--instrument", "fieldspec", "--speed", "full", "--control", *options]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            instrument = open_instrument(process.stdout.readline().strip(), PROFILE)
            assert isinstance(instrument, FieldSpecInstrument)
            yield process, instrument
            instrument.close()
            process.terminate()
            assert process.wait(PATIENCE_S) == 0
        finally:
            process.kill()


def tell(process: subprocess.Popen[str], line: str) -> str:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(line + "\n")
    process.stdin.flush()
    return process.stdout.readline().strip()


def test_played_spectra_are_measured_through_two_processes(
    virtual_only: None, played_file: str, played: list[Spectrum]
) -> None:
    with probe(str(played_file)) as (process, instrument):
        who = instrument.connect()
        assert who.virtual
        assert who.simulated
        instrument.optimise()
        dark = instrument.acquire("dark", 40)
        white = instrument.correct_dark(instrument.acquire("white", 40), dark)
        for spectrum in played[:3]:
            found = instrument.correct_dark(instrument.acquire("target", 40), dark) / white
            expected = np.interp(instrument.wavelengths_nm, spectrum.wavelengths_nm, spectrum.values)
            np.testing.assert_allclose(found, expected, atol=0.005)
        assert tell(process, "sample HIL2") == "ok, in front: HIL2"
        assert tell(process, "dance").startswith("no: 'dance' is nothing that can be done")
        found = instrument.correct_dark(instrument.acquire("target", 40), dark) / white
        expected = np.interp(instrument.wavelengths_nm, played[6].wavelengths_nm, played[6].values)
        np.testing.assert_allclose(found, expected, atol=0.005)
        assert tell(process, "power-cycle") == "ok, power-cycle done"
        assert instrument.acquire("target", 1).boot != dark.boot


def test_the_shipped_samples_are_played_as_simulated(virtual_only: None) -> None:
    with probe("--type", "5", "--serial-number", "77", "--warm-min", "0", "--piece-bytes", "100") as (_, instrument):
        who = instrument.connect()
        assert (who.serial_number, who.detectors, who.simulated) == ("77", ("VNIR", "SWIR1"), True)
        instrument.optimise()
        assert instrument.acquire("dark", 1).simulated


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--instrument", "fieldspec", "--pty"], "--pty is nothing that a FieldSpec has"),
        (["--instrument", "fieldspec", "--raw"], "--raw is nothing that a FieldSpec has"),
        (["--instrument", "fieldspec", "--baud", "9600"], "--baud is nothing that a FieldSpec has"),
        (["--instrument", "fieldspec", "--misbehave", "wrong-length=1"], "a FieldSpec's replies say no length"),
        (["--instrument", "fieldspec", "--after-dark", "hand"], "'hand'; there are white, mylar, cover, sample"),
        (["--type", "5"], "--type needs --instrument fieldspec"),
        (["--control"], "--control needs --instrument fieldspec"),
    ],
)
def test_options_that_mean_nothing_are_refused(options: list[str], says: str) -> None:
    done = subprocess.run([STIBIUM, "probe", *options], capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 2
    assert says in done.stderr


def test_an_instrument_that_is_not_known_is_one_line() -> None:
    done = subprocess.run(
        [STIBIUM, "probe", "--instrument", "nothing"], capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert done.returncode == 1
    assert "nothing: no profile of that name" in done.stderr
    assert "Traceback" not in done.stderr


def test_listen_waits_for_no_button_of_an_instrument_that_has_none() -> None:
    done = subprocess.run(
        [STIBIUM, "listen", "socket://127.0.0.1:1", "--profile", "fieldspec", "--passive"],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 2
    assert "does not measure by itself: leave --passive out" in done.stderr
    assert "Traceback" not in done.stderr
