"""What is attached, and who answers: real pseudo-terminals and TCP ports, and USB ids as pyserial lists them."""

from __future__ import annotations

import csv
import io
import json
import os
import tty
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest
import serial.tools.list_ports
from click.testing import CliRunner, Result
from framed_samples import some_spectra
from stibium.edge.cli import stibium
from stibium.edge.errors import PortError, ProfileError
from stibium.edge.instruments import discovery as ports_module
from stibium.edge.instruments.discovery import AttachedPort, ask, attached_ports, network_ports, profiles_to_ask
from stibium.edge.instruments.profile import read_profile
from stibium.edge.instruments.serial_port import SerialPort
from stibium.edge.simulators.ascii_instrument import ascii_simulator
from stibium.edge.simulators.ends import End, PtyEnd, TcpEnd
from stibium.edge.simulators.fieldspec_instrument import VirtualFieldSpec
from stibium.edge.simulators.framed_instrument import VirtualInstrument
from stibium.edge.simulators.in_front import InFront, things_from
from stibium.edge.simulators.serve import VirtualProbe
from stibium.edge.simulators.simulator import Simulator
from stibium.edge.simulators.spectra import from_spectra

SOILS = some_spectra(1, simulated=True)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(stibium, ["ports", *arguments])


def listed(*arguments: str) -> list[dict[str, object]]:
    result = run(*arguments, "--format", "jsonl")
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.fixture(params=["framed_serial", "as7265x", "fieldspec"])
def played(request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    """A profile's name and the port on which it is played."""
    end: End = PtyEnd()
    player: Simulator
    if request.param == "framed_serial":
        player = VirtualInstrument(from_spectra(SOILS))
    elif request.param == "as7265x":
        player = ascii_simulator(read_profile("as7265x"), SOILS)
    else:
        player, end = VirtualFieldSpec(InFront(things_from(SOILS))), TcpEnd("127.0.0.1", 0)
    with VirtualProbe(player, end) as probe:
        yield request.param, probe.name


def test_profile_that_answers_is_named(played: tuple[str, str]) -> None:
    name, port = played
    (row,) = listed(port, "--probe", "--timeout", "1")
    assert row["profile"] == name, row
    assert "a program" in str(row["instrument"])
    assert row["remark"] == ""
    table = run(port, "--probe", "--timeout", "1").stdout
    assert f"use --profile {name}" in table


def test_only_the_profile_that_is_named_is_asked(played: tuple[str, str]) -> None:
    name, port = played
    other = "as7265x" if name == "framed_serial" else "framed_serial"
    (row,) = listed(port, "--probe", "--timeout", "0.1", "--profile", other)
    assert row["profile"] == ""
    assert str(row["remark"]).startswith("nobody answers: ")


def test_an_instrument_that_was_only_asked_is_as_it_was() -> None:
    player = ascii_simulator(read_profile("as7265x"), SOILS)
    with VirtualProbe(player, PtyEnd()) as probe:
        assert ask(AttachedPort(probe.name), profiles_to_ask(["as7265x"]), 1.0).profile == "as7265x"
    assert not player._lamp
    assert player.measured == 0


def test_silent_taken_and_missing_ports_say_so_in_their_rows(tmp_path: Path) -> None:
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    silent = os.ttyname(theirs)
    with VirtualProbe(VirtualInstrument(from_spectra(SOILS)), PtyEnd()) as probe, closing(SerialPort(probe.name)):
        rows = listed(silent, probe.name, "--probe", "--timeout", "0.05")
    os.close(ours)
    os.close(theirs)
    assert "silent: no answer" in str(rows[0]["remark"])
    assert "another program has it open" in str(rows[1]["remark"])
    missing = run(str(tmp_path / "nothing"), silent.replace("pts", "nope"), "--probe")
    assert missing.exit_code == 1
    assert missing.stdout.count("no such port") == 2
    (row,) = listed("/dev/null", "--probe")
    assert "not a serial port" in str(row["remark"])
    (row,) = listed("socket://127.0.0.1:1", "--probe", "--timeout", "0.1")
    assert "nothing listens there" in str(row["remark"])


def test_no_permission_is_said_without_opening(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    for options in ([], ["--probe"]):
        (row,) = listed("/dev/null", *options)
        assert str(row["remark"]).startswith("no permission; `sudo usermod -a -G root $USER`")


@pytest.fixture
def usb(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three devices as pyserial lists them, none of which may be opened."""

    def port(device: str, vid: int | None, pid: int | None, description: str, serial_number: str | None) -> object:
        return SimpleNamespace(
            device=device, vid=vid, pid=pid, description=description, serial_number=serial_number, hwid="USB"
        )

    attached = [
        port("/dev/ttyUSB1", 0x0403, 0x6001, "FT232R USB UART", "A50285BI"),
        port("/dev/ttyACM0", 0x2E8A, 0x0009, "Pico", "E66"),
        port("/dev/ttyUSB0", 0x1234, 0x5678, "n/a", None),
    ]
    monkeypatch.setattr(serial.tools.list_ports, "comports", lambda: attached)
    monkeypatch.setattr(ports_module, "_links", lambda: {"/dev/ttyUSB1": ("/dev/serial/by-id/usb-FTDI",)})
    monkeypatch.setattr(ports_module, "_why_not_usable", lambda port: "")

    def never(*_: object) -> None:
        raise AssertionError("a port was opened")

    monkeypatch.setattr(ports_module, "SerialPort", never)


@pytest.mark.usefixtures("usb")
def test_usb_ids_are_recognised_and_nothing_is_opened() -> None:
    pico, unknown, ftdi = attached_ports()
    assert (ftdi.port, ftdi.usb_id, ftdi.serial_number) == ("/dev/ttyUSB1", "0403:6001", "A50285BI")
    assert ftdi.device == "FT232R USB UART, USB serial adapter (FTDI FT232)"
    assert ftdi.links == ("/dev/serial/by-id/usb-FTDI",)
    assert pico.device == "Pico, microcontroller (Raspberry Pi)"
    assert (unknown.device, unknown.usb_id) == ("", "1234:5678")
    table = run().stdout.splitlines()
    assert table[0] == "/dev/ttyACM0  Pico, microcontroller (Raspberry Pi)"
    assert "  /dev/serial/by-id/usb-FTDI" in table
    rows = list(csv.DictReader(io.StringIO(run("--format", "csv").stdout)))
    assert [row["port"] for row in rows] == ["/dev/ttyACM0", "/dev/ttyUSB0", "/dev/ttyUSB1"]
    assert rows[2]["links"] == "/dev/serial/by-id/usb-FTDI"


def test_nothing_attached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serial.tools.list_ports, "comports", list)
    monkeypatch.setattr(ports_module, "_links", dict)
    result = run()
    assert result.exit_code == 0
    assert result.stdout == ""
    assert "no serial device is plugged in" in result.stderr


def test_factory_address_of_a_fieldspec_is_tried() -> None:
    fieldspec = VirtualFieldSpec(InFront(things_from(SOILS)))
    with VirtualProbe(fieldspec, TcpEnd("127.0.0.1", 0)) as probe:
        text = f'name = "ASD FieldSpec"\nprotocol = "fieldspec"\n[fieldspec]\naddress = "{probe.name}"\n'
        from stibium.edge.instruments.profile import parse_profile

        profiles = {"mine": parse_profile(text, "mine")}
        (port,) = network_ports(profiles, 1.0)
        assert (port.port, port.device) == (probe.name, "address of an ASD FieldSpec as delivered")
        assert ask(port, profiles, 1.0).profile == "mine"
    assert network_ports(profiles, 1.0) == []


def test_usage() -> None:
    assert run("--profile", "as7265x").exit_code == 2
    with pytest.raises(ProfileError):
        profiles_to_ask(["nobody"])
    assert "ascii_spectrometer" not in profiles_to_ask()
    nameless = read_profile("ascii_spectrometer")
    assert nameless.ascii is not None
    with pytest.raises(PortError):
        SerialPort("/nonexistent")
