"""A model adapted to another instrument by the same samples measured on both."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ...converters.spectra.spectrum import Floats, Spectrum
from ...edge.engine import average_samples
from ...edge.model.bundle import Bundle
from ...edge.model.correction import Correction, absorbance
from ...edge.model.estimate import Estimator, Refusal
from ...edge.model.lineage import Adaptation, Tried
from ...edge.model.target import within_range
from ..crossval.metrics import rms
from ..errors import TrainingDataError
from ..samples import few
from .adapted import Adapted, as_on_device, estimator_of, finish, on_grid_of, outputs_of
from .follow import correlation, following_domain, wider_interval, with_own_detection
from .output import KINDS, WORTH, Kind, fit_kind
from .transfer import Way, fit_ways, mean_of, ways

FEWEST = 5
FOLDS = 10
TOGETHER = 5
"""Corrections of spectra of which the mean is taken."""
SAME = 1e-6
"""Reflectance; no two instruments agree so well on any soil."""
JUDGED = "pairs left out from fit and choice, against the parent's readings of the other instrument"


@dataclass(frozen=True, eq=False)
class Candidate:
    """One way that was tried.

    Attributes:
        name: in words.
        outputs: (n,) of the model in the transform's space, each pair left out from the fit.
        corrected: (n, bands) reflectance on the model's grid that these came from.
        ways: of correcting spectra, whose mean is taken; () for none.
        kind: of correcting outputs.
    """

    name: str
    outputs: Floats
    corrected: Floats
    ways: tuple[Way, ...] = ()
    kind: Kind = "nothing"


def adapt_by_pairs(
    parent: Bundle, of_parent: Iterable[Spectrum | Refusal], of_child: Iterable[Spectrum | Refusal]
) -> Adapted:
    """Choose how spectra of another instrument become as the parent's instrument would have seen them.

    Judged by what counts: how far the model's readings of the corrected spectra, each pair left out, lie from its
    readings of the parent instrument's. No laboratory value is needed.

    Args:
        parent: made for the parent's instrument.
        of_parent, of_child: spectra of both; pairs have the same sample's name.

    Raises:
        TrainingDataError: too few pairs, pairs that do not match or are the same spectra, or a bundle that corrects
            spectra already.
    """
    if parent.correction.spectra is not None:
        before = parent.lineage.adaptations[-1].parent_sha256[:16] if parent.lineage.adaptations else "unknown"
        raise TrainingDataError(
            f"{parent.name} corrects spectra of another instrument already; adapt the model that it was made from "
            f"(SHA-256 {before}...)"
        )
    estimator, joins_nm = estimator_of(parent)
    pairs = _matched(of_parent, of_child, joins_nm)
    refused = list(pairs.refused)
    output_of: list[dict[str, float]] = [{}, {}]
    for side, answered in zip((pairs.parent, pairs.child), output_of, strict=True):
        for spectrum, output in zip(side, outputs_of(estimator, side), strict=True):
            if isinstance(output, Refusal):
                refused.append(output)
            else:
                answered[spectrum.sample_id] = output
    names = [name for name in output_of[0] if name in output_of[1]]
    if len(names) < FEWEST:
        raise TrainingDataError(
            f"--pairs: {len(names)} sample{' is' if len(names) == 1 else 's are'} usable on both instruments; at least "
            f"{FEWEST} are needed to fit a correction and to judge it, and 20 are better{_first(refused)}"
        )
    master, child = ([s for s in side if s.sample_id in set(names)] for side in (pairs.parent, pairs.child))
    wanted = np.array([output_of[0][name] for name in names])
    on_parent, on_child = on_grid_of(parent, master)[0], on_grid_of(parent, child)[0]
    same = int(np.isclose(on_parent, on_child, rtol=0, atol=SAME).all(axis=1).sum())
    if same > len(names) / 2:
        raise TrainingDataError(
            f"--pairs: {same} of {len(names)} pairs are one spectrum given twice; name what the model's own "
            "instrument measured first, then what the other one did"
        )
    read = _reader(estimator, parent)
    folds = np.arange(len(names)) % min(FOLDS, len(names))
    candidates = _candidates(absorbance(on_parent), absorbance(on_child), wanted, folds, parent, read)
    errors = np.stack([wanted - candidate.outputs for candidate in candidates])
    found = _together(_best(candidates, errors), read)
    honest = np.empty(len(names))
    for fold in set(folds.tolist()):
        # The choice may not see what it is judged by either.
        out = folds == fold
        chosen = _together(_best(candidates, errors[:, ~out]), read)
        honest[out] = wanted[out] - chosen.outputs[out]
    _require_relation(wanted, found.outputs, len(names))

    correction = _fit_all(found, parent, absorbance(on_parent), absorbance(on_child), wanted, candidates[0].outputs)
    freedom = len(names) - 1
    stats = wider_interval(parent.interval, rms(honest), freedom, len(names))
    domain, words = following_domain(parent, found.corrected, "pairs, each left out from the correction")
    did = Adaptation(
        parent_sha256=parent.sha256,
        what=found.name,
        samples=len(names),
        judged=JUDGED,
        before=rms(errors[0]),
        after=rms(honest),
        tried=tuple(Tried(c.name, rms(e)) for c, e in zip(candidates, errors, strict=True)),
    )
    adapted = replace(
        parent,
        interval=stats,
        domain=domain,
    )
    adapted = with_own_detection(parent, adapted, 0)
    to_unit = parent.transform, (-np.inf, np.inf)
    return Adapted(
        bundle=finish(parent, adapted, correction, did, child),
        did=did,
        domain=words,
        samples=tuple(names),
        wanted=np.array(within_range(wanted, *to_unit)),
        before=np.array(within_range(candidates[0].outputs, *to_unit)),
        after=np.array(within_range(wanted - honest, *to_unit)),
        refused=tuple(refused),
        unmatched=pairs.unmatched,
    )


@dataclass(frozen=True, eq=False)
class _Pairs:
    parent: list[Spectrum]
    child: list[Spectrum]
    refused: tuple[Refusal, ...]
    unmatched: tuple[str, ...]


def _matched(
    of_parent: Iterable[Spectrum | Refusal], of_child: Iterable[Spectrum | Refusal], joins_nm: tuple[float, ...]
) -> _Pairs:
    """Average each sample's measurements on either side, and keep the samples that stand on both, in one order."""
    sides, refused = [], []
    for items in (of_parent, of_child):
        spectra = []
        for item in items:
            if isinstance(item, Refusal):
                refused.append(item)
            else:
                spectra.append(item)
        # Only neighbours are averaged; of a sample on two grids the first one counts.
        spectra.sort(key=lambda s: s.sample_id)
        means = [s for s in average_samples(as_on_device(spectra, joins_nm)) if isinstance(s, Spectrum)]
        sides.append({s.sample_id: s for s in reversed(means)})
    parent, child = sides
    both = [name for name in sorted(parent) if name in child]
    if not both:
        raise TrainingDataError(
            f"--pairs: no sample stands in both: the parent's are {few(sorted(parent))}, the child's "
            f"{few(sorted(child))}; pairs must have the same names{_first(refused)}"
        )
    unmatched = tuple(sorted(set(parent) ^ set(child)))
    return _Pairs([parent[n] for n in both], [child[n] for n in both], tuple(refused), unmatched)


def _first(refused: Sequence[Refusal]) -> str:
    return f"; the first refused: {refused[0].source}: {refused[0].reason}" if refused else ""


def _reader(estimator: Estimator, parent: Bundle) -> Callable[[Floats], Floats]:
    """Give the model's outputs of (n, bands) reflectance on its own grid."""
    recipe = parent.recipe

    def read(on_grid: Floats) -> Floats:
        features = recipe.preprocess(on_grid, recipe.grid_nm, ()).features
        return parent.correction.of_outputs(estimator.runtime.run(parent.scaling.apply(features)))

    return read


def _candidates(
    parent: Floats,
    child: Floats,
    wanted: Floats,
    folds: NDArray[np.intp],
    bundle: Bundle,
    read: Callable[[Floats], Floats],
) -> list[Candidate]:
    """Try every way, each pair left out; nothing comes first, then from the simplest on.

    Args:
        parent, child: (n, bands) absorbance of the pairs.
        wanted: (n,) outputs for the parent's.
        folds: (n,) number of the fold that a pair is left out with.
        bundle: whose grid it is.
        read: gives outputs of reflectance.
    """
    raw = np.power(10.0, -child)
    plain = read(raw)
    found = [Candidate(KINDS[0], plain, raw)]
    of_output = {kind: np.full(plain.size, np.nan) for kind in KINDS[1:]}
    grid_nm = bundle.recipe.grid_nm
    fewest = int(min(np.count_nonzero(folds != fold) for fold in set(folds.tolist())))
    tried = list(ways(fewest, grid_nm.size, float(np.median(np.diff(grid_nm)))))
    corrected = np.empty((len(tried), *child.shape))
    for fold in sorted(set(folds.tolist())):
        out, kept = folds == fold, folds != fold
        for kind, outputs in of_output.items():
            line = fit_kind(plain[kept], wanted[kept], kind)
            if line is not None:
                outputs[out] = line[0] + line[1] * plain[out]
        for number, correction in enumerate(fit_ways(tried, parent[kept], child[kept])):
            corrected[number, out] = np.power(10.0, -np.clip(correction.apply(child[out]), -1.0, 6.0))
    found += [Candidate(f"{k} of the readings", o, raw, kind=k) for k, o in of_output.items() if np.isfinite(o).all()]
    for way, reflectance in zip(tried, corrected, strict=True):
        outputs = read(reflectance)
        if np.isfinite(outputs).all():
            found.append(Candidate(str(way), outputs, reflectance, (way,)))
    return found


def _best(candidates: Sequence[Candidate], errors: Floats) -> list[Candidate]:
    """Choose by (ways, n) errors, of which the first is that of doing nothing: it must be beaten by enough.

    Of corrections of spectra several are nearly as good, and which of them is the best is chance: so the best few are
    taken together.
    """
    rmse = np.sqrt(np.mean(errors**2, axis=1))
    best = int(rmse.argmin())
    if rmse[best] > WORTH * rmse[0]:
        return [candidates[0]]
    if not candidates[best].ways:
        return [candidates[best]]
    order = [candidates[i] for i in np.argsort(rmse, kind="stable")]
    return [candidate for candidate in order if candidate.ways][:TOGETHER]


def _together(chosen: Sequence[Candidate], read: Callable[[Floats], Floats]) -> Candidate:
    """Take the mean of what several ways make of the left-out spectra, in absorbance."""
    if len(chosen) == 1:
        return chosen[0]
    mean = np.power(10.0, -np.mean([absorbance(candidate.corrected) for candidate in chosen], axis=0))
    name = f"mean of {'; '.join(candidate.name for candidate in chosen)}"
    return Candidate(name, read(mean), mean, tuple(way for candidate in chosen for way in candidate.ways))


def _fit_all(
    found: Candidate, bundle: Bundle, parent: Floats, child: Floats, wanted: Floats, plain: Floats
) -> Correction:
    known = bundle.correction
    if found.ways:
        return replace(known, spectra=mean_of(fit_ways(found.ways, parent, child), found.name))
    intercept, slope = fit_kind(plain, wanted, found.kind) or (0.0, 1.0)
    return Correction(slope * known.slope, intercept + slope * known.intercept)


def _require_relation(wanted: Floats, outputs: Floats, pairs: int) -> None:
    """Refuse pairs of which the readings on both instruments have nothing to do with each other.

    Raises:
        TrainingDataError: as samples under wrong names have.
    """
    r, least = correlation(wanted, outputs)
    if r < least:
        raise TrainingDataError(
            f"--pairs: readings of the {pairs} pairs do not go together, even when corrected (r = {r:.2f}): are the "
            "samples' names the same soils in both, and do their contents differ enough to tell?"
        )
