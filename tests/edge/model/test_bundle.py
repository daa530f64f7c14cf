"""Bundles: a model any interpreter loads, and no byte that matters can change unseen."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
import zipfile
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stibium.converters.spectra.spectrum import Spectrum
from stibium.edge.errors import BundleError, StibiumError
from stibium.edge.model.applicability import ApplicabilityDomain
from stibium.edge.model.bundle import (
    FORMAT,
    Bundle,
    pack_bundle,
    read_bundle,
    shipped_bundle_path,
    to_record,
    unpack_bundle,
    write_bundle,
)
from stibium.edge.model.check import recompute_golden
from stibium.edge.model.container import ARRAYS, MANIFEST, SPECTRA, pack
from stibium.edge.model.estimate import Estimator
from stibium.edge.model.interval import IntervalStats
from stibium.edge.model.replicates import ReplicateStats
from stibium.edge.model.runtime import Runtime, _interpreter_class
from stibium.edge.model.target import DetectionStats


def test_round_trip_keeps_everything(shipped_bundle: Bundle, tmp_path: Path) -> None:
    path = tmp_path / "sb.tflite"
    digest = write_bundle(path, shipped_bundle)
    again = read_bundle(path)
    assert again.sha256 == digest
    assert again.model == shipped_bundle.model
    assert again.recipe == shipped_bundle.recipe
    assert again.interval == shipped_bundle.interval
    assert again.provenance == shipped_bundle.provenance
    np.testing.assert_array_equal(again.scaling.offset, shipped_bundle.scaling.offset)
    assert again.golden is not None
    assert shipped_bundle.golden is not None
    np.testing.assert_array_equal(again.golden.reflectance, shipped_bundle.golden.reflectance)
    assert again.domain is not None
    assert shipped_bundle.domain is not None
    np.testing.assert_array_equal(again.domain.loadings, shipped_bundle.domain.loadings)


def fitted(bundle: Bundle) -> Bundle:
    """A bundle with every kind of statistics."""
    rng = np.random.default_rng(1)
    bins = len(bundle.recipe.wavelengths_nm) // 10
    domain = ApplicabilityDomain(
        mean=rng.normal(size=bins).astype(np.float32).astype(float),
        loadings=np.eye(bins)[:2],
        score_variance=np.array([2.0, 1.0]),
        t2_limit=3.5,
        q_limit=200.0,
        method="by hand",
        space="absorbance shape",
        bands_per_bin=10,
        residual_scale=np.full(bins, 0.25),
        brightness_range=(0.1, 0.9),
        contrast_range=(0.01, 0.5),
        most_chlorophyll=None,
    )
    return replace(
        bundle,
        domain=domain,
        interval=IntervalStats(0.9, -0.25, 0.25, "by hand", (0.1, 0.2, -0.3), (0.0, 1.0, 2.0), (1.0, 2.0, 3.0), 0.4),
        detection=DetectionStats(12.5, 20.0, "by hand"),
        replicates=ReplicateStats(0.05, 0.11, "by hand"),
    )


def test_statistics_come_back_as_they_were(shipped_bundle: Bundle) -> None:
    bundle = fitted(shipped_bundle)
    again = unpack_bundle(pack_bundle(bundle))
    assert (again.interval, again.detection, again.replicates) == (
        bundle.interval,
        bundle.detection,
        bundle.replicates,
    )
    assert again.domain is not None
    assert bundle.domain is not None
    for name, value in vars(bundle.domain).items():
        np.testing.assert_array_equal(getattr(again.domain, name), value)


def rewritten(bundle: Bundle, change) -> bytes:
    """The bundle's file with its manifest changed, and every hash right."""
    content = pack_bundle(bundle)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        manifest, arrays = json.loads(archive.read(MANIFEST)), archive.read(ARRAYS)
    change(manifest)
    text = json.dumps(manifest).encode()
    out = io.BytesIO(bundle.model)
    with zipfile.ZipFile(out, "a") as archive:
        archive.comment = f"{FORMAT} {hashlib.sha256(text).hexdigest()}".encode()
        archive.writestr(MANIFEST, text)
        archive.writestr(ARRAYS, arrays)
    return out.getvalue()


def test_a_bundle_of_version_1_still_answers(shipped_bundle: Bundle, soils: list[Spectrum]) -> None:
    bands = shipped_bundle.recipe.wavelengths_nm.size
    domain = ApplicabilityDomain(np.zeros(bands), np.eye(bands)[:3], np.ones(3), 5.0, 1e9, "by hand")
    plain = replace(shipped_bundle, detection=None, replicates=None)
    bundle = replace(plain, domain=domain, interval=IntervalStats(0.9, -0.25, 0.5, "by hand"))

    def to_version_1(manifest: dict) -> None:
        manifest["version"] = 1
        del manifest["detection"], manifest["replicates"]
        manifest["domain"] = {k: manifest["domain"][k] for k in ("t2_limit", "q_limit", "method")}
        manifest["interval"] = {k: manifest["interval"][k] for k in ("coverage", "low_offset", "high_offset", "method")}

    old = unpack_bundle(rewritten(bundle, to_version_1))
    assert (old.detection, old.replicates) == (None, None)
    assert Estimator(old).estimate(soils) == Estimator(bundle).estimate(soils)


def test_what_this_program_does_not_know_is_said(shipped_bundle: Bundle) -> None:
    with pytest.raises(BundleError, match=r"bundle version 4; this program reads up to version 3: update stibium"):
        unpack_bundle(rewritten(shipped_bundle, lambda manifest: manifest.update(version=4)))
    with pytest.raises(BundleError, match="described by 'dreams', which this program does not know"):
        unpack_bundle(rewritten(fitted(shipped_bundle), lambda manifest: manifest["domain"].update(space="dreams")))


def test_same_bundle_is_the_same_file(shipped_bundle: Bundle) -> None:
    assert pack_bundle(shipped_bundle) == pack_bundle(shipped_bundle)


def test_any_interpreter_and_any_zip_tool_open_it(tiny_bundle: Path) -> None:
    interpreter = _interpreter_class()(model_path=str(tiny_bundle))
    interpreter.allocate_tensors()
    assert set(zipfile.ZipFile(tiny_bundle).namelist()) == {MANIFEST, ARRAYS}
    manifest = json.loads(zipfile.ZipFile(tiny_bundle).read(MANIFEST))
    assert manifest["simulated"] is True
    assert manifest["element"] == "Sb"


def test_every_flipped_byte_is_noticed(shipped_bundle: Bundle) -> None:
    content = pack_bundle(shipped_bundle)
    positions = np.linspace(0, len(content) - 1, 400).astype(int)
    missed = []
    for at in positions:
        damaged = bytearray(content)
        damaged[at] ^= 0x55
        try:
            read = unpack_bundle(bytes(damaged))
        except BundleError:
            continue
        # Some bytes of a ZIP directory (dates, attributes) mean nothing to an answer: then nothing may differ.
        if pack_bundle(read) != content:
            missed.append(int(at))
    assert missed == []


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.floats(0, 0.999))
def test_cut_anywhere_is_refused(shipped_bundle: Bundle, share: float) -> None:
    content = pack_bundle(shipped_bundle)
    with pytest.raises(BundleError):
        unpack_bundle(content[: int(share * len(content))])


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=400))
def test_junk_is_refused(junk: bytes) -> None:
    with pytest.raises(BundleError):
        unpack_bundle(junk)


def test_plain_tflite_is_refused_as_foreign(shipped_bundle: Bundle, tmp_path: Path) -> None:
    path = tmp_path / "plain.tflite"
    path.write_bytes(shipped_bundle.model)
    with pytest.raises(BundleError, match=r"plain\.tflite: a TFLite model without stibium's manifest"):
        read_bundle(path)


def test_newer_version_is_refused_and_named(shipped_bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stibium.edge.model.bundle.VERSION", 99)
    content = pack_bundle(shipped_bundle)
    monkeypatch.undo()
    with pytest.raises(BundleError, match="version 99"):
        unpack_bundle(content)


def test_unknown_preprocessing_is_refused(shipped_bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = type(shipped_bundle.recipe)
    monkeypatch.setattr(recipe, "to_dict", lambda self: {"name": "new", "steps": [{"step": "wavelet"}]})
    content = pack_bundle(shipped_bundle)
    monkeypatch.undo()
    with pytest.raises(BundleError, match="wavelet"):
        unpack_bundle(content)


def test_missing_file_is_one_line() -> None:
    with pytest.raises(StibiumError, match="nowhere.tflite: there is no such file"):
        read_bundle("nowhere.tflite")


def test_model_environment_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STIBIUM_MODEL", "/somewhere/else.tflite")
    assert shipped_bundle_path() == Path("/somewhere/else.tflite")


def test_model_with_no_model_inside_is_refused(shipped_bundle: Bundle) -> None:
    with pytest.raises(BundleError, match="it is no TFLite model"):
        Runtime(b"TFL3 but not really" * 20)
    with pytest.raises(BundleError, match="features of shape"):
        Runtime(shipped_bundle.model).run(np.zeros((1, 3, 3, 1)))


def stibium(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).parent / "stibium"
    return subprocess.run([str(program), *arguments], capture_output=True, text=True, check=False)


def test_check_passes_on_the_shipped_bundle(tiny_bundle: Path) -> None:
    done = stibium("check", str(tiny_bundle), "--format", "jsonl")
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) == 2
    assert all(line["same"] for line in lines)
    assert "as expected" in done.stderr


def test_check_fails_when_the_answers_differ(shipped_bundle: Bundle, tmp_path: Path) -> None:
    golden = shipped_bundle.golden
    assert golden is not None
    expected = golden.expected.copy()
    expected[1] *= 1 + 10 * golden.tolerance
    path = tmp_path / "off.tflite"
    write_bundle(path, replace(shipped_bundle, golden=replace(golden, expected=expected)))
    done = stibium("check", str(path))
    assert done.returncode == 1
    assert "1 of" in done.stderr
    assert "do not measure" in done.stderr
    assert "DIFFERENT" in done.stdout


def test_check_fails_without_golden_spectra(shipped_bundle: Bundle) -> None:
    with pytest.raises(BundleError, match="no golden spectra"):
        recompute_golden(replace(shipped_bundle, golden=None))


def test_check_of_a_damaged_bundle_is_one_line(tiny_bundle: Path) -> None:
    content = bytearray(tiny_bundle.read_bytes())
    content[100] ^= 0xFF
    tiny_bundle.write_bytes(content)
    done = stibium("check", str(tiny_bundle))
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "the model does not match its hash" in done.stderr


def test_info_says_what_it_is(tiny_bundle: Path) -> None:
    done = stibium("info", str(tiny_bundle), "--format", "json")
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert record["simulated"] is True
    assert record["element"] == "Sb"
    assert {"recipe", "provenance", "golden", "calibrated_range", "sha256"} <= set(record)
    table = stibium("info", str(tiny_bundle))
    assert "simulated" in table.stdout
    assert "6 blocks: splice_correction, resample, absorbance, " in table.stdout
    assert max(map(len, table.stdout.splitlines())) < 300
    # A long name does not run into its value.
    assert "critical level 90 percent interval " in table.stdout or "percent interval" not in table.stdout


def test_info_lists_the_steps_of_each_view() -> None:
    from stibium.edge.cli.bundle import _print_entry

    step = {"step": "absorbance", "window_nm": 31.0}
    out = io.StringIO()
    with redirect_stdout(out):
        _print_entry(
            "recipe", {"name": "", "views": [{"name": "", "steps": [step]}, {"name": "b", "steps": [step]}]}, 0
        )
    lines = [line.strip() for line in out.getvalue().splitlines()]
    assert lines.count("step absorbance, window_nm 31.0") == 2
    assert "{" not in out.getvalue()
    assert [line for line in lines if line in ("1", "2")] == ["1", "2"]


def test_a_bundle_that_cannot_be_written_leaves_nothing_and_is_called_by_its_name(tiny_bundle: Path) -> None:
    with pytest.raises(OSError, match="No such file or directory: '/proc/x.tflite'"):
        write_bundle("/proc/x.tflite", read_bundle(tiny_bundle))


def test_a_section_that_is_not_known_is_refused_and_named(
    shipped_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest, arrays = to_record(shipped_bundle)
    content = pack(SPECTRA, 3, {**manifest, "tilt": {}}, arrays, b"x")
    with pytest.raises(BundleError, match="section 'tilt' is unknown to this program"):
        unpack_bundle(content)
    monkeypatch.setattr(
        "stibium.edge.model.bundle.SECTIONS", ("conditions", "error_model", "lineage", "stability", "tilt")
    )
    assert unpack_bundle(content).element == "Sb"
