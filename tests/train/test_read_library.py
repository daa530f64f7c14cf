"""Reading a library: the same target and unit, and none of one's own soils."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from small_runs import stibium
from soil_like import soil_like
from stibium.converters.spectra.errors import StibiumError
from stibium.train.library import read_library
from stibium.train.samples import Samples


def table(path: Path, samples: Samples, column: str) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["sample_id", "quantity", column, *(f"{nm:g}" for nm in samples.wavelengths_nm)])
        for name, value, row in zip(samples.names, samples.measured, samples.reflectance, strict=True):
            writer.writerow([name, "reflectance", f"{value:.4f}", *(f"{v:.5f}" for v in row)])
    return path


def test_own_soils_are_left_out(tmp_path: Path) -> None:
    local = soil_like(5, seed=1)
    library = read_library(table(tmp_path / "library.csv", soil_like(30, seed=2), "clay_pct"), unit_pct(local))
    assert len(library.target) == 25
    assert not set(library.target) & set(local.target)


def test_values_in_another_unit_are_converted(tmp_path: Path) -> None:
    local, soils = unit_pct(soil_like(5, seed=1)), soil_like(30, seed=2)
    in_pct, in_g_kg = (read_library(table(tmp_path / f"{c}.csv", soils, c), local) for c in ("clay_pct", "clay_g_kg"))
    assert in_g_kg.unit == "pct"
    assert in_g_kg.target == pytest.approx({name: value / 10 for name, value in in_pct.target.items()})


def unit_pct(samples: Samples) -> Samples:
    from dataclasses import replace

    return replace(samples, unit="pct")


@pytest.mark.parametrize(
    ("column", "said"),
    [("carbon_pct", "clay"), (None, "among your own")],
)
def test_what_cannot_help_is_one_line(column: str | None, said: str, tmp_path: Path) -> None:
    soils = soil_like(12, seed=2)
    path = table(tmp_path / "library.csv", soils, column or "clay_pct")
    with pytest.raises(StibiumError, match=said):
        read_library(path, unit_pct(soil_like(12 if column is None else 5, seed=1)))


def test_other_methods_take_none(tmp_path: Path) -> None:
    path = table(tmp_path / "soils.csv", soil_like(12, seed=2), "clay_pct")
    options = ("--spectra", path, "--assays", path, "--element", "clay", "--out", tmp_path / "run", "--library", path)
    done = stibium("train", *options, "--method", "stack")
    assert done.returncode == 2
    assert "--library is for --method mobilenetv2" in done.stderr
    done = stibium("train", *options)
    assert done.returncode == 1
    assert "every soil of the library is among your own" in done.stderr.splitlines()[-1]
