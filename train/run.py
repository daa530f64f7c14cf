"""The run directory: what `stibium train` leaves behind and `stibium export` takes up.

- run.json: settings, data, split, metrics, history, versions; hashes of the other two
- model.keras or model.npz: the network, as its method writes it
- arrays.npz: scaling, domain statistics, calibration rows, and spectra with their values to hold an export against
- predictions.csv and .parquet: answers for samples that had been left out, for people; nothing is read back from them
- report.html: for people; nothing is read back from it
- fits.jsonl, training.npz: how far an interrupted training had come
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import platform
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..converters.spectra.files import write_whole
from ..converters.spectra.spectrum import Floats, Spectrum
from ..edge.model.bundle import Bundle, from_record, to_record
from .errors import RunError
from .methods.registry import DEVICE_METHODS, FORMER_NAMES
from .predictions import of_training, write_predictions
from .run_folder import make_folder
from .training import Trained

FORMAT = "stibium run"
VERSION = 3
RUN, ARRAYS, PREDICTIONS, REPORT = "run.json", "arrays.npz", "predictions", "report.html"
FITS, CHECKPOINT = "fits.jsonl", "training.npz"
_MODELS = tuple(method.file_name for method in DEVICE_METHODS.values())
_BUNDLE_ONLY = ("quantisation", "golden", "provenance", "replicates")
"""What a bundle says and a run does not, or by another name."""
_UNFINISHED = frozenset({FITS, CHECKPOINT})
_TABLES = (f"{PREDICTIONS}.csv", f"{PREDICTIONS}.parquet")
_OURS = frozenset({RUN, ARRAYS, *_TABLES, REPORT, *_MODELS}) | _UNFINISHED


@dataclass(frozen=True, eq=False)
class TrainingRun:
    """A run directory, read and verified.

    Attributes:
        folder: where it lies.
        record: run.json.
        bundle: what is to be exported, without a network.
        calibration_features: (n, ...) scaled training rows, float32.
        held_out: spectra to hold an export against, as float32: those of validation, or of the calibration where all
            samples were trained on.
        held_out_measured: (rows,) in the unit.
        out_of_fold, out_of_fold_measured: see `training.Trained`.
    """

    folder: Path
    record: dict[str, Any]
    bundle: Bundle
    calibration_features: NDArray[np.float32]
    held_out: tuple[Spectrum, ...]
    held_out_measured: Floats
    out_of_fold: Floats
    out_of_fold_measured: Floats

    @property
    def method(self) -> str:
        """Its name in the registry."""
        name = str(self.record["method"])
        return FORMER_NAMES.get(name, name)

    @property
    def model_path(self) -> Path:
        """The network's file."""
        return self.folder / str(self.record["model"])

    @property
    def validated(self) -> bool:
        """True if `held_out` was not trained on."""
        return bool(self.record["split"]["validation"])


def check_run_folder(folder: str | os.PathLike[str], force: bool) -> None:
    """Make a folder for a run, before hours of training are spent on it.

    What an interrupted training left there stays, to be gone on with; with `force` it goes.

    Raises:
        RunError: it holds files, and `force` is not set or they are no run of ours; or it cannot be made.
    """
    path = make_folder(folder, _OURS, _UNFINISHED, force)
    if force:
        for name in _UNFINISHED:
            (path / name).unlink(missing_ok=True)


def remove_if_empty(out: str) -> None:
    """Remove the folder of a training that was refused before it began."""
    with suppress(OSError):
        os.rmdir(out)


def save_run(folder: str | os.PathLike[str], trained: Trained) -> dict[str, Any]:
    """Write a run; run.json comes last, so a directory that has it is whole.

    Returns:
        The content of run.json.
    """
    path = Path(folder)
    for name in (RUN, REPORT, *_TABLES, *_MODELS):
        (path / name).unlink(missing_ok=True)
    model = trained.method.file_name
    trained.model.save(path / model)
    packed = io.BytesIO()
    np.savez_compressed(packed, **_arrays(trained))
    (path / ARRAYS).write_bytes(packed.getvalue())
    write_predictions(path / PREDICTIONS, of_training(trained), trained.samples.element, trained.samples.unit)
    record = _record(trained) | {
        "files": {name: hashlib.sha256((path / name).read_bytes()).hexdigest() for name in (model, ARRAYS)}
    }
    write_whole(path / RUN, (json.dumps(record, indent=1, ensure_ascii=False) + "\n").encode())
    for name in _UNFINISHED:
        (path / name).unlink(missing_ok=True)
    return record


def _record(trained: Trained) -> dict[str, Any]:
    samples, as_bounds = trained.samples, trained.censored_trained_on
    said = to_record(trained.bundle)[0]
    return {
        "format": FORMAT,
        "version": VERSION,
        **{name: value for name, value in said.items() if name not in _BUNDLE_ONLY},
        "replicate_scatter": said["replicates"],
        "method": trained.method.key,
        "model": trained.method.file_name,
        "parameters": trained.model.parameters,
        "training": trained.record,
        "data": {
            "sha256": samples.sha256,
            "spectra": len(samples.spectra),
            "samples": len(samples.target),
            "refused": len(samples.refused) + len(trained.refused),
            "without_assay": len(samples.without_assay),
            "without_spectra": len(samples.without_spectra),
            "censored": list(samples.censored),
            "bounds_sha256": samples.sha256_of_bounds(trained.censored_trained_on)
            if trained.censored_trained_on
            else None,
            "excluded": list(samples.excluded),
        },
        # By name here and not in `data`, which goes into bundles: files' paths are nobody else's business.
        "left_out": {
            "limit": samples.limit,
            "refused": [f"{r.source}: {r.reason}" for r in (*samples.refused, *trained.refused)],
            "without_assay": list(samples.without_assay),
            "without_spectra": list(samples.without_spectra),
        },
        "metrics": {name: metrics.to_dict() for name, metrics in trained.metrics.items()},
        "comparison": _comparison(trained),
        "by_condition": [asdict(score) for score in trained.by_condition],
        "bounds": asdict(trained.censored) if trained.censored else None,
        "weights_sha256": trained.model.weights_sha256(),
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("stibium", "tensorflow", "keras", "numpy", "scikit-learn")},
        },
        "split": {
            "training": list(trained.training),
            "training_bounds": list(as_bounds),
            "validation": list(trained.validation),
        },
    }


def _comparison(trained: Trained) -> dict[str, Any]:
    figures = {
        score.method: {name: {"mean": s.mean, "sd": s.sd} for name, s in score.metrics.items()}
        for score in trained.comparison.scores
    }
    return {"folds": trained.comparison.folds, "methods": figures}


def _arrays(trained: Trained) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {
        **to_record(trained.bundle)[1],
        "calibration_features": trained.calibration_features,
        "unseen_predicted": trained.out_of_fold,
        "unseen_measured": trained.out_of_fold_measured,
        "held_out_measured": trained.held_out_measured,
        "held_out_predicted": trained.held_out_predicted,
        "held_out_sample": np.array([s.sample_id for s in trained.held_out]),
        "held_out_simulated": np.array([s.simulated for s in trained.held_out]),
    }
    grids: dict[tuple[bytes, tuple[float, ...], str], list[int]] = {}
    for i, s in enumerate(trained.held_out):
        grids.setdefault((s.wavelengths_nm.tobytes(), s.splices_nm, s.quantity), []).append(i)
    for g, ((nm, splices_nm, quantity), members) in enumerate(grids.items()):
        arrays |= {
            f"grid{g}_rows": np.array(members),
            f"grid{g}_wavelengths_nm": np.frombuffer(nm),
            f"grid{g}_splices_nm": np.array(splices_nm, dtype=np.float64),
            f"grid{g}_quantity": np.array(quantity),
            f"grid{g}_values": np.stack([trained.held_out[i].values for i in members]).astype(np.float32),
        }
    return arrays


def load_run(folder: str | os.PathLike[str]) -> TrainingRun:
    """Read a run directory and verify its hashes.

    Raises:
        RunError: it is none, incomplete, damaged, or of a version this program does not know.
    """
    path = Path(folder)
    try:
        record = json.loads((path / RUN).read_text(encoding="utf-8"))
        if not isinstance(record, dict) or record.get("format") != FORMAT:
            raise RunError(f"{path / RUN}: was not written by stibium train")
        if record["version"] != VERSION:
            raise RunError(f"{path}: run version {record['version']}; this program reads {VERSION}: train again")
        contents = {name: (path / name).read_bytes() for name in (str(record["model"]), ARRAYS)}
        for name, content in contents.items():
            if hashlib.sha256(content).hexdigest() != record["files"][name]:
                raise RunError(f"{path / name}: is not what run.json says; train again")
        with np.load(io.BytesIO(contents[ARRAYS]), allow_pickle=False) as stored:
            arrays = dict(stored)
        return _run(path, record, arrays)
    except FileNotFoundError as error:
        missing = Path(error.filename or path).name
        raise RunError(f"{path}: no run directory ({missing} is missing); make one with stibium train") from error
    except OSError as error:
        raise RunError(f"{path}: cannot be read: {error.strerror}") from error
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, RunError):
            raise
        raise RunError(f"{path}: is not as stibium train writes it ({error!r}); train again") from error


def _run(path: Path, record: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> TrainingRun:
    beside = {"replicates": record["replicate_scatter"], "quantisation": "", "golden": None, "provenance": {}}
    kept = ("scaling_", "domain_", "error_model_", "moisture_")
    of_bundle = {name: array for name, array in arrays.items() if name.startswith(kept)}
    return TrainingRun(
        folder=path,
        record=record,
        bundle=from_record(record | beside, of_bundle),
        calibration_features=arrays["calibration_features"],
        held_out=_held_out(arrays),
        held_out_measured=arrays["held_out_measured"],
        out_of_fold=arrays["unseen_predicted"],
        out_of_fold_measured=arrays["unseen_measured"],
    )


def _held_out(arrays: dict[str, NDArray[Any]]) -> tuple[Spectrum, ...]:
    names, simulated = arrays["held_out_sample"], arrays["held_out_simulated"]
    spectra: dict[int, Spectrum] = {}
    g = 0
    while f"grid{g}_rows" in arrays:
        for row, values in zip(arrays[f"grid{g}_rows"], arrays[f"grid{g}_values"], strict=True):
            spectra[int(row)] = Spectrum(
                wavelengths_nm=arrays[f"grid{g}_wavelengths_nm"],
                values=values,
                quantity=str(arrays[f"grid{g}_quantity"]),  # type: ignore[arg-type]
                sample_id=str(names[row]),
                source=f"sample {names[row]}",
                splices_nm=tuple(arrays[f"grid{g}_splices_nm"].tolist()),
                simulated=bool(simulated[row]),
            )
        g += 1
    return tuple(spectra[i] for i in sorted(spectra))
