"""How soil constituents absorb.

Each constituent is a handful of bands, edges and tails at positions from the literature; no measured spectrum is
stored. Heights are effective absorption coefficients in 1/cm of the constituent as it sits in a soil aggregate,
chosen so that mixtures of usual composition look like air-dry soil under a contact probe; they are no optical
constants of pure crystals.

Sources of positions and widths:
    Hunt & Salisbury 1970, Modern Geology 1:283 (silicates, OH and water overtones);
    Clark et al. 1990, JGR 95:12653 (kaolinite, illite, smectite, muscovite, jarosite);
    Clark 1999, Spectroscopy of rocks and minerals, Manual of Remote Sensing (Fe2+, carbonates, organics);
    Sherman & Waite 1985, American Mineralogist 70:1262 (Fe3+ in goethite, hematite, jarosite);
    Scheinost et al. 1998, Clays and Clay Minerals 46:528 (goethite and hematite in soils);
    Palmer & Williams 1974, JOSA 64:1107 (liquid water);
    Ben-Dor et al. 1997, Remote Sensing of Environment 61:1 (organic matter);
    Viscarra Rossel & Behrens 2010, Geoderma 158:46 (assignment of bands in soil).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...converters.spectra.spectrum import Floats

EV_NM = 1239.842
"""Energy (eV) times wavelength (nm) of a photon."""


@dataclass(frozen=True)
class Band:
    """A Gaussian absorption band: centre and full width at half maximum in nm, height in 1/cm."""

    centre_nm: float
    fwhm_nm: float
    height_per_cm: float

    def at(self, wavelengths_nm: Floats) -> Floats:
        """Absorption in 1/cm at each wavelength."""
        half_widths_off = (wavelengths_nm - self.centre_nm) / (self.fwhm_nm / 2.0)
        absorption: Floats = self.height_per_cm * np.exp2(-(half_widths_off**2))
        return absorption


@dataclass(frozen=True)
class Edge:
    """An absorption edge: full height at wavelengths below `at_nm`, falling off over `width_ev`."""

    at_nm: float
    width_ev: float
    height_per_cm: float

    def at(self, wavelengths_nm: Floats) -> Floats:
        """Absorption in 1/cm at each wavelength."""
        below_ev = (EV_NM / self.at_nm - EV_NM / wavelengths_nm) / self.width_ev
        return self.height_per_cm / (1.0 + np.exp(np.clip(below_ev, -60.0, 60.0)))


@dataclass(frozen=True)
class Tail:
    """An exponential wing: `height_per_cm` at `at_nm`, one e-fold less every `fold_nm` (negative: rising)."""

    at_nm: float
    fold_nm: float
    height_per_cm: float

    def at(self, wavelengths_nm: Floats) -> Floats:
        """Absorption in 1/cm at each wavelength."""
        absorption: Floats = self.height_per_cm * np.exp(-(wavelengths_nm - self.at_nm) / self.fold_nm)
        return absorption


@dataclass(frozen=True)
class Constituent:
    """A soil constituent: density in g/cm3, and what it absorbs."""

    density_g_cm3: float
    features: tuple[Band | Edge | Tail, ...]

    def absorption_per_cm(self, wavelengths_nm: Floats) -> Floats:
        """(bands,) absorption coefficient in 1/cm."""
        absorption = np.zeros_like(wavelengths_nm)
        for feature in self.features:
            absorption += feature.at(wavelengths_nm)
        return absorption


MATRIX: dict[str, Constituent] = {
    # Sharp 1395/1413 and 2162/2208 nm doublets; disorder smears the first of each pair.
    "kaolinite_ordered": Constituent(
        2.62,
        (
            Band(1394, 13, 13.0),
            Band(1413, 17, 19.0),
            Band(1400, 75, 4.0),
            Band(1820, 60, 1.2),
            Band(1912, 45, 2.5),
            Band(2162, 27, 17.0),
            Band(2207, 23, 38.0),
            Band(2178, 70, 9.0),
            Band(2313, 24, 8.0),
            Band(2351, 28, 11.0),
            Band(2383, 26, 11.0),
            Tail(2500, -105, 36.0),
            Tail(400, 140, 60.0),
        ),
    ),
    "kaolinite_disordered": Constituent(
        2.60,
        (
            Band(1396, 20, 7.0),
            Band(1414, 20, 18.0),
            Band(1410, 85, 5.0),
            Band(1913, 50, 10.0),
            Band(1950, 110, 6.0),
            Band(2166, 36, 10.0),
            Band(2208, 27, 32.0),
            Band(2178, 75, 12.0),
            Band(2314, 30, 6.0),
            Band(2352, 32, 9.0),
            Band(2385, 30, 9.0),
            Tail(2500, -110, 40.0),
            Tail(400, 170, 90.0),
        ),
    ),
    # White mica and illite; the Al-OH band moves with the Tschermak exchange.
    "illite_muscovitic": Constituent(
        2.75,
        (
            Band(1409, 26, 12.0),
            Band(1425, 80, 4.0),
            Band(1911, 42, 9.0),
            Band(1950, 120, 7.0),
            Band(2199, 36, 27.0),
            Band(2225, 75, 6.0),
            Band(2345, 40, 7.5),
            Band(2440, 46, 8.0),
            Tail(2500, -115, 34.0),
            Tail(400, 240, 110.0),
        ),
    ),
    "illite_phengitic": Constituent(
        2.78,
        (
            Band(1413, 28, 11.0),
            Band(1428, 85, 4.0),
            Band(1911, 42, 8.0),
            Band(1952, 120, 7.0),
            Band(2214, 38, 25.0),
            Band(2240, 75, 6.0),
            Band(2350, 42, 9.0),
            Band(2440, 48, 8.0),
            Band(1000, 450, 5.0),
            Tail(2500, -115, 36.0),
            Tail(400, 280, 130.0),
        ),
    ),
    # Interlayer water is part of the mineral here; what humidity adds is the constituent "water".
    "smectite": Constituent(
        2.35,
        (
            Band(1413, 26, 17.0),
            Band(1440, 90, 11.0),
            Band(1477, 70, 5.0),
            Band(1908, 31, 34.0),
            Band(1935, 80, 30.0),
            Band(2000, 150, 13.0),
            Band(2207, 36, 23.0),
            Band(2180, 90, 7.0),
            Band(1165, 80, 0.7),
            Tail(2500, -125, 62.0),
            Tail(400, 200, 110.0),
        ),
    ),
    # Fe2+ and Fe2+-Fe3+ charge transfer, then Al(Fe)-OH 2250 and Mg-OH 2335 nm.
    "chlorite": Constituent(
        2.95,
        (
            Band(720, 170, 45.0),
            Band(900, 260, 55.0),
            Band(1110, 360, 60.0),
            Band(1395, 22, 7.0),
            Band(1415, 70, 4.0),
            Band(2252, 38, 16.0),
            Band(2338, 52, 34.0),
            Band(2395, 60, 12.0),
            Tail(2500, -130, 34.0),
            Tail(400, 320, 330.0),
        ),
    ),
    # 4T1 920, 4T2 650, 4E-4A1 and pair transition near 435 and 480 nm, charge-transfer edge above 2.2 eV.
    "goethite": Constituent(
        4.26,
        (
            Edge(512, 0.10, 3000.0),
            Edge(552, 0.10, 1700.0),
            Band(425, 55, 1100.0),
            Band(482, 52, 1900.0),
            Band(652, 125, 470.0),
            Band(930, 235, 520.0),
            Tail(550, 230, 330.0),
        ),
    ),
    # 4T1 870, 4T2 650, pair transition 530 nm: the steep red edge.
    "hematite": Constituent(
        5.26,
        (
            Edge(573, 0.055, 15000.0),
            Edge(605, 0.075, 4000.0),
            Band(440, 80, 4000.0),
            Band(532, 60, 7000.0),
            Band(655, 95, 1400.0),
            Band(872, 185, 1500.0),
            Tail(550, 230, 800.0),
        ),
    ),
    "jarosite": Constituent(
        3.15,
        (
            Edge(470, 0.12, 2600.0),
            Band(433, 34, 3000.0),
            Band(640, 130, 130.0),
            Band(915, 185, 480.0),
            Band(1470, 55, 24.0),
            Band(1510, 60, 12.0),
            Band(1850, 45, 22.0),
            Band(2264, 42, 46.0),
            Band(2390, 90, 20.0),
            Tail(2500, -140, 40.0),
        ),
    ),
    # Fe2+ in a distorted six-fold site gives the broad pair near 1050 and 1300 nm; CO3 at 2330 nm.
    "ferrous_carbonate": Constituent(
        3.75,
        (
            Band(1045, 330, 360.0),
            Band(1310, 360, 230.0),
            Band(1910, 90, 4.0),
            Band(2000, 90, 5.0),
            Band(2332, 65, 38.0),
            Tail(500, 330, 420.0),
            Tail(2500, -150, 60.0),
        ),
    ),
    # Conjugated chromophores as an exponential in wavelength, then C-H, O-H and lignin-cellulose combinations.
    "organic_matter": Constituent(
        1.35,
        (
            Tail(500, 190, 900.0),
            Tail(500, 900, 60.0),
            Band(1210, 70, 2.0),
            Band(1450, 130, 13.0),
            Band(1728, 28, 3.5),
            Band(1762, 28, 2.5),
            Band(1930, 110, 20.0),
            Band(2100, 95, 15.0),
            Band(2275, 55, 9.0),
            Band(2309, 30, 8.0),
            Band(2348, 30, 6.0),
            Tail(2500, -140, 45.0),
        ),
    ),
    # Adsorbed water: liquid-water bands, the 1940 nm one drawn to 1912 nm by the bond to the surface.
    "water": Constituent(
        1.0,
        (
            Band(972, 62, 0.45),
            Band(1190, 75, 1.1),
            Band(1418, 42, 14.0),
            Band(1452, 85, 20.0),
            Band(1500, 120, 6.0),
            Band(1911, 38, 66.0),
            Band(1940, 85, 70.0),
            Band(2005, 150, 26.0),
            Tail(2500, -130, 100.0),
        ),
    ),
    # Graphitic carbon of black schist and charcoal: dark and nearly flat.
    "black_carbon": Constituent(1.9, (Tail(1000, 4000, 7000.0),)),
    "manganese_oxide": Constituent(3.4, (Tail(600, 1400, 9000.0), Edge(700, 0.5, 4000.0))),
    "quartz_silt": Constituent(2.64, (Tail(400, 160, 1.6), Tail(2500, -200, 0.5), Band(1000, 6000, 0.35))),
}
"""Constituents of the fine matrix, whose absorption adds up by volume."""

SAND = MATRIX["quartz_silt"]
"""Sand grains of quartz and feldspar: nearly transparent under their coating."""

STIBNITE = Constituent(4.6, (Edge(722, 0.050, 90000.0), Tail(800, 500, 12.0)))
"""Sb2S3: opaque below its band gap of 1.72 eV, transparent in the near infrared."""

IRON_SULPHIDE_DENSITY_G_CM3 = 5.5
"""Arsenopyrite with pyrite: opaque through the whole range."""
