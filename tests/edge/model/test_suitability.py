"""Detector joins that a file does not name, holes between bands, and steps that no correction survives."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from stibium.converters.spectra import read_asd, read_spectra, write_ascii_table, write_asd, write_envi, write_table
from stibium.converters.spectra.spectrum import Spectrum
from stibium.edge.errors import UnsuitableSpectrumError
from stibium.edge.model.bundle import Bundle
from stibium.edge.model.estimate import Estimate, Estimator, Refusal
from stibium.edge.model.filled import filled_in
from stibium.edge.model.joins import find_step
from stibium.edge.model.replicates import mean_spectrum
from stibium.edge.model.stability import UNKNOWN_LIMITS
from stibium.edge.model.suitability import check_sampling, require_reflectance

NM = np.arange(350.0, 2501.0)


@pytest.fixture(scope="module")
def estimator(shipped_bundle: Bundle) -> Estimator:
    return Estimator(replace(shipped_bundle, stability=UNKNOWN_LIMITS))


@pytest.fixture(scope="module")
def rough(soils: list[Spectrum]) -> Spectrum:
    """A soil with the noise of an instrument."""
    return replace(soils[0], values=soils[0].values + np.random.default_rng(5).normal(0, 2e-5, NM.size))


@pytest.fixture(scope="module")
def smooth(soils: list[Spectrum]) -> np.ndarray:
    """A soil's reflectance without any step, as a wide filter leaves it."""
    padded = np.pad(soils[0].values, 60, mode="reflect", reflect_type="odd")
    return np.convolve(padded, np.hanning(121) / 60, "valid")


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


def test_without_a_step_to_be_seen_it_says_that_none_was_taken_out(
    estimator: Estimator, soils: list[Spectrum], smooth: np.ndarray
):
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
    shipped_bundle: Bundle, soils: list[Spectrum], stepped: Spectrum, smooth: np.ndarray
):
    assert shipped_bundle.golden is not None
    bundle = replace(shipped_bundle, golden=replace(shipped_bundle.golden, splices_nm=()))
    estimator = Estimator(bundle)
    assert not any("step" in flag for flag in only(estimator, replace(stepped, splices_nm=())).flags)  # type: ignore[union-attr]
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


# --- holes that were filled in ------------------------------------------------------------------------------------


def filled(values: np.ndarray, first_nm: float, last_nm: float, how: str) -> np.ndarray:
    first, last = np.searchsorted(NM, (first_nm, last_nm))
    made, hole = values.copy(), slice(first, last + 1)
    if how == "held":
        made[hole] = values[first]
    elif how == "line":
        made[hole] = np.interp(NM[hole], NM[[first, last]], values[[first, last]])
    else:
        at = np.linspace(first, last, 4).astype(int)
        made[hole] = np.polynomial.Polynomial.fit(NM[at], values[at], 3)(NM[hole])
    return made


@pytest.mark.parametrize("kept_as", [np.float64, np.float32])
@pytest.mark.parametrize("how", ["held", "line", "cubic"])
@pytest.mark.parametrize(("first_nm", "last_nm"), [(1800, 1850), (2180, 2230), (700, 716), (400, 430), (2440, 2500)])
def test_bands_that_were_filled_in_are_refused_as_the_hole_that_they_were(
    estimator: Estimator, rough: Spectrum, first_nm: float, last_nm: float, how: str, kept_as: type
):
    values = filled(rough.values, first_nm, last_nm, how).astype(kept_as).astype(float)
    answer = only(estimator, replace(rough, values=values))
    assert isinstance(answer, Refusal)
    assert answer.reason.startswith(f"bands from {first_nm} to {last_nm} nm lie on one curve to the last digit")
    assert isinstance(only(estimator, mean_spectrum([rough, replace(rough, values=values)])), Refusal)
    # Beyond what the model uses anything may be.
    assert isinstance(only(estimator, replace(rough, values=filled(rough.values, 350, 390, how))), Estimate)


@pytest.mark.parametrize("write", ["{:.6f}", "{:.6g}", "{:.7f}"])
@pytest.mark.parametrize("how", ["held", "line", "cubic"])
@pytest.mark.parametrize(("first_nm", "last_nm"), [(1800, 1850), (2150, 2200), (700, 730), (950, 1050)])
def test_what_was_filled_in_is_told_from_noise_by_the_digits_of_a_text_too(
    estimator: Estimator, rough: Spectrum, first_nm: float, last_nm: float, how: str, write: str
):
    def written(values: np.ndarray) -> Spectrum:
        return replace(rough, values=np.array([float(write.format(value)) for value in values.tolist()]))

    answer = only(estimator, written(filled(rough.values, first_nm, last_nm, how)))
    assert isinstance(answer, Refusal)
    assert re.search(r"^bands from \d+ to \d+ nm lie on one curve to the last digit: filled in", answer.reason)
    assert isinstance(only(estimator, written(rough.values)), Estimate)


@pytest.mark.parametrize("kept_as", [np.float64, np.float32])
def test_an_end_that_was_cut_off_at_a_floor_is_remarked(estimator: Estimator, rough: Spectrum, kept_as: type):
    """As software does with what is too dark; on a floor for long there was no light, or no detector."""
    floor = float(rough.values[: np.searchsorted(NM, 431) + 1].max()) + 0.002
    dark = rough.values.copy()
    dark[: np.searchsorted(NM, 431) + 1] = floor
    dark = np.maximum(dark, floor).astype(kept_as).astype(float)
    answer = only(estimator, replace(rough, values=dark))
    assert isinstance(answer, Estimate)
    (told,) = (flag for flag in answer.flags if "on one curve" in flag or "cut off" in flag)
    assert re.fullmatch(r"bands from 350 to 4\d\d nm were cut off at the least value of all", told)
    long = dark.copy()
    long[: np.searchsorted(NM, 560)] = dark.min()
    assert isinstance(only(estimator, replace(rough, values=long)), Refusal)


def test_a_model_that_bears_coarser_bands_bears_what_was_filled_in(shipped_bundle: Bundle, rough: Spectrum):
    limits = shipped_bundle.stability._replace(sampling_most=10.0)
    estimator = Estimator(replace(shipped_bundle, stability=limits))

    def over(nm: float) -> Estimate | Refusal:
        return only(estimator, replace(rough, values=filled(rough.values, 1200, 1200 + nm, "line")))

    what = ("bands from 1200 to 1220 nm lie on one curve to the last digit: filled in, not measured",)
    answers = [over(nm) for nm in (5, 20, 30)]
    assert [isinstance(answer, Estimate) for answer in answers] == [True, True, False]
    assert [tuple(f for f in answer.flags if "curve" in f) for answer in answers[:2]] == [(), what]  # type: ignore[union-attr]


@pytest.mark.parametrize("digits", [3, 4, 5])
def test_of_rounded_values_equal_neighbours_are_measured_and_a_held_value_is_not(soils: list[Spectrum], digits: int):
    for soil in soils:
        assert filled_in(np.round(soil.values, digits)) == []
    sloping = np.round(0.2 + 0.05 * np.sin(NM / 150), digits)
    assert filled_in(sloping) == []
    held = sloping.copy()
    held[750:801] = held[750]
    assert bool(filled_in(held)) == (digits > 3)


def test_what_instruments_interpolate_themselves_is_no_hole(soils: list[Spectrum]):
    for nm in (1.4, 3.0, 3.8, 6.0):
        knots = np.arange(350.0, 2500.0 + nm, nm)
        own = np.interp(knots, NM, soils[0].values) + np.random.default_rng(3).normal(0, 1e-4, knots.size)
        assert filled_in(np.interp(NM, knots, own)) == []


def test_what_was_computed_without_noise_is_not_filled_in_and_where_it_is_held_it_is():
    computed = 0.08 + 0.35 * np.sqrt((NM - 340) / 2150) - 0.05 * np.exp(-(((NM - 1910) / 40) ** 2))
    for kept in (computed, computed.astype(np.float32).astype(float)):
        assert filled_in(kept) == []
    ((first, last),) = filled_in(np.minimum(computed, 0.4))
    assert (first, last) == (int(np.argmax(computed > 0.4)), NM.size - 1)


def test_a_spectrum_that_was_laid_out_between_bands_far_apart_is_as_coarse_as_it_was(
    estimator: Estimator, rough: Spectrum
):
    for nm in (20, 30, 40):
        coarse = np.interp(NM, NM[::nm], rough.values[::nm])
        answer = only(estimator, replace(rough, values=coarse))
        assert isinstance(answer, Refusal)
        assert "lie on one curve to the last digit" in answer.reason


def test_good_soils_have_nothing_filled_in(shared_data: Path):
    for name in ("geeves_contact_probe", "moisture_60_soils", "australia_742_clay"):
        for spectrum in read_spectra(shared_data / "soil" / f"{name}.csv.gz"):
            rounded = [np.round(spectrum.values, digits) for digits in (2, 3, 4)]
            for kept in (spectrum.values, spectrum.values.astype(np.float32).astype(float), *rounded):
                assert filled_in(kept) == [], (name, spectrum.sample_id)


@pytest.mark.parametrize("mark", [-9999.0, -99.99, -0.9999, -999.0, -1.23e34])
def test_a_mark_for_a_missing_value_is_called_one(mark: float) -> None:
    nm = np.arange(400.0, 900.0)
    values = np.where(nm == 600, mark, np.linspace(0.1, 0.5, nm.size))
    with pytest.raises(UnsuitableSpectrumError, match="at 600 nm, a mark for a missing value: measure or export"):
        require_reflectance(Spectrum(nm, values, "reflectance", "x"), (400.0, 899.0))


@pytest.mark.parametrize("how", ["derivative", "standard normal variate", "centred"])
def test_what_was_preprocessed_already_is_called_that(how: str) -> None:
    nm = np.arange(400.0, 900.0)
    values = 0.3 + 0.1 * np.sin(nm / 60)
    changed = {
        "derivative": np.gradient(values),
        "standard normal variate": (values - values.mean()) / values.std(),
        "centred": values - values.mean(),
    }[how]
    with pytest.raises(UnsuitableSpectrumError, match="of 500 bands: no reflectance, but a derivative or another prep"):
        require_reflectance(Spectrum(nm, changed, "reflectance", "x"), (400.0, 899.0))


@pytest.mark.parametrize("gain", [1.0, 0.5])
@pytest.mark.parametrize("step", [1, 10])
def test_absorbance_that_nobody_names_is_told_by_its_bands(soils: list[Spectrum], gain: float, step: int) -> None:
    for soil in soils:
        nm, absorbance = soil.wavelengths_nm[::step], -gain * np.log10(soil.values[::step])
        unnamed = replace(soil, wavelengths_nm=nm, values=absorbance, splices_nm=())
        with pytest.raises(UnsuitableSpectrumError, match="stand up, as in absorbance"):
            require_reflectance(unnamed, (400.0, 2450.0))
        if gain == 1.0:
            named = require_reflectance(replace(unnamed, quantity="absorbance"), (400.0, 2450.0))
            assert named == pytest.approx(soil.values[::step])


@pytest.mark.parametrize(
    "file",
    [
        "soil/geeves_contact_probe.csv.gz",
        "soil/moisture_60_soils.csv.gz",
        "minerals/usgs_splib07_1nm.csv",
        "instruments/sed/1456045_00115.sed",
        "instruments/sed/1456045_00116.sed",
    ],
)
def test_nothing_measured_as_reflectance_is_taken_for_absorbance(shared_data: Path, file: str) -> None:
    # The last two by sunlight, whose water bands hold noise.
    known = [one for one in read_spectra(shared_data / file) if isinstance(one, Spectrum) and one.range_nm[0] < 1300]
    positive = [spectrum for spectrum in known if spectrum.values.min() > 0]
    assert positive
    for spectrum in positive:
        assert require_reflectance(spectrum, (1300.0, 2100.0)) is not None
