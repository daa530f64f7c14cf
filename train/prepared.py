"""Spectra as a model takes them: preprocessed row by row, whatever grids they are on."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass

import numpy as np

from ..converters.spectra.spectrum import Floats, Spectrum
from ..edge.errors import PreprocessError, UnsuitableSpectrumError
from ..edge.model.estimate import Refusal
from ..edge.model.recipe import Blocks, Preprocessed, Recipe
from ..edge.model.suitability import require_reflectance
from .errors import TrainingDataError
from .samples import Replicates, Samples, replicate_rows


@dataclass(frozen=True, eq=False)
class Prepared(Preprocessed):
    """Preprocessed rows.

    Attributes:
        rows: n spectra as they were.
        refused: rows that the recipe could not take; they are not among the n.
    """

    rows: tuple[Spectrum, ...]
    refused: tuple[Refusal, ...]

    @property
    def samples(self) -> list[str]:
        """Names of the rows' samples."""
        return [row.sample_id for row in self.rows]

    @property
    def conditions(self) -> list[str]:
        """Conditions of the ground, of the rows; "" where nobody said."""
        return [row.condition for row in self.rows]


def prepare(rows: Sequence[Spectrum], recipe: Recipe | Blocks) -> Prepared:
    """Preprocess rows, whatever grids they are on, keeping their order.

    Args:
        rows: usable reflectance or absorbance, as `join` leaves them.

    Raises:
        TrainingDataError: the recipe can take none of them.
    """
    groups: dict[tuple[object, ...], list[int]] = {}
    reflectance: dict[int, Floats] = {}
    refused: list[Refusal] = []
    for i, row in enumerate(rows):
        try:
            reflectance[i] = require_reflectance(row, recipe.range_nm)
        except UnsuitableSpectrumError as error:
            refused.append(Refusal(row.source, str(error), row.sample_id))
        else:
            groups.setdefault((row.wavelengths_nm.tobytes(), row.splices_nm), []).append(i)
    done: dict[int, Preprocessed] = {}
    for members in groups.values():
        values = np.stack([reflectance[i] for i in members])
        try:
            done |= _preprocessed(rows, members, values, recipe)
        except PreprocessError:
            # One of them is at fault: find it without losing the rest.
            for i, row_values in zip(members, values, strict=True):
                try:
                    done |= _preprocessed(rows, [i], row_values[None], recipe)
                except PreprocessError as error:
                    refused.append(Refusal(rows[i].source, str(error), rows[i].sample_id))
    if not done:
        raise TrainingDataError(
            f"the recipe can take none of the spectra, the first: {refused[0].source}: {refused[0].reason}"
        )
    kept = sorted(done)
    return Prepared(
        rows=tuple(rows[i] for i in kept),
        spectra=np.stack([done[i].spectra for i in kept]),
        features=np.stack([done[i].features for i in kept]),
        reflectance=np.stack([done[i].reflectance for i in kept]),
        wavelengths_nm=recipe.wavelengths_nm,
        reflectance_nm=done[kept[0]].reflectance_nm,
        refused=tuple(refused),
    )


def _preprocessed(
    rows: Sequence[Spectrum], members: list[int], values: Floats, recipe: Recipe | Blocks
) -> dict[int, Preprocessed]:
    first = rows[members[0]]
    found = recipe.preprocess(values, first.wavelengths_nm, first.splices_nm)
    return {
        row: Preprocessed(
            found.spectra[i], found.wavelengths_nm, found.features[i], found.reflectance[i], found.reflectance_nm
        )
        for i, row in enumerate(members)
    }


def prepare_censored(
    samples: Samples, names: Container[str], replicates: Replicates, recipe: Recipe | Blocks
) -> Prepared | None:
    """Preprocess the spectra of those censored samples that are named; None without any."""
    chosen = [spectrum for spectrum in samples.bounded if spectrum.sample_id in names]
    return prepare(replicate_rows(chosen, replicates), recipe) if chosen else None
