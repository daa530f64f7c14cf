"""PLSR for devices says what the baseline says."""

from __future__ import annotations

import numpy as np
import pytest
from stibium.train.methods.baselines import PartialLeastSquares
from stibium.train.methods.linear import Plsr

NM = np.arange(500.0, 1001.0)


@pytest.mark.parametrize("skewed", [False, True])
def test_a_device_gets_the_baseline(skewed: bool) -> None:
    rng = np.random.default_rng(3)
    band = rng.uniform(0.05, 0.5, (40, 1))
    x = rng.uniform(0.3, 0.5, (40, 1)) * (1 - band * np.exp(-(((NM - 760) / 60) ** 2))) + rng.normal(
        0, 2e-4, (40, NM.size)
    )
    y = np.exp(8 * band[:, 0] + rng.normal(0, 0.1, 40)) if skewed else 5 + 60 * band[:, 0] + rng.normal(0, 0.3, 40)
    baseline, carried = PartialLeastSquares(True).fit(x, NM, y), Plsr(fast=True).fit(x, NM, y)
    np.testing.assert_allclose(carried.predict(x), baseline.predict(x), rtol=1e-9)
    assert carried.chosen == baseline.chosen
    assert carried.transform == baseline.transform
