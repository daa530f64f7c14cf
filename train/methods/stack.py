"""The stack: a mean of support vector and PLS regressions over several preprocessing blocks, as one network.

Blocks are Savitzky-Golay filters of absorbance. On each, epsilon support vector regressions with a radial kernel and a
PLSR are fitted, their settings chosen by an inner cross-validation; their mean is weighed by a stack that is drawn
towards 70 % support vectors and 30 % PLSR. A skewed positive target is learned as square root and logarithm too, and
the answers are mixed in the target's unit, each brought back to the mean, the median or what is between them, by the
loss that the user decides by (`decision`). All of that together is a small network, but
not one for eight bits: it teaches the MobileNetV2 (`mobilenetv2`), or is carried to a device in 16 bits by itself.

References:
    Smola & Schölkopf 2004, Statistics and Computing 14(3):199 (support vector regression).
    Breiman 1996, Machine Learning 24(1):49 (stacked regressions).
    Duan 1983, JASA 78(383):605 (smearing estimate, in `common.BackTransformation`).
    Schölkopf et al. 1999, IEEE Transactions on Neural Networks 10(5):1000 (reduced sets, in `radial_network`).
    Savitzky & Golay 1964, Analytical Chemistry 36(8):1627.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from ...converters.models.apart import Converted
from ...converters.models.rbf_network import RBF_QUANTISATIONS, convert_rbf_network
from ...converters.spectra.spectrum import Floats
from ...edge.model.presets import KEEP_NM, Preprocessing
from ...edge.model.recipe import Blocks
from ...edge.model.scaling import Scaling
from ...edge.model.target import Transform, forward
from ..crossval.decision import DecideBy, share_of_logarithms, unexplained
from ..crossval.folds import InnerFolds
from ..crossval.rows import TrainingRows
from ..errors import TrainingDataError
from .baselines import Candidate, Variant, of_ones_own
from .blocks import VARIANTS, block_scaling, blocks_on, divide
from .common import (
    LEAST_SHARE,
    SOFTNESS,
    BackTransformation,
    refuse_spectrogram,
    repeats_for,
    transforms_for,
)
from .gate import Gate
from .kernel_members import KernelMember, LinearMember, Projection, kernel_member, linear_member
from .method import CrossValidated, ModelFile, TrainingTask, rows_of
from .radial_network import Branch, RadialNetwork, drop_idle_centres, gated, reduce_centres
from .stacking import soft_shares, stack_weights

VARIANTS_OF_MANY = (VARIANTS[0], *VARIANTS[2:])
MANY = 120
"""Training rows above which one block less leaves its parameters to the centres of the others."""
MOST_PARAMETERS = 84_000
FEWEST_DRY = 20
"""Dry rows; fewer tell a model of their own, and what is wetter, badly."""
SEEN = 400
"""Rows by which a network that sees dry and wet soils is quantised."""


class Scaled(Protocol):
    """What a stack knows of a block, which `str` names."""

    @property
    def autoscale(self) -> bool:
        """Give each band the same variance."""


@dataclass(frozen=True)
class Config:
    """How a stack is made.

    Attributes:
        variants, variants_of_many: the blocks, up to `MANY` training rows and above.
        keep_nm: distance of the bands that a block keeps.
        components: principal components of each block that the kernels see.
        powers: of the singular values that scores are divided by; one kernel member of each block and power.
        settings: (gamma, C) of support vectors; gamma per mean squared norm of the scores.
        epsilon: of support vectors.
        most_components: of PLSR.
        averaged: settings that a member is the mean of.
        transforms: of a skewed positive target, that are mixed; other targets are learned as they are.
        linear_share: of PLSR in the prior of the stack.
        prior_rows: how many soils the prior of the stack is worth: the more soils there are, the less it counts.
        softness: of the mix of transforms; see `stacking.soft_shares`.
        most_parameters: of the network.
    """

    variants: tuple[Variant, ...] = VARIANTS
    variants_of_many: tuple[Variant, ...] = VARIANTS_OF_MANY
    keep_nm: float = KEEP_NM
    components: int = 40
    powers: tuple[float, ...] = (0.0, 0.5)
    settings: tuple[tuple[float, float], ...] = (
        *((0.02, 20.0), (0.02, 200.0), (0.02, 2000.0), (0.1, 2.0), (0.1, 20.0), (0.1, 200.0)),
        *((0.4, 2.0), (0.4, 20.0), (1.0, 2.0), (1.0, 20.0)),
    )
    epsilon: float = 0.1
    most_components: int = 20
    averaged: int = 3
    transforms: tuple[Transform, ...] = get_args(Transform)
    linear_share: float = 0.3
    prior_rows: float = 70.0
    softness: float = SOFTNESS
    most_parameters: int = MOST_PARAMETERS

    @property
    def gammas(self) -> tuple[float, ...]:
        """Those of the settings, each once."""
        return tuple(dict.fromkeys(gamma for gamma, _ in self.settings))


FAST_CONFIG = Config(settings=((0.02, 200.0), (0.1, 20.0), (0.4, 20.0), (1.0, 20.0)), averaged=2)
"""All views, and kernels from wide to narrow: they cost little, and without them much is lost (pH of 231 soils, for
one, stands in all views and in narrow kernels)."""


@dataclass(frozen=True, eq=False)
class StackModel:
    """A trained stack; see `method.DeviceModel`.

    Attributes:
        recipe: the preprocessing blocks; their features are the network's input.
        wavelengths_nm, splices_nm: of the spectra it was trained on, and expects in `predict`.
        network: from features to the target's unit; it takes them unscaled.
        scaling: of the features for an exported network, which has few digits.
        out_of_fold: (repeats, n) in the target's unit: what the inner cross-validation said of each training row.
        transform: that has the largest share in the answer; residuals are the most even in its space.
        chosen: its weights in words.
        representative: (m, features) scaled rows that quantised formats take ranges from; None for those of training.
    """

    recipe: Blocks
    wavelengths_nm: Floats
    splices_nm: tuple[float, ...]
    network: RadialNetwork
    scaling: Scaling
    out_of_fold: Floats
    transform: Transform
    chosen: str
    representative: NDArray[np.float32] | None = None

    @property
    def parameters(self) -> int:
        """Numbers that the network holds."""
        return self.network.parameters

    @property
    def record(self) -> dict[str, Any]:
        """Nothing beside what every model says."""
        return {}

    def features(self, reflectance: Floats) -> Floats:
        """Give what the network takes, (n, features), for (n, bands) reflectance."""
        return self.recipe.preprocess(reflectance, self.wavelengths_nm, self.splices_nm).features

    def predict(self, reflectance: Floats) -> Floats:
        """Predict (n,) values in the target's unit, within the calibrated range, from (n, bands) reflectance."""
        return self.network.predict(self.features(reflectance))

    def answer(self, features: Floats) -> Floats:
        """Answer (n,) in the transform's space for (n, features) that are not scaled."""
        return forward(self.network.predict(features), self.transform)

    def save(self, path: Path) -> None:
        """Write it down."""
        with path.open("wb") as file:
            np.savez_compressed(file, **self.network.to_arrays())

    def weights_sha256(self) -> str:
        """Hash of all its numbers."""
        digest = hashlib.sha256()
        for name, array in sorted(self.network.to_arrays().items()):
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()


def read_radial_network(path: Path) -> RadialNetwork:
    """Read what `StackModel.save` wrote."""
    with np.load(path, allow_pickle=False) as arrays:
        return RadialNetwork.from_arrays(dict(arrays))


@dataclass(frozen=True, eq=False)
class Space:
    """All members in the space of one transform, and their weights.

    Attributes:
        transform: of the target.
        mean, deviation: that the members' answers are standardised by.
        kernels: for each block one member for each power.
        linears: for each block one member.
        weights: (blocks, powers + 1), the linear member last; 1 together.
        out_of_fold: (repeats, n) of the weighted mean, in the transform's space.
        back: to the target's unit.
    """

    transform: Transform
    mean: float
    deviation: float
    kernels: tuple[tuple[KernelMember, ...], ...]
    linears: tuple[LinearMember, ...]
    weights: Floats
    out_of_fold: Floats
    back: BackTransformation


@dataclass(frozen=True)
class Stack(CrossValidated):
    """The method that makes stacks; `fast` takes few settings."""

    config: Config | None = None
    key: ClassVar[str] = "stack"
    name: ClassVar[str] = "stack"
    about: ClassVar[str] = "support vectors and PLSR over several preprocessing blocks, in one network"
    file_name: ClassVar[str] = "model.npz"
    formats: ClassVar[tuple[str, ...]] = RBF_QUANTISATIONS

    def __post_init__(self) -> None:
        refuse_spectrogram(self.key, self.recipe)

    def for_learning_curve(self) -> Stack:
        """Give the model with its fast settings."""
        return Stack(fast=True, recipe=self.recipe)

    def make(self, task: TrainingTask) -> StackModel:
        """Make the model of all samples; see `DeviceMethod.make`."""
        return self.fit(rows_of(task))

    def to_tflite(self, stored: ModelFile, formats: Sequence[str], features: Floats) -> Converted:
        """Convert a stored network; see `DeviceMethod.to_tflite`."""
        network = read_radial_network(stored.path)
        models = convert_rbf_network(network.to_arrays(), stored.scaling, stored.transform, formats, stored.calibration)
        return Converted(models, forward(network.predict(features), stored.transform))

    def fit(self, rows: TrainingRows) -> StackModel:
        """Fit, with a model of the dry rows alone where it says these better than that of all does; see `Method.fit`.

        Rows of whose condition nobody said are taken for dry.
        """
        whole = self.fit_whole(rows)
        dry = np.array([one in ("", "dry") for one in rows.conditions or [""] * len(rows)])
        if dry.sum() < FEWEST_DRY or dry.all():
            return whole
        of_dry = rows.take(np.flatnonzero(dry), seed=rows.seed)
        plain = self.fit_whole(of_dry)
        own = plain.features(of_dry.reflectance)
        gate = Gate.learn(own, plain.features(rows.reflectance[~dry]), plain.recipe.sizes)
        said = whole.out_of_fold.mean(axis=0, keepdims=True)
        mixed = said.copy()
        mixed[:, dry] = gate.mixed(own, plain.out_of_fold.mean(axis=0), said[:, dry])
        gained, before = (unexplained(said_of[:, dry], of_dry.target, self.decide_by) for said_of in (mixed, said))
        return with_dry(whole, plain, gate, mixed, rows.reflectance) if gained < before else whole

    def fit_whole(self, rows: TrainingRows) -> StackModel:
        """Fit one model of all rows."""
        config = self.config or (FAST_CONFIG if self.fast else Config())
        blocks, variants = _blocks(rows.wavelengths_nm, len(rows), self.recipe, config)
        features = rows.features(blocks)
        folds = rows.folds(repeats_for(len(rows), self.fast))
        soils = len(set(rows.groups))
        fitted = fit_features(
            divide(features, blocks.sizes), variants, rows.target, folds, config, self.decide_by, soils
        )
        return StackModel(
            recipe=blocks,
            wavelengths_nm=rows.wavelengths_nm,
            splices_nm=rows.splices_nm,
            network=fitted.network,
            scaling=block_scaling(features, blocks.sizes),
            out_of_fold=fitted.out_of_fold,
            transform=fitted.transform,
            chosen=fitted.chosen,
        )


def with_dry(whole: StackModel, plain: StackModel, gate: Gate, out_of_fold: Floats, seen: Floats) -> StackModel:
    """Put a model of all rows and one of the dry ones together.

    Args:
        whole, plain: the two.
        gate: between them.
        out_of_fold: (1, n) of both together.
        seen: (m, bands) reflectance of dry and wet soils, some of which formats take their ranges from.
    """
    offset, scale = (
        np.concatenate([getattr(model.scaling, part) for model in (plain, whole)]) for part in ("offset", "scale")
    )
    both = replace(
        plain,
        recipe=Blocks((*plain.recipe.recipes, *whole.recipe.recipes)),
        network=gated(plain.network, whole.network, gate),
        scaling=Scaling(offset, scale),
        out_of_fold=out_of_fold,
        chosen=f"{whole.chosen}; dry soils: {plain.chosen}",
    )
    some = both.features(seen[:: max(1, len(seen) // SEEN)])
    return replace(both, representative=both.scaling.apply(some).astype(np.float32))


@dataclass(frozen=True, eq=False)
class FittedStack:
    """A stack from features on; see `StackModel`."""

    network: RadialNetwork
    out_of_fold: Floats
    transform: Transform
    chosen: str


def fit_features(
    parts: Sequence[Floats],
    variants: Sequence[Scaled],
    target: Floats,
    folds: InnerFolds,
    config: Config,
    decide_by: DecideBy = "both",
    soils: int | None = None,
) -> FittedStack:
    """Fit a stack to features, whatever they come from; see `fit_space`."""
    projections = [
        Projection.learn(part, variant.autoscale, config.components, config.powers)
        for part, variant in zip(parts, variants, strict=True)
    ]
    spaces = [
        fit_space(parts, projections, variants, target, transform, folds, config, decide_by, soils)
        for transform in _transforms_to_try(target, config)
    ]
    answers = [space.back(space.out_of_fold) for space in spaces]
    losses = [unexplained(answer, target, decide_by) for answer in answers]
    shares = soft_shares(losses, config.softness, LEAST_SHARE, _priors(spaces, target))
    kept = np.flatnonzero(shares)
    spaces, shares = [spaces[i] for i in kept], shares[kept]
    network = fold_network(parts, projections, spaces, shares, config.gammas)
    network = reduce_centres(network, config.most_parameters)
    return FittedStack(
        network,
        np.tensordot(shares, np.stack([answers[i] for i in kept]), 1),
        spaces[int(shares.argmax())].transform,
        _in_words(variants, spaces, shares, network.parameters),
    )


def _priors(spaces: Sequence[Space], target: Floats) -> list[float]:
    return [1.0 if space.transform == "none" else share_of_logarithms(target) for space in spaces]


def _blocks(
    wavelengths_nm: Floats, rows: int, own: Preprocessing | None, config: Config
) -> tuple[Blocks, Sequence[Candidate]]:
    """Give the blocks, and what each of them is: those that were asked for, or the usual ones."""
    if own is None:
        variants = config.variants if rows <= MANY else config.variants_of_many
        return blocks_on(wavelengths_nm, variants, config.keep_nm), variants
    bands = sum(own.blocks.sizes)
    most = config.most_parameters // (min(config.components, rows - 1) + 2)
    if bands > most:
        raise TrainingDataError(
            f"recipe {own.name}: leaves {bands} bands, and a network of {config.most_parameters} parameters takes "
            f"{most} at most: keep fewer, as by keep_nm of savitzky_golay_derivative or a wider step_nm of resample"
        )
    return own.blocks, of_ones_own(own)


def _transforms_to_try(target: Floats, config: Config) -> tuple[Transform, ...]:
    worth_trying = transforms_for(target)
    return tuple(transform for transform in worth_trying if transform in config.transforms) or worth_trying[:1]


def fit_space(
    parts: Sequence[Floats],
    projections: Sequence[Projection],
    variants: Sequence[Scaled],
    target: Floats,
    transform: Transform,
    folds: InnerFolds,
    config: Config,
    decide_by: DecideBy = "both",
    soils: int | None = None,
) -> Space:
    """Fit and weigh all members on one transform of the target.

    Args:
        parts: for each block its features (n, bands).
        projections: for each block, learned from these.
        variants: for each block what it is.
        target: (n,) in its own unit.
        transform: of the target.
        folds: to choose and weigh by.
        config: of the model.
        decide_by: what the answers are for.
        soils: of which the rows are; None if each row is one.
    """
    z = forward(target, transform)
    mean, deviation = float(z.mean()), float(z.std())
    standard = (z - mean) / deviation
    kernels: list[tuple[KernelMember, ...]] = []
    linears: list[LinearMember] = []
    for part, projection, variant in zip(parts, projections, variants, strict=True):
        scores = projection.scores(part)
        kernels.append(
            tuple(
                kernel_member(
                    scores * factor,
                    p,
                    standard,
                    folds,
                    settings=config.settings,
                    epsilon=config.epsilon,
                    averaged=config.averaged,
                )
                for p, factor in enumerate(projection.factors)
            )
        )
        linears.append(
            linear_member(
                part,
                variant.autoscale,
                standard,
                folds,
                most_components=config.most_components,
                averaged=config.averaged,
            )
        )
    powers = len(config.powers)
    prior = np.full((len(parts), powers + 1), (1.0 - config.linear_share) / (len(parts) * powers))
    prior[:, powers] = config.linear_share / len(parts)
    predicted = np.stack(
        [
            said
            for of_block, line in zip(kernels, linears, strict=True)
            for said in (*(member.out_of_fold for member in of_block), line.out_of_fold)
        ]
    )
    weights = stack_weights(predicted, standard, prior.ravel(), config.prior_rows / (soils or target.size))
    out_of_fold = np.tensordot(weights, predicted, 1) * deviation + mean
    return Space(
        transform,
        mean,
        deviation,
        tuple(kernels),
        tuple(linears),
        weights.reshape(prior.shape),
        out_of_fold,
        BackTransformation.learn(transform, target, out_of_fold, decide_by),
    )


def fold_network(
    parts: Sequence[Floats],
    projections: Sequence[Projection],
    spaces: Sequence[Space],
    shares: Floats,
    gammas: tuple[float, ...],
) -> RadialNetwork:
    """Put all members into one network; nothing is lost, as sums of kernels on the same centres are such a sum."""
    bias = np.array([space.mean for space in spaces])
    branches = []
    for v, (part, projection) in enumerate(zip(parts, projections, strict=True)):
        kernel_weights = np.zeros((len(projection.factors), len(gammas), len(part), len(spaces)))
        linear_weights = np.zeros((part.shape[1], len(spaces)))
        for t, space in enumerate(spaces):
            for member, weight in zip(space.kernels[v], space.weights[v] * space.deviation, strict=False):
                share = weight / len(member.models)
                for g, model in zip(member.gammas, member.models, strict=True):
                    kernel_weights[member.power, g, model.support_, t] += share * model.dual_coef_[0]
                    bias[t] += share * float(model.intercept_[0])
            line, weight = space.linears[v], space.weights[v, -1] * space.deviation
            linear_weights[:, t] = weight * line.weights
            bias[t] += weight * line.intercept
        branches.append(drop_idle_centres(Branch(projection, projection.scores(part), kernel_weights, linear_weights)))
    return RadialNetwork(tuple(branches), gammas, bias, tuple(space.back for space in spaces), shares)


def _in_words(variants: Sequence[Scaled], spaces: Sequence[Space], shares: Floats, parameters: int) -> str:
    kinds: dict[str, float] = defaultdict(float)
    for space, share in zip(spaces, shares, strict=True):
        kinds["support vectors"] += share * space.weights[:, :-1].sum()
        kinds["PLSR"] += share * space.weights[:, -1].sum()
    of_blocks = sum(share * space.weights.sum(axis=1) for space, share in zip(spaces, shares, strict=True))
    blocks = {str(variant): float(weight) for variant, weight in zip(variants, np.asarray(of_blocks), strict=True)}
    transforms = {space.transform: float(share) for space, share in zip(spaces, shares, strict=True)}
    lists = (", ".join(f"{name} {share:.0%}" for name, share in part.items()) for part in (kinds, blocks))
    mixed = " and ".join(f"{name} {share:.0%}" if len(transforms) > 1 else name for name, share in transforms.items())
    return "; ".join((*lists, f"target's transform {mixed}", f"{parameters} parameters"))
