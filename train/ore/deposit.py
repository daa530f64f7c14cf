"""A simulated gold deposit in refractory ore: drill holes, assays, logged classes, ore or gangue.

The variables, and what should go with what, are those that Costa, Carneiro & Ulsen 2025 (Geosciences 15(7):248) report
of theirs; its data are not public. Everything here is made up, so that the software can be tried: whatever a model
reaches on it says nothing about real ground.

How it is made: along drill holes, spatially continuous fields are drawn for arsenopyrite, pyrite, late base metals,
silica, strain, hardness, and for how much gold the arsenopyrite holds. Most gold sits unseen in fine arsenopyrite;
where arsenopyrite is coarse and massive it is barren. So the true grade rises with As and falls again, a relation that
no straight line follows, and the assay of Au, of a few grams with or without a grain, knows the true grade less well
than As does. A block is ore if its true grade is above the cut-off. Whoever logs the core misses part of the
arsenopyrite over whole stretches, and Pb and Zn have levels of their own from place to place: a model that has seen a
block's neighbours knows the stretch again and what the eye missed there, which blocks of other holes do not tell.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...converters.spectra.errors import StibiumError
from ...converters.spectra.spectrum import Floats
from .fields import gaussian_field

BLOCKS = 67_300
"""Ten times the study's test set of 6,730."""
CUTOFF_G_T = 1.5
CLASSES = ("Low", "Medium", "High")
ASSAYS = ("Au", "As", "S", "Pb", "Zn", "Cu")
LOGGED = (
    "Class_Boud",
    "Sulfetac",
    "Au_Potenc",
    "Class_As",
    "Class_Hardn",
    "Class_Def",
    "sulphidation",
    "Class_Silic",
    "texture",
    "Class_Pb-Zn",
)

_HOLE_SPACING_M = 25.0
_HOLES_A_ROW = 27
_UNSEEN = 0.5
"""Of what the eye misses or takes for arsenopyrite, stretch by stretch, to one of the arsenopyrite itself."""
# Of a few metres: along fields that go on for most of a hole no probability is true of so few holes (docs/ore.md).
_RANGES_M = {"ore": (5.0, 10.0, 7.0), "wide": (40.0, 60.0, 50.0)}


class DepositError(StibiumError, ValueError):
    """Arguments no deposit can be simulated from."""


@dataclass(frozen=True, eq=False)
class Deposit:
    """Simulated blocks, in the order they were drilled.

    Attributes:
        hole: (n,) number of the drill hole.
        places_m: (n, 3) east, north, depth.
        assays: (n, 6) as the ground is there, in the units of `ASSAYS`, before a laboratory rounds or bounds them.
        classes: (n, 10) 0, 1, 2 for Low, Medium, High, as logged, in the order of `LOGGED`.
        missing: (n, 16) what was not measured or logged, assays first.
        grade_g_t: (n,) true grade; not to be had in a real deposit.
        ore: (n,) whether the true grade is above the cut-off.
        cutoff_g_t: that cut-off.
        seed: what everything was drawn from.
    """

    hole: NDArray[np.intp]
    places_m: Floats
    assays: Floats
    classes: NDArray[np.int8]
    missing: NDArray[np.bool_]
    grade_g_t: Floats
    ore: NDArray[np.bool_]
    cutoff_g_t: float
    seed: int


def simulate_deposit(blocks: int = BLOCKS, seed: int = 42) -> Deposit:
    """Draw a deposit; equal arguments give the same one.

    Args:
        blocks: how many, each a metre of a drill hole of 60 to 140 blocks (the last hole may be shorter).
        seed: any integer from 0.

    Raises:
        DepositError: an argument is out of its range.
    """
    if blocks < 1:
        raise DepositError(f"{blocks} blocks cannot be simulated; ask for 1 or more")
    if seed < 0:
        raise DepositError(f"seed {seed} is negative; give 0 or more")
    hole, places_m = _drill(blocks, _chance(seed, 0))
    ground = _Ground(places_m, seed)
    grade_g_t = ground.grade_g_t()
    return Deposit(
        hole=hole,
        places_m=places_m,
        assays=_assay(ground, grade_g_t, _chance(seed, 2)),
        classes=_log_classes(ground, hole, _chance(seed, 3)),
        missing=_lose(hole, _chance(seed, 4)),
        grade_g_t=grade_g_t,
        ore=grade_g_t > CUTOFF_G_T,
        cutoff_g_t=CUTOFF_G_T,
        seed=seed,
    )


class _Ground:
    """The fields, (n,) standard normal each; a block has its own part beside the continuous one."""

    def __init__(self, places_m: Floats, seed: int) -> None:
        names = ("arsenopyrite", "pyrite", "base_metals", "silica", "strain", "hardness", "texture", "copper")
        chance = _chance(seed, 1)
        own = {name: gaussian_field(places_m, _RANGES_M["ore"], chance) for name in names}
        self.tenor = gaussian_field(places_m, _RANGES_M["wide"], chance)
        self.host = gaussian_field(places_m, _RANGES_M["wide"], chance)
        self.lead = gaussian_field(places_m, _RANGES_M["wide"], chance)
        self.zinc = gaussian_field(places_m, _RANGES_M["wide"], chance)
        unseen = gaussian_field(places_m, _RANGES_M["ore"], chance)
        n = len(places_m)

        def mix(shares: dict[str, float]) -> Floats:
            rest = max(1 - sum(v * v for v in shares.values()), 0.0)
            parts = [v * own[k] for k, v in shares.items()]
            return np.asarray(np.sum(parts, axis=0) + np.sqrt(rest) * chance.standard_normal(n))

        self.arsenopyrite = mix({"arsenopyrite": 0.95})
        self.seen_arsenopyrite = (self.arsenopyrite + _UNSEEN * unseen) / np.hypot(1, _UNSEEN)
        self.pyrite = mix({"arsenopyrite": 0.55, "pyrite": 0.75})
        self.base_metals = mix({"arsenopyrite": 0.45, "base_metals": 0.85})
        self.copper = mix({"base_metals": 0.5, "copper": 0.8})
        self.silica = mix({"arsenopyrite": 0.4, "silica": 0.85})
        self.strain = mix({"strain": 0.95})
        self.hardness = mix({"hardness": 0.8, "strain": -0.35, "silica": 0.3})
        self.texture = mix({"texture": 0.85, "strain": 0.3})
        self.own = chance.standard_normal(n)

    def grade_g_t(self) -> Floats:
        a = self.arsenopyrite
        fine = np.exp(-(((a - 0.4) / 0.8) ** 2))
        ln = -1.94 + 4.55 * fine + 0.16 * self.pyrite + 0.28 * self.base_metals + 0.1 * self.silica
        ln = ln + 0.3 * self.tenor + 0.03 * self.own
        return np.asarray(np.exp(ln))


def _assay(ground: _Ground, grade_g_t: Floats, chance: np.random.Generator) -> Floats:
    def noise(sd: float) -> Floats:
        return sd * chance.standard_normal(len(grade_g_t))

    # A visible grain in the fifty grams that are melted; rare, and then it is nearly all there is.
    grains = np.where(chance.random(len(grade_g_t)) < 0.04, 2.0 + noise(0.8), 0.0)
    arsenic = 5.6 + 1.25 * ground.arsenopyrite
    sulphur = np.logaddexp(-1.1 + 0.75 * ground.pyrite, arsenic - 8.8)
    return np.asarray(
        np.exp(
            np.stack(
                [
                    np.log(grade_g_t) + noise(1.25) + grains,
                    arsenic + noise(0.08),
                    sulphur + noise(0.1),
                    3.5 + 0.5 * ground.base_metals + 0.8 * ground.lead + noise(0.02),
                    4.1 + 0.5 * ground.base_metals + 0.8 * ground.zinc + noise(0.02),
                    3.4 + 0.5 * ground.host + 0.15 * ground.copper + noise(0.05),
                ],
                axis=1,
            )
        )
    )


def _log_classes(ground: _Ground, hole: NDArray[np.intp], chance: np.random.Generator) -> NDArray[np.int8]:
    """Judge by eye: a latent, the geologist's own bias (one a hole), misjudgement of the block, two thresholds."""
    n, holes = len(hole), int(hole.max()) + 1
    arsenopyrite = ground.seen_arsenopyrite
    sulphides = 0.75 * arsenopyrite + 0.55 * ground.pyrite
    clusters = sulphides / sulphides.std()
    seen = clusters + 0.2 * chance.standard_normal(n)
    latent = {
        "Class_Boud": (0.8 * ground.strain + 0.5 * ground.silica, 0.5),
        "Sulfetac": (seen, 0.0),
        "Au_Potenc": (seen, 0.15),
        "Class_As": (arsenopyrite, 0.2),
        "Class_Hardn": (ground.hardness, 0.4),
        "Class_Def": (ground.strain, 0.4),
        "sulphidation": (0.6 * clusters + 0.65 * ground.base_metals, 0.5),
        "Class_Silic": (ground.silica, 0.15),
        "texture": (ground.texture, 0.4),
        "Class_Pb-Zn": (0.55 * clusters + 0.85 * ground.base_metals, 0.4),
    }
    thresholds = {"Class_As": (-0.25, 1.15), "Sulfetac": (-0.3, 0.8), "Au_Potenc": (-0.3, 0.8)}
    bias = 0.15 * chance.standard_normal((holes, len(LOGGED)))
    columns = []
    for i, name in enumerate(LOGGED):
        values, misjudged = latent[name]
        values = values + misjudged * chance.standard_normal(n)
        if name not in ("Sulfetac", "Au_Potenc"):
            values = values + bias[hole, i]
        columns.append(np.digitize(values, thresholds.get(name, (-0.4, 0.9))))
    return np.asarray(np.stack(columns, axis=1), dtype=np.int8)


def _lose(hole: NDArray[np.intp], chance: np.random.Generator) -> NDArray[np.bool_]:
    """Leave values out: single ones, and a class that the geologist of a hole did not log at all."""
    columns = len(ASSAYS) + len(LOGGED)
    single = chance.random((len(hole), columns)) < 0.01
    whole = chance.random((int(hole.max()) + 1, columns)) < 0.02
    whole[:, : len(ASSAYS)] = False
    return np.asarray(single | whole[hole])


def _drill(blocks: int, chance: np.random.Generator) -> tuple[NDArray[np.intp], Floats]:
    """Lay holes of 60 to 140 blocks of one metre on a grid of 25 m, each with its own dip."""
    hole, places = [], []
    left, number = blocks, 0
    while left > 0:
        length = min(int(chance.integers(60, 141)), left)
        dip, azimuth = np.radians(chance.uniform(55, 75)), np.radians(chance.normal(90, 5))
        direction = np.array([np.cos(dip) * np.sin(azimuth), np.cos(dip) * np.cos(azimuth), np.sin(dip)])
        row, column = divmod(number, _HOLES_A_ROW)
        collar = np.array([column * _HOLE_SPACING_M, row * _HOLE_SPACING_M, 0.0])
        places.append(collar + np.arange(length)[:, None] * direction)
        hole.append(np.full(length, number))
        left -= length
        number += 1
    return np.concatenate(hole), np.concatenate(places)


def _chance(seed: int, stream: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(stream,))))
