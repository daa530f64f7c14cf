"""What a report's first box says of a model, in words of the trade."""

from __future__ import annotations

import pytest
from stibium.edge.model.bundle import Bundle
from stibium.edge.model.presets import RECIPES
from stibium.train.report.gather import preprocessing_in_words, response_in_words


def test_preprocessing_is_said_and_what_blocks_share_once(shipped_bundle: Bundle) -> None:
    said = preprocessing_in_words(shipped_bundle.recipe)
    assert said.startswith("400–2450 nm, absorbance; 6 blocks side by side: first derivative over 31 nm; ")
    assert said.count("absorbance") == 1
    assert "standard normal variate, smoothed over 15 nm" in said
    assert said.endswith("second derivative over 61 nm")


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_one_recipe_is_said_step_by_step(name: str) -> None:
    assert "side by side" not in preprocessing_in_words(RECIPES[name])


def test_every_transform_has_words() -> None:
    assert [response_in_words(name) for name in ("none", "sqrt", "log10")] == [  # type: ignore[arg-type]
        "the content itself",
        "its square root",
        "its logarithm (log10)",
    ]
