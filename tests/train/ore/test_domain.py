"""Which values belong together: made tables of several kinds, whose columns are then shuffled or come from elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray
from stibium.edge.ore.columns import Variable
from stibium.edge.ore.domain import (
    OreDomain,
    beyond,
    domain_from_arrays,
    domain_to_arrays,
    hole_inputs,
    measure,
    odd_pairs,
)
from stibium.train.ore.domain import fit_ground, fit_ore_domain, shuffle_columns

Values = np.ndarray
ROWS = 1800
BENT_SHARE = 0.7
"""What so few blocks show of a dependence without straight lines; of others 80 and 90 %."""


@dataclass(frozen=True)
class Made:
    """A kind of table: draws (n, k) logarithms or codes, `classes` and `categories` among the columns."""

    draw: Callable[[int, np.random.Generator], Values]
    count: int
    classes: tuple[int, ...] = ()
    categories: tuple[int, ...] = ()

    @property
    def variables(self) -> tuple[Variable, ...]:
        words = {"class": ("Low", "Medium", "High"), "category": ("slate", "quartzite", "dyke", "vein")}
        return tuple(
            Variable(f"v{i}", f"v{i}", kind, "" if kind != "assay" else "ppm", words.get(kind, ()))
            for i, kind in enumerate(self.kinds)
        )

    @property
    def kinds(self) -> list[str]:
        return [
            "class" if i in self.classes else "category" if i in self.categories else "assay" for i in range(self.count)
        ]

    def values(self, n: int, seed: int, holes: int = 30) -> tuple[Values, Values]:
        """Values as a model takes them, a level of their own in each hole's assays, and the holes."""
        chance = np.random.default_rng(seed)
        drawn = self.draw(n, chance)
        hole = np.repeat(np.arange(holes), -(-n // holes))[:n]
        assay = np.array([kind == "assay" for kind in self.kinds])
        drawn = drawn + 0.15 * assay * chance.standard_normal((holes, self.count))[hole]
        values = np.where(assay, np.exp(drawn), drawn)
        values[chance.random(values.shape) < 0.01] = np.nan
        return values, hole


def one_factor(n: int, chance: np.random.Generator, count: int, share: float) -> Values:
    factor = chance.standard_normal((n, 1))
    return np.sqrt(share) * factor + np.sqrt(1 - share) * chance.standard_normal((n, count))


def bent(n: int, chance: np.random.Generator) -> Values:
    """No column is a straight line of the others: squares, waves and products."""
    a, b, c = chance.standard_normal((3, n))

    def noise() -> Values:
        return 0.2 * chance.standard_normal(n)

    others = (a**2 - 1 + noise(), 1.4 * np.sin(2 * b) + noise(), a * b + noise(), 1.5 * np.abs(c) + noise())
    return np.column_stack([a, b, c, *others, a * c + noise()])


def logged(n: int, chance: np.random.Generator) -> Values:
    """Assays, classes of three words, and a lithology that sets the level of all."""
    lithology = chance.integers(0, 4, n)
    level = np.array([0.9, -1.6, 2.2, -0.2])[lithology]
    x = level[:, None] + one_factor(n, chance, 9, 0.5)
    return np.column_stack([x[:, :5], np.digitize(x[:, 5:], [-0.5, 1.0]) + 1, lithology + 1])


KINDS = {
    "straight lines": Made(lambda n, r: one_factor(n, r, 12, 0.72), 12),
    "bent": Made(bent, 8),
    "skewed": Made(lambda n, r: np.exp(one_factor(n, r, 10, 0.75)), 10),
    "logged": Made(logged, 10, classes=(5, 6, 7, 8), categories=(9,)),
}


@cache
def fitted(kind: str) -> OreDomain:
    made = KINDS[kind]
    values, holes = made.values(ROWS, 1)
    domain = fit_ore_domain(made.variables, values, holes, 0, fast=True)
    assert domain is not None
    return domain


def refused(domain: OreDomain, values: Values) -> float:
    outside = (values < domain.lowest) | (values > domain.highest)
    return float((beyond(domain, values) | outside.any(axis=1)).mean())


@pytest.mark.parametrize("kind", KINDS)
def test_shuffled_columns_are_refused_and_blocks_of_other_holes_are_not(kind: str) -> None:
    domain = fitted(kind)
    values, _ = KINDS[kind].values(4000, 2, holes=60)
    assert refused(domain, values) <= 0.05
    shuffled = shuffle_columns(values, np.random.default_rng(3))
    assert np.array_equal(np.sort(shuffled, axis=0), np.sort(values, axis=0), equal_nan=True)
    assert refused(domain, shuffled) >= (BENT_SHARE if kind == "bent" else 0.8)
    # What the bundle says of itself is what other blocks show, give or take the chance of 30 holes: about 0.01. It
    # may say rather too much, as the whole table shows more than what is left of it without a fold.
    assert domain.left_out_share <= 0.05
    assert -0.02 <= domain.left_out_share - refused(domain, values) <= 0.025
    assert domain.shuffled_share == pytest.approx(refused(domain, shuffled), abs=0.06)


@pytest.mark.parametrize("kind", KINDS)
def test_another_deposits_table_is_refused(kind: str) -> None:
    """Of the same kind, but other columns go together, and the levels of assays are 1.5 spreads higher or lower."""
    made = KINDS[kind]
    assay = np.flatnonzero([k == "assay" for k in made.kinds])
    values, _ = made.values(1000, 4)
    values[:, assay] = values[:, np.roll(assay, 1)]
    chance = np.random.default_rng(5)
    values[:, assay] *= np.exp(1.5 * chance.choice([-1, 1], assay.size) * np.nanstd(np.log(values[:, assay]), axis=0))
    assert refused(fitted(kind), values) >= (BENT_SHARE if kind == "bent" else 0.9)


def test_few_blocks_of_few_holes_keep_their_own() -> None:
    made = KINDS["straight lines"]
    shares = []
    for seed in range(3):
        values, holes = made.values(240, seed, holes=10)
        domain = fit_ore_domain(made.variables, values, holes, seed)
        assert domain is not None
        shares.append(refused(domain, made.values(2000, seed + 100, holes=60)[0]))
        assert domain.shuffled_share >= 0.5
    assert np.mean(shares) <= 0.05


@pytest.mark.parametrize(
    ("variables", "rows", "holes"), [(12, 240, 4), (12, 50, 10), (1, 240, 10)], ids=["holes", "rows", "variables"]
)
def test_too_little_has_no_domain(variables: int, rows: int, holes: int) -> None:
    made = Made(lambda n, r: one_factor(n, r, variables, 0.7), variables)
    assert fit_ore_domain(made.variables, *made.values(rows, 0, holes), 0) is None


@pytest.mark.parametrize("kind", ["straight lines", "bent"])
def test_the_pair_that_does_not_belong_together_is_named(kind: str) -> None:
    domain = fitted(kind)
    values, _ = KINDS[kind].values(4000, 6)
    odd, among = values.copy(), {2, 6}
    if kind == "straight lines":
        # One column against all the others.
        among = {2}
        odd[:, 2] = np.exp(-np.sign(np.log(values[:, 5])) * 2.0)
    else:
        # v6 is how far v2 is from 0.
        odd[:, 6] = np.nanquantile(values[:, 6], 0.9)
        odd = odd[np.abs(np.log(values[:, 2])) < 0.3]
    rows = np.flatnonzero(beyond(domain, odd))
    assert len(rows) > 0.6 * len(odd)
    found = odd_pairs(domain, odd, measure(domain, odd), rows)
    named = [among <= set(pair.tolist()) for pair in found.pairs]
    assert np.mean(named) >= 0.8


def test_a_domain_read_back_measures_the_same() -> None:
    domain, made = fitted("logged"), KINDS["logged"]
    again = domain_from_arrays(*domain_to_arrays(domain), made.variables)
    values, _ = made.values(500, 7)
    np.testing.assert_array_equal(beyond(again, values), beyond(domain, values))
    found, rows = measure(domain, values), np.arange(500)
    np.testing.assert_array_equal(
        odd_pairs(again, values, found, rows).pairs, odd_pairs(domain, values, found, rows).pairs
    )
    assert again.method == domain.method
    assert again.ground is not None
    means = hole_inputs(found).mean(axis=0)
    np.testing.assert_array_equal(again.ground.parts(means, 500), domain.ground.parts(means, 500))
    stored, arrays = domain_to_arrays(domain)
    assert domain_from_arrays(stored | {"ground": None}, arrays, made.variables).ground is None


@pytest.mark.parametrize("differ", [0.0, 0.5], ids=["alike", "that differ"])
def test_holes_of_another_deposit_are_further_out_than_those_of_left_out_holes(differ: float) -> None:
    """Three columns, all of them higher: single blocks are as the model's own rich ones."""
    chance = np.random.default_rng(0)

    def holes(count: int, shift: float) -> tuple[Values, NDArray[np.intp]]:
        hole = np.repeat(np.arange(count), 40)
        level = chance.standard_normal((len(hole), 1)) + differ * chance.standard_normal((count, 3))[hole]
        return np.exp(level + chance.standard_normal((len(hole), 3)) + shift), hole

    variables = tuple(Variable(name, name, "assay", "ppm") for name in "abc")
    domain = fit_ore_domain(variables, *holes(30, 0.0), 0, fast=True)
    assert domain is not None
    ground = domain.ground
    assert ground is not None

    def further_out(shift: float) -> tuple[float, bool]:
        values, hole = holes(40, shift)
        inputs = hole_inputs(measure(domain, values))
        means = [inputs[hole == k].mean(axis=0) for k in range(40)]
        alone = [ground.parts(mean, 40).sum() > ground.limit for mean in means]
        return float(np.mean(alone)), bool(ground.parts(np.mean(means, axis=0), 1600).sum() > ground.usual)

    share, together = further_out(0.0)
    assert share <= 0.05
    assert not together
    values, _ = holes(40, 2.0)
    assert refused(domain, values) < 0.8
    share, together = further_out(2.0)
    assert together
    assert share == 1.0 or differ


def test_few_holes_have_no_ground() -> None:
    inputs = np.random.default_rng(0).standard_normal((400, 4))
    assert fit_ground(inputs, np.arange(400) // 8) is None, "of holes of 8 blocks nothing is said"
    assert fit_ground(inputs, np.arange(400) // 100) is None
    assert fit_ground(inputs, np.arange(400) // 40) is not None


@pytest.mark.parametrize(
    "change",
    [
        lambda d: replace(d, words=(0,) * 10),
        lambda d: replace(d, scale=np.zeros_like(d.scale)),
        lambda d: replace(d, knots=d.knots[:, ::-1]),
        lambda d: replace(d, precision=d.precision[1:]),
        lambda d: replace(d, lowest=d.highest + 1),
        lambda d: replace(d, linear=replace(d.linear, t2_limit=0.0)),
        lambda d: replace(d, ground=replace(d.ground, centre=d.ground.centre[1:])),
        lambda d: replace(d, ground=replace(d.ground, between=0 * d.ground.between)),
    ],
    ids=["words", "scale", "knots", "precision", "range", "limit", "holes", "spread of holes"],
)
def test_a_domain_that_does_not_fit_is_refused(change: Callable[[OreDomain], OreDomain]) -> None:
    values, arrays = domain_to_arrays(change(fitted("logged")))
    with pytest.raises(ValueError, match="its domain"):
        domain_from_arrays(values, arrays, KINDS["logged"].variables)
