"""Errors of converting models."""

from __future__ import annotations

from ..spectra.errors import StibiumError


class ConversionError(StibiumError, ValueError):
    """A trained model that TensorFlow could not convert."""


class ParityError(StibiumError, ValueError):
    """An exported model whose answers are not those of the trained one."""
