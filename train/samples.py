"""Spectra joined with laboratory values by the sample's name."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Container, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

import numpy as np

from ..converters.spectra.names import plain_name
from ..converters.spectra.spectrum import Floats, Spectrum
from ..edge.engine import average_samples, gates_of
from ..edge.errors import UnsuitableSpectrumError
from ..edge.files import iter_spectra
from ..edge.gates.finding import reason
from ..edge.gates.rules import DEFAULT_RULES
from ..edge.jobs import iter_spectra_by
from ..edge.model.bundle import Bundle
from ..edge.model.estimate import Refusal
from ..edge.model.recipe import Recipe
from ..edge.model.replicates import MeanSpectrum
from ..edge.model.steps import Resample, SpliceCorrection
from ..edge.model.suitability import require_reflectance
from ..edge.model.target import Transform
from ..edge.seen import OTHER_SPELLING, SAME_SPECTRUM
from ..edge.units import shown_unit
from ..edge.workers import OneProcess, Workers
from .assays.exclusion import Excluded
from .assays.table import Assays
from .assays.values import Assay
from .errors import TrainingDataError

Replicates = Literal["average", "each"]


FIRST_NM, LAST_NM = 400.0, 2450.0
"""Below and above, an ASD's contact probe gives little but noise; no model uses it."""
FEWEST_NM = 150.0
"""Range that spectra which are used together need in common."""
SAME_ADDITION = 3
"""Samples whose names differ by the same addition between spectra and assays: then they are the same samples."""
FEWEST_SAMPLES = 10


@dataclass(frozen=True, eq=False)
class Samples:
    """Spectra with the laboratory values of their samples: what models are made from and held against.

    The spectra are its n rows: single measurements as they were joined, or one mean a sample, see `rows`.

    Attributes:
        spectra: n usable spectra, those of one sample side by side, samples in the order of the assays.
        target: sample -> value in `unit`, of the samples that have spectra.
        element, unit: of the values, such as Sb and ppm.
        refused: files and spectra that cannot be used, and why.
        without_assay: samples with spectra and no value, in the order met.
        without_spectra: samples with a value and no usable spectrum.
        censored: samples that have no target because the laboratory gave only a bound.
        excluded: samples left out for a grade above a limit.
        sha256: of all the spectra used and their values, so that a run can say what it was trained on.
        bounds: these bounds, sample -> such as <0.02; a model is held against them or trained on them as bounds, never
            as numbers.
        bounded: spectra of these samples.
        narrowing: what a few spectra of less range than the others cost all, in words; "" if nothing.
        limit: what is left out in words, such as "Sb above 1000 ppm"; "" for nothing.
        groups: sample -> site or grid cell, never to be parted; None for none.
        doubtful: why a device would refuse some of the spectra, or their means, though they are used; see
            `held_as_on_device`.

    Raises:
        TrainingDataError: a spectrum of a sample without value or group.
    """

    spectra: tuple[Spectrum, ...]
    target: Mapping[str, float]
    element: str
    unit: str
    refused: tuple[Refusal, ...] = ()
    without_assay: tuple[str, ...] = ()
    without_spectra: tuple[str, ...] = ()
    censored: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    sha256: str = ""
    bounds: Mapping[str, Assay] = field(default_factory=dict)
    bounded: tuple[Spectrum, ...] = ()
    narrowing: str = ""
    limit: str = ""
    groups: Mapping[str, Hashable] | None = None
    doubtful: tuple[Refusal, ...] = ()

    def __post_init__(self) -> None:
        for s in self.spectra:
            if s.sample_id not in self.target:
                raise TrainingDataError(f"{s.source}: sample {s.sample_id} has no value for {self.element}")
            if self.groups is not None and s.sample_id not in self.groups:
                raise TrainingDataError(
                    f"{s.source}: sample {s.sample_id} belongs to no group; give one to every sample"
                )

    def __len__(self) -> int:
        return len(self.spectra)

    @property
    def simulated(self) -> bool:
        """True if any of the spectra is simulated."""
        return any(spectrum.simulated for spectrum in self.spectra)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """(n,) sample of each row."""
        return tuple(spectrum.sample_id for spectrum in self.spectra)

    @cached_property
    def measured(self) -> Floats:
        """(n,) laboratory value of each row."""
        return np.array([self.target[name] for name in self.names], dtype=np.float64)

    @cached_property
    def row_groups(self) -> tuple[Hashable, ...] | None:
        """(n,) group of each row; None without groups."""
        return None if self.groups is None else tuple(self.groups[name] for name in self.names)

    def rows(self, replicates: Replicates) -> Samples:
        """Give the samples with the rows that a model learns from; see `replicate_rows`."""
        return replace(self, spectra=tuple(replicate_rows(self.spectra, replicates)))

    @property
    def reflectance(self) -> Floats:
        """(n, bands) as a fraction, on `wavelengths_nm`."""
        return self._on_one_grid[0]

    @property
    def wavelengths_nm(self) -> Floats:
        """(bands,) ascending: the spectra's own grid, or where they differ every nm of what all of them cover."""
        return self._on_one_grid[1]

    @property
    def splices_nm(self) -> tuple[float, ...]:
        """Where the instrument's detectors join; () if unknown, or corrected to bring the spectra onto one grid."""
        return self._on_one_grid[2]

    @cached_property
    def _on_one_grid(self) -> tuple[Floats, Floats, tuple[float, ...]]:
        spectra = self.spectra
        if not spectra:
            raise TrainingDataError(f"no spectra to hold against {self.element}")
        first_nm, last_nm = (max(s.range_nm[0] for s in spectra), min(s.range_nm[1] for s in spectra))
        if last_nm - first_nm < FEWEST_NM:
            low, high = max(spectra, key=lambda s: s.range_nm[0]), min(spectra, key=lambda s: s.range_nm[1])
            raise TrainingDataError(
                f"{low.source} begins at {first_nm:g} nm and {high.source} ends at {last_nm:g} nm; spectra that are to "
                f"be used together need {FEWEST_NM:g} nm in common"
            )
        # Bands that no model uses need not be sound.
        needed = max(first_nm, FIRST_NM), min(last_nm, LAST_NM)
        rows = []
        for s in spectra:
            try:
                rows.append(require_reflectance(s, needed))
            except UnsuitableSpectrumError as error:
                raise TrainingDataError(f"{s.source}: {error}") from error
        if len({(s.wavelengths_nm.tobytes(), s.splices_nm) for s in spectra}) == 1:
            return np.stack(rows), spectra[0].wavelengths_nm, spectra[0].splices_nm
        recipe = Recipe((SpliceCorrection(), Resample(math.ceil(first_nm), math.floor(last_nm), 1.0)))
        common = [
            recipe.preprocess(r, s.wavelengths_nm, s.splices_nm).spectra for r, s in zip(rows, spectra, strict=True)
        ]
        return np.stack(common), recipe.grid_nm, ()

    def check_target(self, fewest: int = 2, transform: Transform = "none") -> None:
        """Refuse values that nothing can be learned from.

        Raises:
            TrainingDataError: fewer than `fewest` samples, all the same value, or one that the transform cannot take.
        """
        target = self.target
        if len(target) < fewest:
            raise TrainingDataError(
                f"{len(target)} {'sample has' if len(target) == 1 else 'samples have'} both a spectrum and a value for "
                f"{self.element}; at least {fewest} are needed, and a hundred for a model worth using"
            )
        lowest = min(target, key=target.__getitem__)
        if max(target.values()) == target[lowest]:
            raise TrainingDataError(
                f"every sample has {self.element} {target[lowest]:g} {shown_unit(self.unit)}; there is nothing to learn"
            )
        if transform == "log10" and target[lowest] <= 0:
            raise TrainingDataError(
                f"sample {lowest} has {self.element} {target[lowest]:g} {shown_unit(self.unit)}, which has no "
                "logarithm; write it as below its detection limit, such as <0.02, or use --transform sqrt"
            )

    def require_of(self, bundle: Bundle) -> None:
        """Refuse values that a bundle's answers cannot be held against.

        Raises:
            TrainingDataError: of another element or in another unit.
        """
        if (bundle.element, bundle.unit) != (self.element, self.unit):
            same, wanted = bundle.element == self.element, shown_unit(bundle.unit)
            raise TrainingDataError(
                f"{bundle.name} answers {bundle.element} in {wanted}; the assays have {self.element} in "
                f"{shown_unit(self.unit)}: {f'write them in {wanted}' if same else f'name a model of {self.element}'}"
            )

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
        lines = refusals_in_words(self.refused, shown)
        if self.narrowing:
            lines.append(self.narrowing)
        if self.doubtful:
            lines.append(_doubts_in_words(self.doubtful, shown))
        same = [
            f"{spectrum.source} ({spectrum.sample_id}): {remark}"
            for spectrum in (*self.spectra, *self.bounded)
            for remark in spectrum.remarks
            if remark.startswith((SAME_SPECTRUM, OTHER_SPELLING))
        ]
        lines += same[:shown]
        if shown is not None and len(same) > shown:
            lines.append(f"{len(same) - shown} more spectra are the same as, or called like, another sample's")
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


def refusals_in_words(refused: Sequence[Refusal], shown: int | None = 5) -> list[str]:
    """Say in lines what was refused and why: the first `shown`, and how many more; or all."""
    lines = [f"refused {one.source}: {one.reason}" for one in refused[:shown]]
    return lines if len(refused) == len(lines) else [*lines, f"refused {len(refused) - len(lines)} more"]


def _doubts_in_words(doubtful: Sequence[Refusal], shown: int | None) -> str:
    names = list(dict.fromkeys(one.sample_id for one in doubtful))
    more = ", ..." if shown is not None and len(names) > shown else ""
    many = len(doubtful) > 1
    what, are = ("spectra", "are") if many else ("spectrum", "is")
    return (
        f"{len(doubtful)} {what} that a device would refuse {are} used: "
        f"{', '.join(names[:shown])}{more} ({'the first: ' if many else ''}{doubtful[0].reason}); "
        "--leave-out-refused leaves out what a device refuses"
    )


def _have(names: Sequence[str]) -> str:
    return "has" if len(names) == 1 else "have"


def join(
    items: Iterable[Spectrum | Refusal],
    assays: Assays,
    range_nm: tuple[float, float] | None,
    exclude: Excluded | float | None = None,
) -> Samples:
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
        spectra.sort(
            key=lambda s: (order[s.sample_id], s.condition, s.splices_nm, s.wavelengths_nm.size, s.range_nm, s.quantity)
        )
    used = {spectrum.sample_id for spectrum in kept}
    joined = Samples(
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
        limit=rule.words
        or (f"{assays.element} above {rule.limit:g} {shown_unit(assays.unit)}" if rule.limit is not None else ""),
    )
    if meant := did_you_mean(joined.without_assay, order, joined.without_spectra):
        raise TrainingDataError(f"{assays.path}: {meant}")
    if not kept:
        raise TrainingDataError(_why_nothing(joined, assays))
    return joined


def held_as_on_device(
    samples: Samples, replicates: Replicates, range_nm: tuple[float, float] | None, leave_out: bool
) -> Samples:
    """Hold what a model is to learn from against the rules that a device goes by where it has no profile.

    Args:
        samples: as joined.
        replicates: what becomes a row; see `replicate_rows`.
        range_nm: wavelengths the recipe needs; None for all that a model may use.
        leave_out: the measurements of rows that a device refuses, named in `refused` then; otherwise they stay, named
            in `doubtful`.

    Raises:
        TrainingDataError: nothing is left.
    """
    found: dict[int, Refusal] = {}
    doubtful: list[Refusal] = []
    for row in replicate_rows((*samples.spectra, *samples.bounded), replicates):
        if why := reason(gates_of(row, DEFAULT_RULES, range_nm or used_range(row))):
            doubtful.append(Refusal(row.source, why, row.sample_id))
            found |= dict.fromkeys(map(id, row.points if isinstance(row, MeanSpectrum) else (row,)), doubtful[-1])
    if not doubtful or not leave_out:
        return replace(samples, doubtful=tuple(doubtful))
    spectra, bounded = (
        tuple(one for one in several if id(one) not in found) for several in (samples.spectra, samples.bounded)
    )
    if not spectra:
        raise TrainingDataError(
            f"a device would refuse all {len(doubtful)} spectra, the first: {doubtful[0].source}: {doubtful[0].reason}"
        )
    left = {one.sample_id for one in (*spectra, *bounded)}
    target = {name: value for name, value in samples.target.items() if name in left}
    lost = [name for name in (*samples.target, *samples.bounds) if name not in left]
    return replace(
        samples,
        spectra=spectra,
        bounded=bounded,
        target=target,
        bounds={name: bound for name, bound in samples.bounds.items() if name in left},
        censored=tuple(name for name in samples.censored if name not in lost),
        refused=(*samples.refused, *doubtful),
        without_spectra=(*samples.without_spectra, *lost),
        narrowing=_narrowing(spectra) if samples.narrowing else "",
        sha256=_sha256(spectra, target),
    )


def did_you_mean(without_assay: Sequence[str], with_assay: Iterable[str], without_spectra: Sequence[str]) -> str:
    """Name samples that would come together if spectra and assays wrote them alike; "" if there are none.

    Args:
        without_assay: samples with spectra only.
        with_assay: samples with an assay.
        without_spectra: those of them without spectra.
    """
    by_plain_name = {plain_name(name): name for name in with_assay}
    pairs = [(name, by_plain_name[plain_name(name)]) for name in without_assay if plain_name(name) in by_plain_name]
    pairs = pairs or _with_the_same_addition(without_assay, without_spectra)
    if not pairs:
        return ""
    shown = ", ".join(f"{assay!r} for {spectrum!r}" for spectrum, assay in pairs[:3])
    return (
        f"{f'{len(pairs)} samples are' if len(pairs) > 1 else 'a sample is'} written otherwise than in the spectra's "
        "names: did you mean "
        f"{shown}{', ...' if len(pairs) > 3 else ''}? Write them alike in both"
    )


def _with_the_same_addition(spectra: Sequence[str], assays: Sequence[str]) -> list[tuple[str, str]]:
    """Pair names of which one is the other with something more in front or behind, the same for several of them."""
    found: dict[tuple[bool, str, str], list[tuple[str, str]]] = {}
    for longer_is_assay, shorter, longer in ((True, spectra, assays), (False, assays, spectra)):
        known = set(shorter)
        for name in longer:
            for at in range(1, len(name)):
                before, behind = name[:at], name[at:]
                # One more digit makes another number.
                if before[-1].isdigit() and behind[0].isdigit():
                    continue
                for base, addition in ((before, ("", behind)), (behind, (before, ""))):
                    if base in known:
                        pair = (base, name) if longer_is_assay else (name, base)
                        found.setdefault((longer_is_assay, *addition), []).append(pair)
    most = max(found.values(), key=len, default=[])
    return most if len(most) >= SAME_ADDITION else []


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
    workers: Workers | None = None,
) -> Samples:
    """Read spectra from files and folders and join them; see `join`. The assays' own file is no spectrum to refuse."""
    own = os.path.abspath(assays.path)
    workers = workers or OneProcess()
    # By itself this process takes a table row by row.
    read = iter_spectra(paths) if isinstance(workers, OneProcess) else iter_spectra_by(workers, paths)
    items = (i for i in read if isinstance(i, Spectrum) or os.path.abspath(i.source) != own)
    return join(items, assays, range_nm, exclude)


def _why_nothing(joined: Samples, assays: Assays) -> str:
    if not assays.values:
        return f"{assays.path}: no sample has a value for {assays.element}"
    if not assays.plain:
        return f"{assays.path}: every value of {assays.element} is censored; a bound alone cannot be learned from"
    if joined.excluded and not joined.censored:
        return f"{assays.path}: every sample with spectra has {joined.limit}"
    if joined.without_assay:
        return (
            f"{assays.path}: none of its samples ({few(assays.values)}) is among those with spectra "
            f"({few(joined.without_assay)}); the names must be the same"
        )
    if joined.refused:
        first = joined.refused[0]
        return f"no usable spectrum: {len(joined.refused)} refused, the first: {first.source}: {first.reason}"
    if joined.censored:
        return f"{assays.path}: every sample with spectra is censored or left out"
    return "no files of spectra in what --spectra names"


def few(names: Iterable[str]) -> str:
    """Name the first three, and say if there are more."""
    listed = list(names)
    return ", ".join(listed[:3]) + ", ..." * (len(listed) > 3) or "none"


def _sha256(spectra: Sequence[Spectrum], target: Mapping[str, object]) -> str:
    digest = hashlib.sha256()
    for s in spectra:
        if s.condition:
            digest.update(s.condition.encode())
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
