"""What a soil of given Sb, As, Pb, Mn and Zn may consist of: the geochemistry of the table made mineralogy.

Antimony has no band of its own at soil concentrations, so nearly all that ties a spectrum to its assay is what goes
with the ore: near the veins less clay and less adsorbed water (silicified ground), less ordered iron oxide and so no
shoulders in the visible, ferrous carbonate, a little sulphide; arsenic with goethite and jarosite, lead with jarosite
and organic matter, zinc and manganese with chlorite, manganese oxide and organic matter. Carvalho et al. 2024, Remote
Sensing 16(11):1964, describe the first three; the strength of every tie is this project's choice, and each abundance
scatters by more than its tie explains.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ...converters.spectra.spectrum import Floats
from ..assays.published import ELEMENTS
from .soil_constituents import MATRIX
from .soil_optics import Composition


@dataclass(frozen=True)
class Abundance:
    """How much of a constituent a soil holds.

    Attributes:
        median: mass fraction at the median.
        scatter: standard deviation of the natural logarithm between soils that does not depend on the assay.
        between_points: the same between points of one sample.
        ties: change of the natural logarithm per standard deviation of an element's factor (`factors`).
    """

    median: float
    scatter: float
    between_points: float = 0.08
    ties: dict[str, float] = field(default_factory=dict)


ABUNDANCES: dict[str, Abundance] = {
    "kaolinite_ordered": Abundance(0.022, 0.75, 0.10, {"Sb": -0.22}),
    "kaolinite_disordered": Abundance(0.050, 0.50, 0.10, {"Sb": -0.10, "Zn": -0.10}),
    "illite_muscovitic": Abundance(0.085, 0.40, 0.08, {"Sb": 0.02, "Mn": 0.08}),
    "illite_phengitic": Abundance(0.042, 0.45, 0.08, {"Sb": -0.28, "Zn": 0.20}),
    "smectite": Abundance(0.014, 0.70, 0.12, {"Sb": -0.28}),
    "chlorite": Abundance(0.024, 0.45, 0.10, {"Mn": 0.35, "Zn": 0.50}),
    "goethite": Abundance(0.016, 0.36, 0.10, {"Sb": -0.28, "As": 0.25, "Mn": 0.10}),
    "hematite": Abundance(0.0030, 0.85, 0.12, {"Sb": -0.50, "Pb": -0.15}),
    "jarosite": Abundance(0.0022, 0.70, 0.12, {"As": 0.50, "Pb": 0.60}),
    "ferrous_carbonate": Abundance(0.0022, 0.70, 0.15, {"Sb": 0.70}),
    "organic_matter": Abundance(0.032, 0.45, 0.10, {"Sb": 0.14, "Pb": 0.15, "Mn": 0.22, "Zn": 0.10}),
    "black_carbon": Abundance(0.0006, 0.70, 0.12),
}
"""Constituents whose abundance is drawn; water, sand, manganese oxide and sulphides follow from other rules."""


SAMPLE_TRAITS = ("clay", "humidity", "manganese", "weathering", "sand", "path", "coating", *ELEMENTS)
POINT_TRAITS = ("clay", "humidity", "weathering", "sulphide", "sand", "path", "coating")
SAMPLE_DRAWS = len(ABUNDANCES) + len(SAMPLE_TRAITS)
"""Standard normal numbers one sample needs."""
POINT_DRAWS = len(ABUNDANCES) + len(POINT_TRAITS)
"""Standard normal numbers one measuring point needs."""

CLAYS = ("kaolinite_ordered", "kaolinite_disordered", "illite_muscovitic", "illite_phengitic", "smectite")


def compose(
    true_ppm: Floats, factors: Floats, ferrous: NDArray[np.bool_], sample_draws: Floats, point_draws: Floats
) -> Composition:
    """Draw what lies under the probe at each point.

    Args:
        true_ppm: (n, 5) assays in ppm, uncensored.
        factors: (n, 5) from `Geochemistry.factors`.
        ferrous: (n,) whether the soil is known to show the Fe2+ ramp.
        sample_draws: (n, `SAMPLE_DRAWS`) standard normal, the same for all points of a sample.
        point_draws: (n, `POINT_DRAWS`) standard normal.

    Returns:
        n compositions whose mass fractions sum to 1.
    """
    count = len(ABUNDANCES)
    sample = dict(zip(SAMPLE_TRAITS, sample_draws[:, count:].T, strict=True))
    point = dict(zip(POINT_TRAITS, point_draws[:, count:].T, strict=True))
    # What the laboratory dissolved is not what the probe looks at: a few grams against a 10 mm spot.
    seen = factors + 0.15 * np.stack([sample[element] for element in ELEMENTS], axis=1)
    masses = _tied_masses(seen, sample_draws, point_draws)
    iron2 = masses["ferrous_carbonate"]
    masses["ferrous_carbonate"] = np.where(ferrous, np.maximum(iron2, 0.03), np.minimum(iron2, 0.05))

    # Shared by all clay minerals: how fine the soil is, and silicification towards the vein.
    clay = np.exp(-0.16 * seen[:, 0] + 0.26 * sample["clay"] + 0.04 * point["clay"])
    for name in CLAYS:
        masses[name] = masses[name] * clay
    surface = 1.2 * masses["smectite"] + 0.12 * masses["kaolinite_disordered"] + 0.08 * masses["illite_muscovitic"]
    humidity = np.exp(-0.14 * seen[:, 0] + 0.26 * sample["humidity"] + 0.08 * point["humidity"])
    masses["water"] = humidity * (0.003 + 0.26 * surface + 0.10 * masses["organic_matter"])
    # MnO2 holds 63 % Mn, and part of the Mn sits in chlorite; stibnite holds 71.7 % Sb, arsenopyrite 46 % As, and
    # weathering leaves a part of either.
    masses["manganese_oxide"] = true_ppm[:, 3] * 1e-6 / 0.63 * _share(0.8 + 0.6 * sample["manganese"])
    left = _share(-1.2 + 0.9 * sample["weathering"] + 0.25 * point["weathering"])
    stibnite = np.minimum(true_ppm[:, 0] * 1e-6 / 0.717 * left, 0.03)
    iron_sulphide = true_ppm[:, 1] * 1e-6 / 0.46 * left * np.exp(0.8 + 0.5 * point["sulphide"])
    iron_sulphide = np.minimum(iron_sulphide, 0.03)

    # The finest soil keeps some silt and sand: everything else is scaled into at most 85 %.
    fine = np.sum(list(masses.values()), axis=0) + stibnite + iron_sulphide
    scale = np.minimum(1.0, 0.85 / fine)
    rest = 1.0 - fine * scale
    sand = rest * _share(-0.1 + 0.5 * sample["sand"] + 0.15 * point["sand"])
    masses["quartz_silt"] = (rest - sand) / scale
    return Composition(
        matrix=np.stack([masses[name] for name in MATRIX], axis=1) * scale[:, None],
        sand=sand,
        stibnite=stibnite * scale,
        iron_sulphide=iron_sulphide * scale,
        path_um=20.0 * np.exp(0.22 * sample["path"] + 0.07 * point["path"]),
        coating=0.03 * np.exp(0.4 * sample["coating"] + 0.1 * point["coating"]),
    )


def _tied_masses(seen: Floats, sample_draws: Floats, point_draws: Floats) -> dict[str, Floats]:
    masses = {}
    for column, (name, abundance) in enumerate(ABUNDANCES.items()):
        tied = seen @ np.array([abundance.ties.get(element, 0.0) for element in ELEMENTS])
        between_soils = abundance.scatter * sample_draws[:, column]
        between_points = abundance.between_points * point_draws[:, column]
        masses[name] = abundance.median * np.exp(tied + between_soils + between_points)
    return masses


def _share(logit: Floats) -> Floats:
    share: Floats = 1.0 / (1.0 + np.exp(-logit))
    return share
