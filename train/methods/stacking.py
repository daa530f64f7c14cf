"""How much each of several models counts in their mean, judged by what they say of samples they have not seen.

References:
    Breiman 1996, Machine Learning 24(1):49 (stacked regressions).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...converters.spectra.spectrum import Floats


def stack_weights(predicted: Floats, target: Floats, prior: Floats, ridge: float) -> Floats:
    """Find the weights, none below 0 and 1 together, of the mean that predicts best.

    Few samples tell little about which of many similar models is the best, so the weights are drawn towards a prior:
    they minimise the mean squared error as a share of the target's variance, plus `ridge` times the squared distance
    from the prior.

    Args:
        predicted: (members, repeats, n), each by inner cross-validation.
        target: (n,) in the same space.
        prior: (members,) weights without any data, 1 together.
        ridge: 0 is Breiman's stack; the larger, the nearer to the prior.

    Returns:
        (members,).
    """
    from scipy.optimize import nnls

    members, repeats, n = predicted.shape
    scale = float(target.std()) or 1.0
    errors = (predicted - target).reshape(members, -1).T / scale
    pull = np.sqrt(ridge * repeats * n)
    # As the weights are 1 together, a mean's error is the mean of the errors.
    rows = np.vstack([errors, pull * np.eye(members), np.full((1, members), 1e3)])
    wanted = np.concatenate([np.zeros(len(errors)), pull * prior, [1e3]])
    weights, _ = nnls(rows, wanted, maxiter=50 * members)
    return np.asarray(weights / weights.sum())


def soft_shares(errors: Sequence[float], softness: float, least: float, prior: Sequence[float] = ()) -> Floats:
    """Share out 1 among alternatives by their errors: equal errors equal shares, none to what is clearly worse.

    Shares move smoothly with the errors; none appears or goes all at once.

    Args:
        errors: losses or mean squares of k alternatives.
        softness: excess over the lowest error, as a share of it, at which a share falls to 1/e.
        least: what is this share of the largest gets nothing; up to twice that it gets less.
        prior: (k,) shares that equal errors would have, not to be 1 together; () for equal ones.

    Returns:
        (k,), 1 together.
    """
    known = np.asarray(errors, dtype=np.float64)
    # Errors of zero are alternatives that cannot be told apart, not a division by zero.
    lowest = max(float(known.min()), float(np.finfo(np.float64).eps * known.max())) or 1.0
    shares = np.exp(-np.maximum(known / lowest - 1.0, 0.0) / softness)
    if len(prior):
        shares = shares * np.asarray(prior, dtype=np.float64)
    shares = shares * np.clip(shares / (least * shares.max()) - 1.0, 0.0, 1.0)
    return np.asarray(shares / shares.sum())
