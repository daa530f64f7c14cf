"""A real Dask cluster: a scheduler and workers, each a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def cluster(folder: Path) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """A scheduler and two workers, each a process of its own."""
    folder.mkdir()
    address_file = folder / "scheduler.json"
    started = [
        subprocess.Popen(
            [
                sys.executable, "-c", "from distributed.cli.dask_scheduler import main; main()",
                "--port", "0", "--host", "127.0.0.1", "--no-dashboard", "--scheduler-file", str(address_file),
            ],
            stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, cwd=folder,
        )
    ]  # fmt: skip
    workers: list[subprocess.Popen[bytes]] = []
    try:
        until = time.monotonic() + 60
        while not address_file.is_file() and time.monotonic() < until:
            time.sleep(0.1)
        address = json.loads(address_file.read_text())["address"]
        one = "from distributed.cli.dask_worker import main; main()"
        command = [sys.executable, "-c", one, address, "--nthreads", "1", "--no-nanny", "--no-dashboard"]
        quiet = {"stderr": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "cwd": folder}
        workers += [subprocess.Popen(command, **quiet) for _ in range(2)]
        yield address, workers
    finally:
        for process in (*workers, *started):
            process.kill()
            process.wait()
