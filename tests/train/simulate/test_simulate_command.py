"""`stibium simulate` as a user runs it, and what lies on the disk afterwards."""

from __future__ import annotations

import csv
import filecmp
import os
import pty
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from stibium.converters.spectra.asd import read_asd
from stibium.converters.spectra.table.read import read_table
from stibium.train.assays.published import read_table_a1
from stibium.train.simulate.files import OccupiedFolderError, write_simulation
from stibium.train.simulate.simulate import simulate


def run(*arguments: str | os.PathLike[str]) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).parent / "stibium"
    return subprocess.run([str(program), "simulate", *map(str, arguments)], capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def soils(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("simulated") / "soils"
    done = run("--out", folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    # No terminal, so no progress: one line and no carriage return.
    assert done.stderr == f"535 simulated spectra of 107 soils and assays.csv in {folder}\n"
    return folder


def test_every_file_reads_back_as_simulated(soils: Path) -> None:
    files = sorted((soils / "spectra").iterdir())
    assert len(files) == 107 * 5
    made = {(s.sample_id, s.measurement): s for s in simulate().spectra()}
    for file in files:
        [spectrum] = read_asd(file)
        original = made.pop((spectrum.sample_id, spectrum.measurement))
        assert file.name == f"{spectrum.sample_id}_{spectrum.measurement}.asd"
        assert spectrum.simulated
        assert spectrum.comment.startswith("simulated")
        assert spectrum.quantity == "reflectance"
        assert spectrum.splices_nm == (1000.0, 1800.0)
        assert spectrum.measured_at == original.measured_at
        assert np.allclose(spectrum.values, original.values, rtol=0, atol=1e-7)
    assert not made


def test_assay_table_is_the_published_one_with_its_bounds(soils: Path) -> None:
    with open(soils / "assays.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    header = ["sample", "site", "Sb_ppm", "As_ppm", "Pb_ppm", "Mn_ppm", "Zn_ppm", "simulated"]
    assert list(rows[0]) == header
    published = read_table_a1()
    assert [tuple(row[name] for name in header[2:7]) for row in rows] == [row.reported_ppm for row in published]
    assert [(row["sample"], row["site"]) for row in rows] == [(row.sample, row.site) for row in published]
    assert sum(row["Sb_ppm"] == ">4000" for row in rows) == 7
    assert {row["simulated"] for row in rows} == {"spectra"}


def test_the_readme_says_simulated_first(soils: Path) -> None:
    text = (soils / "README.txt").read_text()
    assert text.startswith("These spectra are simulated.")
    assert "107 rows" in text
    assert "seed 42" in text


def everything_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("form", ["asd", "table"])
def test_same_seed_gives_the_same_bytes(tmp_path: Path, form: str) -> None:
    for name in ("a", "b"):
        done = run("--out", tmp_path / name, "--samples", "110", "--points", "1", "--seed", "3", "--as", form)
        assert done.returncode == 0, done.stderr
    names = everything_below(tmp_path / "a")
    assert names == everything_below(tmp_path / "b")
    same, different, unread = filecmp.cmpfiles(tmp_path / "a", tmp_path / "b", names, shallow=False)
    assert (sorted(same), different, unread) == (names, [], [])
    assert "3 rows" in (tmp_path / "a" / "README.txt").read_text()


def test_a_table_holds_what_the_files_would(tmp_path: Path) -> None:
    simulated = simulate(109, points=2, seed=8)
    assert write_simulation(tmp_path / "out", simulated, "table") == 218
    assert everything_below(tmp_path / "out") == ["README.txt", "assays.csv", "spectra.csv.gz"]
    read = read_table(tmp_path / "out" / "spectra.csv.gz")
    for spectrum, original in zip(read, simulated.spectra(), strict=True):
        assert (spectrum.sample_id, spectrum.measurement) == (original.sample_id, original.measurement)
        assert spectrum.simulated
        assert spectrum.comment.startswith("simulated")
        assert np.allclose(spectrum.values, original.values, rtol=0, atol=1e-8)
    assert read[-1].sample_id == "SIM0002"


def test_force_replaces_an_earlier_simulation_and_nothing_else(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_simulation(out, simulate(4, points=2))
    real = out / "spectra" / "field00001.asd"
    real.write_bytes(b"as7" + b"Ribeira, 3rd terrace".ljust(481, b"\0"))
    (out / "notes.md").write_text("mine")

    refused = run("--out", out, "--samples", "2", "--points", "1")
    assert refused.returncode == 1
    assert refused.stderr == (f"stibium: {out}: holds an earlier simulation; name another folder or give --force\n")
    assert len(everything_below(out)) == 12

    assert run("--out", out, "--samples", "2", "--points", "1", "--force").returncode == 0
    assert everything_below(out) == [
        "README.txt",
        "assays.csv",
        "notes.md",
        "spectra/RS001_00001.asd",
        "spectra/TP004_00001.asd",
        "spectra/field00001.asd",
    ]


def test_a_folder_with_other_files_is_refused_even_with_force(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    for flags in ([], ["--force"]):
        refused = run("--out", tmp_path, *flags)
        assert refused.returncode == 1
        assert refused.stderr == f"stibium: {tmp_path}: holds other files; name a new or empty folder\n"
    assert everything_below(tmp_path) == ["thesis.tex"]
    with pytest.raises(OccupiedFolderError):
        write_simulation(tmp_path, simulate(1), replace=True)


def test_an_unwritable_place_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    refused = run("--out", tmp_path / "file" / "below", "--samples", "1")
    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1
    assert str(tmp_path / "file") in refused.stderr
    assert "unexpected" not in refused.stderr


@pytest.mark.parametrize(
    "arguments", [["--samples", "0"], ["--points", "0"], ["--points", "100"], ["--seed", "-1"], ["--as", "envi"], []]
)
def test_wrong_usage_exits_with_2(tmp_path: Path, arguments: list[str]) -> None:
    refused = run(*(["--out", str(tmp_path / "o"), *arguments] if arguments else []))
    assert refused.returncode == 2
    assert "Error:" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not (tmp_path / "o").exists()


def test_a_terminal_shows_progress(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    program = Path(sys.executable).parent / "stibium"
    command = [str(program), "simulate", "--out", str(tmp_path / "o"), "--samples", "20"]
    with subprocess.Popen(command, stderr=theirs, stdout=subprocess.PIPE) as process:
        os.close(theirs)
        shown = b""
        while chunk := _read(ours):
            shown += chunk
        assert process.wait() == 0
    os.close(ours)
    assert b"\r50 of 100 spectra" in shown
    assert b"100 simulated spectra of 20 soils" in shown


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:
        # The other end of a pty closing reads as an error on Linux.
        return b""
