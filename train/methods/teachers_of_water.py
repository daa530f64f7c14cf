"""Two teachers as one: of dry soils, and of soils that may be wet, whose preprocessing takes water out.

What is done without what water changes in a spectrum reads dry soils the worse for it. The network that they teach sees
the spectrum as it is, and learns which of the two to follow.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...converters.spectra.spectrum import Floats
from ...edge.model.recipe import Blocks
from ...edge.model.target import Transform
from ..crossval.rows import TrainingRows
from .blocks import blocks_on
from .gate import Gate
from .synthetic import absorbance_of, with_water
from .teachers import TeachingPredictor

COPIES = 8
LEAST_WATER = 0.5
"""Share of the water of a damp or wet soil, below which the gate does not learn that a soil is wet."""


@dataclass(frozen=True, eq=False)
class GatedTeacher:
    """Two teachers with a gate between them; see `teachers.TeachingPredictor`.

    Attributes:
        dry, wet: the two.
        gate: says by the features of `blocks` how much the second counts.
        blocks: preprocessing for the gate.
        wavelengths_nm, splices_nm: of the spectra.
        out_of_fold: (1, n) in the target's unit, of both together.
    """

    dry: TeachingPredictor
    wet: TeachingPredictor
    gate: Gate
    blocks: Blocks
    wavelengths_nm: Floats
    splices_nm: tuple[float, ...]
    out_of_fold: Floats

    @property
    def transform(self) -> Transform:
        """Of the teacher of dry soils."""
        return self.dry.transform

    @property
    def chosen(self) -> str:
        """Choices of both in words."""
        return f"{self.dry.chosen}; of wet soils: {self.wet.chosen}"

    def predict(self, reflectance: Floats) -> Floats:
        """Predict (n,) values in the target's unit from (n, bands) reflectance."""
        features = self.blocks.preprocess(reflectance, self.wavelengths_nm, self.splices_nm).features
        return self.gate.mixed(features, self.dry.predict(reflectance), self.wet.predict(reflectance))


def of_dry_and_wet(
    dry: TeachingPredictor, wet: TeachingPredictor, rows: TrainingRows, differences: Floats
) -> GatedTeacher:
    """Learn to tell dry soils from these with water added, and put two teachers together.

    Args:
        dry, wet: fitted to the rows.
        rows: of training; what nobody said is wet is taken for dry.
        differences: (q, bands) of absorbance, that water changes.
    """
    blocks = blocks_on(rows.wavelengths_nm)
    is_dry = np.array([one in ("", "dry") for one in rows.conditions or [""] * len(rows)])
    absorbance = absorbance_of(rows.reflectance[is_dry])
    wetted = with_water(absorbance, differences, COPIES, np.random.default_rng((rows.seed, 10)), LEAST_WATER)

    def features(reflectance: Floats) -> Floats:
        return blocks.preprocess(reflectance, rows.wavelengths_nm, rows.splices_nm).features

    own = features(rows.reflectance)
    gate = Gate.learn(own[is_dry], features(10.0**-wetted), blocks.sizes)
    of_dry, of_wet = (teacher.out_of_fold[:, : len(rows)].mean(axis=0, keepdims=True) for teacher in (dry, wet))
    out_of_fold = gate.mixed(own, of_dry, of_wet)
    return GatedTeacher(dry, wet, gate, blocks, rows.wavelengths_nm, rows.splices_nm, out_of_fold)
