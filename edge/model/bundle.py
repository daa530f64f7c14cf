"""One file per model: a `.tflite` that any interpreter loads, with a ZIP appended that holds what an answer depends on.

The flatbuffer comes first, so an interpreter sees a model; `zipfile` finds its directory at the end of the file. The
ZIP and its hashes are those of `container`.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from ...converters.spectra.files import write_whole
from ...converters.spectra.spectrum import Floats, Spectrum
from ..errors import BundleError, RecipeError
from .applicability import ApplicabilityDomain, Space
from .conditions import Conditions, conditions_from_dict, conditions_to_dict
from .container import SPECTRA, pack, pins, read, require_known, unpack
from .correction import NO_CORRECTION, Correction, fits_grid, pack_correction, unpack_correction
from .error_model import SECTION as ERROR_MODEL
from .error_model import ErrorModel, pack_error_model, unpack_error_model
from .golden_grid import pack_grid, unpack_grid
from .interval import IntervalStats
from .lineage import UNKNOWN_LINEAGE, Lineage, pack_lineage, unpack_lineage
from .recipe import Blocks, Recipe, preprocessing_from_dict
from .recipe_arrays import PREFIX, arrays_apart, arrays_back
from .replicates import ReplicateStats
from .scaling import Scaling
from .sense import require_sense
from .stability import UNKNOWN_LIMITS, StabilityLimits
from .target import DetectionLevels, DetectionStats, Transform

FORMAT = SPECTRA
VERSION = 3
READABLE = (1, 2, 3)
SECTIONS = ("stability", "conditions", "correction", "lineage", ERROR_MODEL)
"""What a bundle may have or not, from version 3 on. Answers depend on each: one that is not known here is refused."""
MODEL_ENVIRONMENT_VARIABLE = "STIBIUM_MODEL"


@dataclass(frozen=True, eq=False)
class Golden:
    """Spectra whose answers are known, to tell whether a device computes what training computed.

    Attributes:
        wavelengths_nm: (bands,).
        reflectance: (k, bands).
        splices_nm: detector joins of these spectra.
        expected: (k,) answers in the element's unit, as the exported model gave them.
        tolerance: largest relative difference that is still the same answer.
        runtime: which runtime gave `expected`.
    """

    wavelengths_nm: Floats
    reflectance: Floats
    splices_nm: tuple[float, ...]
    expected: Floats
    tolerance: float
    runtime: str

    def spectra(self) -> list[Spectrum]:
        """Give them as what is estimated, named "golden 1", ..."""
        names = [f"golden {i + 1}" for i in range(len(self.reflectance))]
        return [
            Spectrum(self.wavelengths_nm, values, "reflectance", name, source=name, splices_nm=self.splices_nm)
            for name, values in zip(names, self.reflectance, strict=True)
        ]


@dataclass(frozen=True, eq=False)
class Bundle:
    """A model and all that its answers depend on.

    Attributes:
        model: the `.tflite` flatbuffer.
        element, unit: such as Sb, ppm.
        recipe: preprocessing, ending in what the network takes; several recipes side by side as `Blocks`.
        scaling: of the features.
        transform: the space the network answers in.
        calibrated_range: lowest and highest value in the calibration, in `unit`; answers are kept within.
        quantisation: int8, int16x8, dynamic, float16 or float32.
        simulated: True if the calibration spectra are simulated.
        interval, domain, replicates, golden: see there; None where the training side gave none.
        error_model: how far answers near zero are off, with critical level and detection limit; older bundles have
            `detection` in its place, or neither.
        stability: noise and steps that the model can bear.
        correction: what is done to spectra and outputs for another site or instrument.
        lineage: what the model was made for, and what was done to it since.
        conditions: of the ground that it was calibrated for; None where nobody has found out.
        provenance: data hashes, versions, seed, metrics, as JSON values.
        sha256: of the whole file; "" before it is written.
        path: where it was read from.
    """

    model: bytes
    element: str
    unit: str
    recipe: Recipe | Blocks
    scaling: Scaling
    transform: Transform
    calibrated_range: tuple[float, float]
    quantisation: str
    simulated: bool
    interval: IntervalStats | None = None
    domain: ApplicabilityDomain | None = None
    detection: DetectionStats | None = None
    replicates: ReplicateStats | None = None
    golden: Golden | None = None
    stability: StabilityLimits = UNKNOWN_LIMITS
    correction: Correction = NO_CORRECTION
    lineage: Lineage = UNKNOWN_LINEAGE
    conditions: Conditions | None = None
    error_model: ErrorModel | None = None
    provenance: dict[str, Any] = field(default_factory=dict)
    sha256: str = ""
    path: str = ""

    @property
    def name(self) -> str:
        """File name, for people."""
        return Path(self.path).name if self.path else f"{self.element} model"

    @property
    def levels(self) -> DetectionLevels:
        """What "not detected" goes by."""
        lowest = self.calibrated_range[0]
        if self.error_model is not None:
            found = self.error_model
            return DetectionLevels(found.critical, found.limit, max(found.blank or 0.0, lowest))
        if self.detection is not None:
            return DetectionLevels(self.detection.critical, self.detection.limit, lowest)
        return DetectionLevels(None, None, lowest)

    @property
    def heading(self) -> str:
        """What stands above every way of measuring: which model it is, and what is known of it."""
        line = f"Model {self.name}, SHA-256 {self.sha256[:16]}, unsigned."
        return f"{line} Calibrated on SIMULATED soils: it says nothing about real ground." if self.simulated else line

    @property
    def is_known(self) -> bool:
        """True if it came with this package, or this device's owner has pinned it."""
        return self.path == os.fspath(SHIPPED_BUNDLE) or self.sha256 in pins()


_ALWAYS = (
    *("format", "version", "model", "arrays_sha256", "element", "unit", "simulated", "quantisation", "transform"),
    *("calibrated_range", "recipe", "interval", "domain", "detection", "replicates", "golden", "provenance"),
)
SHIPPED_BUNDLE = Path(__file__).parents[1] / "shipped" / "sb_simulated.tflite"


def shipped_bundle_path() -> Path:
    """Path of the bundle that comes with the package, or of the one `STIBIUM_MODEL` names.

    Raises:
        BundleError: it names several, where one is wanted.
    """
    first, *more = bundle_paths()
    if more:
        raise BundleError(f"{MODEL_ENVIRONMENT_VARIABLE} names {1 + len(more)} models; name the one that is meant")
    return first


def bundle_paths(named: Sequence[str | os.PathLike[str]] = ()) -> list[Path]:
    """Give the bundles that are named, or those of `STIBIUM_MODEL`, or the one that comes with the package.

    Args:
        named: files, folders of `.tflite` files, or lists of them separated by ":".

    Raises:
        BundleError: a folder without a model.
    """
    variable = os.environ.get(MODEL_ENVIRONMENT_VARIABLE)
    texts = [os.fspath(one) for one in named] or ([variable] if variable else [])
    paths = []
    for text in texts:
        # A name with a colon in it that is there is a name.
        for part in [text] if os.path.exists(text) else filter(None, text.split(":")):
            path = Path(part)
            if not path.is_dir():
                paths.append(path)
            elif found := sorted(one for one in path.glob("*.tflite") if not one.name.startswith(".")):
                paths += found
            else:
                raise BundleError(f"{path}: no model in this folder; a model is a .tflite file")
    return paths or [SHIPPED_BUNDLE]


def write_bundle(path: str | os.PathLike[str], bundle: Bundle) -> str:
    """Write a bundle, whole or not at all; the same bundle always gives the same bytes.

    Returns:
        SHA-256 of the file.

    Raises:
        OSError: it cannot be written; nothing is left behind.
    """
    content = pack_bundle(bundle)
    write_whole(path, content)
    return hashlib.sha256(content).hexdigest()


def to_record(bundle: Bundle) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Give what a bundle says beside network, golden answers and provenance, as JSON values and as named arrays."""
    arrays: dict[str, NDArray[Any]] = {
        "scaling_offset": bundle.scaling.offset,
        "scaling_scale": bundle.scaling.scale,
    }
    recipe, of_recipe = arrays_apart(bundle.recipe.to_dict())
    arrays |= of_recipe
    manifest: dict[str, Any] = {
        "element": bundle.element,
        "unit": bundle.unit,
        "simulated": bundle.simulated,
        "quantisation": bundle.quantisation,
        "transform": bundle.transform,
        "calibrated_range": list(bundle.calibrated_range),
        "recipe": recipe,
        "interval": bundle.interval._asdict() if bundle.interval else None,
        "domain": None,
        "detection": bundle.detection._asdict() if bundle.detection else None,
        "replicates": bundle.replicates._asdict() if bundle.replicates else None,
        "golden": None,
        "provenance": bundle.provenance,
    }
    if bundle.stability != UNKNOWN_LIMITS:
        manifest["stability"] = bundle.stability._asdict()
    if not bundle.correction.is_none:
        manifest["correction"], correction_arrays = pack_correction(bundle.correction)
        arrays |= correction_arrays
    if bundle.lineage != UNKNOWN_LINEAGE:
        manifest["lineage"] = pack_lineage(bundle.lineage)
    if bundle.conditions is not None:
        manifest["conditions"] = conditions_to_dict(bundle.conditions)
    if bundle.error_model is not None:
        manifest[ERROR_MODEL], error_arrays = pack_error_model(bundle.error_model)
        arrays |= error_arrays
    if bundle.domain is not None:
        manifest["domain"], domain_arrays = pack_domain(bundle.domain)
        arrays |= domain_arrays
    return manifest, arrays


def pack_bundle(bundle: Bundle) -> bytes:
    """Give the bytes of a bundle file."""
    manifest, arrays = to_record(bundle)
    if (golden := bundle.golden) is not None:
        manifest["golden"] = {
            "splices_nm": list(golden.splices_nm),
            "tolerance": golden.tolerance,
            "runtime": golden.runtime,
        }
        arrays |= {
            **pack_grid(golden.wavelengths_nm),
            "golden_reflectance": golden.reflectance,
            "golden_expected": golden.expected,
        }
    # Answers are kept in full; what only feeds a float32 model is kept as float32, or less where that is all of it.
    return pack(FORMAT, VERSION, manifest, {k: _compact(k, v) for k, v in arrays.items()}, bundle.model)


def read_bundle(path: str | os.PathLike[str]) -> Bundle:
    """Read a bundle and verify every hash in it.

    Raises:
        BundleError: no such file, no bundle, damaged, or of a version this program does not know.
    """
    return read(str(path), unpack_bundle)


def unpack_bundle(content: bytes, path: str = "") -> Bundle:
    """Take a bundle file's bytes apart; see `read_bundle`."""

    def build(manifest: dict[str, Any], arrays: dict[str, NDArray[Any]], model: bytes, sha256: str) -> Bundle:
        require_known(manifest, _ALWAYS, SECTIONS)
        try:
            bundle = from_record(manifest, arrays, model, sha256, path)
        except RecipeError as error:
            raise BundleError(f"its preprocessing cannot be done by this program: {error}") from error
        require_sense(manifest, arrays, bundle.interval, bundle.domain)
        if bundle.recipe.wavelengths_nm.size < 2:
            raise BundleError("its preprocessing leaves no bands; export it again")
        if not fits_grid(bundle.correction, bundle.recipe.grid_nm):
            raise BundleError("its correction of spectra is for other bands than its preprocessing; adapt it again")
        return bundle

    return unpack(FORMAT, READABLE, content, build)


def from_record(
    manifest: Mapping[str, Any], arrays: Mapping[str, Any], model: bytes = b"", sha256: str = "", path: str = ""
) -> Bundle:
    """Read what `to_record` gave, through JSON; KeyError, TypeError or ValueError where it is something else."""
    a = {k: np.asarray(v, dtype=np.float64) for k, v in arrays.items()}
    domain, golden = manifest["domain"], manifest["golden"]
    low, high = manifest["calibrated_range"]
    if manifest["transform"] not in get_args(Transform):
        raise BundleError(
            f"target transform {manifest['transform']!r} is unknown to this program; update stibium or export again"
        )
    # Version 1 had neither.
    detection, replicates = manifest.get("detection"), manifest.get("replicates")
    return Bundle(
        model=model,
        element=manifest["element"],
        unit=manifest["unit"],
        recipe=preprocessing_from_dict(arrays_back(manifest["recipe"], arrays)),
        scaling=Scaling(offset=a["scaling_offset"], scale=a["scaling_scale"]),
        transform=manifest["transform"],
        calibrated_range=(low + 0.0, high + 0.0),  # which texts are not taken for
        quantisation=manifest["quantisation"],
        simulated=manifest["simulated"],
        interval=unpack_interval(manifest["interval"]) if manifest["interval"] else None,
        domain=unpack_domain(domain, a) if domain else None,
        detection=DetectionStats(**detection) if detection else None,
        replicates=ReplicateStats(**replicates) if replicates else None,
        golden=Golden(
            wavelengths_nm=unpack_grid(a),
            reflectance=a["golden_reflectance"],
            expected=a["golden_expected"],
            splices_nm=tuple(golden["splices_nm"]),
            tolerance=golden["tolerance"],
            runtime=golden["runtime"],
        )
        if golden
        else None,
        stability=StabilityLimits(**(manifest.get("stability") or {})),
        correction=unpack_correction(manifest["correction"], a) if manifest.get("correction") else NO_CORRECTION,
        lineage=unpack_lineage(manifest["lineage"]) if manifest.get("lineage") else UNKNOWN_LINEAGE,
        conditions=conditions_from_dict(manifest["conditions"]) if manifest.get("conditions") else None,
        error_model=unpack_error_model(manifest[ERROR_MODEL], a) if manifest.get(ERROR_MODEL) else None,
        provenance=manifest["provenance"],
        sha256=sha256,
        path=path,
    )


def pack_domain(domain: ApplicabilityDomain) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Give a domain's statistics as JSON values and as named arrays."""
    values = {name: value for name, value in vars(domain).items() if not isinstance(value, np.ndarray)}
    arrays = {f"domain_{name}": value for name, value in vars(domain).items() if isinstance(value, np.ndarray)}
    values.pop("residual_scale", None)
    return values, arrays


def unpack_domain(values: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> ApplicabilityDomain:
    """Read what `pack_domain` gave; what a bundle of version 1 lacks has its default."""
    known: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}
    if known.get("space", "preprocessed") not in get_args(Space):
        raise BundleError(f"its domain is described by {known['space']!r}, which this program does not know")
    for name in ("mean", "loadings", "score_variance", "residual_scale"):
        if f"domain_{name}" in arrays:
            known[name] = np.asarray(arrays[f"domain_{name}"], dtype=np.float64)
    return ApplicabilityDomain(**known)


def unpack_interval(values: Mapping[str, Any]) -> IntervalStats:
    """Read `IntervalStats._asdict`, through JSON."""
    known: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}
    return IntervalStats(**known)


def _compact(name: str, array: NDArray[Any]) -> NDArray[Any]:
    keep = np.float64 if name in ("golden_expected", "golden_grid", "golden_wavelengths_nm") else np.float32
    compact = np.asarray(array, dtype=keep)
    if name.startswith(PREFIX):
        with np.errstate(over="ignore"):
            half = compact.astype(np.float16)
        return half if np.array_equal(half, compact) else compact
    return compact
