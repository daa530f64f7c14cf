"""PLSR for devices says what the baseline says; support vectors stand beside it, and what has no network is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from stibium.converters.models.rbf_network import convert_rbf_network
from stibium.edge.model.runtime import Runtime
from stibium.train.cli.train import train
from stibium.train.crossval.metrics import measure
from stibium.train.crossval.rows import TrainingRows
from stibium.train.methods.baselines import PartialLeastSquares
from stibium.train.methods.linear import Plsr
from stibium.train.methods.registry import DEVICE_METHODS
from stibium.train.methods.support_vectors import Svr
from stibium.train.methods.teachers import TEACHERS

NM = np.arange(500.0, 1001.0)


@pytest.mark.parametrize("skewed", [False, True])
def test_a_device_gets_the_baseline(skewed: bool) -> None:
    rng = np.random.default_rng(3)
    band = rng.uniform(0.05, 0.5, (40, 1))
    x = rng.uniform(0.3, 0.5, (40, 1)) * (1 - band * np.exp(-(((NM - 760) / 60) ** 2))) + rng.normal(
        0, 2e-4, (40, NM.size)
    )
    y = np.exp(8 * band[:, 0] + rng.normal(0, 0.1, 40)) if skewed else 5 + 60 * band[:, 0] + rng.normal(0, 0.3, 40)
    baseline, carried = (
        PartialLeastSquares(True).fit(TrainingRows(x, NM, y)),
        Plsr(fast=True).fit(TrainingRows(x, NM, y)),
    )
    np.testing.assert_allclose(carried.predict(x), baseline.predict(x), rtol=1e-9)
    assert carried.chosen == baseline.chosen
    assert carried.transform == baseline.transform


def test_support_vectors_are_one_block_of_a_network() -> None:
    rng = np.random.default_rng(4)
    band = rng.uniform(0.05, 0.5, (90, 1))
    x = rng.uniform(0.3, 0.5, (90, 1)) * (1 - band * np.exp(-(((NM - 760) / 60) ** 2)))
    y = 20 + 10 * np.sin(9 * band[:, 0]) + rng.normal(0, 0.3, 90)
    model = Svr(fast=True).fit(TrainingRows(x[:60], NM, y[:60]))
    assert measure(model.predict(x[60:]), y[60:]).r2 > 0.9
    assert len(model.recipe.recipes) == 1
    assert model.chosen.startswith("support vectors 100%, PLSR 0%; ")
    arrays = model.network.to_arrays()
    features = model.features(x[60:])
    (found,) = convert_rbf_network(arrays, model.scaling, model.transform, ("float16",)).values()
    said = Runtime(found).run(model.scaling.apply(features))
    np.testing.assert_allclose(said, model.answer(features), atol=0.1)


@pytest.mark.parametrize("name", [*DEVICE_METHODS, *TEACHERS])
def test_every_method_is_carried_or_says_how(name: str, tmp_path: Path) -> None:
    said = CliRunner().invoke(
        train,
        ["--method", name, *("--spectra", "x", "--assays", "none.csv", "--element", "Sb", "--out", str(tmp_path))],
    )
    # Taken, it misses the table.
    assert said.exit_code != 0
    if name in DEVICE_METHODS or name.lower() in DEVICE_METHODS:
        assert "none.csv" in str(said.exception)
    else:
        assert f'distil it: --method mobilenetv2 --teacher "{name}"' in said.output
