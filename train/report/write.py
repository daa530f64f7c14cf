"""Reports of trainings and evaluations, with progress on a terminal."""

from __future__ import annotations

import os
from pathlib import Path

from ...edge.model.bundle import Bundle
from ..adaptation.adapted import Adapted
from ..assays.files import AssayFiles
from ..crossval.validation import Validation
from ..evaluate import Evaluation
from ..formats import QuantisationFormats
from ..run import REPORT
from ..samples import Replicates, Samples
from ..terminal import ProgressLine
from ..training import Trained
from . import figures, tables
from .adaptation import render_adaptation
from .contents import ReportContents
from .gather import evaluation_contents, training_contents
from .gather_validation import validation_contents
from .page import render, write_page


def render_report(contents: ReportContents) -> str:
    """Give a report's page as text; a part of it that is None is left out."""
    return render(
        "report.html",
        title=contents.title,
        kind=contents.kind,
        simulated=contents.simulated,
        facts=contents.facts,
        notes=contents.notes,
        c=contents,
        look=figures.Look.at(contents),
        t=tables,
        draw=figures,
    )


def write_report(path: str | os.PathLike[str], contents: ReportContents) -> None:
    """Write a report as one HTML file.

    Raises:
        ReportError: the file cannot be written.
    """
    write_page(path, render_report(contents))


def write_training_report(
    run: str | os.PathLike[str], trained: Trained, assays: AssayFiles, ladder: QuantisationFormats | None = None
) -> Path:
    """Write a run's report into its folder.

    Returns:
        Where it is.

    Raises:
        ReportError: it cannot be written.
    """
    path = Path(run) / REPORT
    with ProgressLine("report") as shown:
        write_report(path, training_contents(trained, assays, shown.count, ladder))
    return path


def write_evaluation_report(
    path: str | os.PathLike[str],
    bundle: Bundle,
    joined: Samples,
    evaluation: Evaluation,
    replicates: Replicates,
    assays: AssayFiles,
) -> None:
    """Write the report of a bundle held against samples; see `gather.evaluation_contents`.

    Raises:
        ReportError: it cannot be written.
    """
    with ProgressLine("report") as shown:
        write_report(path, evaluation_contents(bundle, joined, evaluation, replicates, assays, shown.count))


def write_validation_report(
    path: str | os.PathLike[str], validation: Validation, joined: Samples, assays: AssayFiles
) -> None:
    """Write the report of a validation; see `gather_validation.validation_contents`.

    Raises:
        ReportError: it cannot be written.
    """
    with ProgressLine("report") as shown:
        write_report(path, validation_contents(validation, joined, assays, shown.count))


def write_adaptation_report(path: str | os.PathLike[str], parent: Bundle, adapted: Adapted) -> None:
    """Write the page of an adaptation.

    Raises:
        ReportError: it cannot be written.
    """
    write_page(path, render_adaptation(parent, adapted))
