"""What a report may hold. Every part is optional; one that is None is left out of the page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ...converters.spectra.spectrum import Floats
from ...edge.model.target import Transform
from ..assays.findings import QualityControl
from ..assays.statistics import Correlations, ElementDescription
from ..crossval.metrics import NOWHERE_OPEN, Metrics, coverage
from ..crossval.validation import Validation
from ..formats import QuantisationFormats


def in_words(column: str) -> str:
    """Give a column's name as people say it: total carbon for total_carbon."""
    return column.replace("_", " ")


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
        calibrated_range: at whose ends intervals are open.
    """

    name: str
    samples: tuple[str, ...]
    measured: Floats
    predicted: Floats
    low: Floats | None = None
    high: Floats | None = None
    outside: NDArray[np.bool_] | None = None
    note: str = ""
    calibrated_range: tuple[float, float] = NOWHERE_OPEN

    @property
    def covered_percent(self) -> float | None:
        """How many of the measured values lie in their intervals; None without intervals."""
        if self.low is None or self.high is None:
            return None
        return 100 * coverage(self.low, self.high, self.measured, self.calibrated_range)

    @property
    def n_outside(self) -> int:
        """Count the spectra that do not belong to the calibration."""
        return 0 if self.outside is None else int(np.count_nonzero(self.outside))


@dataclass(frozen=True)
class Predictions:
    """Sets of predictions in one unit; `coverage` is the stated share of values inside their intervals."""

    sets: tuple[PredictedSet, ...]
    coverage: float | None = None


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
        baselines: methods on the same folds.
        ours: name of the method among them that the report is about.
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
    baselines: Validation | None = None
    ours: str | None = None
    ladder: QuantisationFormats | None = None
    domain: DomainPart | None = None
    quality: QualityControl | None = None
    statistics: tuple[ElementDescription, ...] | None = None
    correlations: tuple[Correlations, ...] | None = None
    printed: PrintedTables | None = None
    importance: ImportancePart | None = None
