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
from stibium.train.stability import MOVED, TRIED, fit_sampling


def test_the_sampling_that_estimates_bear(shipped_bundle: Bundle, soils: list[Spectrum]) -> None:
    borne = fit_sampling(shipped_bundle, soils)
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
    assert fit_sampling(replace(shipped_bundle, interval=None), soils) is None
    assert fit_sampling(shipped_bundle, soils[:2]) is None
