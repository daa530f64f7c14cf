"""Errors of the device's part. The base class stands beside the first thing that can fail: reading a file."""

from __future__ import annotations

import os

from ..converters.spectra.errors import StibiumError

__all__ = [
    "BlockTableError",
    "BundleError",
    "ColumnFileError",
    "CorrectionError",
    "ExportError",
    "InstrumentError",
    "InstrumentExchangedError",
    "LogError",
    "MeasurementError",
    "NoReplyError",
    "NoSuchPortError",
    "NotAPortError",
    "NothingLeftError",
    "OutputError",
    "PortError",
    "PortGoneError",
    "PositionError",
    "PreprocessError",
    "ProfileError",
    "ProtocolError",
    "RecipeError",
    "RecordingError",
    "ScenarioError",
    "ServeError",
    "StibiumError",
    "UnsuitableSpectrumError",
    "WavelengthRangeError",
    "installing",
    "why_refused",
]


def why_refused(error: Exception) -> str:
    """Say in one line why one file or spectrum is refused, where the next must have its turn whatever happened.

    With STIBIUM_TRACEBACK set, an error that only a defect of this program can raise is raised again.
    """
    if isinstance(error, StibiumError):
        return str(error)
    if isinstance(error, MemoryError):
        return "does not fit into this device's memory; split it into smaller files"
    if isinstance(error, OSError):
        return f"cannot be read: {error.strerror or error}"
    if os.environ.get("STIBIUM_TRACEBACK"):
        raise error
    return f"unexpected {type(error).__name__}: {error} (a defect: please report it)"


def installing(extra: str) -> str:
    """Say how a part that is not installed gets here: no package index has stibium."""
    return f"pip install '.[{extra}]' where stibium was cloned"


class RecipeError(StibiumError, ValueError):
    """A preprocessing recipe that cannot be: unknown step, impossible parameter, wrong order."""


class RecipeFileError(RecipeError):
    """A file or a name that is no recipe."""


class JobsError(StibiumError, RuntimeError):
    """One of several processes has died."""


class PreprocessError(StibiumError, ValueError):
    """Input that a preprocessing step cannot take, such as reflectance of zero where a logarithm is due."""


class WavelengthRangeError(PreprocessError):
    """The spectrum does not cover the wavelengths the model was calibrated on."""


class UnsuitableSpectrumError(StibiumError, ValueError):
    """A whole spectrum that no estimate may be made from: saturated, raw, implausible."""


class BundleError(StibiumError, ValueError):
    """A model file that is damaged, foreign, or of a version this program does not know."""


class ExportError(StibiumError, OSError):
    """A file that readings are exported to cannot be written."""


class OutputError(StibiumError, OSError):
    """Results that cannot be written where they should be shown; they are in the log."""


class RecordingError(StibiumError, ValueError):
    """A recording of a port that is none, or has a line that cannot be read."""


class ProfileError(StibiumError, ValueError):
    """A probe profile that cannot be used: no such file, not TOML, an unknown key, an impossible value."""


class PortError(StibiumError, OSError):
    """A port that cannot be opened, is taken, or has gone."""


class NoSuchPortError(PortError):
    """A port that is not there, or not yet."""


class NotAPortError(PortError):
    """A name that is no port's and will never be one, however long it is waited for."""


class PortGoneError(PortError):
    """A port that was open has hung up: unplugged, or the other side closed it."""


class InstrumentExchangedError(PortError):
    """Another instrument answers on a port than the one that was identified there."""


class PositionError(StibiumError, ValueError):
    """A source of positions that is written in a way nobody understands."""


class ProtocolError(StibiumError, ValueError):
    """Bytes or calls that break the protocol: local misuse, or a peer that sent rubbish."""


class NoReplyError(StibiumError, TimeoutError):
    """The instrument did not answer in time, or not all of its answer came."""


class InstrumentError(StibiumError, RuntimeError):
    """The instrument answered, and what it said is an error."""


class MeasurementError(StibiumError, ValueError):
    """One measurement that cannot be used; the next one may be."""


class NothingLeftError(InstrumentError):
    """The instrument has no further measurement to give, as a virtual probe at the end of its spectra."""


class LogError(StibiumError, OSError):
    """The log of readings cannot be opened or written."""


class CorrectionError(StibiumError, ValueError):
    """Something said of a reading afterwards that cannot be: no such reading, an unknown kind, an impossible value."""


class ServeError(StibiumError, OSError):
    """The page or the lines of readings cannot be served: no such interface, a port that is taken, a damaged PIN."""


class ColumnFileError(StibiumError, ValueError):
    """A file that says what the columns of a table of blocks are, and cannot be used."""


class ScenarioError(StibiumError, ValueError):
    """A scenario (which variables a model may use) that cannot be used."""


class BlockTableError(StibiumError, ValueError):
    """A table of blocks, or one row of it, that cannot be used."""
