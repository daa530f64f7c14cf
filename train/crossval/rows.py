"""What methods are fitted to."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ...converters.spectra.spectrum import Floats
from ...edge.model.recipe import Blocks, Recipe
from ..errors import TrainingDataError
from ..samples import Samples
from .folds import InnerFolds, inner_folds

FEWEST_ROWS = 5


@dataclass(frozen=True, eq=False)
class TrainingRows:
    """Spectra with values, and what keeps them together: all that a method is given, no more, as it may travel.

    Attributes:
        reflectance: (n, bands) as a fraction.
        wavelengths_nm: (bands,) ascending.
        target: (n,) laboratory values.
        splices_nm: where the instrument's detectors join; () if unknown.
        groups: n labels, equal where rows must be on one side of an inner split; () parts all.
        seed: of all that is drawn.
        conditions: n, of the ground; () where nobody said.

    Raises:
        TrainingDataError: too few rows, shapes that do not match, values that are not finite, a constant target.
    """

    reflectance: Floats
    wavelengths_nm: Floats
    target: Floats
    splices_nm: tuple[float, ...] = ()
    groups: Sequence[Hashable] = ()
    seed: int = 0
    conditions: Sequence[str] = ()

    def __post_init__(self) -> None:
        for name in ("reflectance", "wavelengths_nm", "target"):
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=np.float64))
        rows, nm, target = self.reflectance, self.wavelengths_nm, self.target
        if rows.ndim != 2 or rows.shape != (target.size, nm.size) or target.ndim != 1:
            raise TrainingDataError(
                f"reflectance of shape {rows.shape} for {target.size} values and {nm.size} wavelengths"
            )
        if target.size < FEWEST_ROWS:
            raise TrainingDataError(f"{target.size} training rows; at least {FEWEST_ROWS} are needed")
        if not (np.isfinite(rows).all() and np.isfinite(target).all()):
            raise TrainingDataError("a training spectrum or value is not a finite number")
        if target.min() == target.max():
            raise TrainingDataError(f"all {target.size} training values are {target[0]:g}; there is nothing to learn")
        object.__setattr__(self, "groups", tuple(self.groups) or tuple(range(target.size)))

    @classmethod
    def by_sample(cls, samples: Samples, seed: int = 0) -> TrainingRows:
        """Give the rows of samples, each sample a group."""
        conditions = tuple(spectrum.condition for spectrum in samples.spectra)
        return cls(
            samples.reflectance,
            samples.wavelengths_nm,
            samples.measured,
            samples.splices_nm,
            samples.names,
            seed,
            conditions,
        )

    def __len__(self) -> int:
        return int(self.target.size)

    def take(self, rows: NDArray[np.intp], *, seed: int, groups: Sequence[Hashable] | None = None) -> TrainingRows:
        """Give some of the rows, with a seed of their own, and groups of their own where these are named."""
        return replace(
            self,
            reflectance=self.reflectance[rows],
            target=self.target[rows],
            groups=[self.groups[row] for row in rows] if groups is None else groups,
            seed=seed,
            conditions=[self.conditions[row] for row in rows] if self.conditions else (),
        )

    def among(self, reflectance: Floats, target: Floats, groups: Sequence[Hashable]) -> TrainingRows:
        """Give rows that these are part of, on the same wavelengths."""
        return replace(self, reflectance=reflectance, target=target, groups=groups, conditions=())

    def features(self, blocks: Blocks | Recipe) -> Floats:
        """Preprocess the rows as a device does."""
        return blocks.preprocess(self.reflectance, self.wavelengths_nm, self.splices_nm).features

    def folds(self, repeats: int = 1) -> InnerFolds:
        """Divide the rows for the choices of a method; see `inner_folds`."""
        return inner_folds(len(self), self.groups, repeats=repeats, seed=self.seed)
