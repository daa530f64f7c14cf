"""A report with every part, from plain made-up arrays."""

from __future__ import annotations

import numpy as np
from stibium.train.assays.findings import (
    BlankResult,
    Detection,
    DuplicatePair,
    InsertionRate,
    Precision,
    QualityControl,
    QualityLimits,
    Recovery,
)
from stibium.train.assays.statistics import Correlations, describe_element
from stibium.train.assays.values import Assay
from stibium.train.crossval.metrics import measure
from stibium.train.crossval.validation import METRICS, R2_LOG10, ClassError, MethodScore, Spread, Validation
from stibium.train.formats import FormatResult, QuantisationFormats
from stibium.train.report.contents import (
    BandProfile,
    DomainPart,
    DomainSet,
    ImportancePart,
    LearningCurves,
    MetricsColumn,
    PredictedSet,
    Predictions,
    PrintedTables,
    ReportContents,
    SampleCurves,
    SpectraTrace,
    StepResult,
)

PARTS = {
    "metrics": {"accuracy"},
    "spectra": {"spectra"},
    "learning": {"learning"},
    "by_samples": {"learning"},
    "predictions": {"predictions", "residuals"},
    "baselines": {"baselines"},
    "ladder": {"quantisation"},
    "domain": {"domain"},
    "quality": {"quality"},
    "statistics": {"statistics"},
    "correlations": {"correlations"},
    "importance": {"importance"},
}
"""Each part that a report may lack, and the sections it makes."""


def a_set(name: str, n: int, seed: int) -> PredictedSet:
    rng = np.random.default_rng(seed)
    measured = 10 ** rng.uniform(0.5, 3, n)
    predicted = measured * 10 ** rng.normal(0, 0.2, n)
    outside = np.zeros(n, dtype=bool)
    outside[0] = True
    return PredictedSet(
        name, tuple(f"{name}{i}" for i in range(n)), measured, predicted, predicted / 2, predicted * 2, outside
    )


def a_trace() -> SpectraTrace:
    nm = np.arange(400.0, 2401.0, 4.0)
    values = np.stack([0.2 + 0.1 * k + 0.05 * np.sin(nm / 200) for k in range(3)])
    steps = (
        StepResult("As measured", "", "reflectance", nm, values),
        StepResult("First derivative", "", "derivative (nm⁻¹)", nm, np.gradient(values, nm, axis=1)),
    )
    spectrogram = np.random.default_rng(0).uniform(0.01, 1, (5, 9))
    return SpectraTrace(("A", "B", "C"), np.array([3.0, 30.0, 300.0]), steps, spectrogram, np.linspace(500, 2300, 5))


def a_quality() -> QualityControl:
    one, two = Assay(100.0), Assay(110.0)
    return QualityControl(
        pairs=(DuplicatePair("pulp", "RS001", "Sb", "ppm", one, two, 9.5, 4.75, True, False, ""),),
        precision=(Precision("pulp", "Sb", "ppm", 1, 1, "pass", "", cv_pct=6.7),),
        recoveries=(
            Recovery("OREAS X", "Sb", "ppm", 2, 0, 50.0, 1.0, 2.0, 51.0, 2.0, 98.0, -0.5, True, "warn", "by hand"),
        ),
        blanks=(BlankResult("BLK", "Sb", "ppm", Assay(0.02, "<"), 0.02, None, "pass", "below detection"),),
        detection=(Detection("Sb", "ppm", 40, 0, 3, 1, None, 0.02, "fail", "made up"),),
        rates=(InsertionRate("blanks", 1, 0.025, None, "not judged", ""),),
        notes=("a note of the quality control",),
        limits=QualityLimits(),
    )


def a_score(
    name: str, chosen: str = "", by_class: tuple[ClassError, ...] = (), **figures: tuple[float | None, ...]
) -> MethodScore:
    """A method with the figures of merit that are given, each over repeats."""
    metrics = {key: Spread.of(figures.get(key, (None,))) for key in (*METRICS, R2_LOG10)}
    return MethodScore(name, (), metrics, by_class, ((chosen,),), 1.0)


def a_validation(folds: str, *scores: MethodScore) -> Validation:
    return Validation(folds, "Sb", "ppm", (), None, (), scores)


def a_full_report() -> ReportContents:
    sets = (a_set("training", 30, 1), a_set("validation", 17, 2))
    epochs = np.arange(1.0, 41.0)
    r = np.array([[1.0, 0.9, -0.2], [0.9, 1.0, np.nan], [-0.2, np.nan, 1.0]])
    n = np.full((3, 3), 40)
    heights = np.linspace(0, 1, 50)
    first = np.linspace(400, 2360, 50)
    return ReportContents(
        title="A report",
        kind="training",
        element="Sb",
        unit="ppm",
        transform="log10",
        simulated=False,
        facts=(("seed", "42"),),
        notes=("one thing to know",),
        metrics=(MetricsColumn("validation", "ppm", measure(sets[1].predicted, sets[1].measured)),),
        spectra=a_trace(),
        learning=LearningCurves(epochs, 1 / epochs, 1 / epochs + 0.2, 40),
        by_samples=SampleCurves(np.array([20.0, 40.0]), np.array([50.0, 60.0]), np.array([200.0, 150.0]), "Fast."),
        predictions=Predictions(sets, 0.9),
        baselines=a_validation(
            "Five folds", a_score("stibium", r2=(0.65, 0.7, 0.75, 0.72)), a_score("PLSR", "7 components", r2=(0.6,))
        ),
        ours="stibium",
        ladder=QuantisationFormats(
            (
                FormatResult("int8", 34000, 0.031, 0.05, 0.03, 0.02),
                FormatResult("float16", 61000, 0.0, 0.001, 0.0, 0.0),
                FormatResult("dynamic", 0, None, why_not="no such op"),
            ),
            0.32,
            0.3,
            20.0,
            60.0,
            "log10 ppm",
        ),
        domain=DomainPart((DomainSet("training", ("a", "b"), np.array([0.2, 1.7]), np.array([0.4, 0.3])),)),
        quality=a_quality(),
        statistics=(describe_element("Sb", "ppm", [Assay(1.0), Assay(5.0), Assay(25.0), Assay(4000.0, ">")]),),
        correlations=(Correlations(("Sb", "As", "Mn"), "pearson", "bounds as values", r, n, np.zeros_like(n)),),
        printed=PrintedTables({("Sb", "mean"): "132"}, {("Sb", "As"): "0.90"}, "the paper"),
        importance=ImportancePart(
            (BandProfile("Shapley values", "mean |SHAP|", "of nothing", first, first + 40, heights, 0.5),)
        ),
    )
