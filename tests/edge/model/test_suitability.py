"""Detector joins that a file does not name, holes between bands, and steps that no correction survives."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from stibium.converters.spectra import read_asd, read_spectra, write_ascii_table, write_asd, write_envi, write_table
from stibium.converters.spectra.spectrum import Spectrum
from stibium.edge.errors import UnsuitableSpectrumError
from stibium.edge.model.bundle import Bundle
from stibium.edge.model.estimate import Estimate, Estimator, Refusal
from stibium.edge.model.joins import find_step
from stibium.edge.model.replicates import mean_spectrum
from stibium.edge.model.stability import UNKNOWN_LIMITS
from stibium.edge.model.suitability import check_sampling

NM = np.arange(350.0, 2501.0)


@pytest.fixture(scope="module")
def estimator(shipped_bundle: Bundle) -> Estimator:
    return Estimator(replace(shipped_bundle, stability=UNKNOWN_LIMITS))


@pytest.fixture(scope="module")
def stepped(soils: list[Spectrum]) -> Spectrum:
    """A soil whose outer detectors read 0.01 and 0.006 too high."""
    values = soils[1].values + 0.01 * (NM <= 1000) + 0.006 * (NM > 1800)
    return replace(soils[1], values=values, simulated=False, comment="")


def only(estimator: Estimator, spectrum: Spectrum) -> Estimate | Refusal:
    (answer,) = estimator.estimate([spectrum])
    return answer


# --- detector joins ---------------------------------------------------------------------------------------------


def test_a_spectrum_that_names_no_joins_gets_the_same_answer_and_says_so(estimator: Estimator, stepped: Spectrum):
    named, unnamed = only(estimator, stepped), only(estimator, replace(stepped, splices_nm=()))
    assert isinstance(named, Estimate)
    assert isinstance(unnamed, Estimate)
    assert not any("join" in flag for flag in named.flags)
    assert unnamed.value == pytest.approx(named.value, rel=1e-6)
    assert "detector join at 1000 nm not named but found by its step" in unnamed.flags
    assert "detector join at 1800 nm not named but found by its step" in unnamed.flags


def test_without_a_step_to_be_seen_it_says_that_none_was_taken_out(estimator: Estimator, soils: list[Spectrum]):
    smooth = np.interp(NM, NM[::40], soils[0].values[::40])
    answer = only(estimator, replace(soils[0], values=smooth, splices_nm=()))
    assert isinstance(answer, Estimate)
    assert "where its detectors join near 1000 nm is not known, no step taken out" in answer.flags


@pytest.mark.parametrize("joins", [(1800.0,), (950.0, 1750.0), (1000.0,), (1040.0, 1800.0)])
def test_joins_that_the_instrument_cannot_have_are_told_by_the_step(
    estimator: Estimator, stepped: Spectrum, joins: tuple[float, ...]
):
    answer = only(estimator, replace(stepped, splices_nm=joins))
    assert isinstance(answer, Estimate)
    assert answer.value == pytest.approx(only(estimator, stepped).value, rel=1e-6)  # type: ignore[union-attr]
    assert any("found by its step" in flag or "the step is believed" in flag for flag in answer.flags)


def test_the_points_of_a_sample_have_the_joins_of_their_mean(estimator: Estimator, stepped: Spectrum):
    points = [replace(stepped, values=stepped.values * gain, splices_nm=()) for gain in (0.99, 1.0, 1.01)]
    known = [replace(point, splices_nm=stepped.splices_nm) for point in points]
    ours, theirs = only(estimator, mean_spectrum(points)), only(estimator, mean_spectrum(known))
    assert isinstance(ours, Estimate)
    assert isinstance(theirs, Estimate)
    assert (ours.points_low, ours.points_high) == pytest.approx((theirs.points_low, theirs.points_high), rel=1e-6)


@pytest.mark.parametrize("name", ["x.txt", "x.hdr", "x.csv", "x.asd"])
def test_every_format_that_we_write_carries_the_joins(
    tmp_path: Path, estimator: Estimator, stepped: Spectrum, name: str
):
    path = tmp_path / name
    if name == "x.asd":
        write_asd(path, stepped)
    else:
        {"x.txt": write_ascii_table, "x.hdr": write_envi, "x.csv": write_table}[name](path, [stepped])
    (back,) = read_spectra(path)
    assert back.splices_nm == (1000.0, 1800.0)
    answer = only(estimator, back)
    assert isinstance(answer, Estimate)
    # Formats keep values in four bytes or as decimals, which in eight bits may make one step of the answer.
    same = estimator.bundle.golden.tolerance  # type: ignore[union-attr]
    assert answer.value == pytest.approx(only(estimator, stepped).value, rel=same)  # type: ignore[union-attr]
    assert not any("join" in flag for flag in answer.flags)


@pytest.mark.parametrize("splices", [(float("nan"), 1800.0), (0.0, 0.0), (0.0, 1800.0), (1000.0, 3000.0)])
def test_an_asd_header_with_joins_that_are_none(
    tmp_path: Path, estimator: Estimator, stepped: Spectrum, splices: tuple[float, float]
):
    path = tmp_path / "x.asd"
    write_asd(path, stepped)
    data = bytearray(path.read_bytes())
    data[444:452] = np.array(splices, dtype="<f4").tobytes()
    path.write_bytes(data)
    (spectrum,) = read_asd(path)
    answer = only(estimator, spectrum)
    assert isinstance(answer, Estimate)
    assert answer.value == pytest.approx(only(estimator, stepped).value, rel=1e-3)  # type: ignore[union-attr]
    assert any("not named but found by its step" in flag for flag in answer.flags)


def test_a_model_calibrated_without_joins_remarks_only_steps_that_matter(
    shipped_bundle: Bundle, soils: list[Spectrum], stepped: Spectrum
):
    assert shipped_bundle.golden is not None
    bundle = replace(shipped_bundle, golden=replace(shipped_bundle.golden, splices_nm=()))
    estimator = Estimator(bundle)
    assert not any("step" in flag for flag in only(estimator, replace(stepped, splices_nm=())).flags)  # type: ignore[union-attr]
    smooth = np.interp(NM, NM[::40], soils[0].values[::40])
    assert not any("step" in flag for flag in only(estimator, replace(soils[0], values=smooth)).flags)  # type: ignore[union-attr]
    (told,) = (flag for flag in only(estimator, stepped).flags if "between its detectors at 1000.5 nm" in flag)  # type: ignore[union-attr]
    assert "the model was calibrated without joins" in told


def test_a_step_that_leaves_nothing_is_named(estimator: Estimator, soils: list[Spectrum]):
    dark = soils[0].values * np.interp(NM, [350, 500, 2500], [0.2, 0.2, 1.0])
    step = 1.5 * dark[NM < 500].min()
    answer = only(estimator, replace(soils[0], values=dark - step * (NM > 1000)))
    assert isinstance(answer, Refusal)
    assert "its detectors differ by" in answer.reason
    assert "at 1000.5 nm" in answer.reason
    assert "dark current" not in answer.reason


def test_real_soils_step_at_their_detectors_joins_and_nowhere_else(shared_data: Path):
    for name in ("soil/geeves_contact_probe.csv.gz", "instruments/two_soils_spectral_evolution.csv"):
        spectra = read_spectra(shared_data / name)
        for low, high, at in ((900.0, 1100.0, 1000.0), (1650.0, 1950.0, 1800.0)):
            found = [find_step(s.wavelengths_nm, s.values, low, high) for s in spectra]
            assert set(found) <= {None, at}
            if "geeves" in name:
                assert found.count(at) > 150


# --- holes and coarse sampling ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("first", "last"), [(2100, 2150), (1100, 1200), (401, 410), (700, 705)])
def test_a_hole_is_refused_by_its_place(estimator: Estimator, soils: list[Spectrum], first: float, last: float):
    kept = (first > NM) | (last < NM)
    answer = only(estimator, replace(soils[0], wavelengths_nm=NM[kept], values=soils[0].values[kept]))
    assert isinstance(answer, Refusal)
    assert answer.reason.startswith(f"has no band between {first - 1} and {last + 1} nm; the model was calibrated")


@pytest.mark.parametrize(("step", "kind"), [(2, ""), (3, "remark"), (5, "remark"), (6, "refusal"), (10, "refusal")])
def test_coarser_than_the_calibration_is_remarked_then_refused(
    estimator: Estimator, soils: list[Spectrum], step: int, kind: str
):
    answer = only(estimator, replace(soils[0], wavelengths_nm=NM[::step], values=soils[0].values[::step]))
    assert isinstance(answer, Refusal if kind == "refusal" else Estimate)
    if isinstance(answer, Estimate):
        assert any(f"{step}.0 times as far apart" in flag for flag in answer.flags) == (kind == "remark")


def test_what_the_model_does_not_use_may_have_holes_and_what_it_was_calibrated_on_may_be_coarse():
    holes = np.concatenate([[350.0, 380.0], np.arange(399.0, 2402.0), [2500.0]])
    assert check_sampling(holes, (400, 2400), NM) == []
    coarse = np.arange(350.0, 2501.0, 10)
    assert check_sampling(coarse, (400, 2400), coarse) == []
    assert check_sampling(NM, (400, 2400), coarse) == []
    # A calibration whose detectors sample differently: 1.5 nm, then 8 nm.
    uneven = np.concatenate([np.arange(350, 1000, 1.5), np.arange(1000.0, 2501, 8)])
    assert check_sampling(np.arange(350.0, 2501.0, 3), (400, 2400), np.arange(350.0, 2501.0, 1.5)) == []
    assert check_sampling(uneven, (400, 2400), uneven) == []
    with pytest.raises(UnsuitableSpectrumError, match="has no band between"):
        check_sampling(coarse, (400, 2400), uneven)
