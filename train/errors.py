"""Errors of the training side; each text is one line: what was met, what is wrong, what to do."""

from __future__ import annotations

from ..converters.spectra.errors import StibiumError


class AssayFileError(StibiumError, ValueError):
    """A file of assays that cannot be used."""


class TrainingDataError(StibiumError, ValueError):
    """Spectra and assays that no model can be trained on or held against."""


class RunError(StibiumError, ValueError):
    """A run directory that is occupied, damaged, or none."""


class KeptFitsError(StibiumError, ValueError):
    """A file of kept fits that holds something else."""


class ReportError(StibiumError, OSError):
    """A report that cannot be written."""
