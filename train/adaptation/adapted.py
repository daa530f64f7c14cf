"""What comes of an adaptation: a bundle, what was tried, and the readings before and after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...converters.spectra.spectrum import Floats, Spectrum
from ...edge.jobs import CarriedEstimator
from ...edge.model.bundle import Bundle
from ...edge.model.correction import NO_CORRECTION, Correction, absorbance
from ...edge.model.estimate import Estimate, Estimator, Refusal
from ...edge.model.lineage import Adaptation, Lineage, instruments_of
from ...edge.model.recipe import Recipe
from ...edge.model.suitability import with_joins
from ..errors import TrainingDataError
from ..export import choose_golden
from ..prepared import prepare

FAR_AWAY = (-30.0, -10.0, -3.0, 0.0, 3.0, 10.0, 30.0)
SEVERAL = 3
"""Outputs that are the same, at an end."""


@dataclass(frozen=True, eq=False)
class Adapted:
    """An adapted bundle, not yet written, with what it was judged by.

    Attributes:
        bundle: that holds the correction.
        did: the newest entry of its lineage.
        domain: what was done to the applicability domain in words; "" for nothing.
        samples: n names.
        wanted: (n,) in the unit: laboratory values, or the parent's readings of the other instrument's pairs.
        before: (n,) readings of the parent model for what is to be adapted to.
        after: (n,) readings of the adaptation, each sample left out from it.
        refused: spectra and files that could not be used.
        unmatched: names that stand on one side only.
    """

    bundle: Bundle
    did: Adaptation
    domain: str
    samples: tuple[str, ...]
    wanted: Floats
    before: Floats
    after: Floats
    refused: tuple[Refusal, ...] = ()
    unmatched: tuple[str, ...] = ()


def estimator_of(bundle: Bundle) -> tuple[Estimator, tuple[float, ...]]:
    """Load a bundle for spectra whose bands may lie otherwise than its calibration's, and give that one's joins."""
    estimator = Estimator(bundle)
    joins_nm = estimator.joins_nm
    # What another instrument's sampling does is part of what is judged here.
    return Estimator(replace(bundle, golden=None)), joins_nm


def as_on_device(spectra: Sequence[Spectrum], joins_nm: tuple[float, ...]) -> list[Spectrum]:
    """Give spectra the joins that the device would find in them."""
    return [with_joins(spectrum, joins_nm) for spectrum in spectra] if joins_nm else list(spectra)


def outputs_of(estimator: Estimator, spectra: Sequence[Spectrum]) -> list[float | Refusal]:
    """Give a model's outputs in the transform's space, and why a device would refuse the spectra that have none."""
    held = CarriedEstimator(estimator)(spectra)
    outputs = estimator.outputs(spectra)
    return [said if isinstance(said, Refusal) else output for said, output in zip(held, outputs, strict=True)]


def usable(
    estimator: Estimator, spectra: Sequence[Spectrum], whose: str, fewest: int
) -> tuple[list[Spectrum], Floats, list[Refusal]]:
    """Keep the spectra that a device with this model answers.

    Returns:
        Them, its outputs, and why it refuses the others.

    Raises:
        TrainingDataError: fewer than `fewest` are left.
    """
    outputs = outputs_of(estimator, spectra)
    kept = [spectrum for spectrum, output in zip(spectra, outputs, strict=True) if isinstance(output, float)]
    refused = [output for output in outputs if isinstance(output, Refusal)]
    if len(kept) < fewest:
        why = f"; the first refused: {refused[0].source}: {refused[0].reason}" if refused else ""
        raise TrainingDataError(
            f"{whose}: {len(kept)} usable sample{'' if len(kept) == 1 else 's'} cannot tell what a correction is "
            f"worth; at least {fewest} are needed{why}"
        )
    return kept, np.array([output for output in outputs if isinstance(output, float)]), refused


def reach_of(estimator: Estimator, spectra: Sequence[Spectrum]) -> tuple[float, float]:
    """Find the lowest and highest output that a network can give, in the transform's space; infinite if it has no end.

    Some networks keep their answers within limits, and in 8 bits all do. Features far beyond what was ever measured
    show where: several then give the same.
    """
    bundle = estimator.bundle
    found = bundle.correction.preprocess(
        bundle.recipe, on_grid_of(replace(bundle, correction=NO_CORRECTION), spectra)[0], bundle.recipe.grid_nm, ()
    )
    features = bundle.scaling.apply(found.features)
    away = features - features.mean(axis=0)
    outputs = np.concatenate([estimator.runtime.run(features + times * away) for times in FAR_AWAY])
    low, high = float(outputs.min()), float(outputs.max())
    room = 1e-4 * (high - low)
    ends = [(low, np.count_nonzero(outputs <= low + room)), (high, np.count_nonzero(outputs >= high - room))]
    reached = [end if count >= SEVERAL else sign * np.inf for sign, (end, count) in zip((-1, 1), ends, strict=True)]
    # Just inside, so that the end itself is seen to be beyond.
    low, high = bundle.correction.of_outputs(np.array(reached) + np.array([room, -room]))
    return float(low), float(high)


def require_room(outputs: Floats, reach: tuple[float, float], name: str) -> None:
    """Refuse to shift answers of which most are the end of what a network can say.

    Raises:
        TrainingDataError: as many as half of them.
    """
    stuck = int(np.count_nonzero((outputs <= reach[0]) | (outputs >= reach[1])))
    if 2 * stuck >= outputs.size:
        raise TrainingDataError(
            f"{name} answers {stuck} of {outputs.size} samples with the end of what it can say, whatever their "
            "spectrum: such answers can be neither shifted nor stretched; measure pairs, or train on such samples"
        )


def on_grid_of(bundle: Bundle, spectra: Sequence[Spectrum]) -> tuple[Floats, list[Spectrum]]:
    """Bring spectra to the model's grid, and correct them as the bundle says.

    Returns:
        (n, bands) reflectance, and the n spectra that the grid can take.
    """
    found = prepare(spectra, Recipe(bundle.recipe.beginning))
    correction = bundle.correction.spectra
    if correction is None:
        return found.reflectance, list(found.rows)
    return np.asarray(np.power(10.0, -correction.apply(absorbance(found.reflectance)))), list(found.rows)


def finish(
    parent: Bundle,
    adapted: Bundle,
    correction: Correction,
    did: Adaptation,
    spectra: Sequence[Spectrum],
) -> Bundle:
    """Give an adapted bundle its correction, its lineage, and golden answers to the spectra it was adapted by.

    Raises:
        TrainingDataError: the adapted model refuses a spectrum that it was adapted by.
    """
    instruments = instruments_of(spectra) or (parent.lineage.instruments if correction.spectra is None else ())
    names = [*parent.provenance.get("adaptation_samples", ()), *dict.fromkeys(s.sample_id for s in spectra)]
    bundle = replace(
        adapted,
        correction=correction,
        lineage=Lineage(instruments, (*parent.lineage.adaptations, did)),
        simulated=parent.simulated or any(spectrum.simulated for spectrum in spectra),
        golden=None,
        provenance={**parent.provenance, "adaptation_samples": names},
        sha256="",
        path="",
    )
    answers = Estimator(bundle).estimate(spectra)
    for answer in answers:
        if isinstance(answer, Refusal):
            raise TrainingDataError(f"{answer.source}: the adapted model refuses it: {answer.reason}")
    ranked = np.array([answer.value for answer in answers if isinstance(answer, Estimate)])
    return replace(bundle, golden=choose_golden(bundle, spectra, ranked))
