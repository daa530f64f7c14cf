"""The simulated deposit: what the study reports, continuous in space, and called simulated."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from small_runs import stibium
from stibium.edge.ore.columns import read_columns
from stibium.train.ore.data import load_ore_data
from stibium.train.ore.deposit import ASSAYS, BLOCKS, LOGGED, DepositError, simulate_deposit
from stibium.train.ore.deposit_files import report
from stibium.train.ore.explore import correlations
from stibium.train.ore.fields import gaussian_field


@pytest.fixture(scope="module")
def deposit():
    return simulate_deposit(12_000, seed=1)


def test_the_whole_one_has_a_test_set_of_the_studys_size():
    assert BLOCKS // 10 == 6730


def test_a_field_has_the_covariance_it_is_said_to_have():
    places = np.zeros((40_000, 3))
    places[:, 2] = np.arange(40_000)
    drawn = [gaussian_field(places, (20.0, 20.0, 20.0), np.random.default_rng(seed)) for seed in range(4)]
    for lag in (5, 20, 60):
        found = np.mean([np.mean(f[:-lag] * f[lag:]) for f in drawn])
        h = np.sqrt(3) * lag / 20
        assert found == pytest.approx((1 + h) * np.exp(-h), abs=0.06)
    assert np.mean([f.mean() for f in drawn]) == pytest.approx(0, abs=0.05)


def test_equal_seeds_give_equal_deposits_and_others_do_not():
    a, b, c = (simulate_deposit(400, seed) for seed in (3, 3, 4))
    assert np.array_equal(a.assays, b.assays)
    assert np.array_equal(a.classes, b.classes)
    assert not np.array_equal(a.assays, c.assays)


def test_holes_are_continuous_and_differ(deposit):
    arsenic = np.log(deposit.assays[:, ASSAYS.index("As")])
    same = np.flatnonzero(deposit.hole[1:] == deposit.hole[:-1])
    assert np.corrcoef(arsenic[same], arsenic[same + 1])[0, 1] > 0.8
    far = same[same + 6000 < len(arsenic)]
    assert abs(np.corrcoef(arsenic[far], arsenic[far + 6000])[0, 1]) < 0.2
    sizes = np.bincount(deposit.hole)
    assert sizes[:-1].min() >= 60
    assert sizes.max() <= 140


def test_relations_are_those_that_the_study_reports(deposit):
    classes = deposit.classes.astype(float)
    r = correlations(np.concatenate([deposit.assays, classes], axis=1))
    at = {name: i for i, name in enumerate((*ASSAYS, *LOGGED))}

    def between(a, b):
        return r[at[a], at[b]]

    assert between("Sulfetac", "Au_Potenc") == pytest.approx(0.95, abs=0.04)
    assert 0.45 < between("Class_Pb-Zn", "sulphidation") < 0.75
    assert 0.45 < between("Class_Pb-Zn", "Au_Potenc") < 0.75
    for metal in ("Pb", "Zn", "Cu"):
        for logged in ("Class_Hardn", "Class_Def"):
            assert abs(between(metal, logged)) < 0.12
    assert 0.35 < deposit.ore.mean() < 0.65
    assert np.array_equal(deposit.ore, deposit.grade_g_t > deposit.cutoff_g_t)


def test_the_table_says_what_it_is_and_reads_back(small_deposit: Path):
    text = small_deposit.read_text()
    assert text.startswith("# SIMULATED")
    assert "simulated" in (small_deposit.parent / "README.txt").read_text().splitlines()[0]
    rows = list(csv.DictReader(text.splitlines()[1:]))
    assert len(rows) == 1500
    cells = [v for row in rows for k, v in row.items() if k.endswith("_ppm")]
    assert any(c.startswith("<") for c in cells)
    assert {"", "NA"} <= set(cells)
    assert {row["Class_As"] for row in rows} == {"Low", "Medium", "High", ""}
    data = load_ore_data(small_deposit, read_columns(small_deposit.parent / "columns.toml"))
    made = simulate_deposit(1500, seed=5)
    assert data.simulated
    assert np.array_equal(data.ore, made.ore)
    assert np.array_equal(np.isnan(data.features), made.missing)
    known = ~made.missing[:, 3] & (data.bounds[:, 3] == 0)
    assert data.features[known, 3] == pytest.approx(made.assays[known, 3], abs=0.5)


@pytest.mark.parametrize(
    ("element", "value", "text"),
    [("Au", 0.004, "<0.01"), ("As", 12_345.6, ">10000"), ("S", 0.4567, "0.46"), ("Pb", 17.6, "18")],
)
def test_a_laboratory_reports_within_its_limits(element, value, text):
    assert report(element, value) == text


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path):
    (tmp_path / "mine.txt").write_text("keep")
    done = stibium("ore", "simulate", "--out", tmp_path, "--blocks", 10)
    assert done.returncode == 1
    assert "holds other files" in done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_an_earlier_one_is_replaced_only_if_told_to(tmp_path: Path):
    assert stibium("ore", "simulate", "--out", tmp_path / "d", "--blocks", 10).returncode == 0
    again = stibium("ore", "simulate", "--out", tmp_path / "d", "--blocks", 20)
    assert again.returncode == 1
    assert "--force" in again.stderr
    assert stibium("ore", "simulate", "--out", tmp_path / "d", "--blocks", 20, "--force").returncode == 0
    assert len((tmp_path / "d" / "blocks.csv").read_text().splitlines()) == 22


@pytest.mark.parametrize(("blocks", "seed"), [(0, 1), (10, -1)])
def test_what_cannot_be_simulated_is_said(blocks, seed):
    with pytest.raises(DepositError):
        simulate_deposit(blocks, seed)
