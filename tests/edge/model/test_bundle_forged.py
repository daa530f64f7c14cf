"""Bundles whose hashes are right and whose content is not: refused before they answer, and they end nothing."""

from __future__ import annotations

import copy
import hashlib
import io
import json
import os
import random
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stibium.converters.spectra.spectrum import Spectrum
from stibium.edge.errors import BundleError
from stibium.edge.model.bundle import SHIPPED_BUNDLE, Bundle, read_bundle, unpack_bundle, write_bundle
from stibium.edge.model.container import ARRAYS, MANIFEST, MOST_BYTES, PINS_ENVIRONMENT_VARIABLE, SPECTRA
from stibium.edge.model.estimate import Estimate, Estimator

STIBIUM = str(Path(sys.executable).parent / "stibium")
Manifest = dict[str, Any]


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def taken_apart(path: Path) -> tuple[bytes, Manifest, dict[str, Any]]:
    with zipfile.ZipFile(path) as archive:
        manifest = json.loads(archive.read(MANIFEST))
        arrays = dict(np.load(io.BytesIO(archive.read(ARRAYS))))
    return path.read_bytes()[: manifest["model"]["bytes"]], manifest, arrays


def forged(front: bytes, manifest: Manifest, arrays: dict[str, Any]) -> bytes:
    """A bundle's bytes with every hash redone."""
    packed = io.BytesIO()
    np.savez_compressed(packed, **arrays)
    whole = {**manifest, "arrays_sha256": sha256(packed.getvalue())}
    whole["model"] = {"bytes": len(front), "sha256": sha256(front)}
    text = json.dumps(whole).encode()
    out = io.BytesIO(front)
    with zipfile.ZipFile(out, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.comment = f"{SPECTRA} {sha256(text)}".encode()
        archive.writestr(MANIFEST, text)
        archive.writestr(ARRAYS, packed.getvalue())
    return out.getvalue()


def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [STIBIUM, *map(str, arguments)]
    there = {**os.environ, **environment}
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=there)


def at(*path: str, value: object) -> Callable[[Manifest, dict[str, Any]], None]:
    def change(manifest: Manifest, _: dict[str, Any]) -> None:
        for key in path[:-1]:
            manifest = manifest[key]
        manifest[path[-1]] = value

    return change


def array(name: str, change: Callable[[Any], Any]) -> Callable[[Manifest, dict[str, Any]], None]:
    def changed(_: Manifest, arrays: dict[str, Any]) -> None:
        arrays[name] = change(arrays[name])

    return changed


SENSELESS = {
    "range of NaN": at("calibrated_range", value=[float("nan"), 100.0]),
    "range of infinity": at("calibrated_range", value=[1.0, 1e999]),
    "range the wrong way": at("calibrated_range", value=[100.0, 1.0]),
    "range below zero": at("calibrated_range", value=[-5.0, 100.0]),
    "range of texts": at("calibrated_range", value=["1", "100"]),
    "range of one": at("calibrated_range", value=[1.0]),
    "interval above the value": at("interval", "low_offset", value=0.2),
    "interval below the value": at("interval", "high_offset", value=-0.2),
    "lift below zero": at("interval", "high_lift", value=-0.5),
    "lift in words": at("interval", "high_lift", value="1"),
    "coverage of 2": at("interval", "coverage", value=2.0),
    "coverage of none": at("interval", "coverage", value=None),
    "spread of 0": at("interval", "spreads", value=[0.0, 1.0, 1.0]),
    "two slopes": at("interval", "slopes", value=[0.0, 0.1]),
    "steep slope": at("interval", "slopes", value=[300.0, 0.1, 0.1]),
    "negative limit": at("domain", "t2_limit", value=-1.0),
    "limit that is text": at("domain", "q_limit", value="787"),
    "limit that is off": at("domain", "q_limit", value=1e300),
    "half a bin": at("domain", "bands_per_bin", value=10.5),
    "brightness the wrong way": at("domain", "brightness_range", value=[1.0, 0.0]),
    "critical above the limit": at("detection", "critical", value=1e5),
    "negative scatter": at("replicates", "limit", value=-0.2),
    "golden tolerance": at("golden", "tolerance", value=1e9),
    "golden joins": at("golden", "splices_nm", value=["a"]),
    "simulated in words": at("simulated", value="no"),
    "element of none": at("element", value=None),
    "escape in the element": at("element", value="S\x1b[2Jb"),
    "unit that is a list": at("unit", value=[]),
    "provenance": at("provenance", value=[]),
    "recipe": at("recipe", "steps", value=[{"step": "resample", "first_nm": 400.0, "last_nm": 400.0, "step_nm": 1.0}]),
    "number of 400 digits": at("interval", "centres", value=[10**400, 0.0, 0.0]),
    "loadings of NaN": array("domain_loadings", lambda a: a * np.nan),
    "loadings of another size": array("domain_loadings", lambda a: a[:, :-1]),
    "variance of zero": array("domain_score_variance", lambda a: a * 0),
    "residual scale below zero": array("domain_residual_scale", lambda a: -a),
    "mean of texts": array("domain_mean", lambda a: a.astype(str)),
    "scaling of NaN": array("scaling_offset", lambda a: a * np.nan),
    "golden answers": array("golden_expected", lambda a: a[:-1]),
    "golden wavelengths": array("golden_grid", lambda a: a * [1.0, -1.0, 1.0]),
}


@pytest.mark.parametrize("what", SENSELESS)
def test_what_cannot_be_is_refused_before_it_answers(tiny_bundle: Path, what: str) -> None:
    front, manifest, arrays = taken_apart(tiny_bundle)
    assert unpack_bundle(forged(front, copy.deepcopy(manifest), arrays)).element == "Sb"
    # Newer bundles have an error model in its place.
    manifest["detection"] = manifest["detection"] or {"critical": 1.0, "limit": 2.0, "method": "by hand"}
    SENSELESS[what](manifest, arrays)
    with pytest.raises(BundleError) as refused:
        unpack_bundle(forged(front, manifest, arrays))
    assert "\n" not in str(refused.value)


def _leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(value, dict):
        return [leaf for key, inner in value.items() for leaf in _leaves(inner, (*path, key))]
    if isinstance(value, list):
        return [leaf for key, inner in enumerate(value) for leaf in _leaves(inner, (*path, key))]
    return [path]


JUNK = [None, True, -1, 0, 10**30, -1e300, 1e-300, float("nan"), float("inf"), "x", "", [], {}, [[]], "\ud800"]


def test_any_value_of_a_manifest_may_be_wrong(tiny_bundle: Path, soils: list[Spectrum]) -> None:
    front, manifest, arrays = taken_apart(tiny_bundle)
    leaves = [leaf for leaf in _leaves(manifest) if leaf[0] not in ("provenance", "arrays_sha256", "model")]
    chance = random.Random(11)
    for _ in range(250):
        wrong = copy.deepcopy(manifest)
        place = chance.choice(leaves)
        inner = wrong
        for key in place[:-1]:
            inner = inner[key]
        inner[place[-1]] = chance.choice(JUNK)
        try:
            bundle = unpack_bundle(forged(front, wrong, arrays))
            answers = Estimator(replace(bundle, path="", model=front)).estimate(soils[:1])
        except BundleError:
            continue
        for answer in answers:
            if isinstance(answer, Estimate):
                assert np.isfinite(answer.value), place
                assert answer.low is None or answer.low <= answer.value <= answer.high, place  # type: ignore[operator]


ANSWER_ALL = """
import pathlib, sys
from stibium.converters.spectra.read import read_spectra
from stibium.edge.errors import StibiumError
from stibium.edge.model.bundle import SHIPPED_BUNDLE, read_bundle
from stibium.edge.model.estimate import Estimator

soils = read_spectra(SHIPPED_BUNDLE.parent / "demo_samples.csv.gz")[:1]
for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):
    print(path.name, end=" ", flush=True)
    try:
        Estimator(read_bundle(path)).estimate(soils)
    except StibiumError as error:
        print("refused:", error)
    else:
        print("loaded")
"""
"""Run in a process of its own: a network that ended it would end the tests as well."""


@pytest.mark.parametrize("name", ["sb_simulated.tflite", "clay_geeves.tflite"])
def test_a_damaged_network_ends_nothing(tmp_path: Path, name: str) -> None:
    front, manifest, arrays = taken_apart(SHIPPED_BUNDLE.parent / name)
    chance = random.Random(5)
    for i in range(60):
        damaged = bytearray(front)
        count, span = (8, min(4096, len(front))) if i % 2 else (1, len(front))
        for _ in range(count):
            damaged[chance.randrange(span)] = chance.randrange(256)
        (tmp_path / f"{i:02}_damaged").write_bytes(forged(bytes(damaged), manifest, arrays))
    for size in (0, 4, 8, 100, 1000, len(front) // 2):
        (tmp_path / f"cut_{size}").write_bytes(forged(front[:size] if size else b"\0" * 64, manifest, arrays))
    done = subprocess.run(
        [sys.executable, "-c", ANSWER_ALL, tmp_path], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout[-500:] + done.stderr[-500:]
    said = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    assert len(said) == 66
    assert any(what.startswith("refused:") for path, what in said.items() if path.endswith("damaged"))
    assert all(what.startswith("refused:") for path, what in said.items() if path.startswith("cut"))


def test_what_unpacks_to_too_much_is_refused(tiny_bundle: Path) -> None:
    front, manifest, arrays = taken_apart(tiny_bundle)
    zeros = np.zeros(MOST_BYTES // 8 + 1)
    with pytest.raises(BundleError, match="unpacks to more than"):
        unpack_bundle(forged(front, manifest, {**arrays, "more": zeros}))


@pytest.mark.parametrize("command", ["check", "info", "predict"])
def test_what_is_no_file_is_refused_as_a_model(tmp_path: Path, command: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    spectra = [tmp_path / "x.asd"] if command == "predict" else []
    for model in ("/dev/zero", tmp_path / "pipe", tmp_path, tmp_path / "missing"):
        done = run(command, *spectra, "--model", model)
        assert done.returncode == 1
        assert str(model) in done.stderr
        assert done.stderr.count("\n") == 1


def test_pins_say_what_may_be_loaded(tiny_bundle: Path, shipped_bundle: Bundle, tmp_path: Path) -> None:
    other = tmp_path / "other.tflite"
    write_bundle(other, replace(shipped_bundle, simulated=False))
    allowed = {PINS_ENVIRONMENT_VARIABLE: f" {shipped_bundle.sha256.upper()} ,"}
    assert run("check", tiny_bundle, **allowed).returncode == 0
    for command in (["check"], ["info"], ["predict", "x.asd", "--model"]):
        done = run(*command, other, **allowed)
        assert done.returncode == 1
        assert "STIBIUM_MODEL_SHA256" in done.stderr
        assert str(other) in done.stderr
    both = {PINS_ENVIRONMENT_VARIABLE: f"{shipped_bundle.sha256},{sha256(other.read_bytes())}"}
    assert run("check", other, **both).returncode == 0
    wrong = run("check", tiny_bundle, **{PINS_ENVIRONMENT_VARIABLE: "abc"})
    assert wrong.returncode == 1
    assert "no SHA-256" in wrong.stderr


def test_a_bundle_read_from_its_file_is_sensible(tiny_bundle: Path) -> None:
    assert read_bundle(tiny_bundle).sha256 == sha256(tiny_bundle.read_bytes())
