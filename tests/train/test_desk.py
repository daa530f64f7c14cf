"""Training and simulating from Python give what the commands give."""

from __future__ import annotations

from pathlib import Path

import pytest
import stibium
from small_runs import Soils, succeed
from stibium.edge.model.bundle import read_bundle


def test_a_model_is_trained_exported_and_loaded_in_one_call(tmp_path: Path, small_soils: Soils) -> None:
    out = tmp_path / "sb.tflite"
    model = stibium.train_model(small_soils.spectra, small_soils.assays, "Sb", out, method="stack", fast=True)
    assert (model.bundle.element, model.bundle.path, model.bundle.simulated) == ("Sb", str(out), True)
    readings = model.estimate(small_soils.spectra)
    assert sum(reading.status == "estimated" for reading in readings) > 100
    succeed("export", f"{out}.run", "--quantise", model.bundle.quantisation, "--out", tmp_path / "other.tflite")
    assert read_bundle(tmp_path / "other.tflite").model == model.bundle.model
    with pytest.raises(stibium.StibiumError, match="holds a run already"):
        stibium.train_model(small_soils.spectra, small_soils.assays, "Sb", out, method="stack", fast=True)


def test_a_method_that_is_not_known_is_named_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(stibium.StibiumError, match="there is no method 'forest'; there are mobilenetv2, "):
        stibium.train_model("nowhere", "nowhere.csv", "Sb", tmp_path / "sb.tflite", method="forest")


def test_a_training_that_is_refused_leaves_no_folder(tmp_path: Path) -> None:
    (tmp_path / "assays.csv").write_text("sample,Sb_ppm\nRS001,5\n")
    for assays, said in (("none.csv", "no such file"), ("assays.csv", "no usable spectrum")):
        with pytest.raises(stibium.StibiumError, match=said):
            stibium.train_model(tmp_path / "nowhere", tmp_path / assays, "Sb", tmp_path / "sb.tflite")
    assert [entry.name for entry in tmp_path.iterdir()] == ["assays.csv"]


def test_soils_are_simulated_and_their_folder_is_not_overwritten(tmp_path: Path) -> None:
    assert stibium.simulate_soils(tmp_path / "soils", 3, points=2) == 6
    spectra = stibium.read_spectra(tmp_path / "soils" / "spectra" / "RS001_00001.asd")
    assert spectra[0].simulated
    with pytest.raises(stibium.StibiumError):
        stibium.simulate_soils(tmp_path / "soils", 3)
