"""From a trained model, or a bundle held against samples, to what a report shows of it."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec

import numpy as np

from ...converters.spectra.errors import StibiumError
from ...converters.spectra.spectrum import Floats, Spectrum
from ...edge.model.applicability import ApplicabilityDomain, assess
from ...edge.model.bundle import Bundle
from ...edge.model.estimate import Estimate, Estimator
from ...edge.model.interval import interval
from ...edge.model.recipe import Blocks, Recipe
from ...edge.model.target import Transform, forward, inverse
from ...edge.plot import step_in_words
from ...edge.units import same_unit, shown_unit
from ..assays.files import AssayFiles
from ..crossval.metrics import measure
from ..crossval.validation import Validation
from ..errors import require_training_side
from ..evaluate import Evaluation, trained_on
from ..formats import QuantisationFormats
from ..prepared import Prepared, prepare
from ..samples import Replicates, Samples, replicate_rows
from ..training import Trained
from .contents import (
    DomainPart,
    DomainSet,
    LearningCurves,
    MetricsColumn,
    PredictedSet,
    Predictions,
    PrintedTables,
    ReportContents,
    SampleCurves,
    in_words,
)
from .importance_part import Progress, importance_part
from .trace import trace_spectra

CITATION = "Carvalho et al. 2024, Remote Sensing 16(11):1964"


def training_contents(
    trained: Trained,
    assays: AssayFiles,
    progress: Progress = lambda what, done, of: None,
    ladder: QuantisationFormats | None = None,
) -> ReportContents:
    """Gather the report of a training.

    Args:
        trained: model, data and statistics.
        assays: laboratory values and their quality control; all elements are described.
        progress: called with what is being done, how much of it is done, and of how much.
        ladder: of the run's formats, if they were tried.
    """
    joined, settings, recipe, transform = trained.samples, trained.options, trained.recipe, trained.transform
    progress("predictions", 0, 0)
    rows = replicate_rows(joined.spectra, settings.replicates)
    in_training = set(trained.training)
    parts = {"training": prepare([row for row in rows if row.sample_id in in_training], recipe)}
    if trained.validation:
        parts["validation"] = prepare([row for row in rows if row.sample_id not in in_training], recipe)
    progress("preprocessing", 0, 0)
    trace = trace_spectra([row for part in parts.values() for row in part.rows], joined.target, first_recipe(recipe))

    def answer(reflectance: Floats, nm: Floats, splices_nm: tuple[float, ...]) -> Floats:
        return trained.answer(recipe.preprocess(reflectance, nm, splices_nm).features)

    sets = [_trained_set(trained, name, part) for name, part in parts.items()]
    if not trained.validation:
        sets.append(_cross_validated(trained, trained.comparison, parts["training"]))
    return ReportContents(
        title=f"{spoken(joined.element)} in soil, estimated from its reflectance",
        kind="training",
        element=joined.element,
        unit=joined.unit,
        transform=axes_for(transform, joined.target.values()),
        simulated=joined.simulated,
        facts=_facts(trained, assays),
        metrics=tuple(
            MetricsColumn(name, "" if name.endswith(")") else joined.unit, metrics)
            for name, metrics in trained.metrics.items()
        ),
        spectra=trace,
        learning=_learning(trained),
        by_samples=_by_samples(trained),
        predictions=Predictions(tuple(sets), trained.interval.coverage if trained.interval else None),
        baselines=trained.comparison if len(trained.comparison.scores) > 1 else None,
        ours=trained.method.name,
        ladder=ladder,
        domain=DomainPart(
            tuple(_domain_set(name, part, trained.domain) for name, part in parts.items()),
            f"The calibration is described by {trained.domain.method}.",
        ),
        importance=importance_part(answer, parts["training"], joined, recipe, transform, progress),
        **assay_parts(assays, _training_notes(trained), progress),  # type: ignore[arg-type]
    )


def _training_notes(trained: Trained) -> list[str]:
    later = [f"refused {r.source}: {r.reason}" for r in trained.refused]
    return [*trained.warnings(), *trained.samples.notes(None, trained.censored_trained_on), *later]


def first_recipe(recipe: Recipe | Blocks) -> Recipe:
    """Give what a report draws step by step: of several views, the first."""
    return recipe.recipes[0] if isinstance(recipe, Blocks) else recipe


def preprocessing_in_words(recipe: Recipe | Blocks) -> str:
    """Say the steps in short, those that blocks have in common once."""
    recipes = recipe.recipes if isinstance(recipe, Blocks) else (recipe,)
    parts = [[step_in_words(step) for step in one.steps[len(one.beginning) :]] for one in recipes]
    shared = [len(set(words)) == 1 for words in zip(*parts, strict=False)]
    common = [*shared, False].index(False) if len(parts) > 1 else 0
    first, last = recipe.range_nm
    begun = ", ".join([f"{first:g}–{last:g} nm", *parts[0][:common]])
    blocks = "; ".join(", ".join(part[common:]) or "no more" for part in parts)
    return f"{begun}; {f'{len(parts)} blocks side by side: ' if len(parts) > 1 else ''}{blocks}"


def response_in_words(transform: Transform) -> str:
    """Say what of the content a model answers with."""
    return {"none": "the content itself", "sqrt": "its square root", "log10": "its logarithm (log10)"}[transform]


def axes_for(transform: Transform, measured: Iterable[float]) -> Transform:
    """Space axes of grade as the model learned it, or by logarithms where it is as it is and goes over decades.

    Grades of which the highest is more than ten times the middle one lie on each other on plain axes.
    """
    y = np.fromiter(measured, dtype=np.float64)
    return "log10" if transform == "none" and y.min() > 0 and y.max() > 10 * np.median(y) else transform


def _facts(trained: Trained, assays: AssayFiles) -> tuple[tuple[str, str], ...]:
    joined, settings = trained.samples, trained.options
    taken = "averaged by sample" if settings.replicates == "average" else "each by itself"
    if trained.validation:
        bounds = len(trained.censored_trained_on)
        joined_in = f" and {bounds} known as a bound only" if bounds else ""
        samples = f"{len(trained.training)}{joined_in} for training, {len(trained.validation)} for validation"
    else:
        samples = f"{len(trained.training)}, all of them trained on; judged by cross-validation"
    chosen = str(trained.record.get("chosen", ""))
    checked = trained.censored
    return (
        ("property", f"{in_words(joined.element)}, in {shown_unit(joined.unit)}"),
        ("samples", samples),
        ("spectra", f"{len(joined.spectra)} measurements, {taken}"),
        ("data", f"{assays.name}, SHA-256 {joined.sha256[:12]}…"),
        ("preprocessing", preprocessing_in_words(trained.recipe)),
        ("response", response_in_words(trained.transform)),
        ("model", f"{trained.method.about} ({trained.method.key}); {trained.model.parameters} parameters"),
        *([("chosen by inner cross-validation", chosen)] if chosen else []),
        (
            "calibrated range",
            f"{trained.calibrated_range[0]:g} to {trained.calibrated_range[1]:g} {shown_unit(joined.unit)}",
        ),
        *([("most influential sample", influence)] if (influence := trained.influence()) else []),
        *(
            (name.lower(), line.rstrip("."))
            for name, _, line in (said.partition(": ") for said in trained.detection_lines())
        ),
        *([("censored", checked.line().removeprefix("Censored samples: "))] if checked is not None else []),
        ("seed", str(trained.record["seed"])),
        ("weights", f"SHA-256 {trained.model.weights_sha256()[:12]}…"),
        ("date", datetime.date.today().isoformat()),
    )


def _learning(trained: Trained) -> LearningCurves | None:
    history = trained.record.get("history")
    if not history:
        return None
    epoch, training, validation = np.array(history, dtype=np.float64).T
    return LearningCurves(epoch, training, validation, int(trained.record["best_epoch"]))


def _by_samples(trained: Trained) -> SampleCurves | None:
    curve = trained.record.get("learning")
    if not curve:
        return None
    samples, training, validation = (np.array(curve[name]) for name in ("samples", "training", "validation"))
    return SampleCurves(samples, training, validation, "The model was fitted with its fast settings for this figure.")


def cross_validated_set(validation: Validation, method: str) -> PredictedSet:
    """Show what one method said of rows that it had not seen, the mean over repeats where there are several.

    Raises:
        KeyError: there is no such method.
    """
    score = validation[method]
    predicted = np.array([[np.nan if v is None else v for v in repeat] for repeat in score.predicted], dtype=np.float64)
    tested = np.isfinite(predicted).any(axis=0)
    repeats = len(score.predicted)
    return PredictedSet(
        name="cross-validation",
        samples=tuple(name for name, yes in zip(validation.samples, tested, strict=True) if yes),
        measured=np.asarray(validation.measured, dtype=np.float64)[tested],
        predicted=np.nanmean(predicted[:, tested], axis=0),
        note=f"Each estimated by a fit without it, method: {method}"
        + (f"; mean of {repeats} repeats." if repeats > 1 else "."),
    )


def _cross_validated(trained: Trained, comparison: Validation, part: Prepared) -> PredictedSet:
    """Show what was said of samples that had been left out, with the interval a device would give for that answer."""
    found = cross_validated_set(comparison, trained.method.name)
    if trained.interval is None:
        return found
    judged = dict(zip(part.samples, assess(part, trained.domain), strict=True))
    t2, q = (
        np.array([getattr(judged[name], what) for name in found.samples], dtype=np.float64)
        for what in ("t2_over_limit", "q_over_limit")
    )
    ends = interval(forward(found.predicted, trained.transform), trained.interval, t2, q)
    low, high = (np.clip(inverse(end, trained.transform), *trained.calibrated_range) for end in ends)
    return replace(found, low=low, high=high)


def spoken(element: str) -> str:
    """Begin a title with a column's name: total_carbon as Total carbon, Sb and pH as they are."""
    words = in_words(element)
    return words[0].upper() + words[1:] if words.islower() else words


def _trained_set(trained: Trained, name: str, part: Prepared) -> PredictedSet:
    outputs = trained.answer(part.features)
    transform, ends = trained.transform, trained.calibrated_range
    judged = assess(part, trained.domain)
    low = high = None
    if trained.interval is not None:
        low, high = (
            np.clip(inverse(end, transform), *ends)
            for end in interval(
                outputs,
                trained.interval,
                np.array([j.t2_over_limit for j in judged], dtype=np.float64),
                np.array([j.q_over_limit for j in judged], dtype=np.float64),
            )
        )
    note = "The network was fitted to these: they say how well it remembers, not how well it estimates."
    if name == "validation":
        note = "These decided when training stopped, and their residuals set the intervals: somewhat optimistic."
    return PredictedSet(
        name=name,
        samples=tuple(row.sample_id for row in part.rows),
        measured=np.array([trained.samples.target[row.sample_id] for row in part.rows]),
        predicted=np.clip(inverse(outputs, transform), *ends),
        low=low,
        high=high,
        outside=np.array([j.verdict == "outside" for j in judged]),
        note=note,
    )


def _domain_set(name: str, part: Prepared, domain: ApplicabilityDomain) -> DomainSet:
    judged = assess(part, domain)
    return DomainSet(
        name,
        tuple(row.sample_id for row in part.rows),
        np.array([j.t2_over_limit for j in judged], dtype=np.float64),
        np.array([j.q_over_limit for j in judged], dtype=np.float64),
    )


def evaluation_contents(
    bundle: Bundle,
    joined: Samples,
    evaluation: Evaluation,
    replicates: Replicates,
    assays: AssayFiles,
    progress: Progress = lambda what, done, of: None,
) -> ReportContents:
    """Gather the report of a bundle held against samples, by the device's own estimator.

    Args:
        bundle, joined, evaluation, replicates: as given to and by `evaluate.evaluate`.
        assays: laboratory values and their quality control; all elements are described.
        progress: as for `training_contents`.
    """
    progress("predictions", 0, 0)
    estimator = Estimator(bundle)
    rows = replicate_rows(joined.spectra, replicates)
    answers = estimator.estimate(rows)
    pairs = [(row, a) for row, a in zip(rows, answers, strict=True) if isinstance(a, Estimate)]
    known = trained_on(bundle)
    named: dict[str, list[tuple[Spectrum, Estimate]]] = {}
    for row, estimate in pairs:
        name = "seen in training" if row.sample_id in known else "new to the model"
        named.setdefault(name, []).append((row, estimate))
    sets = tuple(
        _evaluated_set(name, named[name], joined.target, bundle.calibrated_range)
        for name in sorted(named, reverse=True)
    )
    prepared = prepare([row for row, _ in pairs], bundle.recipe)
    notes = joined.notes(None)
    if evaluation.trained_on:
        notes.append(
            f"{evaluation.trained_on} of the samples have names the model was trained on: the figures of all flatter"
        )
    columns = [MetricsColumn("all", bundle.unit, evaluation.all)]
    if evaluation.inside is not None and evaluation.outside:
        columns.insert(0, MetricsColumn("inside the calibration", bundle.unit, evaluation.inside))
    if len(sets) > 1:
        # Last of those in the unit, for it is what the page opens with.
        columns += [MetricsColumn(s.name, bundle.unit, measure(s.predicted, s.measured)) for s in sets]
    if evaluation.transformed is not None:
        columns.append(MetricsColumn(f"all ({evaluation.transform})", "", evaluation.transformed))

    def answer(reflectance: Floats, nm: Floats, splices_nm: tuple[float, ...]) -> Floats:
        features = bundle.recipe.preprocess(reflectance, nm, splices_nm).features
        return estimator.runtime.run(bundle.scaling.apply(features))

    judged = [(s, e) for s, e in pairs if e.t2_over_limit is not None and e.q_over_limit is not None]
    domain = None
    if judged and bundle.domain is not None:
        domain = DomainPart(
            (
                DomainSet(
                    "evaluated",
                    tuple(s.sample_id for s, _ in judged),
                    np.array([e.t2_over_limit for _, e in judged], dtype=np.float64),
                    np.array([e.q_over_limit for _, e in judged], dtype=np.float64),
                ),
            ),
            f"The calibration is described by {bundle.domain.method}.",
        )
    facts = (
        ("model", f"{bundle.name}, SHA-256 {bundle.sha256[:12]}…"),
        ("property", f"{in_words(bundle.element)}, in {shown_unit(bundle.unit)}"),
        ("format", bundle.quantisation),
        ("samples", f"{evaluation.samples}; {evaluation.rows} estimates, {evaluation.refused} refused"),
        (
            "without a plain value",
            f"{evaluation.outside}: outside the calibration or its range, < LOD, scattered points",
        ),
        ("data", f"{assays.name}, SHA-256 {joined.sha256[:12]}…"),
        ("preprocessing", preprocessing_in_words(bundle.recipe)),
        ("response", response_in_words(bundle.transform)),
        (
            "calibrated range",
            f"{bundle.calibrated_range[0]:g} to {bundle.calibrated_range[1]:g} {shown_unit(bundle.unit)}",
        ),
        ("date", datetime.date.today().isoformat()),
    )
    return ReportContents(
        title=f"{spoken(bundle.element)} in soil: {bundle.name} held against laboratory values",
        kind="evaluation",
        element=bundle.element,
        unit=bundle.unit,
        transform=axes_for(bundle.transform, joined.target.values()),
        simulated=evaluation.simulated,
        facts=facts,
        metrics=tuple(columns),
        spectra=trace_spectra(
            prepared.rows,
            joined.target,
            first_recipe(bundle.recipe),
        ),
        predictions=Predictions(sets, evaluation.stated_coverage),
        domain=domain,
        importance=importance_part(answer, prepared, joined, bundle.recipe, bundle.transform, progress),
        **assay_parts(assays, notes, progress),  # type: ignore[arg-type]
    )


def _evaluated_set(
    name: str,
    pairs: Sequence[tuple[Spectrum, Estimate]],
    target: Mapping[str, float],
    calibrated_range: tuple[float, float],
) -> PredictedSet:
    intervals = [(e.low, e.high) for _, e in pairs if e.low is not None and e.high is not None]
    low = high = None
    if len(intervals) == len(pairs):
        low, high = np.array(intervals, dtype=np.float64).T
    return PredictedSet(
        name=name,
        samples=tuple(row.sample_id for row, _ in pairs),
        measured=np.array([target[row.sample_id] for row, _ in pairs]),
        predicted=np.array([e.value for _, e in pairs]),
        low=low,
        high=high,
        outside=np.array([e.verdict == "outside" for _, e in pairs]),
        calibrated_range=calibrated_range,
    )


def assay_parts(files: AssayFiles, notes: Sequence[str], progress: Progress) -> dict[str, object]:
    """Describe and assess all assays with their quality control; a file too plain for that leaves a note, no parts."""
    from ..assays.quality import check_quality
    from ..assays.statistics import correlate, describe

    progress("assays", 0, 0)
    if find_spec("scipy") is None:
        return {"notes": (*notes, "elements and quality control are not described: SciPy is not installed here")}
    try:
        require_training_side("scipy")
        table, certificates = files.table(), files.certificates()
    except StibiumError as error:
        return {"notes": (*notes, f"elements and quality control are not described: {error}")}
    parts: dict[str, object] = {"notes": tuple(notes), "quality": check_quality(table, certificates)}
    if table.of_kind("sample"):
        parts["statistics"] = describe(table)
        parts["printed"] = printed_tables([(c.element, c.unit) for c in table.columns])
        if len(table.columns) > 1:
            parts["correlations"] = (correlate(table, "pearson"), correlate(table, "log-pearson"))
    return parts


def printed_tables(columns: Sequence[tuple[str, str]]) -> PrintedTables | None:
    """Give the paper's printed figures of those elements that are in ppm here too; None if there are none."""
    from ..assays.paper_tables import printed_figures

    here = {element for element, unit in columns if same_unit(unit, "ppm")}
    statistics: dict[tuple[str, str], str] = {}
    correlations: dict[tuple[str, str], str] = {}
    for f in printed_figures():
        if f.table == 2 and f.element in here:
            statistics[f.element, f.statistic] = f.printed
        elif f.table == 1 and {f.element, f.other} <= here:
            correlations[f.element, f.other] = f.printed
    if not statistics and not correlations:
        return None
    return PrintedTables(statistics, correlations, CITATION)
