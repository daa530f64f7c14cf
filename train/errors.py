"""Errors of the training side; each text is one line: what was met, what is wrong, what to do."""

from __future__ import annotations

from importlib.util import find_spec

from ..converters.spectra.errors import StibiumError
from ..edge.errors import installing


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


class ArchiveError(StibiumError, ValueError):
    """A folder that is no place for an archive."""


class PictureError(StibiumError, RuntimeError):
    """A picture that cannot be rendered."""


class ClusterError(StibiumError, RuntimeError):
    """A Dask cluster that cannot be had, or has gone."""


NEEDS_TRAIN = f"needs the training side, which is not installed here: {installing('train')}"


class MissingTrainingSideError(StibiumError, ImportError):
    """TensorFlow and its companions are not installed."""


def require_training_side(*modules: str) -> None:
    """Stop in one line where only the device's part is installed.

    Args:
        modules: that are needed; TensorFlow and scikit-learn if none is named.

    Raises:
        MissingTrainingSideError: one of them is absent.
    """
    if any(find_spec(name) is None for name in modules or ("tensorflow", "sklearn")):
        raise MissingTrainingSideError(NEEDS_TRAIN)
