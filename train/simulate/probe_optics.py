"""A contact-probe spectroradiometer as the simulation sees it: three detectors, their resolution, noise and joins.

The instrument is of the kind the method was measured with: 350-2500 nm delivered at 1 nm from a silicon array to
1000 nm and two scanning InGaAs detectors joined at 1800 nm; resolution 3 nm at 700, 10 nm at 1500 and 2100 nm (maker's
data sheet of the FieldSpec 4 standard resolution). Each detector counts the lamp's light, so its noise follows from
how little of it there is: towards 350 nm because the filament is too cold, beyond 2400 nm because fibre and detector
fade. Target, white panel and dark frame are counted separately; panel and dark frame are shared by a session, and so
is their noise.

The joins show as steps because the detectors see slightly different spots and warm up differently (Hueni & Bialek
2017, IEEE JSTARS 10:1542).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from ...converters.spectra.spectrum import Floats

WAVELENGTHS_NM: Floats = np.arange(350.0, 2501.0)
"""(2151,) grid the instrument delivers, in nm."""
MARGIN_NM = 30
"""Light this far outside the range still reaches the outermost channels through the slit function."""
SCENE_NM: Floats = np.arange(350.0 - MARGIN_NM, 2501.0 + MARGIN_NM)
"""(2211,) grid on which the scene in front of the probe is given, in nm."""
SPLICES_NM: tuple[float, float] = (1000.0, 1800.0)
"""Last wavelength of VNIR and of SWIR1, in nm."""

LAMP_K = 2950.0
"""Colour temperature of the probe's halogen bulb in kelvin."""
SESSION_SAMPLES = 24
"""Samples between two white references: two hours at five minutes a sample."""


@dataclass(frozen=True)
class Detector:
    """One of the three detectors.

    Attributes:
        first_nm, last_nm: channels it delivers, both included.
        fwhm_nm: ((wavelength, full width at half maximum), ...) in nm, linear between and level outside.
        rise_nm, fall_nm: (half response, width) in nm of the low and high end of its response.
        pixel_nm: spacing of its own samples; the noise of neighbouring 1 nm channels is shared across it.
        readout: noise of a dark count, as a fraction of the largest signal, after all averaging.
        shot: photon noise of the largest signal on the white panel, as a fraction of it, after all averaging.
        gain: (mean, between sessions, between points) of its deviation from the true level.
    """

    first_nm: int
    last_nm: int
    fwhm_nm: tuple[tuple[float, float], ...]
    rise_nm: tuple[float, float]
    fall_nm: tuple[float, float]
    pixel_nm: float
    readout: float
    shot: float
    gain: tuple[float, float, float]

    @property
    def channels(self) -> slice:
        """Where its channels stand on `WAVELENGTHS_NM`."""
        return slice(self.first_nm - 350, self.last_nm - 350 + 1)

    def response(self, wavelengths_nm: Floats) -> Floats:
        """Signal on a white panel, 1 at the detector's best wavelength."""
        signal: Floats = self._signal(wavelengths_nm) / self._signal(WAVELENGTHS_NM[self.channels]).max()
        return signal

    def _signal(self, wavelengths_nm: Floats) -> Floats:
        photons = wavelengths_nm**-4.0 / np.expm1(1.438777e7 / (wavelengths_nm * LAMP_K))
        rise = 1.0 / (1.0 + np.exp(-(wavelengths_nm - self.rise_nm[0]) / self.rise_nm[1]))
        fall = 1.0 / (1.0 + np.exp((wavelengths_nm - self.fall_nm[0]) / self.fall_nm[1]))
        signal: Floats = photons * rise * fall
        return signal


VNIR = Detector(
    350, 1000, ((350.0, 3.0), (700.0, 3.0), (1000.0, 3.4)), (400.0, 32.0), (985.0, 30.0), 1.4, 1.0e-5, 1.1e-4,
    (-0.0065, 0.004, 0.004),
)  # fmt: skip
SWIR1 = Detector(
    1001, 1800, ((1000.0, 8.5), (1500.0, 10.0), (1800.0, 10.0)), (960.0, 18.0), (1830.0, 25.0), 1.1, 2e-5,
    7e-5, (0.0, 0.0, 0.0),
)  # fmt: skip
SWIR2 = Detector(
    1801, 2500, ((1800.0, 9.0), (2100.0, 10.0), (2500.0, 11.5)), (1720.0, 25.0), (2400.0, 38.0), 1.1, 5.0e-5,
    9.0e-5, (0.0035, 0.003, 0.003),
)  # fmt: skip
DETECTORS: tuple[Detector, Detector, Detector] = (VNIR, SWIR1, SWIR2)


@cache
def _slit(detector: Detector) -> Floats:
    """(scene bands, channels) weights of the scene in each channel of a detector."""
    channels = WAVELENGTHS_NM[detector.channels]
    knots, widths = np.array(detector.fwhm_nm).T
    sigma_nm = np.interp(channels, knots, widths) / (2.0 * np.sqrt(2.0 * np.log(2.0)))
    weights = np.exp(-0.5 * ((SCENE_NM[:, None] - channels) / sigma_nm) ** 2)
    normalised: Floats = weights / weights.sum(axis=0)
    return normalised


def resolve(scene: Floats) -> Floats:
    """See a scene through the slit functions of the three detectors.

    Args:
        scene: (n, 2211) on `SCENE_NM`.

    Returns:
        (n, 2151) on `WAVELENGTHS_NM`.
    """
    seen = []
    for detector in DETECTORS:
        # Only the part of the scene a detector's slit can reach.
        reach = slice(detector.first_nm - 350, detector.last_nm - 350 + 2 * MARGIN_NM + 1)
        seen.append(scene[:, reach] @ _slit(detector)[reach])
    return np.concatenate(seen, axis=1)


@dataclass(frozen=True)
class Session:
    """What all targets between two white references share.

    Attributes:
        white: (2151,) noise of the white reference, relative to its signal.
        dark: (2151,) noise of the dark frame, in reflectance.
        gains: (3,) deviation of each detector.
    """

    white: Floats
    dark: Floats
    gains: Floats


def open_session(rng: np.random.Generator) -> Session:
    """Take dark frame and white reference."""
    white, dark = [], []
    for detector in DETECTORS:
        channels = WAVELENGTHS_NM[detector.channels]
        response = detector.response(channels)
        # A reference is averaged over four times as many scans as a target.
        white.append(0.5 * noise(detector, np.ones((1, channels.size)), rng)[0])
        dark.append(0.25 * detector.readout / response * _pixel_noise(detector, 1, rng)[0])
    gains = np.array([d.gain[0] + d.gain[1] * rng.standard_normal() for d in DETECTORS])
    return Session(np.concatenate(white), np.concatenate(dark), gains)


def noise(detector: Detector, reflectance: Floats, rng: np.random.Generator) -> Floats:
    """Noise of a target's reflectance: readout and photon noise over the signal.

    Args:
        detector: which one.
        reflectance: (n, channels) of the detector's channels.
        rng: source of chance.

    Returns:
        (n, channels) in reflectance.
    """
    response = detector.response(WAVELENGTHS_NM[detector.channels])
    sigma = np.sqrt((detector.readout / response) ** 2 + detector.shot**2 * np.abs(reflectance) / response)
    drawn: Floats = sigma * _pixel_noise(detector, reflectance.shape[0], rng)
    return drawn


def _pixel_noise(detector: Detector, rows: int, rng: np.random.Generator) -> Floats:
    """(rows, channels) standard normal at the detector's own pixels, interpolated to 1 nm as the instrument does."""
    channels = detector.last_nm - detector.first_nm + 1
    pixels = int(np.ceil((channels - 1) / detector.pixel_nm)) + 2
    drawn = rng.standard_normal((rows, pixels))
    place = np.arange(float(channels)) / detector.pixel_nm
    left = place.astype(np.intp)
    share: Floats = place - left
    interpolated: Floats = drawn[:, left] * (1.0 - share) + drawn[:, left + 1] * share
    return interpolated


def measure(reflectance: Floats, session: Session, rng: np.random.Generator) -> Floats:
    """Measure the points of one sample against the session's white reference.

    Args:
        reflectance: (points, 2151) as `resolve` gives it.
        session: the white reference in force.
        rng: source of chance for these points.

    Returns:
        (points, 2151) reflectance as the instrument delivers it, steps at the joins included.
    """
    points = reflectance.shape[0]
    # The head is set down anew at each point: the whole level moves a little, each detector's a little more.
    level = 1.0 + 0.012 * rng.standard_normal((points, 1))
    measured = np.empty_like(reflectance)
    for number, detector in enumerate(DETECTORS):
        true = reflectance[:, detector.channels] * level
        gain = session.gains[number] + detector.gain[2] * rng.standard_normal((points, 1))
        # Silicon near its band gap gains and loses most when the array warms: the deviation grows towards 1000 nm.
        drift = np.clip((WAVELENGTHS_NM[detector.channels] - 750.0) / 250.0, 0.0, 1.0) ** 2 if number == 0 else 0.0
        seen = true * (1.0 + gain * (0.7 + 0.3 * drift)) + noise(detector, true, rng)
        measured[:, detector.channels] = (seen + session.dark[detector.channels]) / (
            1.0 + session.white[detector.channels]
        )
    return measured
