"""Each step against SciPy or NumPy, at the edges of the spectrum too, and against what it must hold for any input."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import ArrayLike
from scipy.signal import savgol_filter
from scipy.spatial import ConvexHull
from stibium.edge.errors import PreprocessError, RecipeError, WavelengthRangeError
from stibium.edge.model.filters import hann_window, window_bands
from stibium.edge.model.grid import Grid, as_spectra, interpolation
from stibium.edge.model.hull import upper_hull
from stibium.edge.model.steps import (
    Absorbance,
    ContinuumRemoval,
    Cut,
    Derivative,
    SavitzkyGolay,
    Spectrogram,
    SpliceCorrection,
    StandardNormalVariate,
)

PAPER_NM = np.arange(400.0, 2401.0)
GRIDS_NM = {
    "1 nm": PAPER_NM,
    "1.5 nm": 350 + 1.5 * np.arange(1400),
    "2 nm": np.arange(400.0, 2401.0, 2.0),
    "10 nm": np.arange(380.0, 2501.0, 10.0),
    "1 nm in float32 um": (np.arange(350, 2501) / 1000).astype(np.float32).astype(np.float64) * 1000,
}
# Like a field instrument: 1.4 nm, 3.6 nm and 2.5 nm detectors, with a little jitter.
UNEVEN_NM = np.concatenate(
    [np.linspace(340, 1000, 470), np.linspace(1003.7, 1880, 240), np.linspace(1882.6, 2510, 252)]
)
UNEVEN_NM = UNEVEN_NM + 0.1 * np.sin(np.arange(UNEVEN_NM.size))


def some_nm(values: ArrayLike) -> np.ndarray:
    """A grid for steps that only count bands."""
    return 400.0 + np.arange(np.shape(values)[-1])


def splice_correct(values, nm, splices_nm, method="additive", reference="SWIR1", width_nm=10.0):
    return SpliceCorrection(method, reference, width_nm).apply(values, nm, splices_nm)


def savitzky_golay(values, nm, window_nm=31.0, degree=2):
    return SavitzkyGolay(window_nm, degree).apply(values, nm)


def derivative(values, nm, order=1):
    return Derivative(order).apply(values, nm)


def remove_continuum(values, nm, method="divide", hull="upper"):
    return ContinuumRemoval(method, hull).apply(values, nm)


def continuum(values, nm, hull="upper"):
    """The hull itself: what subtraction takes away."""
    rows = np.atleast_2d(values)
    drawn = upper_hull(rows, nm) if hull == "upper" else -upper_hull(-rows, nm)
    return drawn.reshape(np.shape(values))


def resample(values, from_nm, to_nm):
    source = Grid(from_nm)
    return interpolation(source, Grid(to_nm))(as_spectra(values, source.size))


def cut(values, nm, first_nm, last_nm):
    step = Cut(first_nm, last_nm)
    return step.apply(values, nm), step.prepare(Grid(nm))[1].wavelengths_nm


def to_absorbance(values, nm=None):
    return Absorbance().apply(values, some_nm(values) if nm is None else nm)


def standard_normal_variate(values):
    return StandardNormalVariate().apply(values, some_nm(values))


def stft_magnitude(values, frame_length=255, frame_step=128, fft_length=None):
    return Spectrogram(frame_length, frame_step, fft_length).apply(values, some_nm(values))


def made_up_soils(nm: np.ndarray, n: int, seed: int = 0, noise: float = 5e-4) -> np.ndarray:
    """(n, bands) reflectance that looks like soil: a rising slope, iron, water, clay and noise."""
    rng = np.random.default_rng(seed)
    depth = rng.uniform(0.02, 0.12, (5, n, 1))
    bands = [(500, 90), (900, 120), (1410, 25), (1915, 35), (2205, 18)]
    slope = rng.uniform(0.1, 0.3, (n, 1)) + rng.uniform(0.1, 0.4, (n, 1)) * (1 - np.exp(-(nm - 300) / 500))
    features = sum(d * np.exp(-(((nm - at) / width) ** 2)) for d, (at, width) in zip(depth, bands, strict=True))
    return np.asarray(slope * (1 - features) + rng.normal(0, noise, (n, nm.size)))


def largest_difference(ours: np.ndarray, reference: np.ndarray) -> float:
    """Largest difference anywhere, relative to the largest magnitude of the reference."""
    assert ours.shape == reference.shape
    return float(np.abs(ours - reference).max() / np.abs(reference).max())


@pytest.fixture(params=GRIDS_NM, scope="module")
def grid_nm(request: pytest.FixtureRequest) -> np.ndarray:
    return GRIDS_NM[request.param]


spectra_st = st.integers(33, 200).flatmap(
    lambda bands: arrays(np.float64, st.tuples(st.integers(1, 4), st.just(bands)), elements=st.floats(0.01, 1.5))
)


# --- Savitzky-Golay ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("window_nm", "degree"), [(31, 2), (31, 3), (31, 0), (11, 4), (101, 2), (31.9, 1)])
def test_smoothing_is_scipys_up_to_the_ends(grid_nm: np.ndarray, window_nm: float, degree: int) -> None:
    step_nm = (grid_nm[-1] - grid_nm[0]) / (grid_nm.size - 1)
    bands = window_bands(window_nm, step_nm)
    soils = made_up_soils(grid_nm, 3)
    if bands <= degree:
        with pytest.raises(PreprocessError, match=f"degree {degree} needs"):
            savitzky_golay(soils, grid_nm, window_nm, degree)
        return
    reference = savgol_filter(soils, bands, degree)
    smoothed = savitzky_golay(soils, grid_nm, window_nm, degree)
    np.testing.assert_allclose(smoothed, reference, rtol=1e-10)
    np.testing.assert_allclose(savitzky_golay(soils[1], grid_nm, window_nm, degree), reference[1], rtol=1e-10)


@pytest.mark.parametrize("bands", [31, 32, 33, 61, 62, 63, 64, 65, 94, 95, 127])
def test_smoothing_of_a_spectrum_hardly_longer_than_the_window(bands: int) -> None:
    values = np.random.default_rng(bands).normal(size=bands)
    ours = savitzky_golay(values, np.arange(400.0, 400 + bands), 31, 2)
    assert largest_difference(ours, savgol_filter(values, 31, 2)) < 1e-12


@pytest.mark.parametrize(
    ("window_nm", "step_nm", "bands"),
    [(31, 1, 31), (30, 1, 31), (32, 1, 33), (31, 2, 15), (31, 1.5, 21), (31, 10, 3), (31, 0.999999, 31), (0.4, 1, 1)],
)
def test_a_window_in_nm_is_the_nearest_odd_number_of_bands(window_nm: float, step_nm: float, bands: int) -> None:
    assert window_bands(window_nm, step_nm) == bands


@given(
    st.lists(st.floats(-2, 2), min_size=3, max_size=3),
    st.sampled_from([11, 31, 75]),
    st.integers(2, 5),
)
@settings(deadline=None)
def test_smoothing_leaves_a_quadratic_as_it_is(coefficients: list[float], window_nm: float, degree: int) -> None:
    x = np.linspace(-1, 1, 120)
    quadratic = np.polyval(coefficients, x)
    smoothed = savitzky_golay(quadratic, np.arange(400.0, 520.0), window_nm, degree)
    np.testing.assert_allclose(smoothed, quadratic, atol=1e-12)


def test_smoothing_refuses_what_cannot_be() -> None:
    soil = made_up_soils(PAPER_NM, 1)[0]
    with pytest.raises(PreprocessError, match="resample to a uniform grid first"):
        savitzky_golay(made_up_soils(UNEVEN_NM, 1), UNEVEN_NM)
    with pytest.raises(PreprocessError, match="2003 nm is 2003 bands; the spectrum has 2001"):
        savitzky_golay(soil, PAPER_NM, 2003)
    with pytest.raises(PreprocessError, match=r"1 band of 1 nm; degree 2 needs 3 \(3 nm\)"):
        savitzky_golay(soil, PAPER_NM, 1)
    with pytest.raises(PreprocessError, match="degree 3 needs 5"):
        savitzky_golay(soil, PAPER_NM, 3, 3)
    for window_nm, degree in [(-31, 2), (float("nan"), 2), (31, -1), (31, 11)]:
        with pytest.raises(RecipeError, match="above 0 is needed|from 0 to 10 is needed"):
            savitzky_golay(soil, PAPER_NM, window_nm, degree)


# --- derivative -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*GRIDS_NM, "uneven"])
def test_derivative_is_numpys_gradient(name: str) -> None:
    nm = UNEVEN_NM if name == "uneven" else GRIDS_NM[name]
    soils = made_up_soils(nm, 3)
    first = np.gradient(soils, nm, axis=-1)
    assert largest_difference(derivative(soils, nm), first) < 1e-9
    assert largest_difference(derivative(soils[2], nm), first[2]) < 1e-9
    assert largest_difference(derivative(soils, nm, 2), np.gradient(first, nm, axis=-1)) < 1e-9


def test_derivative_of_the_fewest_bands_and_of_no_such_order() -> None:
    np.testing.assert_allclose(derivative([1.0, 2.0], [400.0, 402.0]), [0.5, 0.5])
    np.testing.assert_allclose(derivative([1.0, 2.0, 5.0], [400.0, 401.0, 404.0]), np.gradient([1, 2, 5], [0, 1, 4]))
    for order in (0, 3):
        with pytest.raises(RecipeError, match="from 1 to 2"):
            derivative([1.0, 2.0], [400.0, 401.0], order)


# --- continuum --------------------------------------------------------------------------------------------------


def scipy_upper_hull(values: np.ndarray, nm: np.ndarray) -> np.ndarray:
    """The upper hull as the lowest of SciPy's facets that face upward."""
    x = (nm - nm[0]) / (nm[-1] - nm[0])
    facets = ConvexHull(np.column_stack([x, values])).equations
    upward = facets[facets[:, 1] > 1e-12]
    return np.min(-(upward[:, :1] * x + upward[:, 2:]) / upward[:, 1:2], axis=0)


@pytest.mark.parametrize("noise", [0, 1e-5, 5e-4, 2e-2])
@pytest.mark.parametrize("name", [*GRIDS_NM, "uneven"])
def test_hull_is_scipys(name: str, noise: float) -> None:
    nm = UNEVEN_NM if name == "uneven" else GRIDS_NM[name]
    for values in (made_up_soils(nm, 4, noise=noise), -np.log10(made_up_soils(nm, 4, noise=noise) + 0.1)):
        for row, hull in zip(values, continuum(values, nm), strict=True):
            np.testing.assert_allclose(hull, scipy_upper_hull(row, nm), rtol=0, atol=1e-10)
        for row, hull in zip(values, continuum(values, nm, "lower"), strict=True):
            np.testing.assert_allclose(hull, -scipy_upper_hull(-row, nm), rtol=0, atol=1e-10)


def test_hull_of_shapes_with_all_or_none_of_the_bands_on_it() -> None:
    x = np.linspace(-1, 1, 1500)
    nm = 400 + 700 * (x + 1)
    dome, bowl, tent = 2 - x**2, 1 + x**2, 2 - np.abs(x)
    np.testing.assert_allclose(continuum(dome, nm), dome, atol=1e-15)
    np.testing.assert_allclose(continuum(bowl, nm), 2.0, atol=1e-15)
    np.testing.assert_allclose(continuum(tent, nm), tent, atol=1e-15)
    np.testing.assert_allclose(continuum(np.full(1500, 0.3), nm), 0.3, atol=0)
    # One dip in a straight line, and one spike.
    line = 0.2 + 0.1 * x
    dip, spike = line.copy(), line.copy()
    dip[700] -= 0.1
    spike[700] += 0.1
    np.testing.assert_allclose(continuum(dip, nm), line, atol=1e-15)
    np.testing.assert_allclose(continuum(spike, nm), np.interp(nm, nm[[0, 700, -1]], spike[[0, 700, -1]]), atol=1e-15)


@given(spectra_st, st.booleans())
@settings(deadline=None, max_examples=150)
def test_hull_lies_over_the_spectrum_and_bends_only_where_it_touches(values: np.ndarray, uneven: bool) -> None:
    nm = (UNEVEN_NM if uneven else PAPER_NM)[: values.shape[1]]
    hull = continuum(values, nm)
    assert (hull >= values).all()
    np.testing.assert_allclose(hull[:, [0, -1]], values[:, [0, -1]], rtol=1e-14)
    bend = np.diff(np.diff(hull) / np.diff(nm))
    assert bend.max() <= 1e-12
    corners = bend < -1e-9
    np.testing.assert_allclose(hull[:, 1:-1][corners], values[:, 1:-1][corners], rtol=1e-12)


@given(spectra_st, st.floats(0.1, 10))
@settings(deadline=None)
def test_division_by_the_continuum_forgets_the_level(values: np.ndarray, gain: float) -> None:
    nm = PAPER_NM[: values.shape[1]]
    removed = remove_continuum(values, nm, "divide")
    assert removed.max() <= 1
    assert removed.min() > 0
    np.testing.assert_allclose(remove_continuum(gain * values, nm, "divide"), removed, rtol=1e-10)


@given(spectra_st, st.floats(-1, 1), st.floats(-1e-3, 1e-3))
@settings(deadline=None)
def test_subtraction_of_the_continuum_forgets_any_straight_line(
    values: np.ndarray, offset: float, slope: float
) -> None:
    nm = PAPER_NM[: values.shape[1]]
    for side, sign in (("upper", -1), ("lower", 1)):
        removed = remove_continuum(values, nm, "subtract", side)  # type: ignore[arg-type]
        assert (sign * removed).min() >= 0
        tilted = remove_continuum(values + offset + slope * (nm - 400), nm, "subtract", side)  # type: ignore[arg-type]
        np.testing.assert_allclose(tilted, removed, atol=1e-12)


def test_continuum_refuses_what_cannot_be() -> None:
    nm = PAPER_NM[:50]
    soils = np.full((3, 50), 0.5)
    soils[1] = -0.1
    with pytest.raises(PreprocessError, match="-0.1 at 400 nm of spectrum 1: only one above zero"):
        remove_continuum(soils, nm, "divide")
    remove_continuum(soils, nm, "subtract")
    with pytest.raises(RecipeError, match="upper or lower"):
        remove_continuum(soils, nm, hull="middle")  # type: ignore[arg-type]
    with pytest.raises(RecipeError, match="divide or subtract"):
        remove_continuum(soils, nm, "multiply")  # type: ignore[arg-type]


# --- resampling and cutting -------------------------------------------------------------------------------------


def test_resampling_is_linear_interpolation() -> None:
    soils = made_up_soils(UNEVEN_NM, 3)
    onto_paper = resample(soils, UNEVEN_NM, PAPER_NM)
    for row, ours in zip(soils, onto_paper, strict=True):
        np.testing.assert_allclose(ours, np.interp(PAPER_NM, UNEVEN_NM, row), rtol=1e-13)
    np.testing.assert_array_equal(resample(soils[1], UNEVEN_NM, PAPER_NM), onto_paper[1])
    np.testing.assert_allclose(resample(2 + 0.001 * UNEVEN_NM, UNEVEN_NM, PAPER_NM), 2 + 0.001 * PAPER_NM, rtol=1e-13)


def test_resampling_onto_the_same_wavelengths_copies_nothing() -> None:
    nm = np.arange(350.0, 2501.0)
    soils = made_up_soils(nm, 3)
    assert resample(soils, nm, nm.copy()) is soils
    inside = resample(soils, nm, PAPER_NM)
    assert np.shares_memory(inside, soils)
    np.testing.assert_array_equal(inside, soils[:, 50:2051])


def test_resampling_needs_the_whole_range_and_says_both() -> None:
    nm = np.arange(325.0, 1076.0)
    with pytest.raises(WavelengthRangeError, match=r"covers 325-1075 nm; 400-2400 nm is needed"):
        resample(np.ones(nm.size), nm, PAPER_NM)
    with pytest.raises(WavelengthRangeError):
        resample(np.ones(2001), PAPER_NM, [399.9, 500.0])
    # What float32 does to a wavelength in um is no reason to refuse.
    edges = resample(made_up_soils(PAPER_NM, 1), PAPER_NM, [400 - 1e-7, 500.25, 2400 + 1e-7])
    assert np.isfinite(edges).all()


@given(st.integers(2, 60), st.data())
@settings(deadline=None)
def test_resampled_values_stay_between_their_neighbours(bands: int, data: st.DataObject) -> None:
    steps = data.draw(arrays(np.float64, bands - 1, elements=st.floats(0.1, 5)))
    nm = 400 + np.concatenate([[0], np.cumsum(steps)])
    values = data.draw(arrays(np.float64, bands, elements=st.floats(-1, 1)))
    wanted = np.linspace(nm[0], nm[-1], 37)
    ours = resample(values, nm, wanted)
    right = np.clip(np.searchsorted(nm, wanted), 1, bands - 1)
    low, high = (f(values[right - 1], values[right]) for f in (np.minimum, np.maximum))
    assert (ours >= low - 1e-12).all()
    assert (ours <= high + 1e-12).all()


def test_cut_keeps_both_ends() -> None:
    soils = made_up_soils(PAPER_NM, 2)
    values, nm = cut(soils, PAPER_NM, 500, 1500)
    assert (nm[0], nm[-1], nm.size) == (500, 1500, 1001)
    np.testing.assert_array_equal(values, soils[:, 100:1101])
    with pytest.raises(WavelengthRangeError, match="covers 400-2400 nm; 350-1500 nm is needed"):
        cut(soils, PAPER_NM, 350, 1500)
    with pytest.raises(PreprocessError, match="fewer than two bands"):
        cut(soils, PAPER_NM, 500.2, 500.8)
    with pytest.raises(RecipeError, match="no range"):
        cut(soils, PAPER_NM, 1500, 500)


# --- detector joins ---------------------------------------------------------------------------------------------

ASD_NM = np.arange(350.0, 2501.0)
JOINS_NM = (1000.0, 1800.0)
DETECTOR_BANDS = {"VNIR": ASD_NM <= 1000, "SWIR1": (ASD_NM > 1000) & (ASD_NM <= 1800), "SWIR2": ASD_NM > 1800}


@pytest.mark.parametrize("reference", DETECTOR_BANDS)
@pytest.mark.parametrize("method", ["additive", "multiplicative"])
def test_steps_between_detectors_are_taken_out(method: str, reference: str) -> None:
    whole = np.stack([0.2 + 1e-4 * (ASD_NM - 350), 0.6 - 1e-4 * (ASD_NM - 350)])
    stepped = whole.copy()
    change = {"VNIR": 0.02, "SWIR1": -0.01, "SWIR2": 0.015}
    for detector, bands in DETECTOR_BANDS.items():
        if method == "additive":
            stepped[:, bands] += change[detector] - change[reference]
        else:
            stepped[:, bands] *= (1 + change[detector]) / (1 + change[reference])
    corrected = splice_correct(stepped, ASD_NM, JOINS_NM, method, reference)  # type: ignore[arg-type]
    np.testing.assert_array_equal(corrected[:, DETECTOR_BANDS[reference]], whole[:, DETECTOR_BANDS[reference]])
    # A line has no curvature to be mistaken for a step; a line times a factor is a line again.
    np.testing.assert_allclose(corrected, whole, atol=1e-12)
    one = splice_correct(stepped[0], ASD_NM, JOINS_NM, method, reference)  # type: ignore[arg-type]
    np.testing.assert_allclose(one, corrected[0], rtol=1e-13)


def test_noise_and_curvature_move_a_detector_far_less_than_the_step_did() -> None:
    soils = made_up_soils(ASD_NM, 200, noise=5e-4)
    stepped = soils + 0.02 * DETECTOR_BANDS["VNIR"] - 0.01 * DETECTOR_BANDS["SWIR2"]
    left_over = splice_correct(stepped, ASD_NM, JOINS_NM) - soils
    assert np.sqrt(np.square(left_over).mean()) < 1e-3


def test_nothing_to_correct_copies_nothing() -> None:
    soils = made_up_soils(ASD_NM, 2)
    for joins in ((), (340.0,), (2500.0, 2600.0)):
        assert splice_correct(soils, ASD_NM, joins) is soils


def test_a_missing_detector_is_replaced_by_the_nearest() -> None:
    nm = np.arange(1001.0, 2501.0)
    stepped = np.where(nm <= 1800, 0.3, 0.4)
    for reference, level in (("VNIR", 0.3), ("SWIR1", 0.3), ("SWIR2", 0.4)):
        # The join at 1000 nm lies outside this grid; the names still mean the same detectors.
        for joins in (JOINS_NM, (1800.0,)):
            ours = splice_correct(stepped, nm, joins, reference=reference)  # type: ignore[arg-type]
            np.testing.assert_allclose(ours, level, rtol=1e-12)


@pytest.mark.parametrize("nm", [np.arange(350.0, 2501.0, 10.0), np.array([990.0, 1000.0, 1010.0, 1790.0, 2400.0])])
def test_few_bands_beside_a_join_are_enough(nm: np.ndarray) -> None:
    stepped = 0.3 + 0.1 * (nm > 1000)
    np.testing.assert_allclose(splice_correct(stepped, nm, JOINS_NM, width_nm=1), 0.4, rtol=1e-12)


def test_splice_correction_refuses_what_cannot_be() -> None:
    soils = made_up_soils(ASD_NM, 3)
    soils[2, DETECTOR_BANDS["SWIR2"]] = -0.01
    with pytest.raises(PreprocessError, match="-0.01 at 1800.5 nm of spectrum 2, is not above zero"):
        splice_correct(soils, ASD_NM, JOINS_NM, "multiplicative")
    for wrong in ({"method": "parabolic"}, {"reference": "NIR"}, {"width_nm": 0}, {"width_nm": float("nan")}):
        with pytest.raises(RecipeError, match="splice_correction: (method|reference|width_nm) is"):
            splice_correct(soils, ASD_NM, JOINS_NM, **wrong)  # type: ignore[arg-type]
    with pytest.raises(PreprocessError, match="no wavelengths"):
        splice_correct(soils, ASD_NM, (float("nan"),))


# --- absorbance, normal variate ---------------------------------------------------------------------------------


def test_absorbance_is_log10_of_the_inverse() -> None:
    np.testing.assert_allclose(to_absorbance([1.0, 0.1, 0.5, 1.2]), np.log10(1 / np.array([1.0, 0.1, 0.5, 1.2])))


def test_absorbance_names_the_spectrum_and_the_wavelength() -> None:
    soils = np.full((9, 5), 0.5)
    nm = np.arange(400.0, 405.0)
    soils[3, 2] = 0.0
    with pytest.raises(PreprocessError, match=r"0 at 402 nm of spectrum 3 is not above zero"):
        to_absorbance(soils, nm)
    with pytest.raises(PreprocessError, match=r"0 at 402 nm is not above zero"):
        to_absorbance(soils[3], nm)
    soils[5:, 1] = -0.02
    with pytest.raises(PreprocessError, match=r"0 at 402 nm of spectrum 3 \(of 9; also in 5, 6, 7, 8\)"):
        to_absorbance(soils, nm)


@given(spectra_st, st.floats(0.1, 10), st.floats(-1, 1))
@settings(deadline=None)
def test_normal_variate_forgets_gain_and_offset(values: np.ndarray, gain: float, offset: float) -> None:
    values[:, 0] = values[:, 1] + 0.5
    ours = standard_normal_variate(values)
    np.testing.assert_allclose(ours.mean(axis=-1), 0, atol=1e-12)
    np.testing.assert_allclose(ours.std(axis=-1, ddof=1), 1, rtol=1e-12)
    np.testing.assert_allclose(standard_normal_variate(gain * values + offset), ours, atol=1e-9)
    np.testing.assert_allclose(standard_normal_variate(values[0]), ours[0], rtol=0, atol=1e-12)


def test_normal_variate_refuses_a_flat_spectrum() -> None:
    with pytest.raises(PreprocessError, match="no variance"):
        standard_normal_variate(np.full(10, 0.3))
    flat = made_up_soils(PAPER_NM, 3)
    flat[1] = 0.25
    with pytest.raises(PreprocessError, match="0.25 at band 0 of spectrum 1"):
        standard_normal_variate(flat)


# --- short-time Fourier transform -------------------------------------------------------------------------------


@given(
    arrays(np.float64, st.tuples(st.integers(1, 3), st.integers(40, 120)), elements=st.floats(-1, 1)),
    st.integers(1, 40),
    st.integers(1, 50),
    st.integers(0, 20),
)
@settings(deadline=None)
def test_each_frame_holds_its_energy(values: np.ndarray, length: int, step: int, extra: int) -> None:
    fft_length = length + extra
    magnitude = stft_magnitude(values, length, step, fft_length)[..., 0]
    frames = 1 + (values.shape[1] - length) // step
    assert magnitude.shape == (values.shape[0], frames, fft_length // 2 + 1)
    twice = np.full(magnitude.shape[-1], 2.0)  # every bin but the first, and the last of an even length, stands for two
    twice[0] = 1
    if fft_length % 2 == 0:
        twice[-1] = 1
    window = hann_window(length)
    for i in range(frames):
        frame = values[:, i * step : i * step + length] * window
        np.testing.assert_allclose(
            (twice * magnitude[:, i] ** 2).sum(-1), fft_length * np.square(frame).sum(-1), atol=1e-10
        )


@given(arrays(np.float64, (2, 300), elements=st.floats(-1, 1)), st.floats(0.01, 100))
@settings(deadline=None)
def test_magnitude_scales_with_the_spectrum(values: np.ndarray, gain: float) -> None:
    np.testing.assert_allclose(
        stft_magnitude(-gain * values), gain * stft_magnitude(values), atol=1e-12 * max(gain, 1) * 300
    )


def test_a_sine_falls_into_its_bin() -> None:
    magnitude = stft_magnitude(np.sin(2 * np.pi * 32 / 256 * np.arange(2001)))
    assert magnitude.shape == (14, 129, 1)
    assert (magnitude[..., 0].argmax(axis=1) == 32).all()


def test_stft_refuses_what_cannot_be() -> None:
    with pytest.raises(PreprocessError, match="frame of 255 bands is longer than the spectrum, which has 201"):
        stft_magnitude(np.ones(201))
    with pytest.raises(RecipeError, match="length 128 would cut off"):
        stft_magnitude(np.ones(300), fft_length=128)
    for wrong in ({"frame_length": 0}, {"frame_step": 0}, {"frame_step": -1}):
        with pytest.raises(RecipeError, match="whole number from 1"):
            stft_magnitude(np.ones(300), **wrong)


# --- all of them ------------------------------------------------------------------------------------------------

FUNCTIONS = {
    "resample": lambda v, nm: resample(v, nm, np.linspace(nm[0], nm[-1], 77)),
    "splice additive": lambda v, nm: splice_correct(v, nm, (nm[0] + 10, nm[0] + 22)),
    "splice multiplicative": lambda v, nm: splice_correct(v + 9, nm, (nm[0] + 10, nm[0] + 22), "multiplicative"),
    "cut": lambda v, nm: cut(v, nm, np.sort(np.ravel(nm))[3], np.sort(np.ravel(nm))[-3])[0],
    "absorbance": lambda v, nm: to_absorbance(v),
    "divide": lambda v, nm: remove_continuum(v, nm, "divide"),
    "subtract lower": lambda v, nm: remove_continuum(v, nm, "subtract", "lower"),
    "smooth": savitzky_golay,
    "first": derivative,
    "second": lambda v, nm: derivative(v, nm, 2),
    "stft": lambda v, nm: stft_magnitude(v, 33, 16),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@given(values=spectra_st)
@settings(deadline=None, max_examples=30)
def test_one_spectrum_is_treated_as_in_a_batch_and_left_as_it_was(name: str, values: np.ndarray) -> None:
    nm = PAPER_NM[: values.shape[1]]
    before = values.copy()
    batch = FUNCTIONS[name](values, nm)
    for row, ours in zip(values, batch, strict=True):
        np.testing.assert_allclose(FUNCTIONS[name](row, nm), ours, rtol=1e-12, atol=1e-12)
    # Any memory layout, any number type.
    np.testing.assert_allclose(FUNCTIONS[name](np.asfortranarray(values), nm), batch, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(FUNCTIONS[name](values[::-1], nm)[::-1], batch, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(values, before)


@pytest.mark.parametrize("bands", [255, 256, 1918, 1919, 1920, 2001, 2050])
def test_nothing_is_read_beyond_the_spectrum(bands: int) -> None:
    nm = 400.0 + np.arange(bands)
    inside = np.random.default_rng(bands).normal(size=(2, bands))
    surrounded = np.full((4, bands + 512), np.nan)
    surrounded[1:3, 256:-256] = inside
    view = surrounded[1:3, 256:-256]
    # BLAS may add up in another order where memory is aligned otherwise; what lies around would be NaN.
    same = partial(np.testing.assert_allclose, rtol=1e-12, atol=1e-14)
    same(stft_magnitude(view), stft_magnitude(inside))
    same(savitzky_golay(view, nm), savitzky_golay(inside, nm))
    same(stft_magnitude(view[0]), stft_magnitude(inside[0]))


@pytest.mark.parametrize("name", sorted(set(FUNCTIONS) - {"absorbance", "stft"}))
def test_values_must_be_finite_and_match_the_wavelengths(name: str) -> None:
    function = FUNCTIONS[name]
    nm = PAPER_NM[:50]
    values = np.full((2, 50), 0.5)
    with pytest.raises(PreprocessError, match="49 values for 50 wavelengths"):
        function(values[:, 1:], nm)
    with pytest.raises(PreprocessError, match="do not ascend"):
        function(values, nm[::-1])
    with pytest.raises(PreprocessError, match="shape"):
        function(values[np.newaxis], nm)
    with pytest.raises(PreprocessError, match="two or more"):
        function(values, nm[np.newaxis])
    values[1, 7] = np.nan
    with pytest.raises(PreprocessError, match="nan at band 7 of spectrum 1 is not a finite number"):
        function(values, nm)
