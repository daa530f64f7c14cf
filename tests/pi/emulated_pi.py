"""A Raspberry Pi that is emulated: Debian bookworm for arm64 in a folder, its programs run by qemu.

Built once (`build`), cached, and never written to afterwards: what a test installs goes into a folder that is bound
into it. Every mount is made in a mount namespace of its own, so that none is left whatever ends a run. The wheels are
fetched by this machine's pip, so by its configuration, and installed inside without any network.
"""

from __future__ import annotations

import fcntl
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import Distribution, PathDistribution
from pathlib import Path
from zipfile import Path as ZipPath

import pip

SUITE = "bookworm"
PYTHON = "3.11"
"""The interpreter of that suite."""
GLIBC = 36
"""Its C library is 2.36: wheels made for an older one run."""
RECIPE = f"{SUITE}-arm64-3"
"""Name of a finished root; the number counts changes of how it is made."""
SWITCH = "STIBIUM_PI"
"""Set to "build", missing programs are installed and the root is built; otherwise only a finished one is used."""
MINUTES = "STIBIUM_PI_MINUTES"
"""Longest that building the root may take; not set, it may take any time."""
PROGRAMS = {"debootstrap": "debootstrap", "qemu-aarch64-static": "qemu-user-static", "update-binfmts": "binfmt-support"}
BINFMT = Path("/proc/sys/fs/binfmt_misc")


class NotPossibleError(Exception):
    """Why there can be no emulated Pi on this machine."""


def cache_folder() -> Path:
    """Where roots are kept between runs."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "stibium" / "pi-root"


class EmulatedPi:
    """An emulated Pi that is ready.

    Args:
        root: the Debian.
        work: a folder of the test's, `/work` inside.
    """

    def __init__(self, root: Path, work: Path) -> None:
        self.root, self.work = root, work

    def run(self, *command: str, code: int | None = 0) -> subprocess.CompletedProcess[str]:
        """Run a command inside, from `/work`; fails unless it exits with `code`."""
        script = f"""
            set -e
            {_BINFMT_HERE}
            mount --bind "$2" "$1/work"
            mount -t proc proc "$1/proc"
            mount -t tmpfs tmpfs "$1/tmp"
            root=$1
            shift 2
            exec chroot "$root" /usr/bin/env --ignore-environment --chdir=/work \\
                PATH=/work/venv/bin:/usr/bin:/bin:/usr/sbin:/sbin HOME=/work LANG=C.UTF-8 "$@"
        """
        where = (str(self.root), str(self.work))
        done = _in_namespace(script, *where, *command)
        assert code is None or done.returncode == code, done.stdout[-3000:] + done.stderr[-3000:]
        return done

    def install(self, wheel: Path, downloads: Path) -> None:
        """Make a virtual environment inside and install a wheel and what it needs."""
        fetch_wheels(wheel, downloads)
        inside = self.work / "wheels"
        shutil.copytree(downloads, inside)
        shutil.copy(wheel, inside)
        self.run("python3", "-m", "venv", "--without-pip", "venv")
        # This machine's pip, which is Python only.
        shutil.copytree(Path(pip.__file__).parent, self.work / "pip", ignore=shutil.ignore_patterns("__pycache__"))
        chosen = ["--no-index", "--find-links", "wheels", "--no-compile", "--disable-pip-version-check"]
        self.run("venv/bin/python", "pip", "install", *chosen, f"wheels/{wheel.name}")


def open_pi(work: Path) -> EmulatedPi:
    """Give the emulated Pi, built if it is allowed to. Raises NotPossibleError."""
    if sys.platform != "linux":
        raise NotPossibleError("only Linux runs another machine's programs in a chroot")
    if os.geteuid() != 0:
        raise NotPossibleError("only root may chroot and mount: sudo make test-pi")
    if _call("unshare", "--mount", "true").returncode != 0:
        raise NotPossibleError("no mounts are allowed here, as in a container without CAP_SYS_ADMIN")
    may_build = os.environ.get(SWITCH) == "build"
    root = cache_folder() / RECIPE
    if not root.is_dir() and not may_build:
        raise NotPossibleError("its Debian is not built yet: sudo make test-pi builds it, in some minutes")
    _want_programs(may_build)
    done = _in_namespace(f"set -e\n{_BINFMT_HERE}\ncat {BINFMT}/qemu-aarch64")
    if platform.machine() != "aarch64" and (done.returncode != 0 or not done.stdout.startswith("enabled")):
        raise NotPossibleError(f"the kernel does not take qemu for arm64 programs: {_last_line(done)}")
    if not root.is_dir():
        _build(root)
    return EmulatedPi(root, work)


# Registered by whoever came first, it is in force for the whole machine; the mount is for this namespace only.
_BINFMT_HERE = f"""
    if [ "$(uname -m)" != aarch64 ]; then
        [ -e {BINFMT}/register ] || mount -t binfmt_misc binfmt_misc {BINFMT}
        [ -e {BINFMT}/qemu-aarch64 ] || update-binfmts --enable qemu-aarch64
    fi
"""


def _want_programs(may_install: bool) -> None:
    missing = [package for program, package in PROGRAMS.items() if shutil.which(program) is None]
    if not missing:
        return
    if not may_install or shutil.which("apt-get") is None:
        raise NotPossibleError(f"{', '.join(missing)} from Debian is missing")
    _call("apt-get", "update", "--quiet")
    options = ["--yes", "--quiet", "--no-install-recommends"]
    done = _call("apt-get", "install", *options, *missing, environment={"DEBIAN_FRONTEND": "noninteractive"})
    if done.returncode != 0:
        raise NotPossibleError(f"{', '.join(missing)} cannot be installed: {_last_line(done)}")


def _build(root: Path) -> None:
    """Make the Debian aside and rename it when it is complete; a second process waits for the first."""
    root.parent.mkdir(parents=True, exist_ok=True)
    with (root.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if root.is_dir():
            return
        building = root.with_name(root.name + ".building")
        shutil.rmtree(building, ignore_errors=True)
        # No python3-pip or -venv: both bring certificates along, whose set-up takes qemu minutes.
        packages = "--include=python3"
        script = f"""
            set -e
            {_BINFMT_HERE}
            debootstrap --arch=arm64 --variant=minbase {packages} --foreign {SUITE} "$1" "$2"
            chroot "$1" /debootstrap/debootstrap --second-stage
            mkdir "$1/work"
            rm -rf "$1"/var/cache/apt/archives/*.deb
        """
        # It holds the lock as well: should this process be killed, nobody else begins before it has ended.
        minutes = os.environ.get(MINUTES)
        within = ("timeout", "--kill-after=20", f"{float(minutes) * 60:g}") if minutes else ()
        done = _in_namespace(script, str(building), _mirror(), keep_open=(lock.fileno(),), within=within)
        if within and done.returncode in (124, 137):
            shutil.rmtree(building, ignore_errors=True)
            raise NotPossibleError(f"its Debian was not built within {minutes} min; sudo make test-pi takes its time")
        if done.returncode != 0:
            shutil.rmtree(building, ignore_errors=True)
            raise NotPossibleError(f"debootstrap failed: {_last_line(done)}")
        building.rename(root)


def _mirror() -> str:
    """The Debian mirror of this machine's own package sources."""
    done = _call("apt-get", "indextargets", "--format", "$(LABEL)|$(REPO_URI)", "Created-By: Packages")
    for line in done.stdout.splitlines():
        label, _, address = line.partition("|")
        if label == "Debian":
            return address
    raise NotPossibleError("this machine's apt knows no mirror of Debian (apt-get update, on Debian)")


def fetch_wheels(wheel: Path, folder: Path) -> None:
    """Fetch what a wheel needs, as wheels for the emulated Pi, with this machine's pip. Raises NotPossibleError."""
    platforms = [f"manylinux_2_{minor}_aarch64" for minor in range(17, GLIBC + 1)] + ["manylinux2014_aarch64"]
    chosen = [option for name in platforms for option in ("--platform", name)]
    chosen += ["--python-version", PYTHON, "--implementation", "cp", "--only-binary", ":all:", "--no-deps"]
    needed = requirements(wheel)
    folder.mkdir(parents=True, exist_ok=True)
    done = _call(sys.executable, "-m", "pip", "download", "--quiet", *chosen, "--dest", str(folder), *needed)
    if done.returncode != 0:
        raise NotPossibleError(f"the wheels for arm64 cannot be fetched: {_last_line(done)}")


def requirements(wheel: Path) -> list[str]:
    """What a wheel asks for on the emulated Pi, without extras."""
    from packaging.requirements import Requirement

    inside: Distribution = PathDistribution(
        next(p for p in ZipPath(wheel).iterdir() if p.name.endswith(".dist-info"))  # type: ignore[arg-type]
    )
    there = {"python_version": PYTHON, "platform_machine": "aarch64", "sys_platform": "linux", "extra": ""}
    wanted = [Requirement(text) for text in inside.requires or []]
    return [f"{r.name}{r.specifier}" for r in wanted if r.marker is None or r.marker.evaluate(there)]


def _in_namespace(
    script: str, *arguments: str, keep_open: tuple[int, ...] = (), within: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    """Run a shell script in a mount namespace of its own, which ends with it; `within` is what runs all of that."""
    command = (*within, "unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", *arguments)
    return _call(*command, keep_open=keep_open)


def _call(
    *command: str, environment: dict[str, str] | None = None, keep_open: tuple[int, ...] = ()
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        _niced(command),
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | (environment or {}),
        stdin=subprocess.DEVNULL,
        pass_fds=keep_open,
    )


def _niced(command: Sequence[str]) -> list[str]:
    return ["nice", "-n", "5", *command]


def _last_line(done: subprocess.CompletedProcess[str]) -> str:
    lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
    return lines[-1] if lines else f"exit code {done.returncode}"
