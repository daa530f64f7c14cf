"""Whatever a file holds: it is read or refused in a line, soon, in little memory; and never a defect of this program.

`STIBIUM_FUZZ` says how many inputs are made (20,000 for all of them, a share of that by default).
"""

from __future__ import annotations

import os
import random
import resource
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from drop_files import soil, table_lines
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stibium.converters.spectra.asd_write import pack_asd
from stibium.converters.spectra.library_write import write_ascii_table, write_envi
from stibium.converters.spectra.spectrum import Spectrum
from stibium.converters.spectra.table.write import write_table
from stibium.edge.engine import Engine
from stibium.edge.files import read_file
from stibium.edge.model.bundle import Bundle
from stibium.edge.model.estimate import Estimator, Refusal

INPUTS = int(os.environ.get("STIBIUM_FUZZ", "4000"))
LONGEST_S, MOST_MB = 10.0, 300
# A warning of a library is no message to a user: here it is a defect.
pytestmark = pytest.mark.filterwarnings("error")
INTERESTING = [
    b"inf",
    b"1e308",
    b"-1e300",
    b"\0",
    b"\xff",
    b"\n",
    b",",
    b"-",
    b"9" * 30,
    b"1e999",
    b"nan",
    b'"',
    b"'",
    b"\x1b[2J",
    b"{",
    b"\t",
]

SED = """Comment: \nVersion: 1.2\nInstrument: PSR-3500\nMeasurement: REFLECTANCE\nDate: 05/16/2024,05/16/2024
Time: 07:08:09,07:08:10\nUnits: None\nChannels: {count}\nColumns [4]:\nData:
Wvl\tRad. (Ref.)\tRad. (Target)\tReflect. %
{rows}
"""
SIG = """/*** Spectra Vista SIG Data ***/\nname= gr052024_003.sig\ninstrument= HR: 1192022
integration= 30, 60, 10, 30, 60, 10\nunits= Counts, Counts\ntime= 5/20/2024 3:04:05 PM, 5/20/2024 3:05:06 PM
data= \n{rows}
"""


def _lines(columns: str) -> list[str]:
    one = soil("any", 3)
    pairs = zip(one.wavelengths_nm.tolist(), one.values.tolist(), strict=True)
    return [columns.format(nm=nm, r=1000.0, t=1000 * value, percent=100 * value) for nm, value in pairs]


def seeds(folder: Path) -> dict[str, bytes]:
    """A small file of each format, by the name that it should have."""
    spectra = [replace(soil(f"S{i}", i), splices_nm=(1000.0, 1800.0)) for i in range(3)]
    few = [replace(s, wavelengths_nm=s.wavelengths_nm[::30], values=s.values[::30]) for s in spectra]
    made = {"s00001.asd": pack_asd(spectra[0])}
    write_table(folder / "t.csv", few)
    write_table(folder / "t.csv.gz", few)
    write_envi(folder / "e.hdr", few)
    write_ascii_table(folder / "v.txt", few)
    for path in sorted(folder.iterdir()):
        made[path.name] = path.read_bytes()
        path.unlink()
    made["plain.csv"] = b"".join(table_lines(["A", "B"], 60))
    sed, sig = _lines("{nm:.1f}\t{r:.4e}\t{t:.4e}\t{percent:.4f}"), _lines("{nm:.1f}  {r:.2f}  {t:.2f}  {percent:.2f}")
    made["x.sed"] = SED.format(count=len(sed), rows="\n".join(sed)).encode()
    made["x_003.sig"] = SIG.format(rows="\n".join(sig)).encode()
    return made


def damaged(data: bytes, chance: random.Random) -> bytes:
    """The file with one to three of: a bit, a byte, a piece gone, doubled, moved, written over, cut."""
    changed = bytearray(data)
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(changed) or 1)
        # Headers are where the meaning is.
        at = at if chance.random() < 0.5 else min(at, chance.randrange(600))
        kind = chance.randrange(7)
        if not changed:
            break
        at = min(at, len(changed) - 1)
        size = chance.choice([1, 2, 4, 8, 100, 5000])
        if kind == 0:
            changed[at] ^= 1 << chance.randrange(8)
        elif kind == 1:
            changed[at] = chance.randrange(256)
        elif kind == 2:
            del changed[at : at + size]
        elif kind == 3:
            changed[at:at] = changed[at : at + size] * chance.choice([1, 2, 50])
        elif kind == 4:
            changed[at : at + 4] = chance.choice([b"\xff\xff\xff\xff", b"\0\0\0\0", b"\0\0\x80\x7f", b"\0\0\xc0\x7f"])
        elif kind == 5:
            changed[at : at + chance.randrange(3)] = chance.choice(INTERESTING)
        else:
            del changed[at:]
    return bytes(changed)


@pytest.fixture
def judge(tmp_path: Path, shipped_bundle: Bundle) -> Callable[[dict[str, bytes]], None]:
    """Read files as every way in does, estimate, and hold what comes out against the promises."""
    engine = Engine(Estimator(shipped_bundle), None)
    before_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    def held(files: dict[str, bytes]) -> None:
        for name, content in files.items():
            (tmp_path / name).write_bytes(content)
        started_s = time.process_time()
        for name in files:
            items = read_file(str(tmp_path / name))
            reasons = [item.reason for item in items if isinstance(item, Refusal)]
            for result in engine.answer(items[:3]):
                reasons += [result.outcome.reason] if isinstance(result.outcome, Refusal) else []
            for item in items:
                if isinstance(item, Spectrum):
                    assert np.isfinite(item.values).all()
            for reason in reasons:
                assert "defect" not in reason, (reason, files)
                assert "\n" not in reason
                assert reason
        assert time.process_time() - started_s < LONGEST_S
        # What the other tests of this process have taken does not count.
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before_mb < MOST_MB
        for name in files:
            (tmp_path / name).unlink()

    return held


def test_damaged_files_of_every_format(tmp_path: Path, judge: Callable[[dict[str, bytes]], None]) -> None:
    made = seeds(tmp_path)
    assert {Path(name).suffix for name in made} >= {".asd", ".csv", ".gz", ".hdr", ".sli", ".txt", ".sed", ".sig"}
    library = {name: made.pop(name) for name in ("e.hdr", "e.sli")}
    chance = random.Random(20)
    for number in range(INPUTS):
        name = chance.choice([*made, *library])
        if name in library:
            judge({**library, name: damaged(library[name], chance)})
        else:
            judge({name if number % 5 else f"any{number}": damaged(made[name], chance)})


@settings(max_examples=max(INPUTS // 10, 20), deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.binary(max_size=2000),
    st.sampled_from(
        ["", "ASD", "as7", "sample_id,350,351\n", "# stibium spectra 1\n", "ENVI\n", "Comment:\n", "\ufeffname\t"]
    ),
    st.sampled_from(["x.asd", "x.csv", "x.hdr", "x.sed", "x.sig", "x.txt", "x", "x.gz"]),
)
def test_anything_behind_the_beginning_of_a_format(
    judge: Callable[[dict[str, bytes]], None], content: bytes, beginning: str, name: str
) -> None:
    judge({name: beginning.encode() + content})


_CELL = st.one_of(
    st.floats().map(str),
    st.integers(-(10**25), 10**25).map(str),
    st.sampled_from(["", "-", "nm", "NA", "0,5", "1.250,3", '"', "'", "=1", "350", "2500", "%", "true", "2024-05-06"]),
)


@settings(max_examples=max(INPUTS // 10, 20), deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(st.lists(_CELL, min_size=1, max_size=14), min_size=1, max_size=14),
    st.sampled_from([",", ";", "\t", " "]),
    st.booleans(),
)
def test_any_table(
    judge: Callable[[dict[str, bytes]], None], rows: list[list[str]], delimiter: str, wavelengths: bool
) -> None:
    if wavelengths:
        rows = [[str(350 + 150 * i), *row] for i, row in enumerate(rows)]
    judge({"x.csv": "\n".join(delimiter.join(row) for row in rows).encode() + b"\n"})
