"""Spatially continuous random fields, drawn as sums of waves.

The spectral method of Shinozuka & Deodatis 1991 and Lantuéjoul 2002 (Geostatistical Simulation, chapter 15): a sum of
cosines whose wave vectors follow the covariance's spectral density is, with many waves, a Gaussian field. It needs no
grid and no matrix, so a field can be had at any places, however many.
"""

from __future__ import annotations

import numpy as np

from ...converters.spectra.spectrum import Floats

_WAVES = 400
_BATCH = 8192


def gaussian_field(places_m: Floats, ranges_m: tuple[float, float, float], random: np.random.Generator) -> Floats:
    """Draw a field of mean 0 and standard deviation 1 with a Matérn covariance of smoothness 3/2.

    Args:
        places_m: (n, 3) where, in metres.
        ranges_m: correlation length along each axis; at that distance the correlation is 0.48.
        random: where chance comes from.

    Returns:
        (n,) its values.
    """
    # Matérn of smoothness v in 3 dimensions has Student-t distributed wave vectors with 2 v degrees of freedom.
    wide = np.sqrt(3.0 / random.chisquare(3.0, _WAVES))
    vectors = random.standard_normal((_WAVES, 3)) * wide[:, None] / np.asarray(ranges_m)
    phases = random.uniform(0, 2 * np.pi, _WAVES)
    out = np.empty(len(places_m))
    for first in range(0, len(out), _BATCH):
        here = slice(first, first + _BATCH)
        out[here] = np.cos(places_m[here] @ vectors.T + phases).sum(axis=1)
    return np.asarray(out * np.sqrt(2.0 / _WAVES))
