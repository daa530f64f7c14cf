"""Ports of every sort: real pseudo-terminals, sockets, and what cannot be opened."""

from __future__ import annotations

import grp
import os
import select
import socket
import threading
import tty
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import serial
from serial import rfc2217
from stibium.edge.errors import NoSuchPortError, NotAPortError, PortError, PortGoneError
from stibium.edge.instruments.opening import open_instrument
from stibium.edge.instruments.profile import read_profile
from stibium.edge.instruments.serial_port import SerialPort

PATIENCE_S = 30.0


@pytest.fixture
def pty() -> Iterator[tuple[int, str]]:
    """Our end of a pseudo-terminal, and the name of the other."""
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    name = os.ttyname(theirs)
    yield ours, name
    for descriptor in (ours, theirs):
        try:
            os.close(descriptor)
        except OSError:
            continue


def read_all(port: SerialPort, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = port.read(PATIENCE_S)
        assert piece, "nothing came"
        data += piece
    return data


def test_bytes_of_every_value_pass_a_pseudo_terminal_both_ways(pty: tuple[int, str]) -> None:
    ours, name = pty
    everything = bytes(range(256)) * 4
    with closing(SerialPort(name)) as port:
        os.write(ours, everything)
        assert read_all(port, len(everything)) == everything
        port.write(everything)
        got = b""
        while len(got) < len(everything):
            got += os.read(ours, 4096)
        assert got == everything
        assert port.read(0.0) == b""
        assert port.read(0.01) == b""


def test_what_came_before_a_hang_up_is_not_lost() -> None:
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    with closing(SerialPort(os.ttyname(theirs))) as port:
        os.close(theirs)
        os.write(ours, b"last words")
        select.select([port._fd], [], [], PATIENCE_S)
        assert read_all(port, 10) == b"last words"
        os.close(ours)
        with pytest.raises(PortGoneError, match="hung up; was it unplugged"):
            port.read(PATIENCE_S)
        with pytest.raises(PortGoneError):
            port.write(b"x")


def test_a_socket_passes_bytes_and_its_end_is_a_hang_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        seen: list[tuple[str, bytes]] = []
        port = SerialPort(
            f"socket://127.0.0.1:{server.getsockname()[1]}", tap=lambda way, data: seen.append((way, data))
        )
        with closing(port):
            host, _ = server.accept()
            with host:
                host.sendall(b"a" * 50_000)
                assert read_all(port, 50_000) == b"a" * 50_000
                port.write(b"question")
                assert host.recv(100) == b"question"
                host.sendall(b"bye")
            assert read_all(port, 3) == b"bye"
            with pytest.raises(PortGoneError):
                port.read(PATIENCE_S)
    assert seen[0][0] == "!"
    assert b"".join(data for way, data in seen if way == "<") == b"a" * 50_000 + b"bye"
    assert [data for way, data in seen if way == ">"] == [b"question"]
    assert [data.split(b" ")[0] for way, data in seen if way == "!"] == [b"opened", b"hung", b"closed"]


def test_ports_without_a_file_descriptor_are_waited_on() -> None:
    with closing(SerialPort("loop://")) as port:
        assert port._fd is None
        timer = threading.Timer(0.1, port.write, (b"later",))
        timer.start()
        assert read_all(port, 5) == b"later"
        timer.join()


class Rfc2217Server:
    """A terminal server in a thread: what a host sends to its serial port comes back."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.name = f"rfc2217://127.0.0.1:{self.listener.getsockname()[1]}"
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self) -> None:
        connection, _ = self.listener.accept()
        device = serial.serial_for_url("loop://", timeout=0)
        lock = threading.Lock()

        class Connection:
            def write(self, data: bytes) -> None:
                with lock:
                    connection.sendall(data)

        manager = rfc2217.PortManager(device, Connection())
        with connection:
            while data := connection.recv(1024):
                device.write(b"".join(manager.filter(data)))
                Connection().write(b"".join(manager.escape(device.read(4096))))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_terminal_server_passes_bytes() -> None:
    server = Rfc2217Server()
    with closing(SerialPort(server.name)) as port:
        port.write(bytes(range(256)))
        assert read_all(port, 256) == bytes(range(256))
    server.thread.join(PATIENCE_S)
    server.listener.close()


def test_a_port_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NoSuchPortError, match="no such port; .*--wait-for-port"):
        SerialPort(str(tmp_path / "ttyUSB0"))
    with socket.create_server(("127.0.0.1", 0)) as server:
        number = server.getsockname()[1]
    with pytest.raises(NoSuchPortError, match="nothing listens there"):
        SerialPort(f"socket://127.0.0.1:{number}")


def test_a_port_that_is_taken(pty: tuple[int, str]) -> None:
    with (
        closing(SerialPort(pty[1])),
        pytest.raises(PortError, match=r"another program has it open; `fuser -v /dev/pts/\d+` names it"),
    ):
        SerialPort(pty[1])
    # And free again after that.
    SerialPort(pty[1]).close()


def open_as_nobody(name: str) -> str:
    """What a process without root's rights is told when it opens a port."""
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        answer = "opened"
        try:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
            SerialPort(name)
        except PortError as error:
            answer = str(error)
        finally:
            os.write(theirs, answer.encode())
            os._exit(0)
    os.waitpid(child, 0)
    os.close(theirs)
    with open(ours) as answers:
        return answers.read()


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_port_without_permission(pty: tuple[int, str]) -> None:
    os.chmod(pty[1], 0)
    group = grp.getgrgid(os.stat(pty[1]).st_gid).gr_name
    says = f"{pty[1]}: no permission; `sudo usermod -a -G {group} $USER`, then log in again"
    assert open_as_nobody(pty[1]) == says


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("/dev/null", "not a serial port"),
        ("/", "not a serial port"),
        (__file__, "not a serial port"),
        ("spy:///dev/null", "not a serial port"),
        ("nonsense://x", "not a port"),
        ("socket://host", "a port number is missing; write socket://HOST:PORT"),
        ("rfc2217://host/", "a port number is missing"),
    ],
)
def test_what_is_no_port_is_refused_in_one_line(name: str, says: str) -> None:
    with pytest.raises(PortError) as caught:
        SerialPort(name)
    assert str(caught.value).startswith(f"{name}: ")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_empty_name_is_no_port_that_could_be_waited_for() -> None:
    with pytest.raises(PortError, match="^no port: its name is empty; give /dev/") as caught:
        SerialPort("")
    assert isinstance(caught.value, NotAPortError)


@pytest.mark.parametrize("name", ["", "nonsense://x", "socket://host"])
@pytest.mark.parametrize("profile", ["framed_serial", "fieldspec", "as7265x"])
def test_what_can_never_be_a_port_is_not_waited_for(name: str, profile: str) -> None:
    with closing(open_instrument(name, read_profile(profile))) as instrument, pytest.raises(NotAPortError):
        instrument.connect(wait_for_port=True)
