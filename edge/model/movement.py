"""How far an answer moves under faults that its instrument may have: whether it is stable.

How each fault changes the features is found once for a model, on its golden spectra; to ask how far one spectrum's
answer moves takes the network a few more runs, and no further preprocessing. docs/applicability.md has the figures.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ...converters.spectra.spectrum import Floats
from .bundle import Bundle
from .interval import normal_quantile

SHIFT_NM, OFFSET, SLOPE = 1.0, 0.02, 0.02
"""Of the wavelengths; of reflectance, as a white panel may be off; and of its slope over the range, as a part of it."""
NOISES, DRAWS, SEED = (1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2), 4, 0
"""Standard deviations of noise that are put onto golden spectra, and how many times each is drawn."""

NOT_KNOWN = "whether it is stable is not known: the model has no interval, or no golden spectra"


class Movement(NamedTuple):
    """How far an answer moves at most.

    Attributes:
        by: in the transform's space.
        over_limit: over how far the interval reaches to its nearer end; above 1 it leaves the interval.
        cause: the fault, in words.
    """

    by: float
    over_limit: float
    cause: str


class Directions(NamedTuple):
    """How faults change scaled features, and noise the answer.

    Noise does more than to move an answer up or down at random: many models read it as something else, and one that is
    noisy already moves less under more of it. So what it does is found on golden spectra, which have next to none.

    Attributes:
        shift, slope: (features...) of a shift of 1 nm and a slope of 2 %.
        offset: likewise, of an offset of 0.02 on reflectance 1 on average: the darker the soil, the more it matters.
        noise: (levels,) standard deviation of noise, as a part of the mean reflectance.
        moved: (levels,) how far answers move under it, in the transform's space: the root of their mean square.
    """

    shift: Floats
    slope: Floats
    offset: Floats
    noise: Floats
    moved: Floats


def find_directions(bundle: Bundle, run: Callable[[Floats], Floats]) -> Directions | None:
    """Find how faults change the features, as the mean over the golden spectra; None if there are none.

    Args:
        bundle: the model.
        run: as in `largest_movements`.
    """
    golden = bundle.golden
    if golden is None or bundle.interval is None:
        return None
    nm, values = golden.wavelengths_nm, golden.reflectance

    def features(of: Floats) -> Floats:
        prepared = bundle.correction.preprocess(bundle.recipe, of, nm, golden.splices_nm)
        return bundle.scaling.apply(prepared.features)

    plain = features(values)
    light = values.mean(axis=1).reshape(-1, *[1] * (plain.ndim - 1))
    ramp = (nm - nm.mean()) / np.ptp(nm)
    rng = np.random.default_rng(SEED)
    still = run(plain)
    moved = [
        np.stack([run(features(np.abs(values + rng.normal(0, noise, nm.size)))) - still for _ in range(DRAWS)])
        for noise in NOISES
    ]
    # Of the golden spectra the one that it moves most; more noise is never less of a fault.
    worst = [np.sqrt(np.square(one).mean(axis=0)).max() for one in moved]
    return Directions(
        shift=(features(np.abs(values - SHIFT_NM * np.gradient(values, nm, axis=1))) - plain).mean(axis=0),
        slope=(features(values * (1 + SLOPE * ramp)) - plain).mean(axis=0),
        offset=((features(values + OFFSET) - plain) * light).mean(axis=0),
        noise=np.array([0.0, *NOISES]) / float(light.mean()),
        moved=np.maximum.accumulate([0.0, *worst]),
    )


def largest_movements(
    directions: Directions,
    run: Callable[[Floats], Floats],
    coverage: float,
    answers: Floats,
    features: Floats,
    reflectance: Floats,
    noise: Floats,
    reach: Floats,
) -> list[Movement]:
    """Say how far each of n answers moves.

    Args:
        directions: of the model.
        run: what gives (m,) answers, in the transform's space and kept within the calibrated range, to (m,
            features...).
        coverage: of the interval.
        answers: (n,) what `run` gives for the features as they are.
        features: (n, features...) scaled.
        reflectance: (n,) mean over the bands.
        noise: (n,) standard deviation of each spectrum's noise.
        reach: (n, 2) distances from the answers to the ends of their intervals, zero or more.
    """
    dark = (1 / reflectance).reshape(-1, *[1] * (features.ndim - 1))
    moves = {
        f"{SHIFT_NM:g} nm of shift": run(features + directions.shift) - answers,
        # Where less light is seen than there is, logarithms move most.
        f"{OFFSET:g} of reflectance": run(features - directions.offset * dark) - answers,
        f"{100 * SLOPE:g} % of slope": run(features + directions.slope) - answers,
        "its noise": normal_quantile(coverage) * np.interp(noise / reflectance, directions.noise, directions.moved),
    }
    # Each may as well go the other way: the end of the interval that is nearer counts.
    towards = np.where(reach[:, 0] < reach[:, 1], -1.0, 1.0)
    causes, by = list(moves), np.abs(np.stack(list(moves.values()))) * towards
    over = np.abs(by) / np.maximum(reach.min(axis=1), 1e-12)
    most = over.argmax(axis=0)
    return [
        Movement(float(by[cause, i]), float(over[cause, i]), causes[cause]) for i, cause in enumerate(most.tolist())
    ]
