"""Errors of the whole package: one base class, each leaf also the builtin error it is a kind of."""

from collections.abc import Callable


class StibiumError(Exception):
    """Something a user can act on. Its text is one line: what was met, what is wrong, what to do."""


class SpectrumFileError(StibiumError, ValueError):
    """A file of spectra cannot be used."""


class UnknownFormatError(SpectrumFileError):
    """The content is of no format this project reads."""


class TruncatedFileError(SpectrumFileError, EOFError):
    """The file ends before the data it announces."""


class UnusableSpectrumError(SpectrumFileError):
    """The file is whole, but what it holds is no usable spectrum: raw, radiance, not finite, out of range."""


OnBad = Callable[[SpectrumFileError], None]
"""Called with the reason for each spectrum of a file of many that is unusable, which then is passed over."""
