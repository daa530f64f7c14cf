"""Files of spectra to `Spectrum` and back: one module per format, the content decides, not the extension."""

from .errors import SpectrumFileError, StibiumError, TruncatedFileError, UnknownFormatError, UnusableSpectrumError
from .spectrum import Position, Spectrum

__all__ = [
    "Position",
    "Spectrum",
    "SpectrumFileError",
    "StibiumError",
    "TruncatedFileError",
    "UnknownFormatError",
    "UnusableSpectrumError",
]
