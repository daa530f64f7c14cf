"""Is this device fit to measure? Each check gives findings: what was found, how bad it is, and what to do.

Nothing is changed by looking. What is read of the system lies below a root folder and behind a function that runs
commands, so that another device can be played.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Literal, TypeAlias

Level: TypeAlias = Literal["ok", "warning", "problem"]
LEVELS: tuple[Level, ...] = ("ok", "warning", "problem")


@dataclass(frozen=True)
class Finding:
    """One line of a check's outcome.

    Attributes:
        check: what was looked at, in one word.
        level: "warning" is to be known, "problem" keeps the device from measuring or readings from being safe.
        found: in words.
        advice: what to do about it; "" if it is ok.
    """

    check: str
    level: Level
    found: str
    advice: str = ""


def _run(command: Sequence[str]) -> str | None:
    """Give a command's standard output; None if there is no such command, or it failed or took too long."""
    try:
        done = subprocess.run([*command], capture_output=True, text=True, check=False, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


@dataclass(frozen=True)
class Host:
    """The device that is looked at.

    Attributes:
        root: where `/proc`, `/sys`, `/run` and `/dev` are.
        run: runs a command and gives its output, None without success.
        now: the device's clock, UTC.
    """

    root: Path = Path("/")
    run: Callable[[Sequence[str]], str | None] = _run
    now: datetime = field(default_factory=lambda: datetime.now(timezone.utc))

    def read(self, path: str) -> str | None:
        """Give a small file of the system without trailing zeros and blanks; None if it is not there."""
        try:
            return (self.root / path.lstrip("/")).read_text("utf-8", "replace").strip("\0 \n")
        except OSError:
            return None

    def listed(self, pattern: str) -> list[str]:
        """Give the paths that match a pattern such as `/sys/class/thermal/thermal_zone*/temp`."""
        found = self.root.glob(pattern.lstrip("/"))
        return sorted(f"/{path.relative_to(self.root).as_posix()}" for path in found)


def examine(
    model: str | None, log: str | None, host: Host | None = None, white_valid_min: float = 30.0
) -> Iterator[Finding]:
    """Look at the whole device.

    Args:
        model: bundle, or None for the one that measuring would use.
        log: the log's path, or None for the one that measuring would use.
        host: the device; this one if None.
        white_valid_min: minutes that a white reference may be used.

    Yields:
        Findings, check by check, as soon as they are there.
    """
    from ..log.write import default_log_path
    from . import log as doctor_log
    from . import system as doctor_system

    host = host or Host()
    path = Path(log) if log is not None else default_log_path()
    yield from doctor_system.device(host)
    loaded = list(runtime())
    yield from loaded
    if worst(loaded) != "problem":
        yield from golden(model)
    yield from ports(host)
    yield from doctor_log.log(path)
    yield from doctor_log.white_reference(path, host.now, white_valid_min)
    yield from doctor_system.storage(host, path)
    yield from doctor_system.clock(host, doctor_log.newest_reading(path))
    yield from doctor_system.memory(host)
    yield from doctor_system.temperature(host)
    yield from doctor_system.throttling(host)
    yield from doctor_system.services(host)


def runtime() -> Iterator[Finding]:
    """Python, NumPy and the TFLite runtime."""
    import platform

    from .. import __version__

    versions = [f"stibium {__version__}", f"Python {platform.python_version()}"]
    import numpy as np

    from ..model.runtime import _interpreter_class, runtime_name

    try:
        _interpreter_class()
    except ImportError as error:
        lacking = f"{', '.join(versions)}; no TFLite runtime can be loaded: {error}"
        yield Finding("runtime", "problem", lacking, "install again: sudo sh install.sh, or pip install --upgrade .")
        return
    yield Finding("runtime", "ok", ", ".join([*versions, f"NumPy {np.__version__}", runtime_name()]))


def golden(model: str | None) -> Iterator[Finding]:
    """The model, and whether this device computes with it what it should."""
    from ...converters.spectra.errors import StibiumError

    try:
        from ..model.bundle import read_bundle, shipped_bundle_path
        from ..model.check import recompute_golden

        bundle = read_bundle(model if model is not None else shipped_bundle_path())
        results = recompute_golden(bundle)
    except StibiumError as error:
        yield Finding("model", "problem", str(error), "copy the model file again, or name another with --model")
        return
    except (ImportError, AttributeError, SystemError, OSError) as error:
        # A runtime and a NumPy that do not go together fail in such ways, and only when a model is run.
        found = f"cannot be run here: {type(error).__name__}: {error}"
        yield Finding("model", "problem", found, "install again: sudo sh install.sh, or pip install --upgrade .")
        return
    wrong = sum(not result.same for result in results)
    if wrong:
        found = f"{bundle.path}: {wrong} of {len(results)} golden answers are not what they should be"
        yield Finding("model", "problem", found, "do not measure with this model on this device; stibium check")
        return
    yield Finding("model", "ok", f"{bundle.path}: {len(results)} golden answers as expected")
    if bundle.simulated:
        found = f"{bundle.name} was calibrated on SIMULATED soils and says nothing about real ground"
        yield Finding("model", "warning", found, "train one on your own soils and name it in STIBIUM_MODEL")


def ports(host: Host) -> Iterator[Finding]:
    """Serial ports, and whether this user may use them."""
    names = [
        name
        for pattern in ("/dev/ttyUSB*", "/dev/ttyACM*", "/dev/ttyAMA*", "/dev/serial0")
        for name in host.listed(pattern)
    ]
    if not names:
        yield Finding("ports", "warning", "no serial port is there", "plug the probe in; lsusb lists what is seen")
        return
    links = {os.path.realpath(host.root / link.lstrip("/")): link for link in host.listed("/dev/stibium-*")}
    for name in names:
        path = host.root / name.lstrip("/")
        alias = links.get(os.path.realpath(path))
        shown = f"{name} ({alias})" if alias else name
        if os.access(path, os.R_OK | os.W_OK):
            yield Finding("ports", "ok", f"{shown} may be opened")
        else:
            group = _group_of(path)
            advice = f"sudo usermod -a -G {group} {_user()}, then log in again"
            yield Finding("ports", "problem", f"{shown}: no permission for {_user()}", advice)


def _group_of(path: Path) -> str:
    try:
        return path.group()
    except (OSError, KeyError):
        return "dialout"


def _user() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def worst(findings: Sequence[Finding]) -> Level:
    """The worst level of some findings; "ok" of none."""
    return max((finding.level for finding in findings), key=LEVELS.index, default="ok")
