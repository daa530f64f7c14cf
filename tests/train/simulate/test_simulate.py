"""The seeded set of simulated soils: the relations the paper describes, and that every spectrum says what it is."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy.signal import savgol_filter
from scipy.stats import spearmanr
from sklearn.cross_decomposition import PLSRegression
from sklearn.metrics import r2_score
from sklearn.model_selection import KFold, cross_val_predict
from stibium.converters.spectra.spectrum import Spectrum
from stibium.edge.model.steps import Absorbance, SpliceCorrection
from stibium.train.assays.published import ELEMENTS, read_table_a1
from stibium.train.simulate.simulate import Simulated, SimulationError, simulate

NM = np.arange(350.0, 2501.0)
SPLICES_NM = (1000.0, 1800.0)


@pytest.fixture(scope="module")
def published() -> Simulated:
    return simulate()


@pytest.fixture(scope="module")
def points(published: Simulated) -> np.ndarray:
    return published.reflectance()


@pytest.fixture(scope="module")
def means(points: np.ndarray) -> np.ndarray:
    return points.mean(axis=1)


@pytest.fixture(scope="module")
def Sb_ppm(published: Simulated) -> np.ndarray:
    return reported(published)[:, 0]


def reported(simulated: Simulated) -> np.ndarray:
    return np.array([[float(text.lstrip(">")) for text in soil.reported_ppm] for soil in simulated.soils])


def band_depth(values: np.ndarray, left_nm: float, right_nm: float, centre_nm: float) -> np.ndarray:
    """1 - R / line between the shoulders, at the deepest point within 20 nm of the centre."""
    left, right = (values[:, int(nm - 350)][:, None] for nm in (left_nm, right_nm))
    inside = np.abs(NM - centre_nm) <= 20
    line = left + (right - left) * (NM[inside] - left_nm) / (right_nm - left_nm)
    return (1 - values[:, inside] / line).max(axis=1)


def test_the_published_soils_in_their_order(published: Simulated) -> None:
    rows = read_table_a1()
    assert [soil.sample for soil in published.soils] == [row.sample for row in rows]
    assert [soil.reported_ppm for soil in published.soils] == [row.reported_ppm for row in rows]
    assert {soil.simulated for soil in published.soils} == {"spectra"}


def test_reflectance_level_does_not_follow_Sb(means: np.ndarray, Sb_ppm: np.ndarray) -> None:
    assert abs(spearmanr(means[:, 50:2051].mean(axis=1), Sb_ppm)[0]) < 0.2


@pytest.mark.parametrize(
    ("left_nm", "right_nm", "centre_nm"),
    [
        pytest.param(1850, 2120, 1912, id="water"),
        pytest.param(2125, 2250, 2205, id="Al-OH"),
        pytest.param(440, 570, 485, id="visible shoulder"),
    ],
)
def test_bands_are_weaker_where_Sb_is_high_but_only_on_the_whole(
    means: np.ndarray, Sb_ppm: np.ndarray, left_nm: float, right_nm: float, centre_nm: float
) -> None:
    depth = band_depth(means, left_nm, right_nm, centre_nm)
    low, high = np.quantile(Sb_ppm, [0.25, 0.75])
    assert depth[Sb_ppm >= high].mean() < 0.85 * depth[Sb_ppm <= low].mean()
    rho = spearmanr(depth, Sb_ppm)[0]
    assert -0.75 < rho < -0.2
    # Scatter as in soil: some high-Sb soils have deeper bands than some low-Sb ones.
    assert depth[Sb_ppm >= high].max() > np.median(depth[Sb_ppm <= low])


def test_RS052_shows_the_ramp_of_ferrous_iron(published: Simulated, means: np.ndarray) -> None:
    names = [soil.sample for soil in published.soils]
    # The Fe2+ bands pull 1050-1250 nm below the line from the red shoulder to 1320 nm.
    depth = band_depth(means, 760, 1650, 1150)
    rank = np.argsort(np.argsort(depth))[names.index("RS052")]
    assert rank >= 0.8 * len(names)


def test_spectra_look_like_air_dry_soil(points: np.ndarray) -> None:
    assert np.isfinite(points).all()
    assert (points > 0).all()
    assert (points < 1.2).all()
    middle = np.median(points, axis=(0, 1))
    at = {nm: middle[nm - 350] for nm in (450, 700, 1000, 1650, 2120, 2450)}
    assert 0.03 < at[450] < 0.15
    assert at[450] < at[700] < at[1000] < at[1650]
    assert 0.35 < at[1650] < 0.75
    assert at[2450] < at[2120]


def test_level_and_depth_agree_with_measured_contact_probe_soils(shared_data, means: np.ndarray) -> None:  # type: ignore[no-untyped-def]
    real = np.genfromtxt(shared_data / "soil" / "geeves_contact_probe.csv.gz", delimiter=",", skip_header=1)[:, 5:]
    for nm in (450, 700, 1000, 1650, 2120, 2450):
        low, high = np.quantile(real[:, nm - 350], [0.02, 0.98])
        assert low < np.median(means[:, nm - 350]) < high
    for band in ((1850, 2120, 1912), (2125, 2250, 2205), (1360, 1540, 1414)):
        low, high = np.quantile(band_depth(real, *band), [0.05, 0.98])
        assert low < np.median(band_depth(means, *band)) < high


def test_points_of_a_sample_differ_and_belong_together(points: np.ndarray) -> None:
    A = np.log10(1 / points[:, :, 50:2051])
    assert (np.ptp(points, axis=1).max(axis=1) > 0.005).all()
    within = A.std(axis=1, ddof=1).mean()
    between = A.mean(axis=1).std(axis=0, ddof=1).mean()
    assert 0.1 * between < within < 0.6 * between
    for soil in points[::10]:
        assert np.corrcoef(soil[:, 50:2051]).min() > 0.98


def test_detector_joins_show_steps_that_splice_correction_removes(points: np.ndarray) -> None:
    values = points.reshape(-1, NM.size)
    corrected = SpliceCorrection().apply(values, NM, SPLICES_NM)

    def steps(of: np.ndarray, join_nm: float) -> np.ndarray:
        # The change across the join less the change the slope on both sides explains.
        at = int(join_nm) - 350
        slope = (of[:, at] - of[:, at - 8] + of[:, at + 9] - of[:, at + 1]) / 16
        return of[:, at + 1] - of[:, at] - slope

    for join_nm in SPLICES_NM:
        before, after = steps(values, join_nm), steps(corrected, join_nm)
        assert np.median(np.abs(before)) > 5e-4
        assert np.median(np.abs(after)) < 0.2 * np.median(np.abs(before))


@pytest.fixture(scope="module")
def many() -> Simulated:
    return simulate(400, points=3)


@pytest.fixture(scope="module")
def derivative(many: Simulated) -> np.ndarray:
    values = SpliceCorrection().apply(many.reflectance().mean(axis=1), NM, SPLICES_NM)
    return savgol_filter(Absorbance().apply(values, NM)[:, 50:2051], 31, 2, deriv=1, axis=1)


@pytest.mark.parametrize(("element", "least"), [("Sb", 0.3), ("As", 0.2), ("Pb", 0.2), ("Mn", 0.1), ("Zn", 0.1)])
def test_spectra_tell_of_each_element_something_but_not_all(
    many: Simulated, derivative: np.ndarray, element: str, least: float
) -> None:
    target = np.log10(reported(many)[:, ELEMENTS.index(element)])
    folds = KFold(5, shuffle=True, random_state=0)
    found = cross_val_predict(PLSRegression(10, scale=False), derivative / derivative.std(), target, cv=folds)
    assert least < r2_score(target, found.ravel()) < 0.9


def test_shuffled_assays_cannot_be_told(many: Simulated, derivative: np.ndarray) -> None:
    # The other half of the test above: without the tie there is nothing to find.
    target = np.random.default_rng(0).permutation(np.log10(reported(many)[:, 0]))
    folds = KFold(5, shuffle=True, random_state=0)
    found = cross_val_predict(PLSRegression(4, scale=False), derivative / derivative.std(), target, cv=folds)
    assert r2_score(target, found.ravel()) < 0.05


def test_further_soils_are_marked_and_censored_like_the_published(many: Simulated) -> None:
    further = many.soils[107:]
    assert [soil.sample for soil in further] == [f"SIM{number:04d}" for number in range(1, 294)]
    assert {soil.simulated for soil in further} == {"spectra and assays"}
    assert {soil.site for soil in further} == {"Ribeiro da Serra", "Tapada"}
    censored = [soil for soil in further if soil.reported_ppm[0].startswith(">")]
    assert 0 < len(censored) < 60
    assert reported(many)[:, 0].max() == 4000


def test_a_drawn_Sb_above_the_limit_stays_out_of_sight(published: Simulated) -> None:
    true_ppm = published._true_ppm[:, 0]
    censored = np.array([soil.reported_ppm[0] == ">4000" for soil in published.soils])
    assert (true_ppm[censored] > 4000).all()
    assert np.array_equal(true_ppm[~censored], reported(published)[~censored, 0])
    spectra = list(simulate(107, points=1).spectra())
    for hidden, spectrum in zip(true_ppm, spectra, strict=True):
        if hidden > 4000:
            assert f"{hidden:.0f}" not in repr(spectrum.extra) + spectrum.comment + spectrum.source


def assert_equal(left: Spectrum, right: Spectrum) -> None:
    for field in dataclasses.fields(Spectrum):
        a, b = getattr(left, field.name), getattr(right, field.name)
        assert np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b, field.name


def test_same_seed_gives_the_same_spectra_and_another_seed_others() -> None:
    first, again, other = (list(simulate(6, points=2, seed=seed).spectra()) for seed in (5, 5, 6))
    assert len(first) == 12
    for left, right in zip(first, again, strict=True):
        assert_equal(left, right)
    assert not any(np.array_equal(a.values, b.values) for a, b in zip(first, other, strict=True))


def test_a_soil_does_not_depend_on_how_many_are_simulated(points: np.ndarray) -> None:
    assert np.array_equal(simulate(7).reflectance(), points[:7])
    assert np.array_equal(simulate(120, points=2).reflectance()[:107], points[:, :2])


def test_each_spectrum_says_what_it_is() -> None:
    spectra = list(simulate(3, points=4, seed=9).spectra())
    assert [(s.sample_id, s.measurement) for s in spectra[:5]] == [
        ("RS001", "00001"),
        ("RS001", "00002"),
        ("RS001", "00003"),
        ("RS001", "00004"),
        ("TP004", "00001"),
    ]
    for spectrum in spectra:
        assert spectrum.simulated
        assert spectrum.comment.startswith("simulated")
        assert spectrum.instrument.startswith("simulated")
        assert spectrum.quantity == "reflectance"
        assert spectrum.splices_nm == SPLICES_NM
        assert np.array_equal(spectrum.wavelengths_nm, NM)
    times = [spectrum.measured_at for spectrum in spectra]
    assert times == sorted(set(times))


def test_spectra_and_reflectance_are_the_same(published: Simulated, points: np.ndarray) -> None:
    streamed = published.spectra()
    for soil in points[:40]:
        for values in soil:
            assert np.array_equal(next(streamed).values, values)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"samples": 0}, "0 samples cannot be simulated; ask for 1 or more"),
        ({"points": 0}, "0 points per sample cannot be simulated; ask for 1 to 99"),
        ({"points": 100}, "100 points per sample cannot be simulated; ask for 1 to 99"),
        ({"seed": -1}, "seed -1 is negative; give 0 or more"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments: dict[str, int], reason: str) -> None:
    with pytest.raises(SimulationError, match=reason):
        simulate(**arguments)
