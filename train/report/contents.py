"""What a report may hold. Every part is optional; one that is None is left out of the page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ...converters.spectra.spectrum import Floats
from ...edge.model.target import Transform
from ..assays.findings import QualityControl
from ..assays.statistics import Correlations, Description
from ..crossval.metrics import Metrics


@dataclass(frozen=True)
class MetricsColumn:
    """Metrics of one set of samples; `unit` of its errors, "" in a transform's space."""

    name: str
    unit: str
    metrics: Metrics


@dataclass(frozen=True, eq=False)
class StepResult:
    """What spectra are after a step of preprocessing.

    Attributes:
        name, detail: the step and its parameters in words.
        y_label: what the values are, with the unit.
        wavelengths_nm: (bands,).
        values: (k, bands).
    """

    name: str
    detail: str
    y_label: str
    wavelengths_nm: Floats
    values: Floats


@dataclass(frozen=True, eq=False)
class SpectraTrace:
    """A handful of spectra, step by step.

    Attributes:
        samples: k names.
        grade: (k,) measured values, which the lines are coloured by.
        steps: the spectra as measured, then after each step.
        spectrogram: (frames, bins) mean magnitude over the k, or None where the recipe has none.
        frame_centres_nm: (frames,) of the spectrogram.
        spectrogram_detail: its parameters in words.
    """

    samples: tuple[str, ...]
    grade: Floats
    steps: tuple[StepResult, ...]
    spectrogram: Floats | None = None
    frame_centres_nm: Floats | None = None
    spectrogram_detail: str = ""


@dataclass(frozen=True, eq=False)
class LearningCurves:
    """Losses by epoch, (epochs,) each; `best_epoch` is the one whose weights were kept."""

    epoch: Floats
    training: Floats
    validation: Floats
    best_epoch: int
    loss: str = "mean square error of the standardised target"


@dataclass(frozen=True, eq=False)
class SampleCurves:
    """RMSE by number of samples fitted to, (k,) each, in the element's unit; `note` is said below the figure."""

    samples: Floats
    training: Floats
    validation: Floats
    note: str = ""


@dataclass(frozen=True, eq=False)
class PredictedSet:
    """Predicted and measured values of one set of samples, (n,) each, in the element's unit.

    Attributes:
        name: "training", "validation", "cross-validation", ...
        samples: n names.
        low, high: ends of the prediction intervals, or None.
        outside: (n,) True where the spectrum does not belong to the calibration, or None where nothing is known.
        note: said below the figure.
    """

    name: str
    samples: tuple[str, ...]
    measured: Floats
    predicted: Floats
    low: Floats | None = None
    high: Floats | None = None
    outside: NDArray[np.bool_] | None = None
    note: str = ""


@dataclass(frozen=True)
class Predictions:
    """Sets of predictions in one unit; `coverage` is the stated share of values inside their intervals."""

    sets: tuple[PredictedSet, ...]
    coverage: float | None = None


@dataclass(frozen=True)
class Spread:
    """A figure of merit over repeats: mean, standard deviation over repeats, and each repeat's where known."""

    mean: float
    sd: float | None = None
    values: tuple[float, ...] = ()


@dataclass(frozen=True)
class BaselineRow:
    """One model of a comparison.

    Attributes:
        name: such as "PLSR, 9 components".
        figures: figure of merit -> its spread; "R2", "RMSE", ... in the order of the table's columns.
        ours: True for the model the report is about.
        note: such as what was tuned.
    """

    name: str
    figures: dict[str, Spread]
    ours: bool = False
    note: str = ""


@dataclass(frozen=True)
class BaselineComparison:
    """Models on the same folds.

    Attributes:
        rows: in the order they are shown.
        protocol: in words: how many folds and repeats, grouped by what, tuned how.
        plotted: which figure the dot plot shows, and whether more of it is better.
        classes: of grade, ascending: the class in words, how many samples it has, and of each of `rows` RMSE and bias.
    """

    rows: tuple[BaselineRow, ...]
    protocol: str
    plotted: str = "R2"
    higher_is_better: bool = True
    classes: tuple[tuple[str, int, tuple[tuple[Spread | None, Spread | None], ...]], ...] = ()


@dataclass(frozen=True)
class LadderRow:
    """One format of the network.

    Attributes:
        format: int8, int16x8, ...
        bytes: of the file; 0 if there is none.
        rmse: with what the format adds; None where it was not measured.
        added_percent: of the float model's RMSE on unseen samples; None where it was not measured.
        chosen: whether it was taken.
        low_grade_added_percent: the same for the samples of low grade; None where not looked at.
        note: such as why it was not measured.
    """

    format: str
    bytes: int
    rmse: float | None
    added_percent: float | None
    chosen: bool
    low_grade_added_percent: float | None = None
    note: str = ""


@dataclass(frozen=True)
class QuantisationLadder:
    """Formats from small to large, and the most that one may add."""

    rows: tuple[LadderRow, ...]
    unit: str
    limit_percent: float = 1.0


@dataclass(frozen=True, eq=False)
class DomainSet:
    """Hotelling T2 and Q residual of one set of spectra over their limits, (n,) each."""

    name: str
    samples: tuple[str, ...]
    t2_over_limit: Floats
    q_over_limit: Floats


@dataclass(frozen=True)
class DomainPart:
    """The calibration's domain; `method` says how the limits were set."""

    sets: tuple[DomainSet, ...]
    method: str = ""


@dataclass(frozen=True, eq=False)
class BandProfile:
    """How much each stretch of wavelengths counts by one way of asking.

    Attributes:
        name: of the way, such as "Shapley values through the whole path".
        y_label: what the heights are.
        detail: how it was done, in words.
        first_nm, last_nm: (m,) stretches.
        height: (m,) from 0 up.
        threshold: drawn as a line, such as 1 for VIP.
    """

    name: str
    y_label: str
    detail: str
    first_nm: Floats
    last_nm: Floats
    height: Floats
    threshold: float | None = None


@dataclass(frozen=True)
class ImportancePart:
    """Which wavelengths carry the estimate, asked in several ways."""

    profiles: tuple[BandProfile, ...]


@dataclass(frozen=True)
class PrintedTables:
    """The paper's tables for the same elements, each figure as printed.

    Attributes:
        statistics: (element, statistic of `element_statistics.Moments`) -> digits.
        correlations: (element, element) -> digits.
        citation: where they stand.
    """

    statistics: dict[tuple[str, str], str]
    correlations: dict[tuple[str, str], str]
    citation: str


@dataclass(frozen=True)
class ReportContents:
    """A report's parts.

    Attributes:
        title: of the page.
        kind: "training", "evaluation" or "validation".
        element, unit: what is estimated.
        transform: how axes of grade are spaced: as the model learned, or log10 where grades go over decades.
        simulated: True if model or data are simulated; the page then says so throughout.
        facts: name and value each: data, recipe, versions, hashes.
        notes: what a reader must know, such as samples left out.
    """

    title: str
    kind: Literal["training", "evaluation", "validation"]
    element: str
    unit: str
    transform: Transform
    simulated: bool
    facts: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    metrics: tuple[MetricsColumn, ...] | None = None
    spectra: SpectraTrace | None = None
    learning: LearningCurves | None = None
    by_samples: SampleCurves | None = None
    predictions: Predictions | None = None
    baselines: BaselineComparison | None = None
    ladder: QuantisationLadder | None = None
    domain: DomainPart | None = None
    quality: QualityControl | None = None
    statistics: tuple[Description, ...] | None = None
    correlations: tuple[Correlations, ...] | None = None
    printed: PrintedTables | None = None
    importance: ImportancePart | None = None
