"""Intervals and limits of detection on real soils, with a stand-in for the network, for `benchmarks/applicability.py`.

The stand-in is the mean of a PLSR and a support vector regression on the smoothed derivative of the absorbance's shape,
tuned on four folds. What is measured is the interval around a model, not the model.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from applicability_sets import Survey
from numpy.typing import NDArray
from sklearn.cross_decomposition import PLSRegression
from sklearn.model_selection import KFold
from sklearn.svm import SVR
from stibium.converters.spectra.spectrum import Floats
from stibium.edge.model.applicability import absorbance_shapes, assess
from stibium.edge.model.interval import IntervalStats, interval
from stibium.edge.model.recipe import Preprocessed
from stibium.edge.model.target import Transform, forward, inverse
from stibium.train.applicability import fit_domain, fit_interval
from stibium.train.detection import fit_error_model

TRANSFORMS: tuple[Transform, ...] = ("none", "sqrt", "log10")
SETTINGS = [(components, cost) for components in (4, 8, 12) for cost in (3.0, 30.0)]
COVERAGE = 0.9
Split = tuple[NDArray[np.intp], NDArray[np.intp]]


@dataclass(frozen=True, eq=False)
class Held:
    """Left-out soils of one split, with their intervals.

    Attributes:
        covered, width, score: (soils,) whether the value is inside; the interval's width, and its score (Gneiting &
            Raftery 2007, JASA 102:359), both over the training values' standard deviation.
        far, high: (soils,) whether it is among the quarter farthest from the calibration, or estimated highest.
    """

    covered: Floats
    width: Floats
    score: Floats
    far: Floats
    high: Floats


@dataclass(frozen=True)
class Detected:
    """A limit of detection, how many left-out soils hold more, and how many of these are detected."""

    limit: float | None
    above: int
    seen: int


class StandIn:
    """PLSR and SVR, averaged; PLSR alone where there is no cost."""

    def __init__(self, components: int, cost: float | None) -> None:
        self.components, self.cost = components, cost

    def fit(self, features: Floats, target: Floats) -> StandIn:
        """Fit to features that have mean 0 and standard deviation 1, and any target."""
        self.mean, self.scale = target.mean(), target.std() + 1e-12
        scaled = (target - self.mean) / self.scale
        self.models = [PLSRegression(self.components, scale=False).fit(features, scaled)]
        if self.cost is not None:
            self.models.append(SVR(C=self.cost, gamma=1 / features.shape[1] / 3).fit(features, scaled))
        return self

    def predict(self, features: Floats) -> Floats:
        """Answer in the space of the target."""
        return np.asarray(self.mean + self.scale * np.mean([m.predict(features).ravel() for m in self.models], axis=0))


def out_of_fold(features: Floats, target: Floats, model: StandIn, folds: int, seed: int) -> Floats:
    """Predict each soil by a model that has not seen it."""
    answers = np.empty(len(target))
    for fit, left_out in KFold(folds, shuffle=True, random_state=seed).split(features):
        answers[left_out] = model.fit(features[fit], target[fit]).predict(features[left_out])
    return answers


def choose(features: Floats, values: Floats, alone: bool) -> tuple[Transform, int, float | None]:
    """Tune by the error in the target's own unit."""
    best: tuple[float, Transform, int, float | None] = (np.inf, "none", 4, None)
    settings = [(c, None) for c, _ in SETTINGS[::2]] if alone else SETTINGS
    for transform in TRANSFORMS if values.min() > 0 else TRANSFORMS[:1]:
        target = forward(values, transform)
        for components, cost in settings:
            answers = out_of_fold(features, target, StandIn(components, cost), 4, 1)
            error = float(np.mean((inverse(np.clip(answers, target.min(), target.max()), transform) - values) ** 2))
            if error < 0.995 * best[0]:
                best = (error, transform, components, cost)
    return best[1:]


def intervals(survey: Survey, soils: Floats, target: str, split: Split, seed: int) -> tuple[dict[str, Held], Detected]:
    """Fit to the training soils, and hold three intervals against the others: ours, equally wide, and PLSR's."""
    training, left_out = split
    nm, values = survey.recipe.grid_nm, survey.targets[target]
    shapes = np.diff(absorbance_shapes(soils, nm, 10).shapes, axis=1)
    features = (shapes - shapes[training].mean(axis=0)) / (shapes[training].std(axis=0) + 1e-9)
    domain = fit_domain(soils[training], nm, training.tolist())
    judged = assess(Preprocessed(soils[left_out], nm, soils[left_out], soils[left_out], nm), domain.stats)
    t2, q = (np.array([getattr(j, name) for j in judged], dtype=float) for name in ("t2_over_limit", "q_over_limit"))
    found = {}
    detected = Detected(None, 0, 0)
    for name, alone, difficulty in (
        ("PLSR, equally wide", True, None),
        ("equally wide", False, None),
        ("wider where less is known", False, domain.difficulty),
    ):
        transform, components, cost = choose(features[training], values[training], alone)
        model, known = StandIn(components, cost), forward(values, transform)
        held_back = out_of_fold(features[training], known[training], model, 10, seed)
        stats = fit_interval(held_back, known[training], difficulty, training.tolist(), COVERAGE)
        assert stats is not None
        outputs = model.fit(features[training], known[training]).predict(features[left_out])
        found[name] = _hold(outputs, stats, t2, q, transform, values[training], values[left_out])
        if difficulty is not None:
            detection = fit_error_model(inverse(held_back, transform), values[training])
            if detection is not None and detection.limit is not None and detection.critical is not None:
                above = values[left_out] >= detection.limit
                seen = inverse(outputs, transform) > detection.critical
                detected = Detected(detection.limit, int(above.sum()), int((above & seen).sum()))
    return found, detected


def _hold(
    outputs: Floats, stats: IntervalStats, t2: Floats, q: Floats, transform: Transform, known: Floats, true: Floats
) -> Held:
    lowest, highest = known.min(), known.max()
    low, high = (np.clip(inverse(e, transform), lowest, highest) for e in interval(outputs, stats, t2, q))
    # Beyond the calibrated range an answer is a bound, and a true value there is what it says.
    value = np.clip(true, lowest, highest)
    missed = np.maximum(low - value, 0) + np.maximum(value - high, 0)
    farness = np.maximum(t2, q)
    return Held(
        covered=(missed == 0).astype(float),
        width=(high - low) / known.std(),
        score=(high - low + 2 / (1 - COVERAGE) * missed) / known.std(),
        far=farness >= np.quantile(farness, 0.75),
        high=outputs >= np.quantile(outputs, 0.75),
    )


def report(surveys: list[Survey], soils: dict[str, Floats], splits: dict[str, dict[int, Split]]) -> bool:
    """Print coverage and width; True if the coverage over all sets is within 3 points of what is stated."""
    held: dict[str, dict[str, list[Held]]] = {}
    detections: dict[str, list[Detected]] = {}
    for survey in surveys:
        for target in survey.targets:
            for seed, split in splits[survey.name].items():
                found, detected = intervals(survey, soils[survey.name], target, split, seed)
                for name, one in found.items():
                    held.setdefault(name, {}).setdefault(f"{survey.name} {target}", []).append(one)
                if detected.limit is not None:
                    detections.setdefault(f"{survey.name} {target}", []).append(detected)
    names = list(held)
    sets = list(held[names[0]])
    print(f"{100 * COVERAGE:g} % intervals, left-out soils: coverage in per cent, mean width")
    print(f"{'':<30}" + "".join(f"{name:>28}" for name in names))
    for which in sets:
        cells = "".join(
            f"{100 * _mean(held[name][which], 'covered'):>18.1f}{_mean(held[name][which], 'width'):>10.2f}"
            for name in names
        )
        print(f"{which:<30}{cells}")
    print("over all sets")
    for label, what, mask in (
        ("coverage, all soils, per cent", "covered", None),
        ("coverage, farthest quarter", "covered", "far"),
        ("coverage, highest quarter", "covered", "high"),
        ("mean width, sd", "width", None),
        ("mean interval score, sd", "score", None),
    ):
        cells = ""
        for name in names:
            # Every soil counts in the coverage, every set in width and score.
            if what == "covered":
                figure = 100 * _mean([one for which in sets for one in held[name][which]], what, mask)
            else:
                figure = float(np.mean([_mean(held[name][which], what, mask) for which in sets]))
            cells += f"{figure:>28.2f}"
        print(f"{label:<30}{cells}")
    print("limits of detection: mean over splits, and left-out soils above it that are detected")
    for which, found_limits in detections.items():
        limit = np.mean([d.limit for d in found_limits])
        seen, above = sum(d.seen for d in found_limits), sum(d.above for d in found_limits)
        print(f"{which:<30}{limit:>10.3g}   {seen} of {above}")
    ours = 100 * _mean([one for which in sets for one in held[names[-1]][which]], "covered")
    return abs(ours - 100 * COVERAGE) <= 3


def _mean(held: list[Held], what: str, mask: str | None = None) -> float:
    return float(
        np.concatenate([getattr(one, what)[getattr(one, mask) if mask else slice(None)] for one in held]).mean()
    )
