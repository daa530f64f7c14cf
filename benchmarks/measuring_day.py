"""Makes docs/measuring_day.md: a measuring day with the virtual FieldSpec, typed on a terminal of 40 columns.

    python benchmarks/measuring_day.py            # measures the day again and writes the page
    python benchmarks/measuring_day.py --check    # measures it again and compares what was said with the page

The programs are the real ones; the spectra are SIMULATED. So that the day fits into a minute its minutes last a second.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "measuring_day.md"
STIBIUM = str(Path(sys.executable).parent / "stibium")
PATIENCE_S = 40.0
MINUTE_S = 1.0
FIELD_PORT = "socket://169.254.1.11:8080"

PROFILE = f"""name = "FieldSpec, a minute in {MINUTE_S:g} s"
protocol = "fieldspec"
[measuring]
points = 3
scans = 10
white_valid_min = {30 * MINUTE_S / 60}
[rules]
warm_up_min = {15 * MINUTE_S / 60}
warming_min = {30 * MINUTE_S / 60}
white_valid_warming_min = {10 * MINUTE_S / 60}
panel_check_every_min = 0.0
full_scale_dn = 65535.0
"""

# What is put in front of the instrument, how long it takes, what is typed: one after the other.
DAY: list[tuple[str, ...]] = [
    ("say", "The instrument has just been switched on: it warms up for 15 min, then optimises on the panel."),
    ("expect", "optimise, Enter: $"),
    ("type", ""),
    ("expect", "white, Enter: $"),
    ("type", ""),
    ("expect", "1/3, Enter: $"),
    ("say", "The wavelengths are checked once, on a sheet of Mylar."),
    ("front", "mylar"),
    ("type", "v"),
    ("expect", "reference material, Enter: $"),
    ("type", ""),
    ("expect", "1/3, Enter: $"),
    ("say", "The first sample. Its name is scanned, and a note typed."),
    ("front", "sample TP109"),
    ("type", "TP109"),
    ("expect", "TP109 1/3, Enter: $"),
    ("type", "n ochre crust"),
    ("expect", "TP109 1/3, Enter: $"),
    ("type", ""),
    ("expect", "2/3, Enter: $"),
    ("type", ""),
    ("expect", "3/3, Enter: $"),
    ("type", ""),
    ("expect", r"TP109 Sb [\s\S]*Enter: $"),
    ("say", "The white ages while the next pit is dug: still warming, it lasts 10 min. A new one is asked for."),
    ("minutes", "12"),
    ("type", "RS045"),
    ("front", "white"),
    ("expect", "white, Enter: $"),
    ("type", ""),
    ("expect", "RS045 1/3, Enter: $"),
    ("front", "sample RS045"),
    ("type", ""),
    ("expect", "2/3, Enter: $"),
    ("type", ""),
    ("expect", "3/3, Enter: $"),
    ("type", ""),
    ("expect", r"RS045 Sb [\s\S]*Enter: $"),
    ("say", "An hour later nobody has the panel at hand: s goes on without a new white. The sample is refused."),
    ("minutes", "40"),
    ("type", "TP091"),
    ("expect", "white, Enter: $"),
    ("type", "s"),
    ("expect", "TP091 1/3, Enter: $"),
    ("front", "sample TP091"),
    ("type", ""),
    ("expect", "2/3, Enter: $"),
    ("type", ""),
    ("expect", "3/3, Enter: $"),
    ("type", ""),
    ("expect", r"TP091 REFUSED[\s\S]*Enter: $"),
    ("say", "With a new white the same sample, r, is measured again. Its first point is taken with the lamp off."),
    ("front", "white"),
    ("type", "r"),
    ("expect", "white, Enter: $"),
    ("type", ""),
    ("expect", "TP091 1/3, Enter: $"),
    ("front", "sample TP091"),
    ("front", "lamp off"),
    ("type", ""),
    ("expect", r"no light[\s\S]*Enter: $"),
    ("front", "lamp on"),
    ("type", ""),
    ("expect", "2/3, Enter: $"),
    ("type", ""),
    ("expect", "3/3, Enter: $"),
    ("type", ""),
    ("expect", r"TP091 Sb [\s\S]*Enter: $"),
    (
        "say",
        "A label is scanned that has been measured. It is asked about before it is used; s takes nothing of that name.",
    ),
    ("type", "TP109"),
    ("expect", r"Enter twice, or r: $"),
    ("type", "s"),
    ("expect", "TP092 1/3, Enter: $"),
    (
        "say",
        "The field book says that RS045 came from pit RS054, and TP109 from adit 2. That was right, after "
        "all: u takes the last correction back.",
    ),
    ("type", "e RS045 rename RS054"),
    ("expect", "TP092 1/3, Enter: $"),
    ("type", "e TP109 void adit 2"),
    ("expect", "TP092 1/3, Enter: $"),
    ("type", "u"),
    ("expect", "TP092 1/3, Enter: $"),
    ("say", "The day is over."),
    ("type", "q"),
]

HEAD = """# A measuring day

What `stibium measure` says and is told on a terminal of 40 columns, as `python benchmarks/measuring_day.py` has
recorded it. **The instrument is the virtual FieldSpec, its spectra are SIMULATED, and so is the model's calibration**:
the figures show what the program does and nothing about real ground. So that the day fits into two minutes, the
profile's minutes last a second: a reason that says "0.5 min are allowed" would say "30 min" with the real profile.

How to measure, and what each rule is: [measuring.md](measuring.md).
"""


NOT_RUN = "<!-- not run: needs an instrument or a second terminal; tests/hil/ runs these commands -->"


class Screen:
    """A program on a terminal of 40 columns."""

    def __init__(self, command: list[str], folder: Path) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 40, 0, 0))
        environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
        self.process = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, cwd=folder, start_new_session=True
        )
        os.close(theirs)
        self.text = ""

    def expect(self, pattern: str, start: int) -> int:
        """Read until the pattern is there after `start`; give the end of what has come."""
        deadline = time.monotonic() + PATIENCE_S
        while not re.search(pattern, self.text[start:]):
            if time.monotonic() > deadline or not self._read(1.0):
                sys.exit(f"measuring_day: {pattern!r} did not come; there was:\n{self.text[start:]}")
        return len(self.text)

    def _read(self, timeout_s: float) -> bool:
        ready, _, _ = select.select([self._ours], [], [], timeout_s)
        if not ready:
            return True
        try:
            data = os.read(self._ours, 65536)
        except OSError:
            return False
        self.text += data.decode().replace("\r\n", "\n")
        return bool(data)

    def type(self, line: str) -> None:
        """Type a line."""
        os.write(self._ours, f"{line}\n".encode())

    def rest(self) -> None:
        """Read to the end."""
        while self._read(1.0):
            if self.process.poll() is not None and not select.select([self._ours], [], [], 0.2)[0]:
                return


def measure_day(folder: Path) -> str:
    """Measure the day; give the page."""
    profile = folder / "day.toml"
    profile.write_text(PROFILE)
    probe = subprocess.Popen(
        [
            STIBIUM,
            "probe",
            "--instrument",
            "fieldspec",
            "--speed",
            "full",
            "--loop",
            "--control",
            "--tcp",
            "127.0.0.1:0",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with probe:
        try:
            return _page(probe, folder, profile)
        finally:
            probe.kill()


def _page(probe: subprocess.Popen[str], folder: Path, profile: Path) -> str:
    assert probe.stdin is not None
    assert probe.stdout is not None
    port = probe.stdout.readline().strip()
    options = ["--profile", str(profile), "--log", "day.db", "--no-ask-condition"]
    screen = Screen([STIBIUM, "measure", port, *options], folder)
    page, start, shown = HEAD + f"\n{NOT_RUN}\n```console\n$ stibium measure {FIELD_PORT} --profile day.toml", 0, 0
    for action, *rest in DAY:
        argument = rest[0]
        if action == "say":
            page += f"\n{_tidy(screen.text[shown:], port)}\n```\n\n{argument}\n\n```console"
            shown = len(screen.text)
        elif action == "expect":
            start = screen.expect(argument, start)
        elif action == "minutes":
            time.sleep(float(argument) * MINUTE_S)
        elif action == "front":
            probe.stdin.write(f"{argument}\n")
            probe.stdin.flush()
            probe.stdout.readline()
        else:
            screen.type(argument)
    screen.rest()
    page += f"\n{_tidy(screen.text[shown:], port)}\n```\n"
    summing_up = Screen([STIBIUM, "day", "--log", "day.db"], folder)
    summing_up.rest()
    page += f"\nWhat the day came to, with what was corrected.\n\n{NOT_RUN}\n```console\n$ stibium day\n"
    page += f"{_tidy(summing_up.text, port)}\n```\n"
    page += "\nWhat can be corrected, and how a day is written to files: [log.md](log.md#corrections).\n"
    return page.replace("day.toml\n\n```", "day.toml\n```")


def _tidy(text: str, port: str) -> str:
    # The port of this run is nobody else's; a FieldSpec has its own.
    return re.sub(r"\r[^\n]*?\x1b\[K", "", text).strip("\n").replace(port, FIELD_PORT)


def _without_numbers(page: str) -> list[str]:
    """What has to be the same each time: the words, not the counts of a noisy instrument or the time of a wait."""
    page = re.sub(r"^\w+day, \d+ \w+ \d+", "DATE", page, flags=re.MULTILINE)
    words = re.sub(r"[-+]?\d+(?:[.:]\d+)*", "N", page)
    return " ".join(line for line in words.split() if line != "N").split(". ")


def main() -> None:
    """Write the page, or check it."""
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--check", action="store_true", help="compare with the page instead of writing it")
    check = arguments.parse_args().check
    with tempfile.TemporaryDirectory() as folder:
        page = measure_day(Path(folder))
    if not check:
        PAGE.write_text(page)
        print(f"{PAGE.relative_to(ROOT)} written, {len(page.splitlines())} lines")
    elif _without_numbers(page) != _without_numbers(PAGE.read_text()):
        sys.exit(
            f"{PAGE.relative_to(ROOT)} is not what the programs say now; run {Path(__file__).name} without --check"
        )
    else:
        print(f"{PAGE.relative_to(ROOT)} is what the programs say")


if __name__ == "__main__":
    main()
