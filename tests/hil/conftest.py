"""Hardware in the loop: recorded spectra in, estimates out, over a real port.

Without an option the virtual probe plays the instrument on a pseudo-terminal. With `pytest tests/hil --port
/dev/ttyUSB0` the same tests measure with the instrument on that port, whatever lies under it; those that need the
line to misbehave, or the spectra to be known, are skipped then.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from line_processes import Listener, playing
from stibium.converters.spectra.spectrum import Spectrum
from stibium.converters.spectra.table.write import write_table


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--port", metavar="PORT", help="run the hardware-in-loop tests against the instrument on PORT")


@pytest.fixture(scope="session")
def hardware_port(request: pytest.FixtureRequest) -> str | None:
    """The port of a real instrument, or None."""
    # A default, because pytest knows the option only where this file is read before the command line is.
    port = request.config.getoption("--port", default=None)
    return None if port is None else str(port)


@pytest.fixture
def virtual_only(hardware_port: str | None) -> None:
    """For tests that a real instrument cannot be put to."""
    if hardware_port is not None:
        pytest.skip("needs the virtual probe, which misbehaves as it is told")


@pytest.fixture
def listener(tmp_path: Path, tiny_bundle: Path) -> Listener:
    """`stibium listen`, ready to be called."""
    return Listener(tmp_path, tiny_bundle)


@pytest.fixture(scope="session")
def played(soils: list[Spectrum]) -> list[Spectrum]:
    """What the virtual probe measures: three points of each of four samples, in the protocol's float32."""
    spectra = []
    for number in range(4):
        base = soils[number % len(soils)]
        for point in range(3):
            values = (base.values * (1 + 0.002 * point)).astype(np.float32).astype(np.float64)
            spectra.append(
                Spectrum(
                    base.wavelengths_nm,
                    values,
                    "reflectance",
                    f"HIL{number}",
                    measurement=str(point),
                    splices_nm=base.splices_nm,
                    comment="simulated",
                    simulated=True,
                )
            )
    return spectra


@pytest.fixture
def played_file(played: list[Spectrum], tmp_path: Path) -> Path:
    """The same as a file."""
    path = tmp_path / "played.csv"
    write_table(path, played)
    return path


@dataclass(frozen=True)
class Instrument:
    """An instrument on a port, and what it will measure, if that is known."""

    port: str
    spectra: list[Spectrum] | None


@pytest.fixture(params=["pty", "tcp"])
def instrument(
    request: pytest.FixtureRequest, hardware_port: str | None, played: list[Spectrum], played_file: Path, tmp_path: Path
) -> Iterator[Instrument]:
    """The real instrument if there is one, else the virtual probe in a process of its own."""
    if hardware_port is not None:
        if request.param != "pty":
            pytest.skip("the real instrument has one port")
        yield Instrument(hardware_port, None)
        return
    where = ["--tcp", "127.0.0.1:0"] if request.param == "tcp" else ["--pty"]
    with playing(tmp_path, str(played_file), "--speed", "full", *where) as port:
        yield Instrument(port, played)
