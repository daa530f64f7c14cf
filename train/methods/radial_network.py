"""The network that a mean of support vector and PLS regressions is: one hidden layer of radial units, and a shortcut.

Reduced sets follow Schölkopf et al. 1999, IEEE Transactions on Neural Networks 10(5):1000.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...converters.models.rbf_network import GATE, WET
from ...converters.spectra.spectrum import Floats
from .common import BackTransformation
from .gate import Gate
from .kernel_members import Projection
from .regressions import square_distances

PIVOT_GAMMA = 0.4
"""Width of the kernel by which centres are chosen: narrow enough to tell neighbours apart."""
JITTER = 1e-9


@dataclass(frozen=True, eq=False)
class Branch:
    """What the network makes of one block.

    Attributes:
        projection: from (bands,) to (components,).
        centres: (centres, components) as scores.
        kernel_weights: (powers, gammas, centres, transforms).
        linear_weights: (bands, transforms).
    """

    projection: Projection
    centres: Floats
    kernel_weights: Floats
    linear_weights: Floats

    @property
    def parameters(self) -> int:
        """Numbers that a device holds; the centres' squared norms are among them, one for each power."""
        p = self.projection
        held = p.weights, p.offset, p.factors, self.linear_weights
        return sum(array.size for array in held) + len(self.centres) * self.parameters_of_a_centre

    @property
    def parameters_of_a_centre(self) -> int:
        """Numbers that each centre costs: its place, its weights and its squared norms."""
        powers, gammas, _, transforms = self.kernel_weights.shape
        return self.centres.shape[1] + powers * (gammas * transforms + 1)

    def raw(self, spectra: Floats, gammas: tuple[float, ...]) -> Floats:
        """Give the (n, transforms) that this branch adds."""
        scores = self.projection.scores(spectra)
        out = spectra @ self.linear_weights
        for factor, weights in zip(self.projection.factors, self.kernel_weights, strict=True):
            distances = square_distances(scores * factor, self.centres * factor)
            for gamma, of_gamma in zip(gammas, weights, strict=True):
                out = out + np.exp(-gamma * distances) @ of_gamma
        return out


@dataclass(frozen=True, eq=False)
class RadialNetwork:
    """Branches that are added up, once for each transform, and the mean of the ways back to the target's unit.

    Attributes:
        branches: in the order of the blocks.
        gammas: of the units exp(-gamma d2).
        bias: (transforms,).
        backs: from each transform's space to the unit.
        shares: (transforms,) of each in the answer, 1 together.
    """

    branches: tuple[Branch, ...]
    gammas: tuple[float, ...]
    bias: Floats
    backs: tuple[BackTransformation, ...]
    shares: Floats

    @property
    def parameters(self) -> int:
        """Numbers that a device holds."""
        ends = 4 * len(self.backs)
        return sum(b.parameters for b in self.branches) + self.bias.size + self.shares.size + len(self.gammas) + ends

    def raw(self, features: Floats) -> Floats:
        """Give (n, transforms), each in its transform's space, for (n, features) of all blocks side by side."""
        sizes = [len(branch.linear_weights) for branch in self.branches]
        parts = np.split(features, np.cumsum(sizes)[:-1], axis=1)
        added = [branch.raw(part, self.gammas) for branch, part in zip(self.branches, parts, strict=True)]
        return np.asarray(self.bias + np.sum(added, axis=0))

    def predict(self, features: Floats) -> Floats:
        """Give (n,) in the target's unit, within the calibrated range."""
        raw = self.raw(features)
        answers = [share * back(raw[:, i]) for i, (share, back) in enumerate(zip(self.shares, self.backs, strict=True))]
        # The mean of numbers within a range may leave it by rounding.
        return np.asarray(np.clip(np.sum(answers, axis=0), self.backs[0].low, self.backs[0].high))

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Give the network as named arrays, of which those of a branch end in its number."""
        arrays: dict[str, NDArray[Any]] = {
            "gammas": np.array(self.gammas),
            "bias": self.bias,
            "shares": self.shares,
            "transforms": np.array([back.transform for back in self.backs]),
            "corrections": np.array([[back.first, back.second] for back in self.backs]),
            "range": np.array([self.backs[0].low, self.backs[0].high]),
        }
        for i, branch in enumerate(self.branches):
            arrays |= {
                f"projection_{i}": branch.projection.weights,
                f"offset_{i}": branch.projection.offset,
                f"factors_{i}": branch.projection.factors,
                f"centres_{i}": branch.centres,
                f"kernel_weights_{i}": branch.kernel_weights,
                f"linear_weights_{i}": branch.linear_weights,
            }
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> RadialNetwork:
        """Read what `to_arrays` gave.

        Raises:
            KeyError: an array is missing.
        """
        if GATE in arrays:
            own = {name: array for name, array in arrays.items() if name != GATE and not name.startswith(WET)}
            of_wet = {name.removeprefix(WET): array for name, array in arrays.items() if name.startswith(WET)}
            *weights, offset = arrays[GATE]
            return gated(cls.from_arrays(own), cls.from_arrays(of_wet), Gate(np.array(weights), float(offset)))
        low, high = (float(end) for end in arrays["range"])
        count = sum(name.startswith("centres_") for name in arrays)
        branches = tuple(
            Branch(
                Projection(arrays[f"projection_{i}"], arrays[f"offset_{i}"], arrays[f"factors_{i}"]),
                arrays[f"centres_{i}"],
                arrays[f"kernel_weights_{i}"],
                arrays[f"linear_weights_{i}"],
            )
            for i in range(count)
        )
        backs = tuple(
            BackTransformation(str(transform), low, high, float(first), float(second))  # type: ignore[arg-type]
            for transform, (first, second) in zip(arrays["transforms"], arrays["corrections"], strict=True)
        )
        gammas = tuple(float(gamma) for gamma in arrays["gammas"])
        return cls(branches, gammas, arrays["bias"], backs, arrays["shares"])


@dataclass(frozen=True, eq=False)
class GatedNetwork(RadialNetwork):
    """A network of dry soils, with another one that bears water; features of the second come behind its own.

    Attributes:
        wet: the second.
        gate: says by the first one's features how much the second counts.
    """

    wet: RadialNetwork
    gate: Gate

    @property
    def parameters(self) -> int:
        """Numbers that a device holds."""
        return super().parameters + self.wet.parameters + self.gate.weights.size + 1

    def predict(self, features: Floats) -> Floats:
        """Give (n,) in the target's unit, within the calibrated range."""
        own, of_wet = np.split(features, [self.gate.weights.size], axis=1)
        return self.gate.mixed(own, super().predict(own), self.wet.predict(of_wet))

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Give both networks and the gate as named arrays."""
        of_wet = {WET + name: array for name, array in self.wet.to_arrays().items()}
        return {**super().to_arrays(), **of_wet, GATE: np.append(self.gate.weights, self.gate.offset)}


def gated(dry: RadialNetwork, wet: RadialNetwork, gate: Gate) -> GatedNetwork:
    """Put two networks together."""
    return GatedNetwork(dry.branches, dry.gammas, dry.bias, dry.backs, dry.shares, wet, gate)


def drop_idle_centres(branch: Branch) -> Branch:
    """Leave out the centres that carry no weight: training rows that no machine took for a support vector."""
    used = np.abs(branch.kernel_weights).max(axis=(0, 1, 3)) > 0
    return replace(branch, centres=branch.centres[used], kernel_weights=branch.kernel_weights[:, :, used])


def reduce_centres(network: RadialNetwork, most_parameters: int) -> RadialNetwork:
    """Fit a network into a number of parameters by leaving out centres, of those branches that have the most.

    Those are kept from which the others are told best (pivoted Cholesky). The weights of the others are projected onto
    them in the norm of the kernel's own function space, so that the function changes little everywhere; least squares
    on the training scores would keep it there only.

    Raises:
        ValueError: the parameters do not even suffice for one centre.
    """
    if network.parameters <= most_parameters:
        return network
    for kept in range(max(len(branch.centres) for branch in network.branches) - 1, 0, -1):
        saved = sum(max(0, len(b.centres) - kept) * b.parameters_of_a_centre for b in network.branches)
        if network.parameters - saved <= most_parameters:
            break
    else:
        raise ValueError(f"{most_parameters} parameters are too few for a network of {len(network.branches)} blocks")
    branches = tuple(_reduced(branch, network.gammas, kept) for branch in network.branches)
    return replace(network, branches=branches)


def _reduced(branch: Branch, gammas: tuple[float, ...], kept: int) -> Branch:
    if len(branch.centres) <= kept:
        return branch
    chosen = _pivots(np.exp(-PIVOT_GAMMA * square_distances(branch.centres, branch.centres)), kept)
    weights = np.empty((*branch.kernel_weights.shape[:2], kept, branch.kernel_weights.shape[3]))
    for p, factor in enumerate(branch.projection.factors):
        distances = square_distances(branch.centres * factor, branch.centres * factor)
        for g, gamma in enumerate(gammas):
            kernel = np.exp(-gamma * distances)
            among = kernel[np.ix_(chosen, chosen)] + JITTER * np.eye(kept)
            weights[p, g] = np.linalg.solve(among, kernel[chosen] @ branch.kernel_weights[p, g])
    return replace(branch, centres=branch.centres[chosen], kernel_weights=weights)


def _pivots(kernel: Floats, kept: int) -> NDArray[np.intp]:
    """Choose rows by a pivoted Cholesky factorisation: each time the one that those before explain least."""
    left = np.diag(kernel).copy()
    factor = np.zeros((len(kernel), kept))
    chosen: list[int] = []
    for j in range(kept):
        pivot = int(np.argmax(left))
        chosen.append(pivot)
        column = kernel[:, pivot] - factor[:, :j] @ factor[pivot, :j]
        factor[:, j] = column / np.sqrt(max(left[pivot], 1e-12))
        left = left - factor[:, j] ** 2
        left[chosen] = -1.0
    return np.array(chosen, dtype=np.intp)
