"""Disks that are full, read-only or fail, for tests that are root; others skip with the reason."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def _run(*command: str) -> None:
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"this machine does not mount: {done.stderr.strip()}")


@contextmanager
def memory_disk(where: Path, kilobytes: int, options: str = "") -> Iterator[Path]:
    """Mount an empty disk of so many kB."""
    where.mkdir()
    _run("mount", "-t", "tmpfs", "-o", f"size={kilobytes}k{options}", "tmpfs", str(where))
    try:
        yield where
    finally:
        subprocess.run(["umount", "-l", str(where)], check=True)


def resize(disk: Path, kilobytes: int) -> None:
    """Make room."""
    _run("mount", "-o", f"remount,size={kilobytes}k", str(disk))


def set_read_only(disk: Path, read_only: bool) -> None:
    """Write-protect a disk, or lift that."""
    _run("mount", "-o", f"remount,{'ro' if read_only else 'rw'}", str(disk))


def fill(disk: Path) -> Path:
    """Take all the room there is; give the file that takes it."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        size = 1 << 16
        while size:
            try:
                file.write(bytes(size))
            except OSError:
                size >>= 1
    return filler


@contextmanager
def card(where: Path) -> Iterator[Path]:
    """Mount an ext4 file system as a card has it: it turns read-only when it meets an error."""
    where.mkdir()
    image = where.with_suffix(".img")
    with image.open("wb") as file:
        file.truncate(24 << 20)
    _run("mkfs.ext4", "-q", str(image))
    _run("mount", "-o", "loop,errors=remount-ro", str(image), str(where))
    try:
        yield where
    finally:
        subprocess.run(["umount", "-l", str(where)], check=True)


def meet_an_error(disk: Path) -> None:
    """Make ext4 do what it does at a bad block: stop the journal, go read-only, open files or not."""
    _run("mount", "-o", "remount,abort", str(disk))


def repair(disk: Path) -> None:
    """Mount the card anew, as a restart of the device does; its journal is replayed."""
    image = disk.with_suffix(".img")
    _run("umount", str(disk))
    subprocess.run(["e2fsck", "-p", str(image)], check=False, capture_output=True)
    _run("mount", "-o", "loop,errors=remount-ro", str(image), str(disk))
