"""No file takes for ever, fills the memory or the screen, or keeps a program from stopping."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from drop_files import table_lines
from stibium.converters.spectra import read
from stibium.edge import file_bounds
from stibium.edge.files import read_file
from stibium.edge.model.estimate import Refusal

STIBIUM = str(Path(sys.executable).parent / "stibium")
MANY = 200_000


def across(count: int) -> str:
    return "id," + ",".join(f"x{350 + i / 100:.2f}" for i in range(count)) + "\nA" + ",0.1" * count + "\n"


HOSTILE = {
    "twice.csv": lambda: "sample_id,350," + ",".join(f"a{i % 60_000}" for i in range(90_000)) + "\n",
    "commas.csv": lambda: "sample_id,350" + "," * 5 * MANY + "\n",
    "columns.csv": lambda: "sample_id,350," + ",".join(f"a{i}" for i in range(MANY)) + "\n",
    "open_quote.csv": lambda: 'sample_id,350,351\n"' + "a\n" * 4 * MANY,
    "long_line.csv": lambda: "sample_id,350,351\n" + "1" * 30 * MANY,
    "bands.csv": lambda: across(80_000),
    "digits.csv": lambda: "sample_id,x,350,351\nA," + "1" * MANY + ",0.1,0.2\n",
    "end.csv": lambda: "sample_id,350,351\nA,0.1,0.2\n# end " + "1" * MANY + "\n",
    "text.txt": lambda: "1" * MANY + "x\n" + "log" * MANY + "\n" + "1" + " " * MANY + "x\n",
    "header.hdr": lambda: "ENVI\nwavelength = {" + ",".join(map(str, range(MANY))) + "}\nbands = " + "1" * MANY + "\n",
    "many.sed": lambda: (
        "Comment: \n" + "a:b\n" * MANY + "Channels: " + "1" * 5000 + "\nData:\nWvl\tReflect. %\n350\t1\n"
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_long_lines_and_many_columns_are_refused_soon(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text(HOSTILE[name]())
    started_s = time.process_time()
    items = read_file(str(path))
    assert time.process_time() - started_s < 5
    assert all("defect" not in item.reason for item in items if isinstance(item, Refusal))


def test_many_refused_rows_are_counted(tmp_path: Path) -> None:
    rows = [f"S{i},{'x' if i % 2 else 'nan'},0.2" for i in range(5000)]
    path = tmp_path / "rows.csv"
    path.write_text("sample_id,350,351\n" + "\n".join([*rows, "good,0.1,0.2"]) + "\n")
    items = read_file(str(path))
    reasons = [item.reason for item in items if isinstance(item, Refusal)]
    assert len(reasons) == file_bounds.ROWS_NAMED + 2
    assert len(items) == len(reasons) + 1
    assert sum(int(reason.split("and ")[-1].split()[0]) for reason in reasons[-2:]) == 5000 - file_bounds.ROWS_NAMED - 2
    assert all(reason.endswith("more rows like this") for reason in reasons[-2:])


def test_a_reader_that_does_not_end_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def endless(*_: object, **__: object) -> Iterator[None]:
        yield from ()
        while True:
            try:
                time.sleep(0.01)
            except Exception:  # noqa: S112 - as a reader may do
                continue

    path = tmp_path / "x.csv"
    path.write_bytes(b"".join(table_lines(["A"])))
    monkeypatch.setattr(read, "iter_spectra", endless)
    monkeypatch.setattr(file_bounds, "READ_S", 0.2)
    before = signal.getsignal(signal.SIGALRM)
    (item,) = read_file(str(path))
    assert isinstance(item, Refusal)
    assert "takes more than" in item.reason
    assert signal.getsignal(signal.SIGALRM) is before


def processor_s(pid: int) -> float:
    """What a running process has used of the processor."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processor time of a process is read from /proc")
def test_a_stop_is_obeyed_while_a_large_file_is_read(tmp_path: Path) -> None:
    drop = tmp_path / "drop"
    drop.mkdir()
    values = np.random.default_rng(0).random((700, 2151)).round(4)
    lines = [f"S{i}\t" + "\t".join(map(str, row)) for i, row in enumerate(values)]
    (drop / "big.txt").write_text("name\t" + "\t".join(map(str, range(350, 2501))) + "\n" + "\n".join(lines) + "\n")
    old = time.time() - 1000
    os.utime(drop / "big.txt", (old, old))
    command = [STIBIUM, "watch", drop, "--log", tmp_path / "log.db", "--settle", "0.1", "--interval", "0.05"]
    for wait_s in (0.7, 1.5, 2.5):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        with process:
            assert process.stderr is not None
            # Processor time: what a machine does beside it makes neither the reading nor the stopping longer. A quick
            # machine is done before.
            asked_s, idle = 0.0, 0
            while asked_s < wait_s and idle < 100:
                time.sleep(0.02)
                before_s, asked_s = asked_s, processor_s(process.pid)
                idle = idle + 1 if asked_s - before_s < 0.005 else 0
            process.terminate()
            err = process.stderr.read()
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        assert used.ru_utime + used.ru_stime - asked_s < 1
        assert process.returncode == 0
        assert b"Traceback" not in err


def test_a_long_text_table_does_not_fill_the_memory(tmp_path: Path) -> None:
    path = tmp_path / "rows.txt"
    with path.open("w") as file:
        file.writelines(f"{350 + i / 1000:.3f}\t0.{i % 7}\n" for i in range(1_500_000))
    code = (
        "import sys; from stibium.edge.files import read_file; print(read_file(sys.argv[1])[0].reason);"
        # Not ru_maxrss, which a child takes over from the process that starts it.
        "print(next(int(l.split()[1]) // 1024 for l in open('/proc/self/status') if l.startswith('VmHWM')))"
    )
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True, timeout=120)
    reason, peak_mb = done.stdout.splitlines()
    assert "no more than" in reason
    assert int(peak_mb) < 300
