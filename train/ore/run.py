"""The run directory of `stibium ore train`: every model as a bundle, all figures as JSON, tables, the page.

- run.json: settings, data, scores of every cell, hashes of the bundles
- models/SCENARIO-MODEL.ore: each fitted model, converted and found equal to the library's answers
- tables/*.csv: what the report shows as tables
- report.html: for people; nothing is read back from it
"""

from __future__ import annotations

import csv
import json
import math
import os
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ...converters.models.ore import convert
from ...converters.spectra.files import write_whole
from ...converters.spectra.text import for_spreadsheet
from ...edge.cli.ore_calls import OreCalls
from ...edge.ore.bundle import Costs, OreBundle, Worth, read_ore_bundle, write_ore_bundle
from ...edge.ore.columns import Columns
from ...edge.ore.domain import OreDomain
from ...edge.ore.ground import answer_table
from ..errors import RunError
from .comparison import Cell, Comparison
from .data import OreData
from .folder import MODELS_FOLDER, REPORT, RUN, TABLES
from .scores import confusion
from .study import Beside
from .threshold import Threshold

FORMAT = "stibium ore run"
VERSION = 2
READABLE = (1, 2)
SUFFIX = ".ore"


@dataclass(frozen=True)
class OreRun:
    """A run directory as read back: `record` is run.json."""

    folder: Path
    record: dict[str, Any]


def bundle_name(scenario: str, model: str) -> str:
    """File of a model under the run directory."""
    return f"{MODELS_FOLDER}/{as_file_name(scenario)}-{model}{SUFFIX}"


def make_bundle(
    cell: Cell,
    comparison: Comparison,
    data: OreData,
    columns: Columns,
    costs: Costs,
    threshold: Threshold,
    worth: Worth,
    domain: OreDomain | None = None,
) -> OreBundle:
    """Convert a cell's final model; raises ConversionError or ParityError if the device would answer differently."""
    scenario = next(s for s in comparison.settings.scenarios if s.name == cell.scenario)
    training = data.take(comparison.split.training)
    return convert(
        cell.chosen.model,
        columns=columns.pick(scenario.variables),
        scenario=scenario,
        blocks=training.marked[:, data.columns_of(scenario.variables)],
        labels=training.ore.astype(int),
        threshold=threshold.value,
        costs=costs,
        simulated=data.simulated,
        worth=worth,
        domain=domain,
        provenance={
            "table_sha256": data.sha256,
            "seed": comparison.settings.seed,
            "model": cell.model,
            "parameters": cell.parameters,
            "calibration": cell.calibration,
            "folds": {"whole_holes": comparison.grouped, "count": comparison.settings.folds},
            "cross_validated": {name: plain(asdict(s)) for name, s in cell.cross_validated.items()},
            "test": plain(cell.test),
            "versions": versions(),
        },
    )


def save_bundles(folder: Path, bundles: dict[tuple[str, str], OreBundle]) -> dict[str, str]:
    """Write bundles in place of an earlier run's; returns file -> SHA-256."""
    for name in (RUN, REPORT):
        (folder / name).unlink(missing_ok=True)
    (folder / MODELS_FOLDER).mkdir(exist_ok=True)
    for old in (folder / MODELS_FOLDER).glob(f"*{SUFFIX}"):
        old.unlink()
    return {bundle_name(*key): write_ore_bundle(folder / bundle_name(*key), bundle) for key, bundle in bundles.items()}


def save_record(
    folder: Path,
    data: OreData,
    comparison: Comparison,
    thresholds: dict[tuple[str, str], Threshold],
    costs: Costs,
    files: dict[str, str],
    beside: Sequence[Beside],
    bundles: Mapping[tuple[str, str], OreBundle],
) -> dict[str, Any]:
    """Write run.json, which comes last, so that a directory that has it is whole. Returns its content."""
    settings = comparison.settings
    record = {
        "format": FORMAT,
        "version": VERSION,
        "simulated": data.simulated,
        "table": {
            "path": data.source,
            "sha256": data.sha256,
            "rows": len(data.ore),
            "ore_share": float(data.ore.mean()),
        },
        "settings": asdict(settings),
        "costs": asdict(costs),
        "split": {"training": len(comparison.split.training), "test": len(comparison.split.test)},
        "whole_holes_apart": comparison.grouped,
        "best": {s.name: comparison.best(s.name).model for s in settings.scenarios},
        "cells": [_cell_record(c, comparison, data, thresholds, bundles) for c in comparison.cells],
        "study": [asdict(b) for b in beside],
        "seconds": round(comparison.seconds, 1),
        "processor_seconds": round(comparison.processor_s, 1),
        "versions": versions(),
        "files": files,
    }
    write_whole(folder / RUN, (json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode())
    return record


def _cell_record(
    cell: Cell,
    comparison: Comparison,
    data: OreData,
    thresholds: dict[tuple[str, str], Threshold],
    bundles: Mapping[tuple[str, str], OreBundle],
) -> dict[str, Any]:
    ore = data.ore[comparison.split.test]
    lost, hauled, found, left = confusion(cell.test_probability, ore)
    record: dict[str, Any] = {
        "scenario": cell.scenario,
        "model": cell.model,
        "parameters": cell.parameters,
        "calibration": cell.calibration,
        "cross_validated": {name: plain(asdict(s)) for name, s in cell.cross_validated.items()},
        "folds": [plain(f) for f in cell.folds],
        "test": plain(cell.test),
        "test_spread": {name: plain(asdict(s)) for name, s in cell.test_spread.items()},
        "calibration_error": {"left_out": cell.unseen_error, "test": cell.test["ece"]},
        "calibration_error_by_chance": calibration_by_chance(cell),
        "confusion": {"ore_lost": lost, "gangue_hauled": hauled, "ore_found": found, "gangue_left": left},
        "seconds": round(cell.seconds, 2),
    }
    if cell.leakage is not None:
        record["leakage"] = {
            "by_hole": {name: plain(asdict(s)) for name, s in cell.leakage.by_hole.items()},
            "at_random": {name: plain(asdict(s)) for name, s in cell.leakage.at_random.items()},
            "difference": plain(cell.leakage.difference),
        }
    threshold = thresholds[cell.scenario, cell.model]
    record["threshold"] = {
        "value": threshold.value,
        "cost": threshold.cost,
        "cost_at_half": threshold.cost_at_half,
    }
    worth = bundles[cell.scenario, cell.model].worth
    record["worth"] = asdict(worth) | {"nothing": worth.nothing} if worth else None
    return record


def calibration_by_chance(cell: Cell) -> dict[str, float]:
    """Say what the calibration errors of left-out and of test blocks would be if the probabilities were true."""
    return {"left_out": cell.unseen_chance, "folds": cell.chance_error, "test": cell.test_chance_error}


def load_ore_run(folder: str | os.PathLike[str]) -> OreRun:
    """Read a run directory's record.

    Raises:
        RunError: it is none, incomplete, or of a version this program does not know.
    """
    path = Path(folder)
    try:
        record = json.loads((path / RUN).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RunError(f"{path}: no run directory ({RUN} is missing); make one with stibium ore train") from error
    except OSError as error:
        raise RunError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise RunError(f"{path / RUN}: is damaged ({error}); train again") from error
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise RunError(f"{path / RUN}: was not written by stibium ore train")
    if record.get("version") not in READABLE:
        raise RunError(f"{path}: run version {record.get('version')}; this program reads up to {VERSION}: train again")
    return OreRun(path, record)


def bundle_of_run(run: OreRun, scenario: str, model: str | None) -> tuple[Path, OreBundle]:
    """Find a run's bundle and verify it; without `model` the scenario's best.

    Raises:
        RunError: the run has no such scenario or model, or the file is not what run.json says.
        BundleError: the bundle cannot be read.
    """
    best = run.record["best"]
    if scenario not in best:
        raise RunError(f"{run.folder}: no scenario {scenario}; there are {', '.join(best)}")
    name = bundle_name(scenario, model or best[scenario])
    expected = run.record["files"].get(name)
    if expected is None:
        raise RunError(f"{run.folder}: no model {model}; there are {', '.join(run.record['settings']['models'])}")
    path = run.folder / name
    bundle = read_ore_bundle(path)
    if bundle.sha256 != expected:
        raise RunError(f"{path}: is not what run.json says; train again")
    return path, bundle


def write_unlabelled(folder: Path, data: OreData, comparison: Comparison) -> int:
    """Answer for the unlabelled rows, each scenario by its best model, in tables/unlabelled_SCENARIO.csv.

    Returns:
        How many rows there are.
    """
    if data.unlabelled is None:
        return 0
    for scenario in comparison.settings.scenarios:
        # As it was written, so that the answers name it.
        bundle = read_ore_bundle(folder / bundle_name(scenario.name, comparison.best(scenario.name).model))
        ((_, answers),) = answer_table(bundle, [data.unlabelled.pick(scenario.variables)])
        path = folder / TABLES / f"{as_file_name(f'unlabelled_{scenario.name}')}.csv"
        OreCalls("csv", bundle, explain=False).export(str(path), [(answers, ())], None)
    return len(data.unlabelled.ids)


def as_file_name(text: str) -> str:
    """Make a name for a file of any text."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", text)


def write_table(path: Path, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Write a CSV table."""
    path.parent.mkdir(exist_ok=True)
    with open(path, "w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(header)
        table.writerows([for_spreadsheet(cell) for cell in row] for row in rows)


def plain(values: dict[str, float]) -> dict[str, float | None]:
    """Put None where there is no number, as JSON has none for it."""
    return {name: value if math.isfinite(value) else None for name, value in values.items()}


def versions() -> dict[str, str]:
    """Say what a run was made with."""
    found = {"python": platform.python_version()}
    for name in ("stibium", "numpy", "scipy", "scikit-learn", "xgboost-cpu", "xgboost"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
