"""The five models, each a pipeline that fits its own preprocessing, and what a search may choose of each.

Missing values become the median of the training rows and a column that says so (`SimpleImputer` with its indicator);
all inputs are standardised, as in the study; before that, logistic regression may straighten skewed assays, and words
without an order become a column each. What is searched lies around what the study names: about 100 trees,
learning rates around 0.1 and up to 1 for AdaBoost, depths of 5 to 10.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.ensemble import AdaBoostClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier
from xgboost import XGBClassifier

from ...edge.ore.columns import Variable
from .encode import CURVES, Encode

Parameters = Mapping[str, Any]
FAST_TREES = 25
"""Members of an ensemble in a first look."""


@dataclass(frozen=True)
class Model:
    """One of the five.

    Attributes:
        name: short, for options and files.
        title: for people.
        choices: parameter -> values that a search draws from.
        budget: how many combinations a search tries; with `fast`, half of it.
        cost: time of a fit beside the others', for the remaining time.
        first: parameters of the search's first round, where less must do to tell combinations apart.
    """

    name: str
    title: str
    choices: Mapping[str, tuple[Any, ...]]
    budget: int
    cost: float
    first: Mapping[str, Any] = field(default_factory=dict)

    def candidates(self, seed: int, fast: bool = False) -> tuple[Parameters, ...]:
        """Draw the combinations a search tries; equal seeds draw the same ones.

        Returns:
            All of them if the budget suffices, else as many as it allows.
        """
        choices = {**self.choices}
        if fast and "n_estimators" in choices:
            choices["n_estimators"] = (FAST_TREES,)
        every = [dict(zip(choices, values, strict=True)) for values in itertools.product(*choices.values())]
        budget = max(2, self.budget // 2) if fast else self.budget
        if len(every) <= budget:
            return tuple(every)
        chosen = np.random.default_rng(seed).choice(len(every), budget, replace=False)
        return tuple(every[i] for i in sorted(chosen))

    def pipeline(self, parameters: Parameters, seed: int, variables: Sequence[Variable] = ()) -> Pipeline:
        """Build the unfitted pipeline: encoder where one is needed, imputer with indicator, scaler, classifier.

        Args:
            parameters: of the classifier, and `curve` and `below` of its encoder.
            seed: of the classifier.
            variables: what the columns are; none if all are numbers, and then nothing encodes them.
        """
        parameters = dict(parameters)
        encoding = {name: parameters.pop(name) for name in ("curve", "below") if name in parameters}
        encoder = [("encoder", Encode(tuple(variables), **encoding))] if variables else []
        steps = [
            *encoder,
            # A column that is empty in a fold's training rows must not vanish from its model.
            ("imputer", SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)),
            ("scaler", StandardScaler()),
            ("classifier", _classifier(self.name, parameters, seed)),
        ]
        return Pipeline(steps)


def _classifier(name: str, parameters: dict[str, Any], seed: int) -> Any:
    if name == "logistic":
        return LogisticRegression(max_iter=2000, random_state=seed, **parameters)
    if name == "tree":
        return DecisionTreeClassifier(random_state=seed, **parameters)
    if name == "forest":
        return RandomForestClassifier(random_state=seed, n_jobs=1, **parameters)
    if name == "adaboost":
        weak = DecisionTreeClassifier(max_depth=parameters.pop("max_depth"), random_state=seed)
        return AdaBoostClassifier(weak, random_state=seed, **parameters)
    return XGBClassifier(random_state=seed, n_jobs=1, tree_method="hist", max_bin=128, **parameters)


MODELS: dict[str, Model] = {
    model.name: model
    for model in (
        Model("logistic", "logistic regression", {"C": (0.01, 0.1, 1.0, 10.0), "curve": CURVES}, 12, 0.5),
        Model("tree", "decision tree", {"max_depth": (5, 7, 10), "min_samples_leaf": (5, 20)}, 6, 0.4),
        Model(
            "forest",
            "random forest",
            {
                "n_estimators": (100,),
                "max_depth": (6, 8, 10),
                "min_samples_leaf": (2, 5),
                "max_features": ("sqrt", 0.25),
            },
            4,
            6.0,
            {"n_estimators": 30},
        ),
        Model(
            "adaboost",
            "AdaBoost",
            {"n_estimators": (50, 100), "learning_rate": (0.1, 0.3, 1.0), "max_depth": (1, 2)},
            4,
            7.0,
        ),
        Model(
            "xgboost",
            "XGBoost",
            {
                "n_estimators": (100,),
                "max_depth": (5, 7, 10),
                "learning_rate": (0.1, 0.2),
                "min_child_weight": (1.0, 5.0),
                "subsample": (0.8,),
            },
            4,
            1.0,
        ),
    )
}
"""In the order of the study."""
