"""Which wavelengths carry an estimate, asked of the model itself and of two others, as a report shows it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec

import numpy as np

from ...converters.spectra.spectrum import Floats, Spectrum
from ...edge.model.recipe import Blocks, Recipe
from ...edge.model.suitability import require_reflectance
from ...edge.model.target import Transform, forward
from ...edge.units import shown_unit
from ..prepared import Prepared
from ..samples import Samples
from .contents import BandProfile, ImportancePart
from .importance import forest_importance, plsr_vip, sample_shapley, stretches, take_apart
from .trace import on_one_grid, spread_by_grade

Answer = Callable[[Floats, Floats, tuple[float, ...]], Floats]
"""(n, bands) reflectance, (bands,) wavelengths, detector joins -> (n,) answers in the transform's space."""
Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and of how much."""

EXPLAINED_SPECTRA = 16
PERMUTATIONS = 4
STRETCH_NM = 40.0
VIP_STRETCH_NM = 10.0
FEWEST_FOR_MODELS = 12
"""Samples below which no PLSR or forest is fitted beside the model: what they said would be chance."""


def importance_part(
    answer: Answer,
    prepared: Prepared,
    joined: Samples,
    recipe: Recipe | Blocks,
    transform: Transform,
    progress: Progress,
) -> ImportancePart:
    """Ask which wavelengths carry the estimate: the model itself, and where they are installed a PLSR and a forest.

    Args:
        answer: the model, from reflectance on.
        prepared: rows to ask about, and to fit the other two to.
        joined: for the samples' values.
        recipe, transform: of the model.
        progress: called after each spectrum.
    """
    unit = shown_unit(joined.unit)
    if transform != "none":
        unit = f"{transform} {unit}"
    profiles = [_shapley_profile(answer, prepared.rows, joined.target, recipe, unit, progress)]
    names = [row.sample_id for row in prepared.rows]
    target = forward(np.array([joined.target[name] for name in names]), transform)
    # On a device there is no scikit-learn; the model itself can be asked there all the same.
    enough = len(set(names)) >= FEWEST_FOR_MODELS and target.min() < target.max()
    if enough and find_spec("sklearn") is not None:
        nm = recipe.wavelengths_nm
        progress("PLSR", 0, 0)
        vip, components = plsr_vip(prepared.spectra, target, names)
        profiles.append(_vip_profile(vip, components, nm, len(set(names))))
        progress("random forest", 0, 0)
        first, last, share = forest_importance(prepared.spectra, nm, target)
        detail = f"Mean decrease in impurity, 200 trees on means over 10 nm of {len(names)} preprocessed spectra."
        profiles.append(BandProfile("Random forest", "share of importance (%)", detail, first, last, 100 * share))
    return ImportancePart(tuple(profiles))


def _shapley_profile(
    answer: Answer,
    rows: Sequence[Spectrum],
    target: Mapping[str, float],
    recipe: Recipe | Blocks,
    unit: str,
    progress: Progress,
) -> BandProfile:
    alike = on_one_grid(rows)
    nm, splices_nm = alike[0].wavelengths_nm, alike[0].splices_nm
    first, last = recipe.range_nm
    # One band beyond each end, so that the grid is still covered.
    used = slice(
        max(int(np.searchsorted(nm, first + 1e-6)) - 1, 0), int(np.searchsorted(nm, last - 1e-6, side="right")) + 1
    )
    chosen = spread_by_grade(alike, target, EXPLAINED_SPECTRA)
    background = np.mean([require_reflectance(row, recipe.range_nm)[used] for row in alike], axis=0)
    spectra = np.stack([require_reflectance(row, recipe.range_nm)[used] for row in chosen])
    players = take_apart(spectra, nm[used], background, STRETCH_NM)

    def ask(reflectance: Floats) -> Floats:
        return answer(reflectance, nm[used], splices_nm)

    found = sample_shapley(
        ask, players, PERMUTATIONS, progress=lambda done, of: progress("Shapley values, spectrum", done, of)
    )
    mean = np.abs(found.values).mean(axis=0)
    half = players.width_nm / 2
    return BandProfile(
        name="Shapley values through the whole path",
        y_label=f"mean |SHAP| ({unit})",
        detail=(
            f"What each {players.width_nm:.0f} nm of reflectance adds to the answer beyond that of the mean spectrum, "
            f"over {len(chosen)} spectra from low to high grade, {PERMUTATIONS} orders each; brightness and slope "
            f"alone add {mean[0]:.2g}."
        ),
        first_nm=players.centres_nm - half,
        last_nm=players.centres_nm + half,
        height=mean[1:],
    )


def _vip_profile(vip: Floats, components: int, nm: Floats, samples: int) -> BandProfile:
    first, last, at = stretches(nm, VIP_STRETCH_NM)
    # Of a stretch the root of the mean square, so that the whole still has a mean square of 1.
    height = np.array([np.sqrt(np.mean(vip[at == u] ** 2)) for u in range(len(first))])
    return BandProfile(
        name="PLSR, VIP scores",
        y_label="VIP",
        detail=(
            f"Of a PLSR with {components} {'component' if components == 1 else 'components'}, chosen by grouped "
            f"cross-validation, on the preprocessed spectra of {samples} samples; above 1 a wavelength counts more "
            "than most."
        ),
        first_nm=first,
        last_nm=last,
        height=height,
        threshold=1.0,
    )
