"""Spectra joined with laboratory values by the sample's name."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from ..converters.spectra.spectrum import Floats, Spectrum
from ..edge.engine import average_samples
from ..edge.errors import PreprocessError, UnsuitableSpectrumError
from ..edge.files import iter_spectra
from ..edge.model.estimate import Refusal, require_reflectance
from ..edge.model.recipe import Blocks, Preprocessed, Recipe
from .assays.exclusion import Excluded
from .assays.table import Assays
from .assays.values import Assay
from .errors import TrainingDataError
from .methods.method import FIRST_NM, LAST_NM

Replicates = Literal["average", "each"]


@dataclass(frozen=True)
class Joined:
    """Usable spectra with the laboratory values of their samples.

    Attributes:
        spectra: every single measurement, those of one sample side by side, samples in the order of the assays.
        target: sample -> value in `unit`, of the samples that have spectra.
        element, unit: of the values.
        refused: files and spectra that cannot be used, and why.
        without_assay: samples with spectra and no value, in the order met.
        without_spectra: samples with a value and no usable spectrum.
        censored: samples that have no target because the laboratory gave only a bound.
        bounds: these bounds, sample -> such as <0.02; a model is held against them or trained on them as bounds, never
            as numbers.
        bounded: spectra of these samples.
        narrowing: what a few spectra of less range than the others cost all, in words; "" if nothing.
        excluded: samples left out for a grade above a limit.
        limit: that limit in words, such as "Sb above 1000 ppm"; "" for none.
        sha256: of all the spectra used and their values, so that a run can say what it was trained on.
    """

    spectra: tuple[Spectrum, ...]
    target: dict[str, float]
    element: str
    unit: str
    refused: tuple[Refusal, ...]
    without_assay: tuple[str, ...]
    without_spectra: tuple[str, ...]
    censored: tuple[str, ...]
    excluded: tuple[str, ...]
    sha256: str
    bounds: dict[str, Assay] = field(default_factory=dict)
    bounded: tuple[Spectrum, ...] = ()
    narrowing: str = ""
    limit: str = ""

    @property
    def simulated(self) -> bool:
        """True if any of the spectra is simulated."""
        return any(spectrum.simulated for spectrum in self.spectra)

    def sha256_of_bounds(self, samples: Container[str]) -> str:
        """Hash the spectra and bounds of some censored samples, as `sha256` does those with values."""
        return _sha256([spectrum for spectrum in self.bounded if spectrum.sample_id in samples], self.bounds)

    def notes(self, shown: int | None = 5, trained_on: Container[str] = ()) -> list[str]:
        """Say in lines what was left out: how many, and the first `shown` names, or all of them.

        Args:
            shown: how many; None for all.
            trained_on: censored samples that are trained on as bounds.
        """
        as_bounds = tuple(name for name in self.censored if name in trained_on)
        not_at_all = tuple(name for name in self.censored if name not in trained_on)
        lines = [f"refused {r.source}: {r.reason}" for r in self.refused[:shown]]
        if shown is not None and len(self.refused) > shown:
            lines.append(f"refused {len(self.refused) - shown} more")
        if self.narrowing:
            lines.append(self.narrowing)
        for names, what in (
            (self.without_assay, f"with spectra {_have(self.without_assay)} no assay"),
            (self.without_spectra, f"with an assay {_have(self.without_spectra)} no usable spectrum"),
            (as_bounds, f"trained on as bounds: {self.element} is censored, only a bound is known"),
            (not_at_all, f"not trained on: {self.element} is censored, only a bound is known"),
            (self.excluded, f"left out: {self.limit}"),
        ):
            if names:
                more = ", ..." if shown is not None and len(names) > shown else ""
                plural = "sample" if len(names) == 1 else "samples"
                lines.append(f"{len(names)} {plural} {what}: {', '.join(names[:shown])}{more}")
        return lines


def _have(names: Sequence[str]) -> str:
    return "has" if len(names) == 1 else "have"


def join(
    items: Iterable[Spectrum | Refusal],
    assays: Assays,
    range_nm: tuple[float, float] | None,
    exclude: Excluded | float | None = None,
) -> Joined:
    """Join spectra with assays by the sample's name.

    Args:
        items: spectra, and refusals of what could not be read.
        assays: of one element.
        range_nm: wavelengths the recipe needs; None takes every spectrum with the range it has, and looks at no band
            that no model uses.
        exclude: samples to leave out, or the value above which they are.

    Raises:
        TrainingDataError: nothing is left; the line says why.
    """
    order = {name: i for i, name in enumerate(assays.values)}
    plain = assays.plain
    rule = exclude if isinstance(exclude, Excluded) else Excluded(limit=exclude)
    excluded = {name for name, value in plain.items() if rule.limit is not None and value > rule.limit} | rule.names
    refused: list[Refusal] = []
    without_assay: dict[str, None] = {}
    seen: set[str] = set()
    kept: list[Spectrum] = []
    bounded: list[Spectrum] = []
    censored = {name: bound for name, bound in assays.censored.items() if name not in rule.names}
    for item in items:
        if isinstance(item, Refusal):
            refused.append(item)
            continue
        if item.sample_id not in order:
            without_assay[item.sample_id] = None
            continue
        try:
            require_reflectance(item, range_nm or used_range(item))
        except UnsuitableSpectrumError as error:
            refused.append(Refusal(item.source, str(error), item.sample_id))
            continue
        seen.add(item.sample_id)
        if item.sample_id in plain and item.sample_id not in excluded:
            kept.append(item)
        elif item.sample_id in censored:
            bounded.append(item)
    # Spectra on one grid together, so that they can be averaged and preprocessed in one piece.
    for spectra in (kept, bounded):
        spectra.sort(key=lambda s: (order[s.sample_id], s.splices_nm, s.wavelengths_nm.size, s.range_nm, s.quantity))
    used = {spectrum.sample_id for spectrum in kept}
    joined = Joined(
        spectra=tuple(kept),
        target={name: plain[name] for name in order if name in used},
        element=assays.element,
        unit=assays.unit,
        refused=tuple(refused),
        without_assay=tuple(without_assay),
        without_spectra=tuple(name for name in order if name not in seen),
        censored=tuple(name for name in censored if name in seen),
        excluded=tuple(name for name in order if name in excluded and name in seen),
        sha256=_sha256(kept, plain),
        bounds={name: assay for name, assay in censored.items() if name in seen},
        bounded=tuple(bounded),
        narrowing=_narrowing(kept) if range_nm is None else "",
        limit=rule.words or (f"{assays.element} above {rule.limit:g} {assays.unit}" if rule.limit is not None else ""),
    )
    if not kept:
        raise TrainingDataError(_why_nothing(joined, assays))
    return joined


def used_range(spectrum: Spectrum) -> tuple[float, float]:
    """Give the first and last wavelength of a spectrum that a model may use; all of one that lies beyond them."""
    first_nm, last_nm = max(spectrum.range_nm[0], FIRST_NM), min(spectrum.range_nm[1], LAST_NM)
    return (first_nm, last_nm) if first_nm < last_nm else spectrum.range_nm


def _narrowing(spectra: Sequence[Spectrum]) -> str:
    """Say what spectra of less range than most have cost the others: a model stands on what all of them cover."""
    ranges = [used_range(spectrum) for spectrum in spectra]
    if len(set(ranges)) < 2:
        return ""
    first_nm, last_nm = max(first for first, _ in ranges), min(last for _, last in ranges)
    usual = max(set(ranges), key=lambda r: (ranges.count(r), r[1] - r[0]))
    less = [s for s, r in zip(spectra, ranges, strict=True) if r[0] > usual[0] + 1 or r[1] < usual[1] - 1]
    if not less:
        return ""
    cover = "spectrum covers" if len(less) == 1 else "spectra cover"
    return (
        f"{len(less)} {cover} less than {usual[0]:g}-{usual[1]:g} nm, the first: {less[0].source} "
        f"({less[0].range_nm[0]:g}-{less[0].range_nm[1]:g} nm); only {first_nm:g}-{last_nm:g} nm are used of all: "
        "leave out what is shorter to use the rest"
    )


def load(
    paths: Sequence[str],
    assays: Assays,
    range_nm: tuple[float, float] | None,
    exclude: Excluded | float | None = None,
) -> Joined:
    """Read spectra from files and folders and join them; see `join`. The assays' own file is no spectrum to refuse."""
    own = os.path.abspath(assays.path)
    items = (i for i in iter_spectra(paths) if isinstance(i, Spectrum) or os.path.abspath(i.source) != own)
    return join(items, assays, range_nm, exclude)


def _why_nothing(joined: Joined, assays: Assays) -> str:
    if not assays.values:
        return f"{assays.path}: no sample has a value for {assays.element}"
    if not assays.plain:
        return f"{assays.path}: every value of {assays.element} is censored; a bound alone cannot be learned from"
    if joined.excluded and not joined.censored:
        return f"{assays.path}: every sample with spectra has {joined.limit}"
    if joined.without_assay:
        return (
            f"{assays.path}: none of its samples ({_few(assays.values)}) is among those with spectra "
            f"({_few(joined.without_assay)}); the names must be the same"
        )
    if joined.refused:
        first = joined.refused[0]
        return f"no usable spectrum: {len(joined.refused)} refused, the first: {first.source}: {first.reason}"
    if joined.censored:
        return f"{assays.path}: every sample with spectra is censored or left out"
    return "no spectra in the files and folders named with --spectra"


def _few(names: Iterable[str], shown: int = 3) -> str:
    listed = list(names)
    return ", ".join(listed[:shown]) + (", ..." if len(listed) > shown else "")


def _sha256(spectra: Sequence[Spectrum], target: Mapping[str, object]) -> str:
    digest = hashlib.sha256()
    for s in spectra:
        digest.update(f"{s.sample_id}\0{s.measurement}\0{s.quantity}\0{target[s.sample_id]!r}\0{s.splices_nm}".encode())
        digest.update(s.wavelengths_nm.tobytes())
        digest.update(s.values.tobytes())
    return digest.hexdigest()


def replicate_rows(spectra: Sequence[Spectrum], replicates: Replicates) -> list[Spectrum]:
    """Give the spectra that become rows of the training set.

    Args:
        spectra: single measurements, those of a sample side by side.
        replicates: "average" for one mean spectrum a sample, as in the paper (five points, one mean); "each" for
            every measurement as it is. Measurements on unlike grids are never averaged.
    """
    if replicates == "each":
        return list(spectra)
    return [row for row in average_samples(spectra) if isinstance(row, Spectrum)]


@dataclass(frozen=True, eq=False)
class Prepared:
    """Preprocessed rows.

    Attributes:
        rows: n spectra as they were.
        spectra: (n, bands') before the spectrogram.
        features: (n, ...) as the recipe gives them, not scaled.
        reflectance: (n, bands'') on the model's grid; what the domain is fitted to.
        wavelengths_nm: (bands',) of `spectra`.
        reflectance_nm: (bands'',) of `reflectance`.
        refused: rows that the recipe could not take; they are not among the n.
    """

    rows: tuple[Spectrum, ...]
    spectra: Floats
    features: Floats
    reflectance: Floats
    wavelengths_nm: Floats
    reflectance_nm: Floats
    refused: tuple[Refusal, ...]

    @property
    def samples(self) -> list[str]:
        """Names of the rows' samples."""
        return [row.sample_id for row in self.rows]

    @property
    def preprocessed(self) -> Preprocessed:
        """The rows as a recipe gives them."""
        return Preprocessed(self.spectra, self.wavelengths_nm, self.features, self.reflectance, self.reflectance_nm)


def prepare(rows: Sequence[Spectrum], recipe: Recipe | Blocks) -> Prepared:
    """Preprocess rows, whatever grids they are on, keeping their order.

    Args:
        rows: usable reflectance or absorbance, as `join` leaves them.

    Raises:
        TrainingDataError: the recipe can take none of them.
    """
    groups: dict[tuple[object, ...], list[int]] = {}
    reflectance: dict[int, Floats] = {}
    refused: list[Refusal] = []
    for i, row in enumerate(rows):
        try:
            reflectance[i] = require_reflectance(row, recipe.range_nm)
        except UnsuitableSpectrumError as error:
            refused.append(Refusal(row.source, str(error), row.sample_id))
        else:
            groups.setdefault((row.wavelengths_nm.tobytes(), row.splices_nm), []).append(i)
    done: dict[int, Preprocessed] = {}
    for members in groups.values():
        values = np.stack([reflectance[i] for i in members])
        try:
            done |= _preprocessed(rows, members, values, recipe)
        except PreprocessError:
            # One of them is at fault: find it without losing the rest.
            for i, row_values in zip(members, values, strict=True):
                try:
                    done |= _preprocessed(rows, [i], row_values[None], recipe)
                except PreprocessError as error:
                    refused.append(Refusal(rows[i].source, str(error), rows[i].sample_id))
    if not done:
        raise TrainingDataError(
            f"the recipe can take none of the spectra, the first: {refused[0].source}: {refused[0].reason}"
        )
    kept = sorted(done)
    return Prepared(
        rows=tuple(rows[i] for i in kept),
        spectra=np.stack([done[i].spectra for i in kept]),
        features=np.stack([done[i].features for i in kept]),
        reflectance=np.stack([done[i].reflectance for i in kept]),
        wavelengths_nm=recipe.wavelengths_nm,
        reflectance_nm=done[kept[0]].reflectance_nm,
        refused=tuple(refused),
    )


def _preprocessed(
    rows: Sequence[Spectrum], members: list[int], values: Floats, recipe: Recipe | Blocks
) -> dict[int, Preprocessed]:
    first = rows[members[0]]
    found = recipe.preprocess(values, first.wavelengths_nm, first.splices_nm)
    return {
        row: Preprocessed(
            found.spectra[i], found.wavelengths_nm, found.features[i], found.reflectance[i], found.reflectance_nm
        )
        for i, row in enumerate(members)
    }
