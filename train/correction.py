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
from ..edge.model.grid import Grid
from ..edge.model.recipe import Blocks, Recipe
from ..edge.model.steps import Absorbance, ExternalParameterOrthogonalisation, SavitzkyGolayDerivative
from ..edge.model.target import forward
from .crossval.folds import inner_folds
from .methods.common import transforms_for
from .methods.regressions import pls_coefficients
from .moisture import Differences

KNOTS = 206
DIRECTIONS = (4, 8)
COPIES = 3
MANY = 100
"""Rows above which one copy of each is enough."""
MOST_SHARE = 1.2
CONCENTRATION = 0.3
"""Of the Dirichlet distribution of the differences' shares: one leads."""
MOST_COMPONENTS = 12
ROOM = 1.5
DRY_ROOM = 3.0
"""Times the lowest mean square error, and that on dry soils without correction, that a setting may have."""


@dataclass(frozen=True, eq=False)
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


def fit_step(absorbance: Floats, pairs: Differences, count: int) -> ExternalParameterOrthogonalisation:
    """Find directions in which water moves spectra, orthogonal in the metric of scaled first derivatives.

    Args:
        absorbance: (n, bands) of dry soils.
        pairs: on the same bands.
        count: of directions, at most; two fewer than there are pairs at most.
    """
    nm = pairs.wavelengths_nm
    shapes = _normalised(absorbance)
    moved = _normalised(pairs.dry + pairs.differences) - _normalised(pairs.dry)
    metric = _metric(shapes, nm)
    left, singular, _ = np.linalg.svd(moved @ metric, full_matrices=False)
    kept = max(1, min(count, len(moved) - 2, int(np.count_nonzero(singular > 1e-6 * singular[0]))))
    directions = (left[:, :kept] / singular[:kept]).T @ moved
    duals = (directions @ metric) @ metric.T
    knots_nm = np.linspace(nm[0], nm[-1], KNOTS)

    def at_knots(rows: Floats) -> Floats:
        rows = np.stack([np.interp(knots_nm, nm, row) for row in np.atleast_2d(rows)])
        # As a bundle keeps them: training must see what the device will.
        return rows.astype(np.float32).astype(np.float64)

    return ExternalParameterOrthogonalisation(
        level=float(absorbance.mean()),
        spread=float(absorbance.std(axis=1).mean()),
        centre=tuple(at_knots(shapes.mean(axis=0))[0].tolist()),
        directions=tuple(map(tuple, at_knots(directions).tolist())),
        duals=tuple(map(tuple, at_knots(duals / np.abs(duals).max()).tolist())),
    )


def _normalised(absorbance: Floats) -> Floats:
    centred = absorbance - absorbance.mean(axis=1, keepdims=True)
    return np.asarray(centred / np.sqrt(np.square(centred).sum(axis=1, keepdims=True) / (absorbance.shape[1] - 1)))


def _derivatives(absorbance: Floats, wavelengths_nm: Floats) -> Floats:
    step = SavitzkyGolayDerivative(31.0, 2, 1, 10.0)
    return step.apply(absorbance, wavelengths_nm)


def _metric(shapes: Floats, wavelengths_nm: Floats) -> Floats:
    """Give the matrix that takes normalised absorbance (n, bands) to scaled first derivatives."""
    scale = _derivatives(shapes, wavelengths_nm).std(axis=0)
    to_derivatives = _derivatives(np.eye(wavelengths_nm.size), wavelengths_nm)
    return np.asarray(to_derivatives / (scale + 0.1 * scale.mean()))


def take_out(step: ExternalParameterOrthogonalisation | None, absorbance: Floats, wavelengths_nm: Floats) -> Floats:
    """Do the step to absorbance (n, bands); nothing without one."""
    return absorbance if step is None else step.prepare(Grid(wavelengths_nm))[0](absorbance)


def with_water(absorbance: Floats, differences: Floats, copies: int, rng: np.random.Generator) -> Floats:
    """Give (copies * n, bands): each row with a random share of a random mixture of differences added."""
    count = copies * len(absorbance)
    shares = rng.dirichlet(np.full(len(differences), CONCENTRATION), count) * rng.uniform(0, MOST_SHARE, (count, 1))
    return np.tile(absorbance, (copies, 1)) + shares @ differences


def settings_for(rows: int) -> list[Setting]:
    """Give what is tried, doing nothing first, what is usually best last."""
    copies = COPIES if rows <= MANY else 1
    few, many = DIRECTIONS
    return [NOTHING, Setting(0, copies), Setting(few, copies), Setting(many, 0), Setting(many, copies)]


def choose(absorbance: Floats, target: Floats, groups: Sequence[Hashable], pairs: Differences, seed: int) -> Choice:
    """Choose a setting by soils and pairs that were left out together.

    Args:
        absorbance: (n, bands) of dry soils.
        target: (n,) in its unit.
        groups: n, never to be parted.
        pairs: on the same bands.
        seed: of folds and copies.
    """
    z = forward(target, transforms_for(target)[-1])
    (folds,) = inner_folds(target.size, groups, seed=seed)
    names = np.array(pairs.soils)
    order = np.random.default_rng((seed, 7)).permutation(list(dict.fromkeys(pairs.soils)))
    settings = settings_for(target.size)
    kinds = ("dry", *pairs.states)
    squares: dict[Setting, dict[str, list[Floats]]] = {setting: {kind: [] for kind in kinds} for setting in settings}
    for number, fold in enumerate(folds):
        # With fewer soils in pairs than folds, some folds leave out the same one.
        held = order[number % len(order) :: max(len(folds), len(order) // 2)]
        out = np.isin(names, held)
        test = absorbance[fold.test]
        tests = {"dry": test}
        for kind in pairs.states:
            rows = pairs.differences[out & (np.array(pairs.conditions) == kind)]
            if len(rows):
                tests[kind] = test + rows[np.arange(len(test)) % len(rows)]
        for setting in settings:
            found = _predict(setting, absorbance[fold.training], z[fold.training], pairs.only(~out), tests, seed)
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
    setting: Setting,
    absorbance: Floats,
    z: Floats,
    pairs: Differences,
    tests: dict[str, Floats],
    seed: int,
) -> dict[str, Floats]:
    """Fit a PLSR under a setting, and give (n, components) predictions for each kind of test rows."""
    corrected, wavelengths_nm = Correction.of(setting, absorbance, pairs, seed), pairs.wavelengths_nm
    x = _derivatives(corrected.rows(absorbance), wavelengths_nm)
    mean, scale = x.mean(axis=0), x.std(axis=0)
    scale = scale + 0.1 * scale.mean()
    most = min(MOST_COMPONENTS, len(absorbance) - 2)
    coefficients, level = pls_coefficients((x - mean) / scale, np.tile(z, 1 + setting.copies), most)
    found = {}
    for kind, rows in tests.items():
        derivatives = _derivatives(take_out(corrected.step, rows, wavelengths_nm), wavelengths_nm)
        found[kind] = np.clip((derivatives - mean) / scale @ coefficients + level, z.min(), z.max())
    return found


@dataclass(frozen=True, eq=False)
class Correction:
    """A setting with what it learned.

    Attributes:
        setting: the one.
        step: for the recipe; None without directions.
        pairs: what water does, on the model's grid.
        seed: of copies.
    """

    setting: Setting
    step: ExternalParameterOrthogonalisation | None
    pairs: Differences
    seed: int

    @classmethod
    def of(cls, setting: Setting, absorbance: Floats, pairs: Differences, seed: int) -> Correction:
        """Learn from dry soils (n, bands), and pairs on the same bands."""
        step = fit_step(absorbance, pairs, setting.directions) if setting.directions else None
        return cls(setting, step, pairs, seed)

    def rows(self, absorbance: Floats) -> Floats:
        """Give corrected rows ((1 + copies) * n, bands) to learn from."""
        rows = absorbance
        if self.setting.copies:
            rng = np.random.default_rng((self.seed, 8))
            added = with_water(absorbance, self.pairs.differences, self.setting.copies, rng)
            rows = np.concatenate([absorbance, added])
        return take_out(self.step, rows, self.pairs.wavelengths_nm)

    def in_recipe(self, recipe: Recipe | Blocks) -> Recipe | Blocks:
        """Put the step into a recipe, or every block, after its absorbance."""
        if self.step is None:
            return recipe
        if isinstance(recipe, Blocks):
            return Blocks(tuple(self._inserted(one) for one in recipe.recipes), recipe.name)
        return self._inserted(recipe)

    def _inserted(self, recipe: Recipe) -> Recipe:
        assert self.step is not None
        at = [isinstance(step, Absorbance) for step in recipe.steps].index(True) + 1
        return Recipe((*recipe.steps[:at], self.step, *recipe.steps[at:]), recipe.name)


def groups_of_copies(groups: Sequence[Hashable], copies: int) -> tuple[Hashable, ...]:
    """Group copies with their rows."""
    return tuple(groups) * (1 + copies)
