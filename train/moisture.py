"""Soils scanned dry and wet: what water makes of a spectrum, learned from pairs that need no laboratory values."""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from ..converters.spectra.files import write_whole
from ..converters.spectra.names import plain_name
from ..converters.spectra.spectrum import CONDITIONS, Floats, Spectrum
from ..edge.engine import average_samples
from ..edge.errors import UnsuitableSpectrumError
from ..edge.files import iter_spectra
from ..edge.model.conditions import depths, sees_water
from ..edge.model.estimate import Refusal
from ..edge.model.recipe import Recipe
from ..edge.model.steps import Absorbance, Resample, SpliceCorrection
from ..edge.model.suitability import require_reflectance
from .errors import TrainingDataError

SHIPPED = "shipped"
"""What is named in place of a table for the differences that come with the package."""
SHIPPED_FILE = "moisture_differences.npz"
OWN_SHARE = 0.25
"""Of the shipped differences, that those of somebody's own few pairs count for at least together."""
KNOT_NM = 10.0
LEAST_WATER = 1e-3
"""Absorbance; scans that differ by less are one."""
LESS_WATER = "shows less water at 1930 nm than the same soil called dry"
FEWEST_SOILS = 3
FIRST_NM, LAST_NM = 400.0, 2450.0


@dataclass(frozen=True, eq=False)
class Differences:
    """What changes the absorbance of soils and is not in them, such as water: differences of scans of the same soils.

    Attributes:
        differences: (q, bands) of absorbance, log10(1 / R); of a wet or damp soil minus the same soil dry.
        dry: (q, bands) absorbance of these soils when dry, or as they were before.
        wavelengths_nm: (bands,).
        conditions: q, damp or wet; another word for what is no water.
        soils: q names.
        source: in words, for reports and for the bundle.
        notes: what of the pairs could not be used.
    """

    differences: Floats
    dry: Floats
    wavelengths_nm: Floats
    conditions: tuple[str, ...]
    soils: tuple[str, ...]
    source: str
    notes: tuple[str, ...] = ()

    @property
    def states(self) -> tuple[str, ...]:
        """The conditions that there are differences to."""
        return tuple(sorted(set(self.conditions)))

    @property
    def sha256(self) -> str:
        """Hash of all that a model depends on."""
        digest = hashlib.sha256(repr((self.conditions, self.soils)).encode())
        digest.update(self.differences.tobytes())
        digest.update(self.dry.tobytes())
        digest.update(self.wavelengths_nm.tobytes())
        return digest.hexdigest()

    def on(self, wavelengths_nm: Floats) -> Differences:
        """Give them on another grid.

        Raises:
            TrainingDataError: it goes beyond the pairs'.
        """
        nm = self.wavelengths_nm
        if wavelengths_nm[0] < nm[0] - 1e-6 or wavelengths_nm[-1] > nm[-1] + 1e-6:
            raise TrainingDataError(
                f"{self.source} cover {nm[0]:g}-{nm[-1]:g} nm, and the model stands on {wavelengths_nm[0]:g}-"
                f"{wavelengths_nm[-1]:g} nm: scan pairs with the calibration's instrument"
            )
        differences, dry = (
            np.stack([np.interp(wavelengths_nm, nm, row) for row in rows]) for rows in (self.differences, self.dry)
        )
        return replace(self, differences=differences, dry=dry, wavelengths_nm=wavelengths_nm)

    def only(self, which: NDArray[np.bool_]) -> Differences:
        """Give some of the differences, by a mask (q,)."""
        kept = np.flatnonzero(which)
        return replace(
            self,
            differences=self.differences[kept],
            dry=self.dry[kept],
            conditions=tuple(self.conditions[i] for i in kept),
            soils=tuple(self.soils[i] for i in kept),
        )


def read_pairs(path: str) -> Differences:
    """Read a table or folder of soils that were scanned dry, and damp or wet; "shipped" for the package's own alone.

    Several scans of a soil in one condition are averaged. The package's own come with those that are read: a few soils
    do not show all that water does, least of all in clays, where they hold none.

    Raises:
        TrainingDataError: fewer than three soils of which there is a dry and a damp or wet spectrum.
    """
    return shipped_pairs() if path == SHIPPED else joined(pairs_of(iter_spectra([path]), path), shipped_pairs())


def joined(own: Differences, others: Differences) -> Differences:
    """Put one's own differences and other people's together, on the grid of the first; a few are repeated to count."""
    others = others.on(own.wavelengths_nm)
    times = max(1, math.ceil(OWN_SHARE * len(others.conditions) / len(own.conditions)))
    return replace(
        own,
        differences=np.concatenate([*[own.differences] * times, others.differences]),
        dry=np.concatenate([*[own.dry] * times, others.dry]),
        conditions=own.conditions * times + others.conditions,
        soils=own.soils * times + others.soils,
        source=f"{own.source}, with {others.source}",
    )


def pairs_of(items: Iterable[Spectrum | Refusal], source: str) -> Differences:
    """Match spectra into pairs by their sample's name; see `read_pairs`."""
    spectra: dict[tuple[str, str], Spectrum] = {}
    notes: list[str] = []
    sorted_items = sorted(
        (item for item in items if not _noted(item, notes)),
        key=lambda s: (s.sample_id, s.condition, s.splices_nm, s.wavelengths_nm.size, s.range_nm, s.quantity),  # type: ignore[union-attr]
    )
    for spectrum in average_samples(sorted_items):
        assert isinstance(spectrum, Spectrum)
        try:
            require_reflectance(spectrum, _range_of(spectrum))
        except UnsuitableSpectrumError as error:
            notes.append(f"refused {spectrum.source}: {error}")
            continue
        if not spectrum.condition:
            notes.append(
                f"refused {spectrum.source}: nobody says whether {spectrum.sample_id} was dry, damp or wet; write it "
                "in a column condition"
            )
            continue
        spectra.setdefault((spectrum.sample_id, spectrum.condition), spectrum)
    names = list(dict.fromkeys(name for name, _ in spectra))
    pairs = [
        (name, state) for name in names for state in ("damp", "wet") if {(name, "dry"), (name, state)} <= set(spectra)
    ]
    if alone := [name for name in names if name not in {paired for paired, _ in pairs}]:
        have = "has" if len(alone) == 1 else "have"
        notes.append(
            f"{len(alone)} of {len(names)} soils {have} no dry scan beside a damp or wet one: {', '.join(alone[:5])}"
            f"{', ...' * (len(alone) > 5)}"
        )
    grid_nm, absorbance, differences = np.empty(0), {}, {}
    if pairs:
        keys = list(dict.fromkeys(key for name, state in pairs for key in ((name, "dry"), (name, state))))
        rows, grid_nm = absorbances([spectra[key] for key in keys])
        absorbance = dict(zip(keys, rows, strict=True))
        for name, state in pairs:
            dry, other = absorbance[name, "dry"], absorbance[name, state]
            if why := _no_pair(spectra[name, "dry"], spectra[name, state], dry, other, grid_nm):
                notes.append(f"refused {spectra[name, state].source}: {name} {why}")
            else:
                differences[name, state] = other - dry
    less = sum(note.endswith(LESS_WATER) for note in notes)
    if less > len(pairs) / 2:
        raise TrainingDataError(
            f"{source}: of {less} of {len(pairs)} pairs the soil called damp or wet {LESS_WATER}: conditions "
            "exchanged, or absorbance without a column quantity?"
        )
    soils = list(dict.fromkeys(name for name, _ in differences))
    if len(soils) < FEWEST_SOILS:
        if not spectra and notes:
            raise TrainingDataError(f"no moisture pairs: {notes[0].removeprefix('refused ')}")
        raise TrainingDataError(f"{source}: {_too_few(len(soils), list(spectra), notes, alone)}")
    return Differences(
        differences=np.stack(list(differences.values())),
        dry=np.stack([absorbance[name, "dry"] for name, _ in differences]),
        wavelengths_nm=grid_nm,
        conditions=tuple(state for _, state in differences),
        soils=tuple(name for name, _ in differences),
        source=f"{len(soils)} soils of {source}",
        notes=tuple(notes),
    )


def _no_pair(dry: Spectrum, other: Spectrum, of_dry: Floats, of_other: Floats, grid_nm: Floats) -> str:
    """Say why two scans, with their absorbance (bands,), do not show what water does to a soil; "" if they do."""
    if dry.instrument and other.instrument and dry.instrument != other.instrument:
        return f"was measured dry with {dry.instrument}, and {other.condition} with {other.instrument}"
    if np.abs(of_other - of_dry).max() < LEAST_WATER:
        return f"called {other.condition} has the scan of the same soil called dry"
    if sees_water(grid_nm):
        depth, _ = depths(10.0 ** -np.stack([of_dry, of_other]), grid_nm)
        if depth[1] <= depth[0]:
            return f"called {other.condition} {LESS_WATER}"
    return ""


def _too_few(soils: int, spectra: Sequence[tuple[str, str]], notes: Sequence[str], alone: Sequence[str]) -> str:
    counts = ", ".join(f"{sum(one == state for _, one in spectra)} {state}" for state in CONDITIONS)
    refused = [note for note in notes if note.startswith("refused")]
    plain = {plain_name(name): name for name in alone}
    spellings = next(((name, plain[plain_name(name)]) for name in alone if plain[plain_name(name)] != name), None)
    if refused:
        first = f"; {refused[0]}"
    elif spellings:
        first = f"; {spellings[0]} and {spellings[1]} may be one soil: write its name in one way"
    else:
        first = f"; the first that is no pair: {alone[0]}" if alone else ""
    return (
        f"{soils} soil{'' if soils == 1 else 's'} scanned dry and again damp or wet under one name (of {counts}); at "
        f"least {FEWEST_SOILS} are needed, and twenty do better{first}"
    )


def _noted(item: Spectrum | Refusal, notes: list[str]) -> bool:
    if isinstance(item, Refusal):
        notes.append(f"refused {item.source}: {item.reason}")
        return True
    return False


def absorbances(spectra: Sequence[Spectrum]) -> tuple[Floats, Floats]:
    """Give absorbance (n, bands) of reflectance spectra on a grid of 1 nm that all of them cover, and the grid."""
    first_nm = max(np.ceil(_range_of(s)[0]) for s in spectra)
    last_nm = min(np.floor(_range_of(s)[1]) for s in spectra)
    recipe = Recipe((SpliceCorrection(), Resample(float(first_nm), float(last_nm), 1.0), Absorbance()))
    rows = [
        recipe.preprocess(require_reflectance(s, recipe.range_nm), s.wavelengths_nm, s.splices_nm).spectra
        for s in spectra
    ]
    return np.stack(rows), recipe.grid_nm


def _range_of(spectrum: Spectrum) -> tuple[float, float]:
    return max(spectrum.range_nm[0], FIRST_NM), min(spectrum.range_nm[1], LAST_NM)


def write_differences(path: str, pairs: Differences, said: Sequence[str]) -> None:
    """Write differences in little room: a knot every 10 nm, half precision.

    Args:
        path: of the file.
        pairs: of which soils.
        said: lines about where they come from, kept in the file.
    """
    nm = pairs.wavelengths_nm
    knots_nm = np.linspace(nm[0], nm[-1], round((nm[-1] - nm[0]) / KNOT_NM) + 1)
    packed = io.BytesIO()
    np.savez_compressed(
        packed,
        differences=pairs.on(knots_nm).differences.astype(np.float16),
        dry=pairs.on(knots_nm).dry.astype(np.float16),
        wavelengths_nm=knots_nm,
        conditions=np.array(pairs.conditions),
        soils=np.array(pairs.soils),
        source=np.array("\n".join(said)),
    )
    write_whole(path, packed.getvalue())


def shipped_pairs() -> Differences:
    """Read the differences that come with the package."""
    with files(__package__).joinpath("data").joinpath(SHIPPED_FILE).open("rb") as file:
        arrays = dict(np.load(file, allow_pickle=False))
    soils = tuple(arrays["soils"].tolist())
    return Differences(
        differences=arrays["differences"].astype(np.float64),
        dry=arrays["dry"].astype(np.float64),
        wavelengths_nm=arrays["wavelengths_nm"],
        conditions=tuple(arrays["conditions"].tolist()),
        soils=soils,
        source=f"{len(set(soils))} other people's soils (shipped)",
    )
