"""One file for an ore-or-gangue model: a ZIP with a manifest and arrays, hashed as the spectra models' bundles are.

`stibium/manifest.json` has the hash of `stibium/arrays.npz`, the ZIP's comment that of the manifest: no byte that
matters to an answer can change unseen. docs/ore_device.md lists what is in it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...converters.spectra.files import write_whole
from ...converters.spectra.spectrum import Floats
from ..errors import BundleError
from ..model.container import ORE, is_of_kind, pack, read, require_known, unpack
from .columns import Columns, columns_from_dict
from .domain import OreDomain, domain_from_arrays, domain_to_arrays
from .model import OreModel, model_from_arrays, model_to_arrays
from .scenarios import Scenario

FORMAT = ORE
VERSION = 3
READABLE = (1, 2, 3)
SECTIONS = ("worth", "domain")
"""What a bundle may have or not. Answers depend on each: one that is not known here is refused."""
_ALWAYS = (
    *("format", "version", "arrays_sha256", "simulated", "columns", "scenario", "model", "threshold", "costs"),
    *("training", "golden", "provenance"),
)
ORE_MODEL_ENVIRONMENT_VARIABLE = "STIBIUM_ORE_MODEL"
SHIPPED = "ore_simulated.ore"
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True)
class Costs:
    """What a wrong call costs, in any one unit: an ore block that is thrown away, a gangue block that is hauled."""

    lost_ore: float
    hauled_gangue: float


@dataclass(frozen=True)
class Worth:
    """What a model's calls cost on blocks that it had not seen, beside what there is without a model.

    Attributes:
        cost: mean cost of a block at the bundle's threshold.
        haul_all, haul_none: mean cost of a block if all are hauled, and if none is.
        called_ore, called_gangue: how many of these blocks were called so.
        calibration_error, by_chance: of the probabilities, and what it would be if they were true.
    """

    cost: float
    haul_all: float
    haul_none: float
    called_ore: int
    called_gangue: int
    calibration_error: float
    by_chance: float

    @property
    def nothing(self) -> str:
        """Say in one sentence that the model is worth nothing at these costs; "" if it is worth something."""
        cheaper, without = min((self.haul_all, "hauling everything"), (self.haul_none, "hauling nothing"))
        if self.cost >= cheaper:
            why = f"{without} costs {cheaper:.3f} a block, with the model it is {self.cost:.3f}"
        elif not self.called_gangue:
            why = "it calls nothing gangue, which is hauling everything"
        elif not self.called_ore:
            why = "it calls nothing ore, which is hauling nothing"
        else:
            return ""
        return f"worth nothing at these costs: {why}"


@dataclass(frozen=True, eq=False)
class Training:
    """What the training blocks were like.

    Attributes:
        blocks: how many.
        ore_share: share of ore among them.
        lowest, highest: (variables,) of the values that were known.
        quantiles: (variables, 5) at `QUANTILES`.
        most_missing: most variables that were missing in one block; an answer with more is none.
    """

    blocks: int
    ore_share: float
    lowest: Floats
    highest: Floats
    quantiles: Floats
    most_missing: int


@dataclass(frozen=True, eq=False)
class GoldenBlocks:
    """Blocks whose answers are known, to tell whether a device computes what training computed.

    Attributes:
        values: (k, variables), not-a-number where missing.
        expected: (k,) probabilities, as the library gave them.
        contributions: (k, variables) in the model's space, as this program gave them when the bundle was made.
        tolerance: largest difference that is still the same answer.
        runtime: which library gave `expected`.
    """

    values: Floats
    expected: Floats
    contributions: Floats
    tolerance: float
    runtime: str


@dataclass(frozen=True, eq=False)
class OreBundle:
    """A model and all that its answers depend on.

    Attributes:
        model: the classifier.
        columns: the model's variables, in its order, and how a table names them.
        scenario: which variables it was meant to have.
        threshold: probability from which a block is called ore.
        costs: what the threshold was chosen for.
        training: what the training blocks were like.
        golden: blocks with known answers.
        simulated: True if the training blocks are simulated.
        worth: what its calls cost on blocks it had not seen; None of a bundle of version 1.
        domain: which values belong together; None of bundles before version 3, and where there were too few blocks.
        provenance: data hashes, versions, seed, metrics, as JSON values.
        sha256: of the whole file; "" before it is written.
        path: where it was read from.
    """

    model: OreModel
    columns: Columns
    scenario: Scenario
    threshold: float
    costs: Costs
    training: Training
    golden: GoldenBlocks
    simulated: bool
    worth: Worth | None = None
    domain: OreDomain | None = None
    provenance: dict[str, Any] = field(default_factory=dict)
    sha256: str = ""
    path: str = ""

    @property
    def name(self) -> str:
        """File name, for people."""
        return Path(self.path).name if self.path else f"ore model {self.scenario.name}"


def default_ore_bundle_path() -> Path:
    """Path of the bundle that `STIBIUM_ORE_MODEL` names, or of the one that comes with the package.

    Raises:
        BundleError: neither is there.
    """
    named = os.environ.get(ORE_MODEL_ENVIRONMENT_VARIABLE)
    if named:
        return Path(named)
    shipped = Path(__file__).parents[1] / "shipped" / SHIPPED
    if not shipped.exists():
        raise BundleError(
            f"no ore model: name a bundle with --model or ${ORE_MODEL_ENVIRONMENT_VARIABLE}; "
            "`stibium ore train` and `stibium ore export` make one"
        )
    return shipped


def write_ore_bundle(path: str | os.PathLike[str], bundle: OreBundle) -> str:
    """Write a bundle, whole or not at all; the same bundle always gives the same bytes. Returns its SHA-256."""
    content = pack_ore_bundle(bundle)
    write_whole(path, content)
    return hashlib.sha256(content).hexdigest()


def pack_ore_bundle(bundle: OreBundle) -> bytes:
    """Give the bytes of a bundle file."""
    model, arrays = model_to_arrays(bundle.model)
    training, golden = bundle.training, bundle.golden
    arrays |= {
        "training_lowest": training.lowest,
        "training_highest": training.highest,
        "training_quantiles": training.quantiles,
        "golden_values": golden.values,
        "golden_expected": golden.expected,
        "golden_contributions": golden.contributions,
    }
    domain = None
    if bundle.domain is not None:
        domain, more = domain_to_arrays(bundle.domain)
        arrays |= more
    manifest = {
        "simulated": bundle.simulated,
        "columns": bundle.columns.to_dict(),
        "scenario": asdict(bundle.scenario),
        "model": model,
        "threshold": float(bundle.threshold),
        "costs": {name: float(cost) for name, cost in asdict(bundle.costs).items()},
        "training": {
            "blocks": training.blocks,
            "ore_share": training.ore_share,
            "most_missing": training.most_missing,
            "quantiles": list(QUANTILES),
        },
        "golden": {"tolerance": golden.tolerance, "runtime": golden.runtime},
        "worth": asdict(bundle.worth) if bundle.worth else None,
        "domain": domain,
        "provenance": bundle.provenance,
    }
    return pack(FORMAT, VERSION, manifest, arrays)


def is_ore_bundle(path: str | os.PathLike[str]) -> bool:
    """Say whether a file ends as an ore bundle does; False for one that cannot be read."""
    return is_of_kind(os.fspath(path), FORMAT)


def read_ore_bundle(path: str | os.PathLike[str]) -> OreBundle:
    """Read a bundle and verify every hash in it.

    Raises:
        BundleError: no such file, no ore bundle, damaged, or of a version this program does not know.
    """
    return read(str(path), unpack_ore_bundle)


def unpack_ore_bundle(content: bytes, path: str = "") -> OreBundle:
    """Take a bundle file's bytes apart; see `read_ore_bundle`."""

    def build(manifest: dict[str, Any], arrays: dict[str, NDArray[Any]], _: bytes, sha256: str) -> OreBundle:
        require_known(manifest, _ALWAYS, SECTIONS)
        return _bundle(manifest, arrays, sha256, path)

    return unpack(FORMAT, READABLE, content, build)


def _bundle(manifest: Mapping[str, Any], arrays: dict[str, Any], sha256: str, path: str) -> OreBundle:
    columns = columns_from_dict(manifest["columns"], "its columns")
    count = len(columns.variables)
    training, golden, scenario = manifest["training"], manifest["golden"], manifest["scenario"]
    a = {
        name: np.asarray(value, dtype=np.float64)
        for name, value in arrays.items()
        if name.startswith(("training_", "golden_"))
    }
    if a["training_lowest"].shape != (count,) or a["golden_values"].shape[1:] != (count,):
        raise ValueError("the statistics do not fit the variables")
    return OreBundle(
        model=model_from_arrays(manifest["model"], arrays, count),
        columns=columns,
        scenario=Scenario(scenario["name"], tuple(scenario["variables"]), scenario["title"]),
        threshold=float(manifest["threshold"]),
        costs=Costs(float(manifest["costs"]["lost_ore"]), float(manifest["costs"]["hauled_gangue"])),
        training=Training(
            blocks=int(training["blocks"]),
            ore_share=float(training["ore_share"]),
            lowest=a["training_lowest"],
            highest=a["training_highest"],
            quantiles=a["training_quantiles"],
            most_missing=int(training["most_missing"]),
        ),
        golden=GoldenBlocks(
            values=a["golden_values"],
            expected=a["golden_expected"],
            contributions=a["golden_contributions"],
            tolerance=float(golden["tolerance"]),
            runtime=golden["runtime"],
        ),
        simulated=bool(manifest["simulated"]),
        # Version 1 had none.
        worth=Worth(**manifest["worth"]) if manifest.get("worth") else None,
        domain=domain_from_arrays(manifest["domain"], arrays, columns.variables) if manifest.get("domain") else None,
        provenance=manifest["provenance"],
        sha256=sha256,
        path=path,
    )
