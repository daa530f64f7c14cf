"""Estimates and refusals: what may be answered, how it is bounded, and that a bad spectrum stops nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stibium.converters.spectra.spectrum import Spectrum
from stibium.edge.errors import BundleError, UnsuitableSpectrumError
from stibium.edge.model.bundle import Bundle
from stibium.edge.model.estimate import Estimate, Estimator, Refusal
from stibium.edge.model.suitability import require_reflectance
from stibium.edge.model.target import forward, inverse


@pytest.fixture(scope="module")
def estimator(shipped_bundle: Bundle) -> Estimator:
    return Estimator(shipped_bundle)


def only(answers: list[Estimate | Refusal]) -> Estimate:
    (answer,) = answers
    assert isinstance(answer, Estimate), answer
    return answer


def test_golden_spectra_get_their_golden_answers(estimator: Estimator) -> None:
    golden = estimator.bundle.golden
    assert golden is not None
    spectra = [
        Spectrum(golden.wavelengths_nm, values, "reflectance", "G", splices_nm=golden.splices_nm)
        for values in golden.reflectance
    ]
    values = [only([a]).value for a in estimator.estimate(spectra)]
    np.testing.assert_allclose(values, golden.expected, rtol=golden.tolerance)


def test_statistics_of_other_bands_than_the_preprocessing_gives_are_refused(shipped_bundle: Bundle) -> None:
    assert shipped_bundle.domain is not None
    other = replace(shipped_bundle, domain=replace(shipped_bundle.domain, bands_per_bin=20))
    with pytest.raises(BundleError, match=r"statistics are of 205 bands and its preprocessing gives 102; train"):
        Estimator(other)


def test_alone_or_together_is_the_same_answer(estimator: Estimator, soils: list[Spectrum]) -> None:
    together = [only([a]).value for a in estimator.estimate(soils)]
    alone = [only(estimator.estimate([s])).value for s in soils]
    np.testing.assert_allclose(alone, together, rtol=1e-6)


def test_order_is_kept_and_bad_ones_stop_nothing(estimator: Estimator, soils: list[Spectrum]) -> None:
    good = soils[0]
    coarse = replace(good, wavelengths_nm=good.wavelengths_nm[::2], values=good.values[::2], sample_id="coarse")
    raw = replace(good, quantity="raw_dn", sample_id="raw", source="raw.asd")
    answers = estimator.estimate([good, raw, coarse, replace(good, saturated=("VNIR",)), good])
    assert [type(a) for a in answers] == [Estimate, Refusal, Estimate, Refusal, Estimate]
    assert answers[1].sample_id == "raw"
    assert answers[1].reason.startswith("holds raw dn; the model needs reflectance")
    assert "VNIR saturated" in answers[3].reason
    assert only([answers[0]]).value == only([answers[4]]).value


def test_absorbance_is_taken_as_the_reflectance_it_is(estimator: Estimator, soils: list[Spectrum]) -> None:
    good = soils[0]
    same = replace(good, quantity="absorbance", values=-np.log10(good.values))
    assert only(estimator.estimate([same])).value == pytest.approx(only(estimator.estimate([good])).value, rel=1e-6)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda v, nm: np.where(nm == 900, 0.0, v), "not above zero"),
        (lambda v, nm: v * 100, "in percent"),
        (lambda v, nm: np.full_like(v, 0.5), "same at every wavelength"),
        (lambda v, nm: v - 1, "not above zero"),
    ],
)
def test_implausible_reflectance_is_refused(estimator: Estimator, soils: list[Spectrum], change, reason: str) -> None:
    good = soils[0]
    (answer,) = estimator.estimate([replace(good, values=change(good.values, good.wavelengths_nm))])
    assert isinstance(answer, Refusal)
    assert reason in answer.reason


def test_what_lies_outside_the_models_range_does_not_count(estimator: Estimator, soils: list[Spectrum]) -> None:
    good = soils[0]
    dark_edge = replace(good, values=np.where(good.wavelengths_nm < 380, -0.01, good.values))
    assert only(estimator.estimate([dark_edge])).value == pytest.approx(only(estimator.estimate([good])).value)


def test_wrong_range_names_both_ranges(soils: list[Spectrum]) -> None:
    keep = (soils[0].wavelengths_nm >= 350) & (soils[0].wavelengths_nm <= 1075)
    short = replace(soils[0], wavelengths_nm=soils[0].wavelengths_nm[keep], values=soils[0].values[keep])
    with pytest.raises(UnsuitableSpectrumError, match=r"covers 350-1075 nm; the model needs 400-2400 nm"):
        require_reflectance(short, (400, 2400))


def test_beyond_the_calibrated_range_is_a_bound_not_a_number(shipped_bundle: Bundle, soils: list[Spectrum]) -> None:
    shipped_bundle = replace(shipped_bundle, detection=None, error_model=None)
    value = only(Estimator(shipped_bundle).estimate(soils[:1])).value
    low = only(Estimator(replace(shipped_bundle, calibrated_range=(value * 2, value * 4))).estimate(soils[:1]))
    assert (low.bound, low.value, low.trusted) == ("<", value * 2, False)
    high = only(Estimator(replace(shipped_bundle, calibrated_range=(value / 4, value / 2))).estimate(soils[:1]))
    assert (high.bound, high.value, high.trusted) == (">", value / 2, False)
    assert high.high is not None
    assert high.high <= value / 2


def test_interval_is_around_the_value(estimator: Estimator, soils: list[Spectrum]) -> None:
    for answer in estimator.estimate(soils):
        estimate = only([answer])
        assert estimate.low is not None
        assert estimate.high is not None
        assert estimate.low <= estimate.value <= estimate.high
        assert estimate.coverage == 0.9


def test_simulated_model_says_so_in_each_answer(estimator: Estimator, soils: list[Spectrum]) -> None:
    measured = only(estimator.estimate([replace(soils[0], simulated=False)]))
    assert measured.simulated
    assert measured.flags == ("simulated model",)
    assert only(estimator.estimate(soils[:1])).flags == ("simulated model", "simulated spectrum")


def test_another_kind_of_thing_is_outside(estimator: Estimator, soils: list[Spectrum]) -> None:
    nm = soils[0].wavelengths_nm
    # A green leaf: chlorophyll, red edge, water of the tissue.
    leaf = 0.05 + 0.45 / (1 + np.exp(-(nm - 715) / 12)) - 0.2 * np.exp(-(((nm - 1450) / 60) ** 2))
    leaf = np.clip(leaf - 0.3 * np.exp(-(((nm - 1940) / 80) ** 2)), 0.02, None)
    leaf += np.random.default_rng(1).normal(0, 1e-4, nm.size)
    answer = only(estimator.estimate([replace(soils[0], values=leaf)]))
    assert answer.verdict == "outside"
    assert not answer.trusted
    assert "calibration soil" in answer.reason


def test_no_statistics_means_unknown_not_inside(shipped_bundle: Bundle, soils: list[Spectrum]) -> None:
    bare = only(Estimator(replace(shipped_bundle, domain=None, interval=None)).estimate(soils[:1]))
    assert (bare.verdict, bare.trusted, bare.low, bare.high) == ("unknown", False, None, None)


@given(st.floats(0.01, 1e5), st.sampled_from(["none", "sqrt", "log10"]))
def test_transform_and_back(value: float, transform) -> None:
    assert float(inverse(forward(np.array(value), transform), transform)) == pytest.approx(value, rel=1e-9)


def test_a_negative_root_is_no_concentration() -> None:
    assert float(inverse(np.array(-3.0), "sqrt")) == 0.0
