"""From a run directory to a bundle a device can use, checked in the device's own runtime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..converters.models.errors import ConversionError
from ..converters.models.parity import Parity, compare
from ..converters.spectra.spectrum import Floats, Spectrum
from ..edge.model.bundle import Bundle, Golden
from ..edge.model.estimate import Estimate, Estimator
from ..edge.model.runtime import runtime_name
from ..edge.model.sense import MOST_TOLERANCE
from ..edge.model.suitability import require_reflectance
from ..edge.model.target import Transform, forward, inverse
from ..edge.record import rounded
from .methods.method import ModelFile
from .methods.registry import DEVICE_METHODS
from .prepared import Prepared, prepare
from .run import TrainingRun
from .stability import fit_stability

GOLDEN_SPECTRA = 2
"""One low and one high: what a device computes otherwise shows in either, and each is a tenth of the file."""
GOLDEN_REFLECTANCE_STEP = 2.0**-16
"""Reflectance that golden spectra are rounded to: bits below an instrument's noise cost room and say nothing."""
GOLDEN_STEPS = 5
"""Another runtime's kernels round activations in other places, which can move a quantised output by a few steps."""
FLOAT_TOLERANCE = 1e-3
"""Relative: what float32 arithmetic in another order may change, with room to spare."""
DYNAMIC_TOLERANCE = 0.06
"""Relative: activations are quantised anew for each spectrum, and runtimes differ in how."""


@dataclass(frozen=True, eq=False)
class Exported:
    """A bundle, not yet written, and how it compares with the trained model."""

    bundle: Bundle
    parity: Parity


@dataclass(frozen=True, eq=False)
class ConvertedRun:
    """A run's network in some formats.

    Attributes:
        models: format -> flatbuffer.
        prepared: the rows that an export is held against.
        answers: (rows,) of the trained network for these, in the transform's space.
    """

    models: dict[str, bytes]
    prepared: Prepared
    answers: Floats


def convert_run(run: TrainingRun, quantisations: Sequence[str]) -> ConvertedRun:
    """Convert a run's network.

    Raises:
        ConversionError: TensorFlow could not convert it; or no such format of this network.
    """
    method = DEVICE_METHODS[run.method]
    for name in quantisations:
        if name not in method.formats:
            raise ConversionError(
                f"{run.folder}: a model of the {run.method} method has no {name} format; there are "
                f"{', '.join(method.formats)}"
            )
    prepared = prepare(run.held_out, run.bundle.recipe)
    stored = ModelFile(run.model_path, run.bundle.scaling, run.bundle.transform, run.calibration_features)
    converted = method().to_tflite(stored, quantisations, prepared.features)
    return ConvertedRun(converted.models, prepared, converted.answers)


def bundle_of(run: TrainingRun, model: bytes, quantisation: str) -> Bundle:
    """Put a converted network to what the run says; golden answers and provenance are still missing."""
    return replace(run.bundle, model=model, quantisation=quantisation)


def finish(run: TrainingRun, bundle: Bundle, converted: ConvertedRun) -> Exported:
    """Hold a bundle against the trained network, and give it golden answers and its provenance.

    Both come from this machine's TFLite runtime, by the way every estimate on a device takes.

    Raises:
        ParityError: the device's path refuses a spectrum that the model was made with.
        BundleError: this machine's runtime cannot load the converted model.
    """
    parity = compare(bundle, converted.prepared.rows, run.held_out_measured, converted.answers, run.validated)
    stability = fit_stability(bundle, run.held_out)
    golden = choose_golden(bundle, run.held_out, run.held_out_measured)
    return Exported(replace(bundle, stability=stability, golden=golden, provenance=_provenance(run, parity)), parity)


def export_run(run: TrainingRun, quantisations: Sequence[str]) -> dict[str, Exported]:
    """Convert a run's model, in one or several formats.

    Raises:
        ConversionError, ParityError, BundleError: see `convert_run` and `finish`.
    """
    converted = convert_run(run, quantisations)
    return {name: finish(run, bundle_of(run, model, name), converted) for name, model in converted.models.items()}


def choose_golden(bundle: Bundle, spectra: Sequence[Spectrum], measured: Floats) -> Golden:
    """Pick spectra from low to high, and have this machine's runtime say what they should give.

    Args:
        bundle: finished but for this.
        spectra: n that it answers.
        measured: (n,) what they are ranked by.
    """
    grids: dict[tuple[object, ...], list[int]] = {}
    for i, spectrum in enumerate(spectra):
        grids.setdefault((spectrum.wavelengths_nm.tobytes(), spectrum.splices_nm), []).append(i)
    members = max(grids.values(), key=len)
    estimator = Estimator(bundle)
    answers = [a for a in estimator.estimate([spectra[i] for i in members]) if isinstance(a, Estimate)]
    # An answer held at the end of the range would look the same whatever the network said, and one that a few steps of
    # the network's output double is told by nothing.
    low, high = bundle.calibrated_range

    def tells(answer: Estimate) -> bool:
        return low < answer.value < high and _tolerance(bundle, estimator, np.array([answer.value])) < MOST_TOLERANCE

    telling = [i for i, answer in zip(members, answers, strict=True) if tells(answer)]
    ranked = sorted(telling or members, key=lambda i: (measured[i], i))
    at = np.unique(np.linspace(0, len(ranked) - 1, min(GOLDEN_SPECTRA, len(ranked))).round().astype(int))
    chosen = [spectra[ranked[i]] for i in at]
    reflectance = np.stack([require_reflectance(s, bundle.recipe.range_nm) for s in chosen])
    reflectance = (np.rint(reflectance / GOLDEN_REFLECTANCE_STEP) * GOLDEN_REFLECTANCE_STEP).astype(np.float32)
    golden = Golden(
        wavelengths_nm=chosen[0].wavelengths_nm,
        reflectance=reflectance.astype(np.float64),
        splices_nm=chosen[0].splices_nm,
        expected=np.empty(0),
        tolerance=0.0,
        runtime=runtime_name(),
    )
    as_stored = [
        replace(spectrum, values=values, quantity="reflectance", saturated=())
        for spectrum, values in zip(chosen, golden.reflectance, strict=True)
    ]
    expected = np.array([a.value for a in estimator.estimate(as_stored) if isinstance(a, Estimate)])
    return replace(golden, expected=expected, tolerance=_tolerance(bundle, estimator, expected))


def _tolerance(bundle: Bundle, estimator: Estimator, expected: Floats) -> float:
    return golden_tolerance(expected, bundle.transform, bundle.quantisation, estimator.runtime.output_step)


def golden_tolerance(expected: Floats, transform: Transform, quantisation: str, step: float) -> float:
    """Say how far, relatively, another device's answer may be off and still be the same answer.

    Args:
        expected: (k,) answers in the unit.
        transform, quantisation: of the bundle.
        step: of the model's output, in the transform's space; 0 for a float output.

    Returns:
        The share that `GOLDEN_STEPS` output steps are of the answer where they are most, and never less than what
        float arithmetic in another order may change.
    """
    least = DYNAMIC_TOLERANCE if quantisation == "dynamic" else FLOAT_TOLERANCE
    if step == 0:
        return least
    values = np.maximum(np.abs(expected), 1e-12)
    moved = np.abs(inverse(forward(values, transform) + GOLDEN_STEPS * step, transform) - values) / values
    return max(least, float(moved.max()))


def _provenance(run: TrainingRun, parity: Parity) -> dict[str, Any]:
    record = run.record
    kept = ("method", "parameters", "training", "data", "metrics", "comparison", "versions", "weights_sha256")
    return {
        "spectra": "simulated" if run.bundle.simulated else "measured",
        **{name: _short(record[name]) for name in kept},
        "parity": _short(parity.to_dict()),
        "training_samples": record["split"]["training"],
        "training_bounds": record["split"].get("training_bounds", []),
    }


def _short(value: Any) -> Any:
    """Give JSON values with six digits of each figure: they are for people, and a device holds them all."""
    if isinstance(value, Mapping):
        return {name: _short(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_short(one) for one in value]
    return rounded(value) if isinstance(value, float) else value
