"""No name of a file, and nothing in one, does anything to a terminal, whichever command shows it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from dataclasses import replace
from pathlib import Path

import pytest
from drop_files import asd_bytes, table_lines
from stibium.converters.spectra.asd_write import write_asd
from stibium.converters.spectra.spectrum import Spectrum

STIBIUM = str(Path(sys.executable).parent / "stibium")
NASTY = "\x1b[2J\u202etxt\r\nG9 Sb 1"


@pytest.mark.parametrize(
    "command",
    [
        ["predict", "{nasty}"],
        ["predict", "{empty}"],
        ["predict", "{sample}"],
        ["predict", "{sample}", "--format", "jsonl"],
        ["watch", "{folder}", "--once", "--settle", "0.05"],
        ["convert", "{asd}", "{out}"],
        ["convert", "{empty}", "x.csv"],
        ["convert", "{nasty}", "{asd}"],
        ["info", "{nasty}"],
        ["info", "{model}"],
        ["info", "{model}", "--format", "json"],
        ["check", "{model}"],
        ["check", "{nasty}"],
        ["doctor", "--model", "{nasty}"],
        ["log", "--export", "{nasty}"],
        ["log", "--sample", "{nasty}"],
        ["reprocess", "--model", "{nasty}"],
        ["probe", "{nasty}"],
        ["listen", "{nasty}"],
        ["measure", "{nasty}"],
        ["ore", "predict", "{nasty}"],
        ["{nasty}"],
    ],
)
def test_a_name_does_nothing(tmp_path: Path, tiny_bundle: Path, command: list[str]) -> None:
    empty, folder = tmp_path / f"e{NASTY}", tmp_path / f"d{NASTY}"
    empty.mkdir()
    folder.mkdir()
    model = tiny_bundle.rename(tiny_bundle.parent / f"m{NASTY}.tflite")
    asd = folder / f"a{NASTY}.asd"
    asd.write_bytes(asd_bytes())
    (folder / f"b{NASTY}.asd").write_bytes(b"bad")
    sample = tmp_path / "sample.csv"
    head, *rows = table_lines(["a", "b"])
    sample.write_bytes(head + rows[0].replace(b"a,", '"\x1b[2J\u202e\x07",'.encode(), 1) + rows[1][:-20] + b"\x1b\n")
    places = {"nasty": f"x{NASTY}", "empty": empty, "folder": folder, "model": model, "asd": asd, "sample": sample}
    places["out"] = tmp_path / f"o{NASTY}.csv"
    done = subprocess.run(
        [STIBIUM, *(part.format(**places) for part in command)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "STIBIUM_LOG": str(tmp_path / "log.db")},
    )
    text = done.stdout + done.stderr
    assert text
    assert [letter for letter in text if not letter.isprintable() and letter != "\n"] == []
    assert not any(line.startswith("G9") for line in text.splitlines())


@pytest.mark.parametrize("columns", [40, 60, 120, 200])
def test_a_list_fits_the_terminal_and_loses_nothing(tmp_path: Path, soils: list[Spectrum], columns: int) -> None:
    log = tmp_path / "log.db"
    write_asd(tmp_path / "soil.asd", replace(soils[0], sample_id="RS001"))
    subprocess.run([STIBIUM, "predict", str(tmp_path / "soil.asd"), "--log", str(log)], check=True, capture_output=True)
    plain = subprocess.run([STIBIUM, "log", "--log", str(log)], check=True, capture_output=True, text=True).stdout
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    process = subprocess.Popen(
        [STIBIUM, "log", "--log", str(log)], stdout=theirs, stdin=theirs, stderr=theirs, env=environment
    )
    os.close(theirs)
    text = ""
    with contextlib.suppress(OSError):
        while data := os.read(ours, 65536):
            text += data.decode()
    process.wait()
    os.close(ours)
    lines = text.replace("\r\n", "\n").splitlines()
    assert max(map(len, lines)) <= columns
    assert text.split() == plain.split()
