"""How the error falls with the number of samples: is it worth sending more of them to the laboratory?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ...converters.spectra.spectrum import Floats
from ...edge.workers import OneProcess, Workers
from ..errors import TrainingDataError
from ..samples import Samples
from .folds import Folds
from .folds import Rows as Numbers
from .metrics import measure
from .rows import TrainingRows
from .validation import Method, on_one_thread

SHARES = (0.25, 0.5, 0.75, 1.0)
FEWEST_ROWS = 10


@dataclass(frozen=True)
class LearningCurve:
    """RMSE by number of training samples, all in the element's unit.

    Attributes:
        samples: mean number of samples fitted to, ascending.
        training, validation: RMSE on the rows fitted to, and on those of the folds left out.
    """

    samples: tuple[float, ...]
    training: tuple[float, ...]
    validation: tuple[float, ...]


def learning_curve(
    method: Method,
    data: Samples,
    folds: Folds,
    progress: Callable[[int, int], None] = lambda done, of: None,
    workers: Workers | None = None,
) -> LearningCurve:
    """Fit a method to growing shares of each fold's training samples.

    Args:
        method: with its fast settings, as it is fitted some twenty times.
        data: spectra and values.
        folds: of these; the first repeat is used, and what it leaves out is the same for every share.
        progress: called with fits done and of how many.
        workers: who does the fits; None for this process.

    Returns:
        A point for each share of `SHARES` that leaves at least ten samples of unlike values in every fold.
    """
    samples: list[float] = []
    training: list[float] = []
    validation: list[float] = []
    count = len(folds.repeats[0])
    points = [(share, number) for share in SHARES for number in range(count)]
    fits = []
    for fit in (workers or OneProcess())(Share(method, TrainingRows.by_sample(data), folds), points):
        fits.append(fit)
        progress(len(fits), len(points))
    for first in range(0, len(fits), count):
        of_share = [fit for fit in fits[first : first + count] if fit is not None]
        if len(of_share) < count:
            continue
        samples.append(float(np.mean([fit.samples for fit in of_share])))
        for pairs, errors in (
            ([fit.seen for fit in of_share], training),
            ([fit.unseen for fit in of_share], validation),
        ):
            predicted, measured = (np.concatenate(part) for part in zip(*pairs, strict=True))
            errors.append(measure(predicted, measured).rmse)
    return LearningCurve(tuple(samples), tuple(training), tuple(validation))


class ShareFit(NamedTuple):
    """A fit to a share of a fold's samples.

    Attributes:
        samples: fitted to.
        seen, unseen: predicted and measured, of the rows fitted to and of those left out.
    """

    samples: int
    seen: tuple[Floats, Floats]
    unseen: tuple[Floats, Floats]


@dataclass(frozen=True, eq=False)
class Share:
    """Work that can be spread: a share of a fold's samples, and the fold's number."""

    method: Method
    data: TrainingRows
    folds: Folds

    def __call__(self, point: tuple[float, int]) -> ShareFit | None:
        """Fit, on one thread as `validation.Fits` does; None where these are too few."""
        with on_one_thread():
            return self._fit(point)

    def _fit(self, point: tuple[float, int]) -> ShareFit | None:
        (share, number), data, fold = point, self.data, self.folds.repeats[0][point[1]]
        rows = _share_of(data, fold.training, share, self.folds.seed + number)
        if len(rows) < FEWEST_ROWS or np.ptp(data.target[rows]) == 0:
            return None
        shared = data.take(rows, seed=self.folds.seed)
        try:
            predictor = self.method.fit(shared)
        except TrainingDataError:
            # So few samples have no inner folds; the larger shares tell.
            return None
        return ShareFit(
            len(set(shared.groups)),
            (np.asarray(predictor.predict(shared.reflectance)), shared.target),
            (np.asarray(predictor.predict(data.reflectance[fold.test])), data.target[fold.test]),
        )


def _share_of(data: TrainingRows, rows: Numbers, share: float, seed: int) -> Numbers:
    """Draw a share of the samples among these rows; a larger share of the same seed holds the smaller one."""
    names = list(dict.fromkeys(data.groups[row] for row in rows))
    order = np.random.default_rng(seed).permutation(len(names))
    kept = {names[i] for i in order[: round(share * len(names))]}
    return np.array([row for row in rows if data.groups[row] in kept], dtype=np.intp)
