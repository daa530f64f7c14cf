from __future__ import annotations

import numpy as np
import pytest
from soil_like import soil_like
from stibium.train.crossval.rows import TrainingRows
from stibium.train.errors import TrainingDataError
from stibium.train.methods.network import Block, NetworkConfig
from stibium.train.methods.published import PublishedNetwork
from stibium.train.methods.registry import BASELINES, METHODS

TINY = {"epochs": 4, "batch_size": 16, "network": NetworkConfig(4, 3, (4, 8), (Block(4, 2, 2),))}


def test_stops_by_a_part_of_its_own_training_rows_and_repeats_itself() -> None:
    data = soil_like(40)
    method = PublishedNetwork(**TINY)
    first = method.fit(TrainingRows(data.reflectance, data.wavelengths_nm, data.measured, seed=3))
    again = method.fit(TrainingRows(data.reflectance, data.wavelengths_nm, data.measured, seed=3))
    predicted = first.predict(data.reflectance)
    np.testing.assert_array_equal(again.predict(data.reflectance), predicted)
    assert data.measured.min() <= predicted.min() < predicted.max() <= data.measured.max()
    assert first.chosen.endswith("of 4; target's transform none")
    assert (first.low, first.high) == (data.measured.min(), data.measured.max())


def test_takes_the_better_transform_of_those_allowed() -> None:
    data = soil_like(30)
    method = PublishedNetwork(transforms=("none", "log10"), **TINY)
    both = method.fit(TrainingRows(data.reflectance, data.wavelengths_nm, data.measured))
    assert both.transform in ("none", "log10")
    zero = data.measured - data.measured.min()
    with pytest.raises(TrainingDataError, match="the lowest value, 0, has no log10"):
        PublishedNetwork(transforms=("log10",)).fit(TrainingRows(data.reflectance, data.wavelengths_nm, zero))


def test_relu6_after_the_projection_can_be_asked_for() -> None:
    assert PublishedNetwork().config.linear_projection
    asked = PublishedNetwork(projection="relu6")
    assert not asked.config.linear_projection
    assert asked.settings()["projection"] == "relu6"
    # What a network says of itself is what was built.
    assert asked.config.to_dict() | {"linear_projection": True} == PublishedNetwork().config.to_dict()


def test_every_registered_method_has_its_name_and_a_fast_setting() -> None:
    for name, make in METHODS.items():
        assert make(True).name == make(False).name == name
        assert make(True) != make(False)
    assert set(BASELINES) < set(METHODS)
