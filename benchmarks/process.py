"""Running a command as a whole process and reading the operating system's own account of it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

# A process's peak memory starts at that of the process it was forked from. So it is not this one, with NumPy in it,
# that starts the command, but a Python with nothing in it.
LAUNCHER = """
import json, os, sys, time
command, core = json.loads(sys.argv[1])
if core is not None:
    os.sched_setaffinity(0, {core})
nowhere = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_WRONLY, 0) for fd in (1, 2)]
start = time.perf_counter()
pid = os.posix_spawnp(command[0], command, os.environ, file_actions=nowhere)
_, status, usage = os.wait4(pid, 0)
wall_s = time.perf_counter() - start
cpu_s = usage.ru_utime + usage.ru_stime
print(json.dumps([os.waitstatus_to_exitcode(status), wall_s, cpu_s, usage.ru_maxrss / 1024]))
"""


@dataclass(frozen=True)
class Run:
    """One finished process."""

    wall_s: float
    cpu_s: float
    peak_mb: float


def run_process(command: Sequence[str], env: Mapping[str, str] | None = None, core: int | None = None) -> Run:
    """Run to the end, on one core if one is named; a failing command is an error."""
    launch = [sys.executable, "-I", "-S", "-c", LAUNCHER, json.dumps([list(command), core])]
    done = subprocess.run(launch, env=dict(env) if env is not None else None, stdout=subprocess.PIPE, check=True)
    code, wall_s, cpu_s, peak_mb = json.loads(done.stdout)
    if code != 0:
        raise RuntimeError(f"{' '.join(command[:4])} ... ended with {code}")
    return Run(wall_s, cpu_s, peak_mb)
