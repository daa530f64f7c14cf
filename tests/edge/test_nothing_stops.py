"""One bad spectrum is refused by name, and remembered as refused; those beside it get their answers."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from drop_files import asd_bytes
from stibium.converters.spectra.spectrum import Spectrum
from stibium.edge.engine import Engine
from stibium.edge.log.write import Log
from stibium.edge.model.bundle import Bundle
from stibium.edge.model.estimate import Estimate, Estimator, Refusal, Shared

STIBIUM = str(Path(sys.executable).parent / "stibium")


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [STIBIUM, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


NOTHING_INSIDE = {
    "two_ends.csv": "sample_id,350,2500\nX,0.1,0.2\n",
    "far_ends.csv": "sample_id,300,301,302,2600,2601\nX,0.1,0.2,0.3,0.2,0.1\n",
    "wide_ends.csv": "sample_id,200,20000\nX,0.1,0.2\n",
    "absorbance.csv": "sample_id,quantity,350,2500\nX,absorbance,0.1,0.2\n",
}


@pytest.mark.parametrize("name", NOTHING_INSIDE)
def test_a_spectrum_without_a_band_inside_the_range_stops_nothing(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "drop"
    folder.mkdir()
    (folder / "a_good.asd").write_bytes(asd_bytes(1))
    (folder / f"b_{name}").write_text(NOTHING_INSIDE[name])
    (folder / "c_good.asd").write_bytes(asd_bytes(2))
    log = tmp_path / "log.db"
    done = run("watch", folder, "--once", "--settle", "0.05", "--log", log, "--format", "jsonl")
    records = {Path(record["source"]).name: record for record in map(json.loads, done.stdout.splitlines())}
    assert done.returncode == 1
    assert "defect" not in done.stdout + done.stderr
    assert [bool(record["estimates"]) for _, record in sorted(records.items())] == [True, False, True]
    assert "no band between" in records[f"b_{name}"]["reason"]
    again = run("watch", folder, "--once", "--settle", "0.05", "--log", log, "--format", "jsonl")
    assert again.stdout == ""


class _Failing(Estimator):
    def estimate(
        self, spectra: Sequence[Spectrum], shared: Shared | None = None, noise: Sequence[float] | None = None
    ) -> list[Estimate | Refusal]:
        if any(spectrum.sample_id == "bad" for spectrum in spectra):
            raise ZeroDivisionError("of this test")
        return super().estimate(spectra, shared, noise)


def test_what_nobody_thought_of_is_refused_alone(tmp_path: Path, shipped_bundle: Bundle, soils: list[Spectrum]) -> None:
    items = [soils[0], replace(soils[1], sample_id="bad"), soils[2]]
    with Log(tmp_path / "log.db", shipped_bundle.name, shipped_bundle.sha256) as log:
        results = Engine(_Failing(shipped_bundle), log).take(items)
    assert [type(result.outcome) for result in results] == [Estimate, Refusal, Estimate]
    assert "ZeroDivisionError" in results[1].outcome.reason  # type: ignore[union-attr]
    with closing(sqlite3.connect(tmp_path / "log.db")) as db:
        assert db.execute("SELECT count(*) FROM refusals").fetchone() == (1,)


def test_half_a_character_in_a_name_stops_nothing(
    tmp_path: Path, shipped_bundle: Bundle, soils: list[Spectrum]
) -> None:
    half_a_character = replace(soils[1], sample_id="S\ud800")
    items = [soils[0], half_a_character, Refusal("b\ud800.txt", "no \ud800 such thing"), soils[2]]
    with Log(tmp_path / "log.db", shipped_bundle.name, shipped_bundle.sha256) as log:
        results = Engine(Estimator(shipped_bundle), log).take(items)
    assert [type(result.outcome) for result in results] == [Estimate, Estimate, Refusal, Estimate]
    with closing(sqlite3.connect(tmp_path / "log.db")) as db:
        assert db.execute("SELECT sample_id FROM readings ORDER BY id").fetchall() == [("G0",), ("S?",), ("G2",)]


def test_no_warning_of_numpy_reaches_a_user(tmp_path: Path) -> None:
    rows = ["1e300,-1e300,1e308,1", "0,0,0,0", "nan,inf,-inf,5e-324"]
    (tmp_path / "in").mkdir()
    for quantity in ("reflectance", "absorbance", "raw_dn", "radiance"):
        lines = [f"X{i},{quantity},{row}\n" for i, row in enumerate(rows)]
        (tmp_path / "in" / f"{quantity}.csv").write_text("sample_id,quantity,350,351,2499,2500\n" + "".join(lines))
    done = run("predict", tmp_path / "in", "--log", tmp_path / "log.db")
    assert "Warning" not in done.stdout + done.stderr
    assert "defect" not in done.stdout + done.stderr
    assert "12 refused" in done.stderr
