"""Other people's soils that help a teacher of a few: two models, and how much of each is chosen on the local soils.

One model is of the local soils alone, the other of these and of the library's soils that are most like them. Their
answers are mixed. The share of the second is fitted by least squares to what both said of local soils left out,
drawn towards a half as strongly as one would be sure of it beforehand; where the mix is clearly worse than the local
model on these, the share is 0.

References:
    Ramirez-Lopez et al. 2013, Geoderma 195-196:268 (local selection from a library of soil spectra).
    Breiman 1996, Machine Learning 24(1):49 (stacked regressions).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...converters.spectra.spectrum import Floats
from ...edge.model.applicability import absorbance_shapes
from ...edge.model.target import Transform, forward, inverse
from ..crossval.rows import TrainingRows
from ..errors import TrainingDataError
from ..samples import FIRST_NM, LAST_NM, Samples
from .teachers import Teacher, TeachingPredictor

NEAREST = 150
COMPONENTS = 10
BIN_NM = 10.0
EXPECTED_SHARE, SURE_WITHIN = 0.5, 0.25
"""Of the second model, before any soil is seen; as a mean and a standard deviation."""
FLATTERS = 1.5
"""Times the left-out squared errors of the local model, by which its settings were chosen, that it really has."""
WORST = 1.3
"""Times these errors that a mix may have before the library is left out."""

LOCAL_COUNTS = 2
"""Of a library's soils, that a local one counts as."""


@dataclass(frozen=True, eq=False)
class Helped:
    """A teacher that a library helps; see `TeachingPredictor`.

    Attributes:
        local, pooled: the two models.
        share: of the second in the answer.
        space: in which they are mixed.
        out_of_fold: (1, n) of the local rows, in the unit.
        chosen: in words.
    """

    local: TeachingPredictor
    pooled: TeachingPredictor
    share: float
    space: Transform
    out_of_fold: Floats
    chosen: str

    @property
    def transform(self) -> Transform:
        """Of the target, in whose space residuals of the local model are the most even."""
        return self.local.transform

    def predict(self, reflectance: Floats) -> Floats:
        """Predict (n,) values in the unit from (n, bands) reflectance."""
        local = self.local.predict(reflectance)
        return _mixed(local, self.pooled.predict(reflectance), self.share, self.space) if self.share else local


def helped(teacher: Teacher, rows: TrainingRows, library: Samples) -> TeachingPredictor:
    """Fit a teacher with the help of a library: other people's soils, of the same target and unit."""
    own, target = len(rows), np.tile(rows.target, LOCAL_COUNTS)
    reflectance, keys = np.tile(rows.reflectance, (LOCAL_COUNTS, 1)), tuple(rows.groups) * LOCAL_COUNTS
    local = teacher.fit(rows.among(reflectance, target, keys))
    soils, values = _nearest(library, rows.reflectance, rows.wavelengths_nm)
    foreign = [("library", i) for i in range(len(values))]
    pooled = teacher.fit(
        rows.among(np.concatenate([reflectance, soils]), np.concatenate([target, values]), [*keys, *foreign])
    )
    space = local.transform
    said_local, said_pooled = (np.mean(model.out_of_fold[:, :own], axis=0) for model in (local, pooled))
    if space != "none":
        # A library may hold nothing at all; what is above zero here stays so.
        said_local, said_pooled = (np.maximum(said, float(target.min())) for said in (said_local, said_pooled))
    share = share_of(*(forward(said, space) for said in (said_local, said_pooled, rows.target)))
    return Helped(
        local=local,
        pooled=pooled,
        share=share,
        space=space,
        out_of_fold=_mixed(said_local, said_pooled, share, space)[None],
        chosen=f"{local.chosen}; library: {len(values)} of {len(library.target)} soils, share {share:.2f}",
    )


def share_of(local: Floats, pooled: Floats, target: Floats) -> float:
    """Say how much of the second model's answers is to be taken.

    Args:
        local, pooled: (n,) answers of both for soils left out, in the space in which they are mixed.
        target: (n,) what the laboratory says, in that space.

    Returns:
        0 to 1; 0 where the mix is clearly worse on these soils than the local model.
    """
    error, apart = local - target, pooled - local
    noise = float(np.mean(error**2))
    if noise <= 0:
        return 0.0
    likely, precision = FLATTERS * noise, 1 / SURE_WITHIN**2
    share = (-float(error @ apart) / likely + precision * EXPECTED_SHARE) / (float(apart @ apart) / likely + precision)
    share = min(max(share, 0.0), 1.0)
    return share if float(np.mean((error + share * apart) ** 2)) < WORST * noise else 0.0


def _mixed(local: Floats, pooled: Floats, share: float, space: Transform) -> Floats:
    if space != "none":
        local, pooled = (np.maximum(values, 1e-12) for values in (local, pooled))
    return inverse((1 - share) * forward(local, space) + share * forward(pooled, space), space)


def _nearest(library: Samples, local: Floats, wavelengths_nm: Floats) -> tuple[Floats, Floats]:
    """Give reflectance on the local grid, and values, of the library's rows that are nearest to any local one."""
    first_nm, last_nm = max(wavelengths_nm[0], FIRST_NM), min(wavelengths_nm[-1], LAST_NM)
    nm = library.wavelengths_nm
    if nm[0] > first_nm + 1e-6 or nm[-1] < last_nm - 1e-6:
        raise TrainingDataError(
            f"the library covers {nm[0]:g}-{nm[-1]:g} nm and your soils {first_nm:g}-{last_nm:g} nm, which it has to "
            "cover: use another one, or leave --library out"
        )
    soils = np.stack([np.interp(wavelengths_nm, nm, row) for row in library.reflectance])
    used = (wavelengths_nm >= first_nm) & (wavelengths_nm <= last_nm)
    per_bin = max(1, round(BIN_NM / float(np.median(np.diff(wavelengths_nm)))))
    shapes = absorbance_shapes(np.concatenate([local, soils])[:, used], wavelengths_nm[used], per_bin).shapes
    u, _, _ = np.linalg.svd(shapes - shapes.mean(axis=0), full_matrices=False)
    # Every component counts as much.
    scores = u[:, :COMPONENTS]
    here, there = scores[: len(local)], scores[len(local) :]
    squares = ((there[:, None, :] - here[None]) ** 2).sum(axis=2).min(axis=1)
    taken = np.sort(np.argsort(squares, kind="stable")[:NEAREST])
    return soils[taken], library.measured[taken]
