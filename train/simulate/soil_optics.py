"""What a mixture of soil constituents reflects.

Mixing is Hapke's: absorption adds up by volume inside the fine matrix; the matrix, sand grains and sulphide grains
add up by their geometric cross-sections (so fine grains count for more than their mass); and the single-scattering
albedo of the mixture gives the reflectance. For an optically thick layer this is the two-stream (Kubelka-Munk)
solution with K and S from the grains, corrected for the directions of lamp and fibre.

Sources: Hapke 1981, JGR 86:3039; Hapke 2012, Theory of Reflectance and Emittance Spectroscopy, 2nd edition.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...converters.spectra.spectrum import Floats
from .soil_constituents import IRON_SULPHIDE_DENSITY_G_CM3, MATRIX, SAND, STIBNITE

SAND_PATH_UM = 150.0
"""Mean path of light through a sand grain in µm."""
SULPHIDE_PATH_UM = 4.0
"""Mean path of light through a grain of sulphide in µm: what weathering leaves is fine."""


@dataclass(frozen=True)
class Composition:
    """Soils at the point under the probe, ready for the optics.

    Attributes:
        matrix: (n, constituents) mass fractions of the soil in the order of `soil_optics.MATRIX`.
        sand: (n,) mass fraction of coated sand grains.
        stibnite: (n,) mass fraction.
        iron_sulphide: (n,) mass fraction of arsenopyrite and pyrite.
        path_um: (n,) mean path of light through a matrix grain in µm.
        coating: (n,) share of the matrix's absorption that the sand grains carry.
    """

    matrix: Floats
    sand: Floats
    stibnite: Floats
    iron_sulphide: Floats
    path_um: Floats
    coating: Floats


def reflectance(soil: Composition, wavelengths_nm: Floats) -> Floats:
    """Reflect the lamp off n compositions.

    Args:
        soil: n rows.
        wavelengths_nm: (bands,) in nm.

    Returns:
        (n, bands) reflectance factor, before any instrument.
    """
    densities = np.array([constituent.density_g_cm3 for constituent in MATRIX.values()])
    volumes = soil.matrix / densities
    matrix_volume = volumes.sum(axis=1)
    absorption = (volumes / matrix_volume[:, None]) @ _matrix_absorption_per_cm(wavelengths_nm)
    sand_absorption = SAND.absorption_per_cm(wavelengths_nm) + soil.coating[:, None] * absorption

    # Cross-section of the grains of each kind: volume over path, sulphide grains being finer than sand.
    sections = np.stack(
        [
            matrix_volume / soil.path_um,
            soil.sand / SAND.density_g_cm3 / SAND_PATH_UM,
            soil.stibnite / STIBNITE.density_g_cm3 / SULPHIDE_PATH_UM,
            soil.iron_sulphide / IRON_SULPHIDE_DENSITY_G_CM3 / SULPHIDE_PATH_UM,
        ],
        axis=1,
    )
    weights = sections / sections.sum(axis=1, keepdims=True)
    albedo = weights[:, :1] * grain_albedo(absorption, soil.path_um[:, None], 1.55)
    albedo += weights[:, 1:2] * grain_albedo(sand_absorption, SAND_PATH_UM, 1.54)
    stibnite = grain_albedo(STIBNITE.absorption_per_cm(wavelengths_nm), SULPHIDE_PATH_UM, 3.9)
    albedo += weights[:, 2:3] * stibnite
    albedo += weights[:, 3:4] * iron_sulphide_albedo(wavelengths_nm)
    return reflectance_factor(albedo)


def grain_albedo(absorption: Floats, path_um: Floats | float, refractive_index: float) -> Floats:
    """Single-scattering albedo of a grain in Hapke's equivalent-slab model (Hapke 1981, without inner scattering).

    Args:
        absorption: (..., bands) absorption coefficient in 1/cm.
        path_um: mean path of light through a grain in µm, broadcast against `absorption`.
        refractive_index: real part, taken as constant over the range.

    Returns:
        (..., bands) between 0 and 1.
    """
    outer = ((refractive_index - 1.0) / (refractive_index + 1.0)) ** 2 + 0.05
    inner = 1.0 - 4.0 / (refractive_index * (refractive_index + 1.0) ** 2)
    absorbed = -np.expm1(-absorption * (np.asarray(path_um) * 1e-4))
    # 1 - (what is lost), so that rounding cannot give more than 1.
    albedo: Floats = 1.0 - (1.0 - outer) * absorbed / (1.0 - inner * (1.0 - absorbed))
    return albedo


def iron_sulphide_albedo(wavelengths_nm: Floats) -> Floats:
    """(bands,) albedo of arsenopyrite and pyrite grains: surface reflection only, a little higher to the red."""
    albedo: Floats = 0.30 + 0.10 * (1.0 - np.exp(-(wavelengths_nm - 350.0) / 500.0))
    return albedo


def reflectance_factor(albedo: Floats, lamp_deg: float = 12.0, fibre_deg: float = 35.0) -> Floats:
    """Reflectance of a thick layer against a perfect white, lamp and fibre at the given angles from the normal.

    Isotropic scatterers, no opposition effect (Hapke 1981, with the two-stream form of the H function).

    Args:
        albedo: (..., bands) single-scattering albedo.
        lamp_deg: incidence in degrees.
        fibre_deg: emergence in degrees.

    Returns:
        (..., bands) reflectance factor.
    """
    gamma = np.sqrt(1.0 - albedo)
    lamp, fibre = np.cos(np.radians(lamp_deg)), np.cos(np.radians(fibre_deg))
    h_lamp = (1.0 + 2.0 * lamp) / (1.0 + 2.0 * lamp * gamma)
    h_fibre = (1.0 + 2.0 * fibre) / (1.0 + 2.0 * fibre * gamma)
    factor: Floats = albedo * h_lamp * h_fibre / (4.0 * (lamp + fibre))
    return factor


def _matrix_absorption_per_cm(wavelengths_nm: Floats) -> Floats:
    """(constituents, bands) in 1/cm, in the order of `MATRIX`."""
    return np.stack([constituent.absorption_per_cm(wavelengths_nm) for constituent in MATRIX.values()])
