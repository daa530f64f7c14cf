"""What a finished model can bear: measured in training, kept by the bundle, obeyed by the device."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from stibium.converters.spectra.spectrum import Spectrum
from stibium.edge.errors import BundleError
from stibium.edge.model.bundle import Bundle, read_bundle, write_bundle
from stibium.edge.model.estimate import Estimate, Estimator, Refusal
from stibium.edge.model.stability import UNKNOWN_LIMITS
from stibium.train.stability import MOVED, NOISE_TRIED, STEPS_TRIED, TRIED, fit_stability


def test_the_sampling_that_estimates_bear(shipped_bundle: Bundle, soils: list[Spectrum]) -> None:
    borne = fit_stability(shipped_bundle, soils).sampling_most
    assert borne is not None
    assert 1 <= borne <= TRIED[-1]
    # What it says holds: thinner by so much estimates hardly move, by the next step they do.
    estimator = Estimator(replace(shipped_bundle, golden=None))

    def moved(times: int) -> float:
        kept = np.unique([*range(0, soils[0].wavelengths_nm.size, times), soils[0].wavelengths_nm.size - 1])
        thin = [replace(s, wavelengths_nm=s.wavelengths_nm[kept], values=s.values[kept]) for s in soils]
        pairs = zip(estimator.estimate(soils), estimator.estimate(thin), strict=True)
        shares = [
            abs(np.log10(b.value / a.value)) / np.log10(a.high / a.low)
            for a, b in pairs
            if isinstance(a, Estimate) and isinstance(b, Estimate) and a.low and a.high
        ]
        return float(np.percentile(shares, 75))

    assert shipped_bundle.transform == "log10"
    if borne > 1:
        assert moved(int(borne)) <= MOVED
    if borne < TRIED[-1]:
        assert moved(next(times for times in TRIED if times > borne)) > MOVED


@pytest.mark.parametrize(("times", "kind"), [(3, "plain"), (4, "remark"), (7, "remark"), (8, "refusal")])
def test_the_device_obeys_it(
    shipped_bundle: Bundle, soils: list[Spectrum], tmp_path: Path, times: int, kind: str
) -> None:
    path = tmp_path / "m.tflite"
    stability = shipped_bundle.stability._replace(sampling_most=3.0)
    write_bundle(path, replace(shipped_bundle, stability=stability))
    bundle = read_bundle(path)
    assert bundle.stability.sampling_most == 3.0
    coarse = replace(soils[0], wavelengths_nm=soils[0].wavelengths_nm[::times], values=soils[0].values[::times])
    (answer,) = Estimator(bundle).estimate([coarse])
    assert isinstance(answer, Refusal if kind == "refusal" else Estimate)
    if isinstance(answer, Estimate):
        assert any("times as far apart" in flag for flag in answer.flags) == (kind == "remark")


def test_a_bundle_whose_limit_is_senseless_is_refused(shipped_bundle: Bundle, tmp_path: Path) -> None:
    path = tmp_path / "m.tflite"
    write_bundle(path, replace(shipped_bundle, stability=shipped_bundle.stability._replace(sampling_most=0.5)))
    with pytest.raises(BundleError, match="sampling_most"):
        read_bundle(path)


def test_without_intervals_nothing_can_be_said(shipped_bundle: Bundle, soils: list[Spectrum]) -> None:
    assert fit_stability(replace(shipped_bundle, interval=None), soils) == UNKNOWN_LIMITS
    assert fit_stability(shipped_bundle, soils[:2]) == UNKNOWN_LIMITS
    assert fit_stability(shipped_bundle, []) == UNKNOWN_LIMITS


def test_the_noise_and_the_steps_that_estimates_bear(shipped_bundle: Bundle, soils: list[Spectrum]) -> None:
    found = fit_stability(shipped_bundle, soils)
    assert found.noise_most is not None
    assert found.splice_step_most is not None
    assert NOISE_TRIED[0] <= found.noise_most <= NOISE_TRIED[-1]
    assert STEPS_TRIED[0] <= found.splice_step_most <= STEPS_TRIED[-1]
    # What it says holds for other noise of that size too.
    estimator, rng = Estimator(replace(shipped_bundle, golden=None)), np.random.default_rng(5)
    noisy = [replace(s, values=s.values + rng.normal(0, found.noise_most, s.values.size)) for s in soils]
    shares = [
        abs(np.log10(b.value / a.value)) / np.log10(a.high / a.low)
        for a, b in zip(estimator.estimate(soils), estimator.estimate(noisy), strict=True)
        if isinstance(a, Estimate) and isinstance(b, Estimate) and a.low and a.high
    ]
    # Five soils: one of them may move farther by chance.
    assert np.median(shares) <= 0.5


def test_a_limit_spares_what_the_calibration_has_itself(shipped_bundle: Bundle, soils: list[Spectrum]) -> None:
    rng = np.random.default_rng(2)
    noisy = [replace(s, values=s.values + rng.normal(0, 0.004, s.values.size)) for s in soils]
    found = fit_stability(shipped_bundle, noisy).noise_most
    assert found is not None
    assert found > 0.005
