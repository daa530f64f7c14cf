"""A fitted scikit-learn pipeline or XGBoost classifier into an ore bundle, whose answers are checked to be the same.

Taken: LogisticRegression, DecisionTreeClassifier, RandomForestClassifier, AdaBoostClassifier of decision trees,
XGBClassifier with `binary:logistic`; before them SimpleImputer, StandardScaler, RobustScaler, MinMaxScaler,
FunctionTransformer of a few NumPy functions and ColumnTransformer; around them CalibratedClassifierCV with one member.
Class 1 is ore, class 0 gangue. Needs the `train` extra.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...edge.ore.bundle import QUANTILES, Costs, GoldenBlocks, OreBundle, Training, Worth
from ...edge.ore.columns import Columns
from ...edge.ore.domain import OreDomain
from ...edge.ore.model import Calibration, Kind, Linear, OreModel, Space
from ...edge.ore.scenarios import Scenario
from ...edge.ore.steps import FUNCTIONS, Step, apply_steps, halved
from ...edge.ore.trees import Tree, Trees, join_trees
from ..spectra.spectrum import Floats
from .errors import ConversionError, ParityError

TOLERANCE = 1e-6
GOLDEN = 16
RARELY = 0.995


def convert(
    pipeline: Any,
    *,
    columns: Columns,
    scenario: Scenario,
    blocks: Floats,
    labels: NDArray[Any],
    threshold: float,
    costs: Costs,
    simulated: bool,
    worth: Worth | None = None,
    domain: OreDomain | None = None,
    provenance: dict[str, Any] | None = None,
) -> OreBundle:
    """Make a bundle of a fitted pipeline, and make sure that it answers as the pipeline does.

    Args:
        pipeline: fitted on `blocks`: a Pipeline, a classifier, or a CalibratedClassifierCV of either.
        columns: the variables in the order of the pipeline's columns.
        scenario: what they were chosen by.
        blocks: (n, variables) training blocks as the pipeline took them, not-a-number where missing; of a pipeline
            that begins with `Encode`, the limit's negative where a value is below it.
        labels: (n,) 1 ore, 0 gangue.
        threshold: probability from which a block is called ore.
        costs: what the threshold was chosen for.
        simulated: True if the blocks are simulated.
        worth: what its calls cost on blocks it had not seen.
        domain: which values belong together.
        provenance: data hashes, versions, seed, metrics, as JSON values.

    Raises:
        ConversionError: a part of the pipeline is of a kind that the device does not do.
        ParityError: a probability differs by more than 1e-6.
    """
    blocks = np.asarray(blocks, dtype=np.float64)
    if blocks.shape[1] != len(columns.variables):
        raise ConversionError(f"{blocks.shape[1]} columns in the blocks, {len(columns.variables)} variables")
    model = convert_model(pipeline, blocks)
    expected = np.asarray(pipeline.predict_proba(blocks), dtype=np.float64)[:, 1]
    difference = float(np.abs(model.probabilities(blocks) - expected).max())
    if not difference <= TOLERANCE:
        raise ParityError(
            f"the converted {model.kind} answers differently: by {difference:.1e} in probability on the training "
            f"blocks, {TOLERANCE:g} is allowed"
        )
    known = halved(blocks) if model.takes_limits else blocks
    absent = np.isnan(blocks)
    if absent.all(axis=0).any():
        raise ConversionError(f"{columns.names[int(absent.all(axis=0).argmax())]}: not known of any training block")
    # From the lowest to the highest probability, and with what is missing, if it ever is.
    order = np.argsort(expected, kind="stable")
    chosen = order[np.linspace(0, len(order) - 1, GOLDEN).round().astype(int)]
    golden = blocks[np.unique(np.concatenate([chosen, np.flatnonzero(absent.any(axis=1))[:2]]))]
    return OreBundle(
        model=model,
        columns=columns,
        scenario=scenario,
        threshold=float(threshold),
        costs=costs,
        training=Training(
            blocks=len(blocks),
            ore_share=float(np.mean(labels)),
            lowest=np.nanmin(known, axis=0),
            highest=np.nanmax(known, axis=0),
            quantiles=np.nanquantile(known, QUANTILES, axis=0).T,
            most_missing=most_missing(blocks),
        ),
        golden=GoldenBlocks(
            values=golden,
            expected=np.asarray(pipeline.predict_proba(golden), dtype=np.float64)[:, 1],
            contributions=np.stack([model.contributions(block).values for block in golden]),
            tolerance=TOLERANCE,
            runtime=_versions(),
        ),
        simulated=simulated,
        worth=worth,
        domain=domain,
        provenance=provenance or {},
    )


def most_missing(blocks: Floats) -> int:
    """Return the most variables that all but a few of (n, variables) training blocks lack."""
    return int(np.quantile(np.isnan(blocks).sum(axis=1), RARELY))


def trees_of(classifier: Any, columns: int) -> Trees:
    """Convert the trees of a fitted XGBClassifier of so many columns alone. Raises ConversionError."""
    return _xgboost(classifier, columns)


def convert_model(pipeline: Any, blocks: Floats) -> OreModel:
    """Convert the pipeline alone; `blocks` (n, variables) give a weighted sum its means. Raises ConversionError."""
    parts = _take_apart(pipeline)
    ore = [int(c) for c in getattr(parts.classifier, "classes_", [])]
    if ore != [0, 1]:
        raise ConversionError(f"classes {ore}; 0 for gangue and 1 for ore are needed")
    kind, space, core = _core(parts.classifier, apply_steps(parts.steps, np.asarray(blocks, dtype=np.float64)))
    return OreModel(kind, blocks.shape[1], tuple(parts.steps), core, space, parts.calibration)


@dataclass(frozen=True)
class _Parts:
    steps: list[Step]
    classifier: Any
    calibration: Calibration | None


def _take_apart(estimator: Any) -> _Parts:
    name = type(estimator).__name__
    if name == "FrozenEstimator":
        return _take_apart(estimator.estimator)
    if name == "Pipeline":
        steps = [step for _, transformer in estimator.steps[:-1] for step in _transformer(transformer)]
        inner = _take_apart(estimator.steps[-1][1])
        return _Parts([*steps, *inner.steps], inner.classifier, inner.calibration)
    if name == "Calibrated":
        # Of the training side: a pipeline, and a curve fitted to rows it had not seen.
        inner = _take_apart(estimator.pipeline)
        return _Parts(inner.steps, inner.classifier, estimator.curve)
    if name == "CalibratedClassifierCV":
        members = estimator.calibrated_classifiers_
        if len(members) != 1:
            raise ConversionError(
                f"a calibration of {len(members)} members; the device does one: use ensemble=False, or a frozen "
                "classifier"
            )
        inner = _take_apart(members[0].estimator)
        if inner.calibration is not None:
            raise ConversionError("a calibration of a calibration; the device does one")
        (curve,) = members[0].calibrators
        decides = hasattr(members[0].estimator, "decision_function")
        return _Parts(inner.steps, inner.classifier, _calibration(members[0].method, curve, decides))
    return _Parts([], estimator, None)


def _calibration(method: str, curve: Any, decides: bool) -> Calibration:
    # scikit-learn calibrates decision_function where there is one, else predict_proba.
    of: Any = "sum" if decides else "probability"
    if method == "sigmoid":
        return Calibration("sigmoid", of, np.array([curve.a_, curve.b_], dtype=np.float64), np.zeros(0))
    if method == "isotonic" and curve.out_of_bounds == "clip":
        if len(curve.X_thresholds_) < 2:
            raise ConversionError("an isotonic calibration that gives every block the same probability")
        return Calibration("isotonic", of, curve.X_thresholds_, curve.y_thresholds_)
    raise ConversionError(f"calibration {method!r}; sigmoid and isotonic are done on the device")


def _transformer(transformer: Any) -> list[Step]:
    name = type(transformer).__name__
    if transformer is None or transformer == "passthrough":
        return []
    if name == "FrozenEstimator":
        return _transformer(transformer.estimator)
    if name == "Pipeline":
        return [step for _, inner in transformer.steps for step in _transformer(inner)]
    if name == "Encode":
        # Of the training side: done by the device's own steps.
        return list(transformer.steps_)
    if name == "SimpleImputer":
        return [_imputer(transformer)]
    if name in ("StandardScaler", "RobustScaler"):
        offset = transformer.mean_ if name == "StandardScaler" and transformer.with_mean else None
        if name == "RobustScaler":
            offset = transformer.center_
        count = transformer.n_features_in_
        return [
            {
                "do": "scale",
                "offset": _plain(np.zeros(count) if offset is None else offset),
                "divisor": _plain(np.ones(count) if transformer.scale_ is None else transformer.scale_),
            }
        ]
    if name == "MinMaxScaler" and not transformer.clip:
        return [{"do": "multiply", "factor": _plain(transformer.scale_), "offset": _plain(transformer.min_)}]
    if name == "FunctionTransformer":
        return _function(transformer)
    if name == "ColumnTransformer":
        return [_columns(transformer)]
    raise ConversionError(f"{name} in the pipeline cannot be done on the device")


def _imputer(imputer: Any) -> Step:
    if not (isinstance(imputer.missing_values, float) and np.isnan(imputer.missing_values)):
        raise ConversionError("SimpleImputer with another mark than not-a-number for what is missing")
    fill = np.asarray(imputer.statistics_, dtype=np.float64)
    if np.isnan(fill).any():
        raise ConversionError("SimpleImputer met a column without any value; use keep_empty_features=True or drop it")
    mark = [] if imputer.indicator_ is None else [int(i) for i in imputer.indicator_.features_]
    return {"do": "impute", "fill": _plain(fill), "mark": mark}


def _function(transformer: Any) -> list[Step]:
    if transformer.func is None:
        return []
    for name, function in FUNCTIONS.items():
        if transformer.func is function and not transformer.kw_args:
            return [{"do": "function", "name": name}]
    raise ConversionError(
        f"FunctionTransformer of {transformer.func!r}; the device does {', '.join(FUNCTIONS)} of NumPy"
    )


def _columns(transformer: Any) -> Step:
    names = list(getattr(transformer, "feature_names_in_", []))
    branches = []
    for _, inner, chosen in transformer.transformers_:
        if inner == "drop":
            continue
        branches.append({"of": _indices(chosen, transformer.n_features_in_, names), "steps": _transformer(inner)})
    return {"do": "columns", "branches": branches}


def _indices(chosen: Any, count: int, names: Sequence[str]) -> list[int]:
    if isinstance(chosen, (int, np.integer, str)):
        chosen = [chosen]
    if isinstance(chosen, slice):
        return list(range(count))[chosen]
    chosen = np.asarray(chosen)
    if chosen.dtype.kind in "UO":
        return [names.index(name) for name in chosen]
    return [int(i) % count for i in (np.flatnonzero(chosen) if chosen.dtype.kind == "b" else chosen)]


def _core(classifier: Any, seen: Floats) -> tuple[Kind, Space, Linear | Trees]:
    name = type(classifier).__name__
    width = seen.shape[1]
    if name == "LogisticRegression":
        weights = np.asarray(classifier.coef_, dtype=np.float64)[0]
        return "logistic regression", "log-odds", Linear(weights, float(classifier.intercept_[0]), seen.mean(axis=0))
    if name == "DecisionTreeClassifier":
        return "decision tree", "probability", join_trees([_sklearn_tree(classifier.tree_)], width)
    if name == "RandomForestClassifier":
        count = len(classifier.estimators_)
        trees = [_sklearn_tree(tree.tree_, 1 / count) for tree in classifier.estimators_]
        return "random forest", "probability", join_trees(trees, width)
    if name == "AdaBoostClassifier":
        return "AdaBoost", "log-odds", join_trees(_adaboost(classifier), width)
    if name in ("XGBClassifier", "XGBRFClassifier"):
        return "XGBoost", "log-odds", _xgboost(classifier, width)
    raise ConversionError(f"{name} cannot be run on the device")


def _adaboost(classifier: Any) -> list[Tree]:
    members = classifier.estimators_
    if any(type(member).__name__ != "DecisionTreeClassifier" for member in members):
        raise ConversionError("AdaBoost of something else than decision trees cannot be run on the device")
    weights = np.asarray(classifier.estimator_weights_[: len(members)], dtype=np.float64)
    scale = 2 / np.asarray(classifier.estimator_weights_, dtype=np.float64).sum()
    trees = []
    for member, weight in zip(members, weights, strict=True):
        tree = _sklearn_tree(member.tree_)
        votes = member.classes_[member.tree_.value[:, 0, :].argmax(axis=1)]
        trees.append(_with_values(tree, np.where(votes == 1, 1.0, -1.0) * weight * scale))
    return trees


def _sklearn_tree(tree: Any, weight: float = 1.0) -> Tree:
    # float32(x) <= threshold is x < the float32 next above the largest one that is not above the threshold.
    exact = np.asarray(tree.threshold, dtype=np.float64)
    single = exact.astype(np.float32)
    single = np.where(single > exact, np.nextafter(single, np.float32(-np.inf)), single)
    shares = tree.value[:, 0, :]
    # A member of AdaBoost or a forest may have met one class only.
    ore = shares[:, 1] / shares.sum(axis=1) if shares.shape[1] == 2 else np.zeros(len(shares))
    return Tree(
        left=np.asarray(tree.children_left, dtype=np.int64),
        right=np.asarray(tree.children_right, dtype=np.int64),
        feature=np.asarray(tree.feature, dtype=np.int64),
        threshold=np.nextafter(single, np.float32(np.inf)),
        missing_left=np.asarray(tree.missing_go_to_left, dtype=np.bool_),
        value=ore * weight,
        cover=np.asarray(tree.weighted_n_node_samples, dtype=np.float64),
    )


def _with_values(tree: Tree, value: Floats) -> Tree:
    return Tree(tree.left, tree.right, tree.feature, tree.threshold, tree.missing_left, value, tree.cover)


def _xgboost(classifier: Any, columns: int) -> Trees:
    import json

    booster = classifier.get_booster()
    best = getattr(classifier, "best_iteration", None) if classifier.early_stopping_rounds else None
    learner = json.loads(booster.save_raw("json"))["learner"]
    objective, gradient = learner["objective"]["name"], learner["gradient_booster"]
    if objective != "binary:logistic":
        raise ConversionError(f"XGBoost with {objective}; binary:logistic is needed")
    if gradient["name"] != "gbtree":
        raise ConversionError(f"XGBoost's {gradient['name']} cannot be run on the device; use gbtree")
    found = gradient["model"]["trees"]
    if best is not None:
        # After early stopping XGBoost answers with the rounds up to the best one only.
        found = found[: gradient["model"]["iteration_indptr"][best + 1]]
    if any(any(tree["split_type"]) for tree in found):
        raise ConversionError("XGBoost's splits of categories cannot be run on the device; give it codes")
    if not (isinstance(classifier.missing, float) and np.isnan(classifier.missing)):
        raise ConversionError("XGBoost with another mark than not-a-number for what is missing")
    # Version 3 writes a list of one.
    score = np.float32(str(learner["learner_model_param"]["base_score"]).strip("[]"))
    # Rounded as XGBoost does: odds in float32, their logarithm to the nearest float32.
    base = np.float32(-np.log(np.float64(np.float32(1) / score - np.float32(1))))
    return join_trees([_xgboost_tree(tree) for tree in found], columns, float(base), single=True)


def _xgboost_tree(tree: dict[str, Any]) -> Tree:
    left = np.array(tree["left_children"], dtype=np.int64)
    condition = np.array(tree["split_conditions"], dtype=np.float64).astype(np.float32)
    return Tree(
        left=left,
        right=np.array(tree["right_children"], dtype=np.int64),
        feature=np.array(tree["split_indices"], dtype=np.int64),
        threshold=condition,
        missing_left=np.array(tree["default_left"], dtype=np.bool_),
        # A leaf keeps its value where others keep their threshold.
        value=np.where(left < 0, condition, np.float32(0)).astype(np.float64),
        cover=np.array(tree["sum_hessian"], dtype=np.float64).astype(np.float32).astype(np.float64),
    )


def _plain(values: Any) -> list[float]:
    return [float(v) for v in np.asarray(values, dtype=np.float64)]


def _versions() -> str:
    from importlib.metadata import PackageNotFoundError, version

    found = []
    for name in ("scikit-learn", "xgboost-cpu", "xgboost"):
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)
