"""What `stibium doctor` looks at in the system: ports, clock, disk, memory, heat, power, services."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

from ..log.disk_room import disk_room
from .diagnosis import Check, Device, Diagnosis, Level, Patient
from .log import newest_reading

EARLIEST = datetime(2026, 1, 1, tzinfo=timezone.utc)
"""No clock that is right is before this program was written."""
LITTLE_MEMORY_MB, TOO_LITTLE_MEMORY_MB = 150, 60
"""`stibium predict` takes 47 MB."""
WARM_C, HOT_C = 75.0, 80.0
"""A Raspberry Pi slows down from 80 degrees on (documentation of its `temp_limit`)."""

THROTTLED = {0: "under-voltage", 1: "frequency capped", 2: "slowed down", 3: "soft limit of temperature"}
"""Bits of `vcgencmd get_throttled` (Raspberry Pi documentation); 16 higher the same has happened since boot."""
_NO_MEMORY_OF_IT = ("tmpfs", "ramfs", "overlay")


def ports(patient: Patient) -> Iterator[Diagnosis]:
    """Serial ports, and whether this user may use them."""
    host = patient.host
    names = [
        name
        for pattern in ("/dev/ttyUSB*", "/dev/ttyACM*", "/dev/ttyAMA*", "/dev/serial0")
        for name in host.listed(pattern)
    ]
    if not names:
        yield Diagnosis("ports", "warning", "no serial port is there", "plug the probe in; lsusb lists what is seen")
        return
    links = {os.path.realpath(host.root / link.lstrip("/")): link for link in host.listed("/dev/stibium-*")}
    for name in names:
        path = host.root / name.lstrip("/")
        alias = links.get(os.path.realpath(path))
        shown = f"{name} ({alias})" if alias else name
        if os.access(path, os.R_OK | os.W_OK):
            yield Diagnosis("ports", "ok", f"{shown} may be opened")
        else:
            group = _group_of(path)
            advice = f"sudo usermod -a -G {group} {_user()}, then log in again"
            yield Diagnosis("ports", "problem", f"{shown}: no permission for {_user()}", advice)


def _group_of(path: Path) -> str:
    try:
        return path.group()
    except (OSError, KeyError):
        return "dialout"


def _user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def clock(patient: Patient) -> Iterator[Diagnosis]:
    """Whether readings will get the right time."""
    host = patient.host
    now = f"{host.now:%Y-%m-%d %H:%M} UTC"
    advice = "connect a network once, or set it: sudo date -u -s 'YYYY-MM-DD HH:MM'"
    if host.now < EARLIEST:
        yield Diagnosis("clock", "problem", f"{now} cannot be", advice)
        return
    newest = newest_reading(patient.log)
    # Two clocks that are both right may differ a little.
    if newest is not None and host.now < newest - timedelta(minutes=1):
        yield Diagnosis("clock", "problem", f"{now} is before the newest reading, {newest:%Y-%m-%d %H:%M} UTC", advice)
        return
    has_clock = bool(host.listed("/sys/class/rtc/rtc*"))
    if synchronised(host):
        yield Diagnosis("clock", "ok", f"{now}, set by the network")
    elif has_clock:
        yield Diagnosis("clock", "ok", f"{now}, kept by the clock in the device; not compared with the network")
    else:
        found = f"{now}, neither set by the network nor kept by a clock with a battery: it stops with the power"
        yield Diagnosis("clock", "warning", found, f"look whether it is right; {advice}")


def synchronised(host: Device) -> bool:
    """Tell whether the network has set the device's clock since it was switched on."""
    return (
        host.read("/run/systemd/timesync/synchronized") is not None
        or (host.run(["timedatectl", "show", "--property=NTPSynchronized", "--value"]) or "").strip() == "yes"
    )


def storage(patient: Patient) -> Iterator[Diagnosis]:
    """Room for the log, and whether the disk it is on keeps anything."""
    room = disk_room(patient.log)
    if room.low:
        advice = "move other files away from it; the log itself is never shortened"
        yield Diagnosis("disk", "warning" if room.enough else "problem", room.notice, advice)
    else:
        yield Diagnosis("disk", "ok", f"{_size(room.free_bytes / 1e6)} free for the log in {room.folder}")
    mounts = _mounts(patient.host)
    place = _mounted(mounts, os.path.realpath(room.folder))
    if place is not None and mounts[place][0] in _NO_MEMORY_OF_IT:
        found = f"the log lies in memory ({mounts[place][0]} on {place}): it is gone when the power is"
        yield Diagnosis("disk", "problem", found, "put it on a disk with STIBIUM_LOG, or switch the overlay off")
    if "ro" in mounts.get("/", ("", frozenset()))[1]:
        found = "the root file system is read-only: set so on purpose, or the card is failing (dmesg tells)"
        yield Diagnosis("disk", "warning", found, "if not on purpose, save the log and exchange the card")


def memory(patient: Patient) -> Iterator[Diagnosis]:
    """Memory that is left."""
    for line in (patient.host.read("/proc/meminfo") or "").splitlines():
        if line.startswith("MemAvailable:"):
            free_mb = int(line.split()[1]) / 1000
            found = f"{_size(free_mb)} free"
            if free_mb < TOO_LITTLE_MEMORY_MB:
                yield Diagnosis("memory", "problem", found, "end other programs; a desktop is not needed")
            elif free_mb < LITTLE_MEMORY_MB:
                yield Diagnosis("memory", "warning", found, "end other programs; a desktop is not needed")
            else:
                yield Diagnosis("memory", "ok", found)


def temperature(patient: Patient) -> Iterator[Diagnosis]:
    """The hottest of the processor's sensors."""
    readings = [patient.host.read(path) or "" for path in patient.host.listed("/sys/class/thermal/thermal_zone*/temp")]
    degrees = [int(text) / 1000 for text in readings if text.lstrip("-").isdecimal()]
    if not degrees:
        yield Diagnosis("temperature", "ok", "no sensor")
        return
    hottest = max(degrees)
    if hottest >= HOT_C:
        yield Diagnosis("temperature", "problem", f"{hottest:.0f} degrees C: it slows down", "put it into the shade")
    elif hottest >= WARM_C:
        yield Diagnosis("temperature", "warning", f"{hottest:.0f} degrees C", "put it into the shade, give it air")
    else:
        yield Diagnosis("temperature", "ok", f"{hottest:.0f} degrees C")


def throttling(patient: Patient) -> Iterator[Diagnosis]:
    """Under-voltage and slowing down, as the firmware of a Raspberry Pi reports them."""
    text = patient.host.run(["vcgencmd", "get_throttled"])
    if text is None:
        text = patient.host.read("/sys/devices/platform/soc/soc:firmware/get_throttled")
    try:
        bits = None if text is None else int(text.strip().rpartition("=")[2], 16)
    except ValueError:
        bits = None
    if bits is None:
        yield Diagnosis("power", "ok", "not reported by this device")
        return
    now = [words for bit, words in THROTTLED.items() if bits >> bit & 1]
    before = [words for bit, words in THROTTLED.items() if bits >> (bit + 16) & 1 and words not in now]
    advice = "use the supply that came with it and a short cable; a hub of its own for the probe; cool it"
    if now:
        yield Diagnosis("power", "problem", f"now: {', '.join(now)}", advice)
    if before:
        yield Diagnosis("power", "warning", f"since it was switched on: {', '.join(before)}", advice)
    if not bits:
        yield Diagnosis("power", "ok", "no under-voltage, not slowed down since it was switched on")


def services(patient: Patient) -> Iterator[Diagnosis]:
    """The services of `firmware_configs/raspberrypi`."""
    listed = patient.host.run(
        ["systemctl", "list-units", "--all", "--plain", "--no-legend", "--full", "stibium-*.service"]
    )
    if listed is None:
        yield Diagnosis("services", "ok", "no systemd runs here")
        return
    rows = [line.split(maxsplit=4) for line in listed.splitlines() if line.strip()]
    if not rows:
        yield Diagnosis("services", "ok", "none is set up; install.sh --watch or --listen does")
    for unit, _, active, sub, *_ in rows:
        found = f"{unit} is {active} ({sub})"
        if active == "active" or (active, sub) == ("inactive", "dead"):
            yield Diagnosis("services", "ok", found)
        else:
            level: Level = "problem" if active == "failed" else "warning"
            yield Diagnosis("services", level, found, f"journalctl -u {unit} -n 20 says why")


CHECKS: tuple[Check, ...] = (ports, storage, clock, memory, temperature, throttling, services)


def _mounts(host: Device) -> dict[str, tuple[str, frozenset[str]]]:
    """Kind and options of what is mounted, by place; the last of several on one place is in force."""
    found = {}
    for line in (host.read("/proc/self/mounts") or "").splitlines():
        fields = line.split()
        if len(fields) >= 4:
            place = fields[1].replace("\\040", " ")
            found[place] = (fields[2], frozenset(fields[3].split(",")))
    return found


def _mounted(mounts: dict[str, tuple[str, frozenset[str]]], path: str) -> str | None:
    places = [place for place in mounts if path == place or path.startswith(place.rstrip("/") + "/")]
    return max(places, key=len, default=None)


def _size(megabytes: float) -> str:
    return f"{megabytes:.0f} MB" if megabytes < 1000 else f"{megabytes / 1000:.1f} GB"
