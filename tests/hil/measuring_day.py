"""`stibium measure` as a process that may be killed and started again, and what its log must hold then."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

from line_processes import PATIENCE_S, STIBIUM, Outcome

# No rule about time or about points that belong together: each point here is another soil.
PROFILE = """
name = "test bench"
protocol = "{protocol}"
[measuring]
scans = 5
[patience]
reply_s = {reply_s}
quiet_s = 0.03
replug_s = 60.0
request_attempts = 40
[rules]
warm_up_min = 0.0
panel_check_every_min = 0.0
scatter_most = 0.0
noise_most = 0.0
splice_step_most = 0.0
signal_least = 0.0
"""


class Measurer:
    """`stibium measure`, going on with its session each time it is started."""

    def __init__(self, folder: Path, bundle: Path, protocol: str, reply_s: float = 3.0) -> None:
        self.log = folder / "log.db"
        self._bundle = bundle
        self._profile = folder / f"{protocol}.toml"
        self._profile.write_text(PROFILE.format(protocol=protocol, reply_s=reply_s))

    def command(self, port: str, *options: str) -> list[str]:
        """The command line."""
        chosen = ["--profile", str(self._profile), "--model", str(self._bundle), "--log", str(self.log)]
        return [STIBIUM, "measure", port, *chosen, "--yes", "--resume", "--format", "jsonl", *options]

    def start(self, port: str, *options: str) -> subprocess.Popen[str]:
        """Run beside the test."""
        return subprocess.Popen(
            self.command(port, *options),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, port: str, *options: str) -> Outcome:
        """Run to the end."""
        with self.start(port, *options) as process:
            try:
                out, err = process.communicate(timeout=PATIENCE_S)
            finally:
                process.kill()
        assert "Traceback" not in err
        assert "unexpected" not in err
        return Outcome(process.returncode, out, err)

    def rows(self, question: str) -> list[tuple[Any, ...]]:
        """Ask the log."""
        with closing(sqlite3.connect(self.log, timeout=30)) as db:
            return db.execute(question).fetchall()

    def assert_samples_once(self, count: int, points: int) -> None:
        """Every sample is there once, of its own points; no scan is in two samples; the session has its end."""
        names = [name for (name,) in self.rows("SELECT sample_id FROM readings ORDER BY id")]
        assert names == [f"sample-{number:03d}" for number in range(1, count + 1)]
        used = self.rows("SELECT reading_id, scan_id FROM reading_scans WHERE role = 'target'")
        assert Counter(reading for reading, _ in used) == Counter(
            {reading: points for (reading,) in self.rows("SELECT id FROM readings")}
        )
        assert max(Counter(scan for _, scan in used).values()) == 1
        assert self.rows("SELECT count(*) FROM sessions") == [(1,)]
        assert self.rows("SELECT count(*) FROM sessions WHERE ended_at IS NULL") == [(0,)]


def shown_in(out: str) -> list[str]:
    """The samples of the lines that came out whole."""
    return [json.loads(line)["sample_id"] for line in out.splitlines(keepends=True) if line.endswith("}\n")]
