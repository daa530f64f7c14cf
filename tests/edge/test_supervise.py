"""What a service manager is told, over the socket that it would listen on."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from stibium.edge.supervise import Supervisor

PATIENCE_S = 60.0


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """The service manager's end."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.bind(str(tmp_path / "notify"))
        end.settimeout(PATIENCE_S)
        yield end


def heard(manager: socket.socket) -> list[str]:
    return manager.recv(4096).decode().splitlines()


def waiting(manager: socket.socket) -> bool:
    manager.setblocking(False)
    try:
        manager.recv(4096, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    finally:
        manager.settimeout(PATIENCE_S)
    return True


def environment(manager: socket.socket, microseconds: int, process: int | None = None) -> dict[str, str]:
    pid = {} if process is None else {"WATCHDOG_PID": str(process)}
    return {"NOTIFY_SOCKET": str(manager.getsockname()), "WATCHDOG_USEC": str(microseconds), **pid}


def test_ready_alive_stopping(manager: socket.socket) -> None:
    supervisor = Supervisor(environment(manager, 600_000_000))
    supervisor.ready("watching\nthe folder")
    assert heard(manager) == ["READY=1", "STATUS=watching the folder"]
    supervisor.alive()
    assert heard(manager) == ["WATCHDOG=1"]
    supervisor.alive()
    supervisor.alive("watching the folder")
    assert not waiting(manager)
    supervisor.alive("12 estimated")
    assert heard(manager) == ["WATCHDOG=1", "STATUS=12 estimated"]
    supervisor.stopping()
    assert heard(manager) == ["STOPPING=1"]


def test_it_stays_alive_while_it_rests(manager: socket.socket) -> None:
    supervisor = Supervisor(environment(manager, 30_000))
    assert supervisor.beat_s == pytest.approx(0.01)
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        assert heard(manager) == ["WATCHDOG=1"]
        supervisor._fed_s -= 1  # a beat has passed
        if len(waits) == 5:
            raise KeyboardInterrupt  # as a signal does

    with pytest.raises(KeyboardInterrupt):
        supervisor.rest(1000, wait)
    assert waits == [pytest.approx(0.01)] * 5


def test_a_limit_for_another_process_is_not_ours(manager: socket.socket) -> None:
    assert Supervisor(environment(manager, 30_000, os.getpid())).beat_s == pytest.approx(0.01)
    assert Supervisor(environment(manager, 30_000, os.getpid() + 1)).beat_s == 10
    assert Supervisor(environment(manager, 0)).beat_s == 10


@pytest.mark.parametrize("address", ["", "relative", "/no/such/socket"])
def test_nobody_listens(address: str) -> None:
    supervisor = Supervisor({"NOTIFY_SOCKET": address})
    supervisor.ready()
    supervisor.alive("still here")
    supervisor.stopping()


def test_abstract_sockets() -> None:
    name = f"stibium-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.bind(f"\0{name}")
        end.settimeout(PATIENCE_S)
        Supervisor({"NOTIFY_SOCKET": f"@{name}"}).ready()
        assert heard(end) == ["READY=1"]


def test_watch_reports_to_its_service_manager(manager: socket.socket, tmp_path: Path, tiny_bundle: Path) -> None:
    folder = tmp_path / "drop"
    folder.mkdir()
    command = [sys.executable, "-m", "stibium.edge", "watch", str(folder), "--settle", "0.05", "--interval", "0.05"]
    chosen = ["--model", str(tiny_bundle), "--log", str(tmp_path / "log.db")]
    process = subprocess.Popen([*command, *chosen], env=os.environ | environment(manager, 300_000), text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip
    with process:
        try:
            assert heard(manager)[0] == "READY=1"
            assert heard(manager)[0] == "WATCHDOG=1"
            assert heard(manager)[0] == "WATCHDOG=1"
            (folder / "bad.asd").write_bytes(b"no spectrum")
            while not any(line.startswith("STATUS=0 estimated, 1 refused") for line in heard(manager)):
                pass
            process.send_signal(signal.SIGTERM)
            while heard(manager) != ["STOPPING=1"]:
                pass
            assert process.wait(PATIENCE_S) == 0
        finally:
            process.kill()


def test_listen_reports_to_its_service_manager(manager: socket.socket, tmp_path: Path, tiny_bundle: Path) -> None:
    program = [sys.executable, "-m", "stibium.edge"]
    with subprocess.Popen([*program, "probe", "--pty", "--speed", "full"], stdout=subprocess.PIPE, text=True) as probe:
        try:
            assert probe.stdout is not None
            port = probe.stdout.readline().strip()
            chosen = ["--passive", "--model", str(tiny_bundle), "--log", str(tmp_path / "log.db")]
            process = subprocess.Popen([*program, "listen", port, *chosen], stderr=subprocess.DEVNULL,
                                       env=os.environ | environment(manager, 3_000_000))  # fmt: skip
            with process:
                try:
                    ready = heard(manager)
                    assert ready[0] == "READY=1"
                    assert port in ready[1]
                    assert heard(manager)[0] == "WATCHDOG=1"
                    assert heard(manager)[0] == "WATCHDOG=1"
                    process.send_signal(signal.SIGTERM)
                    while heard(manager) != ["STOPPING=1"]:
                        pass
                finally:
                    process.kill()
        finally:
            probe.kill()
