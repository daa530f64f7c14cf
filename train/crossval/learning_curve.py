"""How the error falls with the number of samples: is it worth sending more of them to the laboratory?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..errors import TrainingDataError
from ..samples import Samples
from .folds import Folds, Rows
from .metrics import measure
from .validation import Method

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
) -> LearningCurve:
    """Fit a method to growing shares of each fold's training samples.

    Args:
        method: with its fast settings, as it is fitted some twenty times.
        data: spectra and values.
        folds: of these; the first repeat is used, and what it leaves out is the same for every share.
        progress: called with fits done and of how many.

    Returns:
        A point for each share of `SHARES` that leaves at least ten samples of unlike values in every fold.
    """
    samples: list[float] = []
    training: list[float] = []
    validation: list[float] = []
    done = 0
    for share in SHARES:
        fitted_to, seen, unseen = [], [], []
        for number, fold in enumerate(folds.repeats[0]):
            rows = _share_of(data, fold.training, share, folds.seed + number)
            done += 1
            if len(rows) < FEWEST_ROWS or np.ptp(data.measured[rows]) == 0:
                break
            try:
                predictor = method.fit(
                    data.reflectance[rows],
                    data.wavelengths_nm,
                    data.measured[rows],
                    splices_nm=data.splices_nm,
                    groups=[data.names[row] for row in rows],
                    seed=folds.seed,
                )
            except TrainingDataError:
                # So few samples have no inner folds; the larger shares tell.
                break
            fitted_to.append(len({data.names[row] for row in rows}))
            seen.append((predictor.predict(data.reflectance[rows]), data.measured[rows]))
            unseen.append((predictor.predict(data.reflectance[fold.test]), data.measured[fold.test]))
            progress(done, len(SHARES) * len(folds.repeats[0]))
        else:
            samples.append(float(np.mean(fitted_to)))
            for pairs, errors in ((seen, training), (unseen, validation)):
                predicted, measured = (np.concatenate(part) for part in zip(*pairs, strict=True))
                errors.append(measure(predicted, measured).rmse)
    return LearningCurve(tuple(samples), tuple(training), tuple(validation))


def _share_of(data: Samples, rows: Rows, share: float, seed: int) -> Rows:
    """Draw a share of the samples among these rows; a larger share of the same seed holds the smaller one."""
    names = list(dict.fromkeys(data.names[row] for row in rows))
    order = np.random.default_rng(seed).permutation(len(names))
    kept = {names[i] for i in order[: round(share * len(names))]}
    return np.array([row for row in rows if data.names[row] in kept], dtype=np.intp)
