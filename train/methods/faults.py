"""What an instrument may do wrong, one at a time: what every table of robustness is made with."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ...converters.spectra.spectrum import Floats
from .synthetic import ASD_JOINS_NM, Disturbance, absorbance_of, disturb

NOTHING = Disturbance(noise=0.0, offset=0.0, gain=0.0, step=0.0, slope=0.0, scale=0.0, shift_nm=0.0)
FAULTS = {
    "noise 0.05 %": replace(NOTHING, noise=5e-4),
    "noise 0.1 %": replace(NOTHING, noise=1e-3),
    "shift 1 nm": replace(NOTHING, shift_nm=1.0),
    "offset 0.5 %": replace(NOTHING, offset=5e-3),
    "step 0.5 %": replace(NOTHING, step=5e-3),
    "slope 0.01": replace(NOTHING, slope=0.01),
}
"""Standard deviations, drawn anew for each spectrum: noise of each band, offset and step in reflectance, a shift of the
wavelengths, a slope of absorbance from end to end; see `synthetic.Disturbance`."""


def with_faults(reflectance: Floats, wavelengths_nm: Floats, splices_nm: tuple[float, ...], seed: int) -> list[Floats]:
    """Give (n, bands) reflectance as it would be with each of `FAULTS`; the same seed gives the same.

    Args:
        reflectance: (n, bands) as a fraction.
        wavelengths_nm: (bands,).
        splices_nm: where detectors join; () for where an ASD's do.
        seed: of the draws.
    """
    absorbance, joins = absorbance_of(reflectance), splices_nm or ASD_JOINS_NM
    return [disturb(absorbance, wavelengths_nm, joins, by, np.random.default_rng(seed)) for by in FAULTS.values()]
