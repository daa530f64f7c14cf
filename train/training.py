"""From samples to a trained model with its statistics, in one way for every method: validate, make, calibrate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..converters.spectra.spectrum import Floats, Spectrum
from ..edge.model.applicability import ApplicabilityDomain, assess
from ..edge.model.bundle import Bundle
from ..edge.model.conditions import Conditions
from ..edge.model.error_model import ErrorModel, check_in_words, levels_in_words
from ..edge.model.estimate import Refusal
from ..edge.model.interval import IntervalStats, interval
from ..edge.model.lineage import Lineage, instruments_of
from ..edge.model.recipe import Blocks, Recipe
from ..edge.model.replicates import ReplicateStats
from ..edge.model.target import Transform, forward, inverse, within_range
from ..edge.workers import Workers
from .applicability import Domain, fit_domain, fit_interval, fit_replicates
from .censored_check import CensoredCheck, check_held_back
from .conditions import MADE, ConditionScore, fit_conditions, score_conditions, what_is_missing
from .corrected import Corrected, CorrectedModel, make_corrected
from .crossval.cache import KeptFits, cross_validate_kept
from .crossval.decision import DecideBy
from .crossval.folds import Fold, Folds
from .crossval.learning_curve import learning_curve
from .crossval.metrics import Metrics, measure, most_influential, no_better_than_the_mean, worse_in_the_unit
from .crossval.validation import FoldResult, Method, Validation
from .detection import fit_error_model, tells_no_grade
from .errors import TrainingDataError
from .methods.common import common_range, recipe_on
from .methods.faults import with_faults
from .methods.method import DeviceMethod, DeviceModel, Say, TrainingTask
from .methods.registry import baselines
from .moisture import Differences
from .prepared import Prepared, prepare, prepare_censored
from .samples import FEWEST_SAMPLES, Replicates, Samples

CALIBRATION_ROWS = 500
"""Training rows kept to calibrate a quantised model's ranges with."""
STRENGTH = 0.6, 1.5
"""Times a difference that is added to a soil: soils may take up less or more water than those of the pairs."""
OPTIMISTIC = "stopped by the error on these very samples: optimistic"


@dataclass(frozen=True)
class TrainingOptions:
    """What a training is asked for, besides its data and its method.

    Attributes:
        replicates: "average" trains on one mean spectrum a sample, "each" on every measurement.
        baselines: whether PLSR, SVR and random forest are held against the same folds.
        seed: of all that is drawn.
        exclude_above: samples above this were left out; no bound above it is trained on.
        group_by: what samples are grouped by in words, kept for the record; "" for nothing.
    """

    replicates: Replicates = "average"
    baselines: bool = True
    seed: int = 42
    exclude_above: float | None = None
    group_by: str = ""


@dataclass(frozen=True, eq=False)
class Trained:
    """A trained model and all that a bundle says about it.

    Attributes:
        model: what the method made.
        method, options, samples: what it came from.
        calibrated_range: lowest and highest training value, in the element's unit.
        domain: of the training samples' single measurements, which scatter more than their means.
        interval, error_model, replicates: from predictions of samples that the model had not seen.
        training: names of the samples.
        validation: names of those that were held back from it; () where all are trained on and a cross-validation
            says how good it is.
        metrics: "training", and "validation" or "cross-validation", in the unit; "... (log10)" in the transform's space
            if there is one; answers kept within the calibrated range.
        calibration_features: up to 500 scaled rows, float32, that stand for all.
        held_out: rows that an export is held against: the validation rows, or calibration rows where there are none.
        held_out_measured, held_out_predicted: (rows,) in the unit.
        conditions: of the ground, that the calibration holds.
        by_condition: how well each is predicted, of samples that the model had not seen.
        refused: rows that the recipe could not take.
        out_of_fold: (repeats, n) predictions of samples that had been left out, in the unit; not a number where
            a repeat left one in.
        out_of_fold_measured: (n,) the laboratory's values for these, and `out_of_fold_samples` their names.
        comparison: the model and baselines on the same folds.
        censored_trained_on: names of the censored samples that were trained on, as bounds.
        censored: how the model does on the others; None without censored samples.
        record: what a run says of the way it was made, as JSON values.
    """

    model: DeviceModel
    method: DeviceMethod
    options: TrainingOptions
    samples: Samples
    calibrated_range: tuple[float, float]
    interval: IntervalStats | None
    domain: ApplicabilityDomain
    error_model: ErrorModel | None
    replicates: ReplicateStats | None
    training: tuple[str, ...]
    validation: tuple[str, ...]
    metrics: dict[str, Metrics]
    calibration_features: NDArray[np.float32]
    held_out: tuple[Spectrum, ...]
    held_out_measured: Floats
    held_out_predicted: Floats
    conditions: Conditions
    by_condition: tuple[ConditionScore, ...]
    refused: tuple[Refusal, ...]
    out_of_fold: Floats
    out_of_fold_measured: Floats
    out_of_fold_samples: tuple[str, ...]
    comparison: Validation
    censored_trained_on: tuple[str, ...]
    censored: CensoredCheck | None
    record: dict[str, Any]

    @property
    def recipe(self) -> Recipe | Blocks:
        """Preprocessing; its features are the model's input."""
        return self.model.recipe

    @property
    def transform(self) -> Transform:
        """Space that the model answers in."""
        return self.model.transform

    @property
    def bundle(self) -> Bundle:
        """What a bundle says beside its network, golden answers and provenance."""
        return Bundle(
            model=b"",
            element=self.samples.element,
            unit=self.samples.unit,
            recipe=self.recipe,
            scaling=self.model.scaling,
            transform=self.transform,
            calibrated_range=self.calibrated_range,
            quantisation="",
            simulated=self.samples.simulated,
            interval=self.interval,
            domain=self.domain,
            error_model=self.error_model,
            replicates=self.replicates,
            lineage=Lineage(instruments_of(self.samples.spectra)),
            conditions=self.conditions,
        )

    def answer(self, features: Floats) -> Floats:
        """Answer (n,) in the transform's space, for features as the recipe gives them."""
        return self.model.answer(features)

    def influence(self) -> str:
        """Name the sample that R2 of unseen samples rests on most; "" if none moves it much."""
        said = np.nanmean(self.out_of_fold, axis=0)
        return most_influential(said, self.out_of_fold_measured, self.out_of_fold_samples)

    def detection_lines(self) -> list[str]:
        """Say from which content on a sample is told from one that holds nothing, and what a check of that found."""
        model = self.error_model
        if model is None:
            return []
        check = (
            [f"Detection, checked: {check_in_words(model.check)}."]
            if model.check and model.critical is not None
            else []
        )
        return [f"Detection: {levels_in_words(model, self.samples.unit)}.", *check]

    def warnings(self) -> list[str]:
        """Say in lines what makes this model of little use; nothing if it is of use."""
        found = (
            no_better_than_the_mean(self.metrics),
            worse_in_the_unit(self.metrics, self.samples.unit),
            tells_no_grade(self.error_model, self.samples.unit),
            "" if self.samples.simulated else what_is_missing(self.conditions),
        )
        return [line for line in found if line]


def train(
    samples: Samples,
    method: DeviceMethod,
    options: TrainingOptions,
    kept: KeptFits | None = None,
    say: Say = lambda line: None,
    checkpoint: Path | None = None,
    curve: bool = True,
    pairs: Differences | None = None,
    workers: Workers | None = None,
    sessions: Differences | None = None,
) -> Trained:
    """Validate a method, make the model that a device is to have, and set its statistics.

    Args:
        samples: single measurements with their values.
        method: of the model.
        options: what else is asked for.
        kept: where fits of an interrupted run are, and where each is written as soon as it is done.
        say: shows progress.
        checkpoint: file from which an interrupted training of the model goes on.
        curve: whether there is to be a learning curve; it takes some twenty fits.
        workers: who does the fits of validation and learning curve; None for this process.
        pairs: soils scanned dry and wet; corrections learned from them are held against doing nothing.
        sessions: what another session changes, which interval and applicability domain then allow for.

    Raises:
        TrainingDataError: data that cannot be divided so, or that no model can be made from; the line says why.
    """
    samples.check_target(FEWEST_SAMPLES, method.target_transform)
    kept = kept or KeptFits(None)
    rows = samples.rows(options.replicates)
    plan = method.plan(rows, options.seed)
    if pairs is not None:
        if method.holds_out:
            raise TrainingDataError(f"the {method.key} method has no correction for water: leave --moisture-pairs away")
        # What they do not cover is said before minutes of fits.
        pairs.on(recipe_on(common_range(rows.wavelengths_nm)).grid_nm)
        # Kept fits are of these pairs.
        rows = replace(rows, sha256=rows.sha256 + pairs.sha256)
    if sessions is not None:
        if method.holds_out:
            raise TrainingDataError(f"the {method.key} method learns nothing of sessions: leave --sessions away")
        sessions.on(recipe_on(common_range(rows.wavelengths_nm)).grid_nm)
    learner: Method = method if pairs is None else Corrected(method, pairs)
    censored = method.learn_from(samples, options.exclude_above)
    fold = plan.repeats[0][0] if method.holds_out else None
    training = _names(rows, fold.training) if fold is not None else tuple(samples.target)
    held_out = _names(rows, fold.test) if fold is not None else ()
    task = TrainingTask(samples, options.replicates, training, held_out, censored, options.seed, say, checkpoint)

    known: list[FoldResult] = []
    model = None
    if fold is not None:
        # What is held back from a model is its validation, so the model comes first.
        model = method.make(task)
        plan, result = _as_fold_result(method, model, rows, training, plan)
        known = [result]
    decide_by: DecideBy = getattr(method, "decide_by", "both")
    others = baselines(method.fast, decide_by) if options.baselines else []
    comparison = cross_validate_kept(
        [learner, *others],
        rows,
        plan,
        method.fast,
        kept,
        lambda done: say(str(done)),
        known,
        decide_by=decide_by,
        spoil=None if method.holds_out else with_faults,
        workers=workers,
    )
    learning = _learning(method, rows, plan, say, workers) if curve else None
    if model is None:
        say("the model itself, on all samples")
        model = method.make(task) if pairs is None else make_corrected(method, pairs, task)
    return _calibrate(task, model, method, options, rows, comparison, learning, sessions)


def _names(rows: Samples, numbers: NDArray[np.intp]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(rows.names[number] for number in numbers))


def _as_fold_result(
    method: DeviceMethod, model: DeviceModel, rows: Samples, training: Sequence[str], plan: Folds
) -> tuple[Folds, FoldResult]:
    """Take a model's answers for what was held back from it as a fold's result, without rows that it cannot take."""
    (fold,) = plan.repeats[0]
    held = prepare([rows.spectra[number] for number in fold.test], model.recipe)
    usable = {id(row) for row in held.rows}
    test = np.array([number for number in fold.test if id(rows.spectra[number]) in usable])
    values = [rows.target[name] for name in training]
    predicted = np.clip(inverse(model.answer(held.features), model.transform), min(values), max(values))
    result = FoldResult(method.name, 0, 0, tuple(predicted.tolist()), OPTIMISTIC, 0.0)
    return replace(plan, repeats=((Fold(fold.training, test),),)), result


def _learning(
    method: DeviceMethod, rows: Samples, plan: Folds, say: Say, workers: Workers | None
) -> dict[str, Any] | None:
    fast = method.for_learning_curve()
    if fast is None:
        return None
    return asdict(
        learning_curve(fast, rows, plan, lambda done, of: say(f"learning curve, {done} of {of} fits"), workers)
    )


@dataclass(frozen=True, eq=False)
class _OutOfFold:
    """Answers for samples that the model, or one like it, had not seen.

    Attributes:
        outputs: (m,) in the transform's space, of single measurements.
        samples: m names.
        conditions: m, of the ground.
        difficulty: (m, 2) T2 and Q over their limits.
        values, measured: (n,) answers and laboratory values in the unit, one a row, for the error model.
        what: these are, in words.
    """

    outputs: Floats
    samples: Sequence[str]
    conditions: Sequence[str]
    difficulty: Floats
    values: Floats
    measured: Floats
    what: str


def _of_held_back(samples: Samples, model: DeviceModel, held: Prepared, single: Prepared, domain: Domain) -> _OutOfFold:
    """Take the model's own answers for what was held back from it."""
    judged = assess(single, domain.stats)
    return _OutOfFold(
        outputs=model.answer(single.features),
        samples=single.samples,
        conditions=single.conditions,
        difficulty=np.array([(j.t2_over_limit, j.q_over_limit) for j in judged], dtype=np.float64),
        values=inverse(model.answer(held.features), model.transform),
        measured=_measured(samples, held),
        # The same samples decided when training stopped; no figure is made up to correct that.
        what="validation predictions, somewhat optimistic since they also decided when training stopped,",
    )


def _of_folds(
    rows: Samples, left_out: Floats, model: DeviceModel, mean: Prepared, single: Prepared, domain: Domain
) -> _OutOfFold:
    """Take the answers of the folds' models for the samples left out from them.

    A device is often given single measurements, which scatter more than their mean: each is taken to be as far off as
    its sample's mean was, plus how far the final model's answer for it lies from that for the mean.
    """
    of_state: dict[tuple[str, str], list[float]] = {}
    for repeat in left_out:
        for row, value in zip(rows.spectra, repeat, strict=True):
            if np.isfinite(value):
                of_state.setdefault((row.sample_id, row.condition), []).append(value)
    in_space = {state: forward(np.array(values), model.transform) for state, values in of_state.items()}
    of_mean: dict[tuple[str, str], list[float]] = {}
    for row, output in zip(mean.rows, model.answer(mean.features), strict=True):
        of_mean.setdefault((row.sample_id, row.condition), []).append(float(output))
    # Censored and changed soils are behind them.
    difficulties = domain.difficulty[: len(single.rows)]
    outputs, samples, conditions, difficulty = [], [], [], []
    for row, output, far in zip(single.rows, model.answer(single.features), difficulties, strict=True):
        state = row.sample_id, row.condition
        apart = float(output) - float(np.mean(of_mean[state])) if state in of_mean else 0.0
        for value in in_space.get(state, ()):
            outputs.append(value + apart)
            samples.append(row.sample_id)
            conditions.append(row.condition)
            difficulty.append(far)
    tested = np.isfinite(left_out).any(axis=0)
    return _OutOfFold(
        outputs=np.array(outputs),
        samples=samples,
        conditions=conditions,
        difficulty=np.array(difficulty),
        values=np.nanmean(left_out[:, tested], axis=0),
        measured=rows.measured[tested],
        what="cross-validated predictions",
    )


@dataclass(frozen=True, eq=False)
class _Changed:
    """Dry soils of the calibration with differences added: water, by pairs, or what another session changes.

    Attributes:
        reflectance: (m, bands).
        moved: (m,) how far the model's answer moves by it.
        rows: m, of the soils that they are made from.
        conditions: m, of the differences.
        soils: m, that the differences are of.
    """

    reflectance: Floats
    moved: Floats
    rows: Sequence[int]
    conditions: Sequence[str]
    soils: Sequence[str]

    @property
    def states(self) -> tuple[str, ...]:
        """The conditions that there are."""
        return tuple(dict.fromkeys(self.conditions))


def _water_of(model: DeviceModel) -> Differences | None:
    """Give the pairs that a model learned water from; None if nothing helped, or there were none."""
    return model.pairs if isinstance(model, CorrectedModel) and model.states else None


def _changed(model: DeviceModel, seen: Prepared, by: Differences | None, seed: int) -> _Changed:
    """Add to each dry soil one difference of every condition, and answer."""
    nm = seen.reflectance_nm
    if by is None:
        return _Changed(np.empty((0, nm.size)), np.empty(0), (), (), ())
    by = by.on(nm)
    dry = [i for i, row in enumerate(seen.rows) if row.condition in ("", "dry")]
    rng, conditions = np.random.default_rng((seed, 9)), np.array(by.conditions)
    drawn = [rng.choice(np.flatnonzero(conditions == one), len(dry)) for one in by.states]
    strengths = [rng.uniform(*STRENGTH, (len(dry), 1)) for _ in drawn]
    reflectance = np.concatenate(
        [seen.reflectance[dry] * 10.0 ** (-s * by.differences[of]) for s, of in zip(strengths, drawn, strict=True)]
    )

    def answer(rows: Floats) -> Floats:
        return model.answer(model.recipe.preprocess(rows, nm, ()).features)

    moved = answer(reflectance) - np.tile(answer(seen.reflectance[dry]), len(drawn))
    soils = [by.soils[i] for of in drawn for i in of]
    return _Changed(reflectance, moved, dry * len(drawn), [one for one in by.states for _ in dry], soils)


def _with_changed(
    found: _OutOfFold,
    changed: _Changed,
    seen: Prepared,
    difficulty: Floats,
    rows: Samples,
    left_out: Floats,
    transform: Transform,
) -> _OutOfFold:
    """Add changed soils to the out-of-fold answers, each as far off as its soil was when dry, and moved by the change.

    Soils that were assayed in a condition say more of it than these: their condition is left to them.
    """
    of_sample: dict[str, float] = {}
    for number, row in enumerate(rows.spectra):
        if row.condition in ("", "dry") and np.isfinite(left_out[:, number]).any():
            of_sample[row.sample_id] = float(np.nanmean(forward(left_out[:, number], transform)))
    assayed = {row.condition for row in rows.spectra}
    kept = [
        i
        for i, (row, condition) in enumerate(zip(changed.rows, changed.conditions, strict=True))
        if condition not in assayed and seen.samples[row] in of_sample
    ]
    if not kept:
        return found
    names = [seen.samples[changed.rows[i]] for i in kept]
    return replace(
        found,
        outputs=np.concatenate([found.outputs, np.array([of_sample[name] for name in names]) + changed.moved[kept]]),
        samples=[*found.samples, *names],
        conditions=[*found.conditions, *(f"{changed.conditions[i]}{MADE}" for i in kept)],
        difficulty=np.concatenate([found.difficulty, difficulty[kept]]),
        what=f"{found.what} and these of soils changed as repeated scans were",
    )


def _measured(samples: Samples, part: Prepared) -> Floats:
    return np.array([samples.target[name] for name in part.samples])


def _calibrate(
    task: TrainingTask,
    model: DeviceModel,
    method: DeviceMethod,
    options: TrainingOptions,
    rows: Samples,
    comparison: Validation,
    learning: dict[str, Any] | None,
    sessions: Differences | None,
) -> Trained:
    """Set everything that a bundle says beside the network."""
    samples, recipe, transform = task.samples, model.recipe, model.transform
    in_training, in_bounds = set(task.training), set(task.censored)

    def part(spectra: Sequence[Spectrum], training: bool) -> Prepared:
        return prepare([s for s in spectra if (s.sample_id in in_training) == training], recipe)

    fitting, single = part(rows.spectra, True), part(samples.spectra, True)
    bounded = prepare_censored(samples, task.censored, options.replicates, recipe)
    # What a soil looks like is known whether or not its value is.
    also = [s for s in samples.bounded if s.sample_id in in_bounds]
    seen = prepare([*single.rows, *also], recipe) if also else single
    wetted = _changed(model, seen, _water_of(model), options.seed)
    others = _changed(model, seen, sessions, options.seed)
    domain = fit_domain(
        np.concatenate([seen.reflectance, wetted.reflectance, others.reflectance]),
        seen.reflectance_nm,
        [*seen.samples, *(seen.samples[row] for row in (*wetted.rows, *others.rows))],
        options.seed,
        [*[None] * len(seen.samples), *((n, soil) for n, part in enumerate((wetted, others)) for soil in part.soils)],
    )
    left_out = np.array([[np.nan if v is None else v for v in repeat] for repeat in comparison[method.name].predicted])
    tested = np.isfinite(left_out).any(axis=0)
    measured = _measured(samples, fitting)
    representative = model.representative
    if representative is None:
        rows_of_training = _calibration_rows(fitting, measured, bounded, samples)
        representative = model.scaling.apply(rows_of_training).astype(np.float32)
    if task.held_out:
        held, of_device = part(rows.spectra, False), part(samples.spectra, False)
        found = _of_held_back(samples, model, held, of_device, domain)
        refused = fitting.refused + held.refused
    else:
        held, of_device = _some(fitting, evenly_by_grade(measured, CALIBRATION_ROWS)), single
        found = _of_folds(rows, left_out, model, fitting, single, domain)
        behind = np.split(domain.difficulty[len(seen.rows) :], [len(wetted.rows)])
        for changed, difficulty in zip((wetted, others), behind, strict=True):
            found = _with_changed(found, changed, seen, difficulty, rows, left_out, transform)
        refused = fitting.refused
    ends = float(measured.min()), float(measured.max())
    fitted = np.clip(inverse(model.answer(fitting.features), transform), *ends)
    error_model = fit_error_model(found.values, found.measured)
    critical = error_model.critical if error_model else None
    unseen = np.array([samples.target[name] for name in found.samples])
    intervals = fit_interval(
        found.outputs, forward(unseen, transform), found.difficulty, found.samples, residuals_of=found.what
    )
    low, high = (
        within_range(interval(found.outputs, intervals, *found.difficulty.T)[end], transform, ends)
        if intervals is not None
        else None
        for end in (0, 1)
    )
    return Trained(
        model=model,
        method=method,
        options=options,
        samples=samples,
        calibrated_range=ends,
        interval=intervals,
        domain=domain.stats,
        error_model=error_model,
        replicates=fit_replicates(model.answer(of_device.features), of_device.samples),
        training=task.training,
        validation=task.held_out,
        metrics={
            **_metrics("training", fitted, measured, transform),
            **_metrics("validation" if task.held_out else "cross-validation", left_out, rows.measured, transform),
        },
        calibration_features=representative,
        held_out=held.rows,
        held_out_measured=_measured(samples, held),
        held_out_predicted=np.clip(inverse(model.answer(held.features), transform), *ends),
        conditions=fit_conditions(seen.rows, seen.reflectance, seen.reflectance_nm, wetted.states, wetted.reflectance),
        by_condition=score_conditions(
            found.conditions, within_range(found.outputs, transform, ends), unseen, low, high, found.samples, ends
        ),
        refused=refused + (bounded.refused if bounded else ()),
        out_of_fold=left_out[:, tested],
        out_of_fold_measured=rows.measured[tested],
        out_of_fold_samples=tuple(name for name, has in zip(rows.names, tested, strict=True) if has),
        comparison=comparison,
        censored_trained_on=task.censored,
        censored=check_held_back(samples, in_bounds, options.replicates, model, ends, critical),
        record={
            "chosen": model.chosen,
            **asdict(options),
            **method.settings(),
            **model.record,
            "learning": learning,
            **({"sessions": sessions.source} if sessions is not None else {}),
        },
    )


def _metrics(name: str, predicted: Floats, measured: Floats, transform: Transform) -> dict[str, Metrics]:
    """Measure predictions in the unit and in the transform's space: (n,), or (repeats, n) of them all together."""
    known = np.broadcast_to(measured, predicted.shape)
    tested = np.isfinite(predicted)
    n = int(np.atleast_2d(tested).any(axis=0).sum())
    metrics = {name: replace(measure(predicted[tested], known[tested]), n=n)}
    if transform != "none":
        found = measure(forward(predicted[tested], transform), forward(known[tested], transform))
        metrics[f"{name} ({transform})"] = replace(found, n=n)
    return metrics


def _calibration_rows(fitting: Prepared, measured: Floats, bounded: Prepared | None, samples: Samples) -> Floats:
    """Choose training rows evenly by grade; a bound says at which end of the order a row stands, no more."""
    if bounded is None:
        return fitting.features[evenly_by_grade(measured, CALIBRATION_ROWS)]
    ends = np.array([np.inf if samples.bounds[name].censored == ">" else -np.inf for name in bounded.samples])
    order = evenly_by_grade(np.concatenate([measured, ends]), CALIBRATION_ROWS)
    return np.asarray(np.concatenate([fitting.features, bounded.features])[order])


def _some(prepared: Prepared, chosen: NDArray[np.intp]) -> Prepared:
    return replace(
        prepared,
        rows=tuple(prepared.rows[i] for i in chosen),
        spectra=prepared.spectra[chosen],
        features=prepared.features[chosen],
        reflectance=prepared.reflectance[chosen],
    )


def evenly_by_grade(target: Floats, most: int) -> NDArray[np.intp]:
    """Choose at most `most` rows evenly from lowest to highest, both ends included."""
    order = np.argsort(target, kind="stable")
    at = np.unique(np.linspace(0, len(order) - 1, min(most, len(order))).round().astype(np.intp))
    return np.asarray(order[at])
