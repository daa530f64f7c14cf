"""Ore bundles: the same bytes, the same answers, and no damage that passes."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from stibium.edge.cli import stibium
from stibium.edge.errors import BundleError
from stibium.edge.model.bundle import read_bundle
from stibium.edge.model.container import ARRAYS, MANIFEST
from stibium.edge.ore.bundle import (
    FORMAT,
    OreBundle,
    default_ore_bundle_path,
    pack_ore_bundle,
    read_ore_bundle,
    unpack_ore_bundle,
    write_ore_bundle,
)
from stibium.edge.ore.check import recompute_blocks

SHIPPED = Path(__file__).parents[3] / "edge" / "shipped"


@pytest.mark.parametrize("name", ["forest_c4", "xgboost_c3", "logistic_c3"])
def test_same_bundle_same_bytes_same_answers(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    bundle: OreBundle = request.getfixturevalue(name)
    content = Path(bundle.path).read_bytes()
    assert pack_ore_bundle(bundle) == content
    assert bundle.sha256 == hashlib.sha256(content).hexdigest()
    assert write_ore_bundle(tmp_path / "again.ore", bundle) == bundle.sha256
    again = read_ore_bundle(tmp_path / "again.ore")
    values = bundle.golden.values
    np.testing.assert_array_equal(again.model.probabilities(values), bundle.model.probabilities(values))
    np.testing.assert_array_equal(
        again.model.contributions(values[0]).values, bundle.model.contributions(values[0]).values
    )
    np.testing.assert_allclose(again.model.probabilities(values), bundle.golden.expected, atol=1e-6)
    assert again.columns == bundle.columns
    assert again.scenario == bundle.scenario
    assert (again.threshold, again.costs, again.simulated) == (0.4, bundle.costs, True)
    assert all(block.same for block in recompute_blocks(again))
    assert np.isnan(values).any()


@settings(max_examples=120, deadline=None)
@given(data=st.data())
def test_no_damage_passes(xgboost_c3: OreBundle, data: st.DataObject) -> None:
    content = bytearray(Path(xgboost_c3.path).read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= data.draw(st.integers(1, 255))
    try:
        found = unpack_ore_bundle(bytes(content))
    except BundleError:
        return
    # A date or a flag in the ZIP's own headers means nothing to an answer.
    assert pack_ore_bundle(found) == Path(xgboost_c3.path).read_bytes()


@settings(max_examples=40, deadline=None)
@given(share=st.floats(0, 0.9999))
def test_no_cut_passes(xgboost_c3: OreBundle, share: float) -> None:
    content = Path(xgboost_c3.path).read_bytes()
    with pytest.raises(BundleError):
        unpack_ore_bundle(content[: int(share * len(content))])


def changed(bundle: OreBundle, change: Any) -> bytes:
    """The bundle with another manifest, hashes made right again."""
    with zipfile.ZipFile(bundle.path) as archive:
        manifest, arrays = json.loads(archive.read(MANIFEST)), archive.read(ARRAYS)
    change(manifest)
    text = json.dumps(manifest).encode()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.comment = f"{FORMAT} {hashlib.sha256(text).hexdigest()}".encode()
        archive.writestr(MANIFEST, text)
        archive.writestr(ARRAYS, arrays)
    return out.getvalue()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda m: m.update(version=4), "version 4; this program reads up to version 3"),
        (lambda m: m.update(moisture={}), "section 'moisture' is unknown to this program"),
        (lambda m: m.update(format="something"), "no ore bundle"),
        (lambda m: m.update(arrays_sha256="0"), "arrays do not match"),
        (lambda m: m["model"].update(kind="oracle"), "'oracle' is unknown to this program"),
        (lambda m: m["model"].update(steps=[{"do": "guess"}]), "step guess cannot be done"),
        (lambda m: m["model"].update(steps=[{"do": "function", "name": "cbrt"}]), "function cbrt cannot be done"),
        (lambda m: m["model"].update(steps=[{"do": "impute", "fill": [1.0], "mark": []}]), "impute cannot be done"),
        (lambda m: m["model"]["trees"].update(columns=3), "not as this program knows it"),
        (lambda m: m.pop("threshold"), "not as this program knows it"),
        (lambda m: m["columns"]["variables"].pop(), "not as this program knows it"),
        (lambda m: m["columns"].update(variables=[]), "no variable"),
    ],
)
def test_what_this_program_does_not_know_is_refused(xgboost_c3: OreBundle, change: Any, said: str) -> None:
    with pytest.raises(BundleError, match=said):
        unpack_ore_bundle(changed(xgboost_c3, change))


def test_a_bundle_of_version_1_still_answers(xgboost_c3: OreBundle) -> None:
    def to_version_1(manifest: dict[str, Any]) -> None:
        manifest["version"] = 1
        del manifest["worth"]
        for key in ("area", "section", "from", "to", "x", "y", "z", "wedges"):
            del manifest["columns"][key]
        manifest["columns"]["label"] = {key: manifest["columns"]["label"][key] for key in ("column", "ore", "gangue")}

    old = unpack_ore_bundle(changed(xgboost_c3, to_version_1))
    assert old.worth is None
    values = xgboost_c3.golden.values
    assert np.array_equal(old.model.probabilities(values), xgboost_c3.model.probabilities(values))


def test_the_two_kinds_of_bundle_are_told_apart(xgboost_c3: OreBundle, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="`stibium predict` takes it"):
        read_ore_bundle(SHIPPED / "sb_simulated.tflite")
    with pytest.raises(BundleError, match="`stibium ore predict` takes it"):
        read_bundle(xgboost_c3.path)
    with pytest.raises(BundleError, match="name the file of a bundle"):
        read_ore_bundle(tmp_path / "none.ore")


def test_which_bundle_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STIBIUM_ORE_MODEL", "/somewhere/mine.ore")
    assert default_ore_bundle_path() == Path("/somewhere/mine.ore")
    monkeypatch.delenv("STIBIUM_ORE_MODEL")
    assert default_ore_bundle_path() == SHIPPED / "ore_simulated.ore"


def test_the_shipped_one_calls_blocks_and_says_what_it_is(tmp_path: Path) -> None:
    checked = CliRunner().invoke(stibium, ["check", str(SHIPPED / "ore_simulated.ore")])
    assert checked.exit_code == 0, checked.output
    at_face = ["ore", "predict", "--at-face", "--sample", "F1", "--no-ask", "--log", str(tmp_path / "log.db")]
    known = {"Class_As": "Medium", "Sulfetac": "Medium", "Au_Potenc": "Medium", "Class_Silic": "High"}
    known |= dict.fromkeys(
        ("Class_Boud", "Class_Hardn", "Class_Def", "sulphidation", "texture", "Class_Pb-Zn"), "Medium"
    )
    classes = [part for name, word in known.items() for part in ("--class", f"{name}={word}")]
    rich = CliRunner().invoke(stibium, [*at_face, *classes, "--assay", "Pb=60", "--assay", "Zn=150"])
    assert rich.exit_code == 0, rich.output
    assert "SIMULATED" in rich.output
    assert "F1: ORE" in rich.output
    nothing = CliRunner().invoke(stibium, at_face)
    assert "CANNOT TELL" in nothing.output


def test_info_and_check_know_it(forest_c4: OreBundle, tmp_path: Path) -> None:
    shown = CliRunner().invoke(stibium, ["info", forest_c4.path, "--format", "json"])
    record = json.loads(shown.output)
    assert record["classifier"] == "random forest"
    assert record["simulated"] is True
    assert record["trees"] == 20
    assert [v["name"] for v in record["variables"]][:3] == ["Pb ppm", "Zn ppm", "Class_Boud"]
    assert "scenario                C4" in CliRunner().invoke(stibium, ["info", forest_c4.path]).output

    for out_format in ("table", "jsonl", "csv"):
        done = CliRunner().invoke(stibium, ["check", forest_c4.path, "--format", out_format])
        assert done.exit_code == 0
        assert "golden answers as expected" in done.output

    golden = replace(forest_c4.golden, expected=forest_c4.golden.expected + 2e-6)
    write_ore_bundle(tmp_path / "wrong.ore", replace(forest_c4, golden=golden))
    done = CliRunner().invoke(stibium, ["check", str(tmp_path / "wrong.ore")])
    assert done.exit_code == 1
    assert "do not call ore with this model" in done.output
    golden = replace(forest_c4.golden, contributions=forest_c4.golden.contributions + 1e-4)
    write_ore_bundle(tmp_path / "wrong.ore", replace(forest_c4, golden=golden))
    assert CliRunner().invoke(stibium, ["check", str(tmp_path / "wrong.ore")]).exit_code == 1
