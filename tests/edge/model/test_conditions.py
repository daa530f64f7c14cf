"""Ground that a model is not for: wetter than its calibration, or said to be in a condition it does not know."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from stibium.converters.spectra.spectrum import Spectrum
from stibium.edge.cli.readings import remarks
from stibium.edge.engine import Engine
from stibium.edge.errors import BundleError
from stibium.edge.log.export import record_of_entry
from stibium.edge.log.read import ALL, iter_entries, open_for_reading
from stibium.edge.log.wide import wide_names, wide_row
from stibium.edge.log.write import Log
from stibium.edge.model.bundle import Bundle, pack_bundle, unpack_bundle
from stibium.edge.model.conditions import Conditions, Water, conditions_from_dict, conditions_to_dict, depths
from stibium.edge.model.estimate import Estimate, Estimator
from stibium.edge.model.replicates import mean_spectrum
from stibium.edge.record import as_rows
from stibium.edge.reprocess import redo


def wetted(spectrum: Spectrum, depth: float) -> Spectrum:
    """A spectrum with a band at 1930 nm that is deeper by so much absorbance."""
    band = depth * np.exp(-0.5 * ((spectrum.wavelengths_nm - 1930.0) / 35.0) ** 2)
    return replace(spectrum, values=spectrum.values * 10**-band)


def stats_of(soils: list[Spectrum], **counts: int) -> Conditions:
    water, _clay = depths(np.stack([s.values for s in soils]), soils[0].wavelengths_nm)
    line = Water(float(water.mean()), float(water.std()), float(water.mean()), 0.0, float(np.ptp(water)))
    return Conditions(counts or {"dry": len(soils)}, (), line, "test")


@pytest.fixture
def dry(shipped_bundle: Bundle, soils: list[Spectrum]) -> Bundle:
    return replace(shipped_bundle, conditions=stats_of(soils))


def answer(bundle: Bundle, spectrum: Spectrum) -> Estimate:
    (found,) = Estimator(bundle).estimate([spectrum])
    assert isinstance(found, Estimate)
    return found


def test_depths_are_those_of_the_bands(soils: list[Spectrum]) -> None:
    nm = soils[0].wavelengths_nm
    before, clay = depths(soils[0].values[None], nm)
    after, same = depths(wetted(soils[0], 0.2).values[None], nm)
    assert after - before == pytest.approx(0.2, abs=0.01)
    assert same == pytest.approx(clay, abs=1e-3)


def test_a_soil_wetter_than_the_calibration_is_refused_as_that(dry: Bundle, soils: list[Spectrum]) -> None:
    inside = answer(dry, soils[2])
    wet = answer(dry, wetted(soils[2], 0.3))
    assert inside.verdict == "inside"
    assert wet.verdict == "outside"
    assert wet.water_index is not None
    assert wet.reason == f"wetter than the calibration soils, by the water at 1930 nm (index {wet.water_index:.1f})"
    assert inside.water_index is not None
    assert wet.water_index > inside.water_index + 3


def test_said_ground_that_the_calibration_does_not_hold(dry: Bundle, soils: list[Spectrum]) -> None:
    assert answer(dry, replace(soils[2], condition="dry")).verdict == "inside"
    for condition in ("damp", "wet"):
        found = answer(dry, replace(soils[2], condition=condition))
        assert found.verdict == "outside"
        assert not found.trusted
        assert found.reason == f"calibrated for dry soils only, and this ground is said to be {condition}"


def test_said_ground_that_is_known_or_corrected_for(dry: Bundle, soils: list[Spectrum]) -> None:
    assert dry.conditions is not None
    damp = replace(soils[2], condition="damp")
    assayed = replace(dry, conditions=dry.conditions._replace(counts={"dry": 9, "damp": 9}))
    corrected = replace(dry, conditions=dry.conditions._replace(corrected=("damp",)))
    unsaid = replace(dry, conditions=dry.conditions._replace(counts={"": 9}))
    assert (answer(assayed, damp).verdict, answer(assayed, damp).flags) == ("inside", answer(dry, soils[2]).flags)
    assert "corrected for damp ground without assays of it" in answer(corrected, damp).flags
    assert answer(corrected, replace(damp, condition="wet")).reason.startswith("calibrated for dry and damp soils only")
    assert any("does not say whether its soils were dry" in flag for flag in answer(unsaid, damp).flags)


def test_a_bundle_without_the_section_says_nothing(shipped_bundle: Bundle, soils: list[Spectrum]) -> None:
    found = answer(replace(shipped_bundle, conditions=None), replace(soils[2], condition="wet"))
    assert (found.verdict, found.water_index) == ("inside", None)


def test_no_domain_and_ground_that_is_none(dry: Bundle, soils: list[Spectrum]) -> None:
    bare = replace(dry, domain=None)
    assert answer(bare, soils[2]).verdict == "unknown"
    assert answer(bare, replace(soils[2], condition="wet")).verdict == "outside"


def test_the_index_is_in_the_log(dry: Bundle, soils: list[Spectrum], tmp_path: Path) -> None:
    points = [replace(soils[2], measurement=str(i)) for i in range(3)]
    # Refused by a gate, it is as wet as ever.
    noisy = replace(soils[2], values=soils[2].values + np.where(np.arange(soils[2].values.size) % 2, 0.01, -0.01))
    with Log(tmp_path / "log.db") as log:
        kept = Engine(Estimator(dry), log).take([soils[2], mean_spectrum(points), noisy])
    with open_for_reading(tmp_path / "log.db") as db:
        stored = [entry.reading.water_index for entry in iter_entries(db) if entry.reading]
    assert kept[0].outcome.water_index == stored[0]  # type: ignore[union-attr]
    assert stored[1] == pytest.approx(stored[0])
    assert None not in stored


def test_a_model_that_knows_no_water_has_no_index_of_one_asked_together_with_it(
    dry: Bundle, soils: list[Spectrum], tmp_path: Path
) -> None:
    silent = replace(dry, conditions=None, sha256="ef" * 32)
    with Log(tmp_path / "log.db", "first.tflite", dry.sha256) as log:
        Engine(Estimator(dry), log, others=[Estimator(silent)]).take([soils[0]])
    with open_for_reading(tmp_path / "log.db") as db:
        (entry,) = iter_entries(db, every=True)
    record = record_of_entry(entry)
    assert record.water_index is not None
    assert [one.water_index for one in record.estimates] == [record.water_index, None]


def test_an_estimate_made_again_has_the_index_of_its_own_calibration(
    dry: Bundle, soils: list[Spectrum], tmp_path: Path
) -> None:
    assert dry.conditions is not None
    line = dry.conditions.water
    assert line is not None
    # Half the spread makes twice the index.
    narrow = replace(
        dry, conditions=dry.conditions._replace(water=line._replace(spread=line.spread / 2)), sha256="cd" * 32
    )
    silent = replace(dry, conditions=None, sha256="ef" * 32)
    path = tmp_path / "log.db"
    with Log(path, "first.tflite", dry.sha256) as log:
        Engine(Estimator(dry), log).take([soils[0]])
    said = []
    for bundle in (narrow, silent):
        with open_for_reading(path) as db, Log(path, "again.tflite", bundle.sha256) as log:
            ((redone,),) = redo(db, Estimator(bundle), log, ALL)
        said.append(redone.record.estimates[0].water_index)
        with open_for_reading(path) as db:
            (entry,) = iter_entries(db)
        (shown,) = record_of_entry(entry).estimates
        assert shown.water_index == said[-1]
        assert as_rows(record_of_entry(entry))[0]["water_index"] == said[-1]
    with open_for_reading(path) as db:
        (entry,) = iter_entries(db, every=True)
    record = record_of_entry(entry)
    first = record.water_index
    assert first is not None
    assert [one.water_index for one in record.estimates] == [first, pytest.approx(2 * first), None]
    assert said == [pytest.approx(2 * first), None]
    assert {"water_index", "Sb_water_index"} <= set(wide_names(["Sb"]))
    wide = wide_row(record._replace(estimates=record.estimates[:2]), ["Sb"])
    assert (wide["water_index"], wide["Sb_water_index"]) == (first, pytest.approx(2 * first))
    words = [[word for word in remarks(record, one) if "water index" in word] for one in record.estimates]
    assert words == [[f"water index {first:.1f}"], [f"water index {2 * first:.1f}"], []]


def test_the_section_is_read_back(dry: Bundle) -> None:
    assert dry.conditions is not None
    through_json = json.loads(json.dumps(conditions_to_dict(dry.conditions)))
    assert conditions_from_dict(through_json) == dry.conditions
    assert unpack_bundle(pack_bundle(dry)).conditions == dry.conditions
    blind = dry.conditions._replace(water=None)
    assert unpack_bundle(pack_bundle(replace(dry, conditions=blind))).conditions == blind


@pytest.mark.parametrize(
    "change",
    [
        {"counts": {"moist": 3}},
        {"counts": {"dry": -1}},
        {"corrected": ("moist",)},
        {"water": Water(0.1, 0.0, 0.1, 1.0, 0.1)},
        {"water": Water(float("nan"), 0.1, 0.1, 1.0, 0.1)},
    ],
)
def test_a_section_that_makes_no_sense_is_refused(dry: Bundle, change: dict[str, object]) -> None:
    assert dry.conditions is not None
    forged = replace(dry, conditions=dry.conditions._replace(**change))  # type: ignore[arg-type]
    with pytest.raises((BundleError, ValueError)):
        unpack_bundle(pack_bundle(forged))
