"""Corrections for water in a soil: external parameter orthogonalisation, augmentation, or both.

What water makes of a spectrum comes from pairs of scans (`moisture`), which need no laboratory values. Each way of
using it, and doing nothing as well, is tried on soils and pairs that were left out: dry, and with the difference of a
left-out pair added to their absorbance. The judge is a PLSR on the first derivative, whatever the model is.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..converters.spectra.spectrum import Floats
from ..edge.model.presets import BLOCKS, BlockSetting, Preprocessing, block_recipe
from ..edge.model.recipe import Recipe
from ..edge.model.steps import FeatureOrthogonalisation, Resample
from ..edge.model.target import forward
from .crossval.folds import inner_folds
from .methods.baselines import Variant
from .methods.common import transforms_for
from .methods.regressions import pls_coefficients
from .methods.synthetic import with_water
from .moisture import Differences

JUDGED = BLOCKS[1]
DIRECTIONS = (4, 8)
LITTLE_WATER = 0.03
"""What water moves features by along a direction, over what they vary there in dry soils (both squared), at which half
is taken out: a few pairs have directions of chance beside those of water, and dry soils lose what goes with them."""
COPIES = 3
MANY = 100
"""Rows above which one copy of each is enough."""
MOST_COMPONENTS = 12
ROOM = 2.0
DRY_ROOM = 3.0
"""Times the lowest mean square error, and that on dry soils without correction, that a setting may have."""


@dataclass(frozen=True)
class Setting:
    """What is tried.

    Attributes:
        directions: taken out; 0 for no orthogonalisation.
        copies: of each row with a random share of differences added; 0 for no augmentation.
    """

    directions: int
    copies: int

    def __str__(self) -> str:
        parts = [f"external parameter orthogonalisation of {self.directions} directions"] if self.directions else []
        parts += [f"{self.copies} {'copy' if self.copies == 1 else 'copies'} of each soil with water added"] * bool(
            self.copies
        )
        return " and ".join(parts) or "nothing"


NOTHING = Setting(0, 0)


@dataclass(frozen=True, eq=False)
class Choice:
    """A setting that was chosen.

    Attributes:
        setting: the one.
        errors: setting in words -> mean square error over dry, damp and wet left-out soils, over that of doing nothing.
    """

    setting: Setting
    errors: dict[str, float]

    def __str__(self) -> str:
        tried = ", ".join(f"{name} {error:.2f}" for name, error in self.errors.items())
        return f"{self.setting} (error on left-out dry and wetted soils over that of nothing: {tried})"


def orthogonalisation(features: Floats, moved: Floats, count: int) -> FeatureOrthogonalisation:
    """Find the directions in which water moves features most, in times of what they differ by in dry soils.

    Of each is taken out the more, the more water moves features along it and the less dry soils vary there.

    Args:
        features: (n, bands) of dry soils.
        moved: (q, bands) wet or damp minus dry, of the pairs.
        count: of directions, at most; two fewer than there are pairs at most.
    """

    def as_kept(rows: Floats) -> Floats:
        # Training must see what the device will.
        return rows.astype(np.float32).astype(np.float64)

    centre, scale = as_kept(features.mean(axis=0)), as_kept(_scale(features))
    _, singular, directions = np.linalg.svd(moved / scale, full_matrices=False)
    kept = max(1, min(count, len(moved) - 2, int(np.count_nonzero(singular > 1e-6 * singular[0]))))
    water = np.square(singular[:kept]) / len(moved)
    dry = ((features - centre) / scale @ directions[:kept].T).var(axis=0)
    # The length of a direction, squared, is the share of it that is taken out. Few digits: they are much of a bundle.
    rows = (directions[:kept] * np.sqrt(water / (water + LITTLE_WATER * dry))[:, None]).astype(np.float16)
    return FeatureOrthogonalisation(
        tuple(centre.tolist()), tuple(scale.tolist()), tuple(tuple(row) for row in rows.tolist())
    )


def _scale(features: Floats) -> Floats:
    scale = features.std(axis=0)
    return np.asarray(scale + 0.1 * (float(scale.mean()) or 1.0))


def corrected_blocks(absorbance: Floats, pairs: Differences, count: int, grid: Resample) -> Preprocessing:
    """Give preprocessing that ends with the orthogonalisation.

    Args:
        absorbance: (n, bands) of dry soils.
        pairs: on the same bands.
        count: of directions.
        grid: that these bands are.
    """
    recipes = []
    # Each block has directions of its own.
    for block in BLOCKS:
        recipe = _recipe_of(block, grid)
        step = orthogonalisation(_features(recipe, absorbance), _moved(recipe, pairs), count)
        recipes.append(Recipe((*recipe.steps, step), f"{Variant(*block)}, water taken out"))
    return Preprocessing("moisture", tuple(recipes), (False,) * len(recipes))


def _recipe_of(block: BlockSetting, grid: Resample) -> Recipe:
    return block_recipe(block.order, block.window_nm, block.snv, grid)


def _features(recipe: Recipe, absorbance: Floats) -> Floats:
    """Give (n, features) of absorbance (n, bands) on the recipe's grid."""
    return recipe.preprocess(10.0**-absorbance, recipe.grid_nm).features


def _moved(recipe: Recipe, pairs: Differences) -> Floats:
    return _features(recipe, pairs.dry + pairs.differences) - _features(recipe, pairs.dry)


def settings_for(rows: int, copied: bool = True) -> list[Setting]:
    """Give what is tried, doing nothing first, what is usually best last.

    Args:
        rows: number of soils.
        copied: whether copies are tried; a network is taught soils with water added whatever else is done.
    """
    copies = COPIES if rows <= MANY else 1
    few, many = DIRECTIONS
    with_copies = [Setting(0, copies), Setting(many, copies)] if copied else []
    return [NOTHING, *with_copies, Setting(few, 0), Setting(many, 0)]


def choose(
    absorbance: Floats,
    target: Floats,
    groups: Sequence[Hashable],
    pairs: Differences,
    grid: Resample,
    seed: int,
    settings: Sequence[Setting],
) -> Choice:
    """Choose a setting by soils and pairs that were left out together.

    Args:
        absorbance: (n, bands) of dry soils.
        target: (n,) in its unit.
        groups: n, never to be parted.
        pairs: on the same bands.
        grid: that these bands are.
        seed: of folds and copies.
        settings: what is tried; see `settings_for`.
    """
    recipe = _recipe_of(JUDGED, grid)
    features = _features(recipe, absorbance)
    z = forward(target, transforms_for(target)[-1])
    (folds,) = inner_folds(target.size, groups, seed=seed)
    names = np.array(pairs.soils)
    order = np.random.default_rng((seed, 7)).permutation(list(dict.fromkeys(pairs.soils)))
    kinds = ("dry", *pairs.states)
    squares: dict[Setting, dict[str, list[Floats]]] = {setting: {kind: [] for kind in kinds} for setting in settings}
    for number, fold in enumerate(folds):
        # With fewer soils in pairs than folds, some folds leave out the same one.
        held = order[number % len(order) :: max(len(folds), len(order) // 2)]
        out = np.isin(names, held)
        test, kept = absorbance[fold.test], pairs.only(~out)
        moved, rng = _moved(recipe, kept), np.random.default_rng((seed, 8))
        tests = {"dry": features[fold.test]}
        for kind in pairs.states:
            rows = pairs.differences[out & (np.array(pairs.conditions) == kind)]
            if len(rows):
                tests[kind] = _features(recipe, test + rows[np.arange(len(test)) % len(rows)])
        wetted = _features(recipe, with_water(absorbance[fold.training], kept.differences, COPIES, rng))
        for setting in settings:
            found = _predict(setting, features[fold.training], wetted, z[fold.training], moved, tests)
            for kind, predicted in found.items():
                squares[setting][kind].append(np.square(predicted - z[fold.test, None]))
    return best_setting(settings, squares)


def best_setting(settings: Sequence[Setting], squares: Mapping[Setting, Mapping[str, Sequence[Floats]]]) -> Choice:
    """Choose by squared errors.

    Args:
        settings: what was tried, doing nothing first, what is usually best last.
        squares: of each setting, for each ground, (soils, components) arrays.
    """
    errors: dict[Setting, tuple[float, float]] = {}
    for setting in settings:
        of_kind = [np.concatenate(parts).mean(axis=0) for parts in squares[setting].values() if parts]
        # A model has as many components as suit what it learns from. Were those of a model of dry soils chosen by
        # wetted ones, doing nothing would look better than it is: with so few that no ground is read well.
        seen = of_kind if setting.copies else of_kind[:1]
        best = int(np.mean(seen, axis=0).argmin())
        errors[setting] = float(np.mean(of_kind, axis=0)[best]), float(of_kind[0][best])
    nothing = errors[NOTHING][0]
    # What doing nothing comes to on dry soils alone, with as many components as suit them.
    plain = float(np.concatenate(squares[NOTHING]["dry"]).mean(axis=0).min())
    helping = [s for s in settings if errors[s][0] < nothing and errors[s][1] <= DRY_ROOM * plain]
    lowest = min((errors[s][0] for s in helping), default=0.0)
    # Few pairs tell settings apart badly, and these tests flatter copies, which add the same kind of differences: what
    # is usually best is taken unless another one is clearly better.
    chosen = next((s for s in reversed(helping) if errors[s][0] <= ROOM * lowest), NOTHING)
    return Choice(chosen, {str(setting): errors[setting][0] / nothing for setting in settings})


def _predict(
    setting: Setting, features: Floats, wetted: Floats, z: Floats, moved: Floats, tests: Mapping[str, Floats]
) -> dict[str, Floats]:
    """Fit a PLSR under a setting, and give (n, components) predictions for each kind of test rows.

    Args:
        setting: to try.
        features: (n, bands) of dry soils.
        wetted: (COPIES * n, bands) of these with water added.
        z: (n,) target.
        moved: (q, bands) of the pairs.
        tests: (m, bands) of left-out soils, by their ground.
    """
    mean, scale = features.mean(axis=0), _scale(features)

    def taken(rows: Floats) -> Floats:
        values = (rows - mean) / scale
        return np.asarray(values - values @ directions.T @ directions)

    count, copies = setting.directions, setting.copies
    step = orthogonalisation(features, moved, count) if count else None
    directions = np.array(step.directions) if step is not None else np.zeros((1, mean.size))
    x = taken(np.concatenate([features, wetted[: copies * len(features)]]))
    centre = x.mean(axis=0)
    most = min(MOST_COMPONENTS, len(features) - 2)
    coefficients, level = pls_coefficients(x - centre, np.tile(z, 1 + copies), most)
    return {
        kind: np.clip((taken(rows) - centre) @ coefficients + level, z.min(), z.max()) for kind, rows in tests.items()
    }
