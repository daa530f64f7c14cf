"""Is this device fit to measure? All checks, in the order in which they are shown."""

from __future__ import annotations

from collections.abc import Iterator

from . import log, software, system
from .diagnosis import Check, Diagnosis, Patient

CHECKS: tuple[Check, ...] = (*software.CHECKS, *log.CHECKS, *system.CHECKS)


def examine(patient: Patient) -> Iterator[Diagnosis]:
    """Give the diagnoses, check by check, as soon as they are there."""
    for check in CHECKS:
        yield from check(patient)
