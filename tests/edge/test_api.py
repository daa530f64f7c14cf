"""`import stibium`: what Python users are promised."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import stibium
from record_check import conforms
from stibium.converters.spectra.asd_write import write_asd
from stibium.converters.spectra.library_write import write_envi
from stibium.converters.spectra.spectrum import Spectrum
from stibium.converters.spectra.table.write import write_table
from stibium.edge.record import as_json

SAMPLES = Path(stibium.edge.__path__[0]) / "shipped" / "demo_samples.csv.gz"


def test_every_name_that_is_promised_is_there_and_described() -> None:
    assert {name for name in stibium.__all__ if name not in dir(stibium)} == set()
    for name in stibium.__all__:
        assert getattr(stibium, name).__doc__, name
    with pytest.raises(AttributeError, match="estimator"):
        _ = stibium.estimator


def test_importing_costs_a_device_nothing_and_answers_need_nothing_heavy() -> None:
    code = (
        "import sys, json\nbefore = set(sys.modules)\nimport stibium\nfirst = sorted(set(sys.modules) - before)\n"
        f"stibium.load_model().estimate({str(SAMPLES)!r})\n"
        "print(json.dumps([first, [m for m in ('tensorflow', 'scipy', 'sklearn', 'stibium.train') if m in sys.modules]]))"
    )
    first, heavy = json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
    assert [name for name in first if name.startswith(("stibium.", "numpy"))] == []
    assert heavy == []


def test_it_answers_as_the_command_does(tmp_path: Path) -> None:
    log = ["--log", str(tmp_path / "log.db")]
    command = [sys.executable, "-m", "stibium.edge", "predict", str(SAMPLES), "--average", "--format", "jsonl", *log]
    said = [json.loads(line) for line in subprocess.run(command, capture_output=True, check=True).stdout.splitlines()]
    readings = stibium.load_model().estimate(SAMPLES, average=True)
    assert len(readings) == len(said) == 8
    for reading, other in zip(readings, said, strict=True):
        mine = json.loads(json.dumps(as_json(reading)))
        conforms(mine)
        for one in (mine, other):  # what storing adds
            for name in ("reading", "stored_at"):
                del one[name]
            for estimate in one["estimates"]:
                del estimate["estimated_at"]
        assert mine == other


def test_spectra_and_files_may_be_mixed_and_a_bad_one_stops_nothing(tmp_path: Path) -> None:
    bad = tmp_path / "cut.asd"
    bad.write_bytes(b"ASD" + bytes(100))
    first, *_ = stibium.read_spectra(SAMPLES)
    readings = stibium.load_model().estimate([first, bad, SAMPLES])
    assert [reading.status for reading in readings] == ["estimated", "refused", *["estimated"] * 40]
    assert (readings[1].source, "copy it again" in readings[1].reason) == (str(bad), True)
    assert readings[0].estimates[0].shown == readings[2].estimates[0].shown
    (alone,) = stibium.load_model().estimate(first)
    assert alone.sample_id == first.sample_id


def test_a_soil_under_two_names_is_told_however_it_is_given(tmp_path: Path, soils: list[Spectrum]) -> None:
    twins = [replace(soils[0], sample_id=name) for name in ("A", "B")]
    files = [tmp_path / f"{twin.sample_id}.csv" for twin in twins]
    for path, twin in zip(files, twins, strict=True):
        write_table(path, [twin])
    model = stibium.load_model()
    for given in (files, twins, [files[0], twins[1]], tmp_path):
        first, second = model.estimate(given)
        assert not any("same spectrum" in flag for flag in first.estimates[0].flags)
        assert "the same spectrum as sample A, so one of the two names is wrong" in second.estimates[0].flags


def test_without_gates_each_answer_says_so() -> None:
    first, *_ = stibium.read_spectra(SAMPLES)
    (reading,) = stibium.load_model().estimate(first, gates=False)
    assert "gates not applied" in reading.estimates[0].flags
    (reading,) = stibium.load_model().estimate(first)
    assert "gates not applied" not in reading.estimates[0].flags


def test_no_bundle_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(stibium.StibiumError, match=r"none\.tflite: there is no such file") as caught:
        stibium.load_model(tmp_path / "none.tflite")
    assert "--" not in str(caught.value), "an option of a command is none of Python's"


def test_what_needs_the_training_side_says_so_without_it(tmp_path: Path) -> None:
    code = (
        "import sys\nsys.modules['tensorflow'] = None\nimport stibium\n"
        f"try:\n    stibium.simulate_soils({str(tmp_path / 'soils')!r})\nexcept stibium.StibiumError as error:\n    print(error)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "pip install '.[train]' where stibium was cloned" in said


@pytest.mark.parametrize(
    "given", [None, 5, b"soil.asd", np.ones((2, 2151)), [0.3, 0.4]], ids=lambda one: type(one).__name__
)
def test_what_is_no_spectrum_is_said_to_be_none(given: Any) -> None:
    with pytest.raises(TypeError, match=r"estimate takes a file, a folder, a Spectrum.*make Spectrum\(wavelengths_nm"):
        stibium.load_model().estimate(given)


def test_the_halves_of_an_envi_library_are_read_once_as_by_the_command(tmp_path: Path, soils: list[Spectrum]) -> None:
    write_envi(tmp_path / "lib.hdr", soils[:2])
    readings = stibium.load_model().estimate(sorted(tmp_path.iterdir()))
    assert [reading.sample_id for reading in readings] == [soil.sample_id for soil in soils[:2]]
    mixed = stibium.load_model().estimate([soils[2], *sorted(tmp_path.iterdir()), soils[3]])
    assert [reading.sample_id for reading in mixed] == [soils[i].sample_id for i in (2, 0, 1, 3)]


def test_only_measurements_of_one_folder_are_averaged_whichever_way_they_come(
    tmp_path: Path, soils: list[Spectrum]
) -> None:
    """Two days with a sample of one name each: a folder that is watched could not wait for the second one either."""
    spectra, log = tmp_path / "spectra", ["--log", str(tmp_path / "log.db"), "--average", "--format", "jsonl"]
    for number, day in enumerate(("monday", "monday", "tuesday")):
        (spectra / day).mkdir(parents=True, exist_ok=True)
        write_asd(spectra / day / f"S1_{number:05d}.asd", soils[number])
    wanted = ["mean of 2", "00002"]
    assert [one.measurement for one in stibium.load_model().estimate(spectra, average=True)] == wanted
    watching = ["watch", str(spectra), "--once", "--settle", "0.1", "--sample-pause", "0"]
    for command in (["predict", str(spectra)], ["predict", str(spectra), "--jobs", "2"], watching):
        done = subprocess.run([sys.executable, "-m", "stibium.edge", *command, *log], capture_output=True, check=True)
        assert [json.loads(line)["measurement"] for line in done.stdout.splitlines()] == wanted, command
