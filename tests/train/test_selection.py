"""Which samples go to the laboratory: Kennard and Stone's choice, spread over the ground, known ones kept away from."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_runs import Soils, stibium, succeed
from soil_like import NM, soil_like
from stibium.converters.spectra.read import read_spectra
from stibium.converters.spectra.spectrum import Position, Spectrum
from stibium.converters.spectra.table.write import write_table
from stibium.train.errors import TrainingDataError
from stibium.train.selection import Candidate, as_candidates, select


def candidates(n: int = 12, seed: int = 0) -> list[Candidate]:
    return [Candidate(s, measured=False) for s in soil_like(n, seed=seed).spectra]


def named(found) -> list[str]:
    return [one.candidate.spectrum.sample_id for one in found]


def on_a_line(places: list[float]) -> list[Candidate]:
    """Spectra that differ in one way only: how deep a band is."""
    band = np.exp(-0.5 * ((NM - 1400) / 60) ** 2)
    base = 0.3 + 0.1 * np.sin(NM / 300)
    return [
        Candidate(Spectrum(NM, 10 ** -(base + 0.01 * at * band), "reflectance", f"S{at:g}"), False) for at in places
    ]


def test_ends_come_first_and_then_the_middle() -> None:
    found = select(on_a_line([0, 1, 2, 5, 10]), [], 4, "spectra")
    assert set(named(found)[:2]) == {"S0", "S10"}
    assert named(found)[2] == "S5"
    assert found[0].distance is None
    assert [one.order for one in found] == [1, 2, 3, 4]


def test_what_is_known_is_kept_away_from() -> None:
    line = on_a_line([0, 1, 5, 9, 10])
    found = select([line[1], line[2], line[3]], [line[0].spectrum, line[4].spectrum], 1, "spectra")
    assert named(found) == ["S5"]


@given(st.integers(0, 50), st.integers(1, 15))
def test_each_is_the_farthest_from_those_before(seed: int, count: int) -> None:
    found = select(candidates(12, seed), [], count, "spectra")
    assert len(found) == min(count, 12)
    assert len(set(named(found))) == len(found)
    distances = [one.distance for one in found[1:]]
    assert all(d is not None for d in distances)
    # Maximin distances never grow as more are chosen.
    assert all(a >= b - 1e-9 for a, b in pairwise(distances))  # type: ignore[operator]


def test_what_the_device_measured_comes_first() -> None:
    mixed = [replace(c, measured=i >= 9) for i, c in enumerate(candidates())]
    found = select(mixed, [], 5, "spectra")
    assert [one.candidate.measured for one in found] == [True, True, True, False, False]


def test_position_spreads_over_the_ground() -> None:
    """Twelve soils, eleven in one pit: the one far away is among the first two, whatever its spectrum."""
    pit = [
        replace(c, spectrum=replace(c.spectrum, position=Position(47.0 + 1e-5 * i, 8.0)))
        for i, c in enumerate(candidates())
    ]
    name = select(pit, [], 12, "spectra")[-1].candidate.spectrum.sample_id
    away = [
        replace(c, spectrum=replace(c.spectrum, position=Position(47.5, 8.5))) if c.spectrum.sample_id == name else c
        for c in pit
    ]
    assert name not in named(select(away, [], 2, "spectra"))
    assert name in named(select(away, [], 2, "position"))


def test_without_a_position_there_is_no_spread_over_the_ground() -> None:
    with pytest.raises(TrainingDataError, match=r"12 of 12 samples have no position \(S000, S001, S002, ...\)"):
        select(candidates(), [], 3, "position")


def test_all_assayed_leaves_nothing() -> None:
    spectra = soil_like(4).spectra
    found, known = as_candidates(spectra, [], {s.sample_id for s in spectra})
    assert (found, len(known)) == ([], 4)
    with pytest.raises(TrainingDataError, match="no sample without an assay has a usable spectrum"):
        select(found, known, 3, "spectra")


def test_the_command_writes_a_list(tmp_path: Path) -> None:
    spectra = list(soil_like(15).spectra)
    write_table(tmp_path / "soils.csv", spectra)
    (tmp_path / "assays.csv").write_text("sample,Sb_ppm\n" + "".join(f"S{i:03},{i}\n" for i in range(5)))
    done = succeed(
        "select", tmp_path / "soils.csv", "--assayed", tmp_path / "assays.csv", "--count", 6, "--format", "csv"
    )
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [int(row["order"]) for row in rows] == [1, 2, 3, 4, 5, 6]
    assert not {row["sample"] for row in rows} & {f"S{i:03}" for i in range(5)}
    means = [Candidate(s, False) for s in spectra[5:]]
    assert [row["sample"] for row in rows] == named(select(means, spectra[:5], 6, "spectra"))


def test_what_the_log_holds_comes_before_files(tmp_path: Path, small_soils: Soils) -> None:
    by_name = {s.sample_id: s for s in read_spectra(small_soils.spectra)}
    soils = [replace(s, sample_id=f"G{i}") for i, s in enumerate(list(by_name.values())[:6])]
    write_table(tmp_path / "measured.csv", soils[:2])
    write_table(tmp_path / "all.csv", soils)
    stibium("predict", tmp_path / "measured.csv", "--log", tmp_path / "day.db")
    done = succeed("select", tmp_path / "all.csv", "--from-log", tmp_path / "day.db", "--count", 4, "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert {row["sample"] for row in rows[:2]} == {"G0", "G1"}
    assert [row["measured_by_the_device"] for row in rows] == ["yes", "yes", "no", "no"]


def test_nothing_named_is_a_usage_error(tmp_path: Path) -> None:
    assert stibium("select").returncode == 2
    done = stibium("select", tmp_path / "nowhere.csv")
    assert done.returncode == 1
    assert done.stderr.splitlines()[0].endswith("nowhere.csv: cannot be read: No such file or directory")
    assert "Traceback" not in done.stderr
