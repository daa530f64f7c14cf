"""What `stibium doctor` looks at in the programs: the device's system, the runtime, the model."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ...converters.spectra.errors import StibiumError
from .. import __version__
from ..model.bundle import bundle_paths, read_bundle
from ..model.check import recompute_golden
from ..model.runtime import _interpreter_class, runtime_name
from .diagnosis import Check, Diagnosis, Patient

_INSTALL = "install again: sudo sh install.sh, or pip install --upgrade ."


def device(patient: Patient) -> Iterator[Diagnosis]:
    """What it is."""
    host = patient.host
    model = host.read("/proc/device-tree/model")
    release = host.read("/etc/os-release") or ""
    names = [line.split("=", 1)[1].strip('"') for line in release.splitlines() if line.startswith("PRETTY_NAME=")]
    board = model or "not a Raspberry Pi"
    yield Diagnosis("device", "ok", ", ".join(filter(None, (board, *names, os.uname().machine))))


def runtime(patient: Patient) -> Iterator[Diagnosis]:
    """Python, NumPy and the TFLite runtime; and the model, if there is something to run it."""
    versions = [f"stibium {__version__}", f"Python {platform.python_version()}"]
    try:
        _interpreter_class()
    except ImportError as error:
        lacking = f"{', '.join(versions)}; no TFLite runtime can be loaded: {error}"
        yield Diagnosis("runtime", "problem", lacking, _INSTALL)
        return
    yield Diagnosis("runtime", "ok", ", ".join([*versions, f"NumPy {np.__version__}", runtime_name()]))
    yield from model(patient)


def model(patient: Patient) -> Iterator[Diagnosis]:
    """The model, and whether this device computes with it what it should."""
    try:
        paths = bundle_paths([patient.model] if patient.model is not None else ())
    except StibiumError as error:
        yield Diagnosis("model", "problem", str(error), "copy the model file again, or name another with --model")
        return
    for path in paths:
        yield from _model(path)


def _model(path: Path) -> Iterator[Diagnosis]:
    try:
        bundle = read_bundle(path)
        results = recompute_golden(bundle)
    except StibiumError as error:
        yield Diagnosis("model", "problem", str(error), "copy the model file again, or name another with --model")
        return
    except (ImportError, AttributeError, SystemError, OSError) as error:
        # A runtime and a NumPy that do not go together fail in such ways, and only when a model is run.
        yield Diagnosis("model", "problem", f"cannot be run here: {type(error).__name__}: {error}", _INSTALL)
        return
    wrong = sum(not result.same for result in results)
    if wrong:
        found = f"{bundle.path}: {wrong} of {len(results)} golden answers are not what they should be"
        yield Diagnosis("model", "problem", found, "do not measure with this model on this device; stibium check")
        return
    yield Diagnosis("model", "ok", f"{bundle.path}: {len(results)} golden answers as expected")
    yield Diagnosis("model", "ok", f"SHA-256 {bundle.sha256}, unsigned: the file itself does not say who made it")
    if bundle.simulated:
        found = f"{bundle.name} was calibrated on SIMULATED soils and says nothing about real ground"
        yield Diagnosis("model", "warning", found, "train one on your own soils and name it in STIBIUM_MODEL")


CHECKS: tuple[Check, ...] = (device, runtime)
