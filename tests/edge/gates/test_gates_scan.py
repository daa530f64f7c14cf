"""Gates on counts and flags: each lets a good scan pass, and says in words what is wrong with a bad one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scan_samples import DARK, GRID_NM, IDENTITY, LIGHT, a_scan
from stibium.edge.gates import scan as quality_scan
from stibium.edge.gates.finding import CODES, Finding, instrument_exchanged, reason, refusing
from stibium.edge.gates.rules import Rules

RULES = Rules(full_scale_dn=65535.0)


def codes(findings: list[Finding]) -> list[str]:
    return [finding.code for finding in findings]


@pytest.mark.parametrize("kind", ["dark", "white", "target"])
def test_a_good_scan_passes(kind: str) -> None:
    scan = a_scan(kind, shutter_closed=kind == "dark")
    assert quality_scan.flags(scan, IDENTITY) == []
    assert quality_scan.numbers(scan, GRID_NM.size) == []


@pytest.mark.parametrize("kind", ["dark", "white", "target"])
def test_saturation_names_the_detectors(kind: str) -> None:
    (finding,) = quality_scan.flags(a_scan(kind, saturated=("VNIR", "SWIR2")), IDENTITY)
    assert finding.code == "saturated"
    assert finding.severity == "refuse"
    assert "VNIR, SWIR2 saturated" in finding.text


def test_a_closed_shutter_is_no_sample_and_an_open_one_no_dark() -> None:
    (finding,) = quality_scan.flags(a_scan(shutter_closed=True), IDENTITY)
    assert (finding.code, finding.text) == ("shutter", "shutter closed during the sample: measure again")
    (finding,) = quality_scan.flags(a_scan("dark", shutter_closed=False), IDENTITY)
    assert "shutter open during the dark" in finding.text
    without = replace(IDENTITY, shutter=False)
    assert quality_scan.flags(a_scan("dark", shutter_closed=False), without) == []


def test_a_cooler_alarm_names_the_detector() -> None:
    (finding,) = quality_scan.flags(a_scan(cooler_alarms=("SWIR1",)), IDENTITY)
    assert finding.code == "cooler"
    assert "SWIR1" in finding.text


def test_values_that_are_no_numbers_or_too_few() -> None:
    broken = DARK.copy()
    broken[[4, 9]] = np.nan, np.inf
    (finding,) = quality_scan.numbers(a_scan(values=broken), GRID_NM.size)
    assert finding.text.startswith("2 values that are no numbers")
    (finding,) = quality_scan.numbers(a_scan(values=DARK[:-1]), GRID_NM.size)
    assert finding.text.startswith("2150 values for 2151 bands")


def test_detectors_are_told_apart_at_the_splices() -> None:
    parts = dict(quality_scan.parts(GRID_NM, IDENTITY))
    assert (GRID_NM[parts["VNIR"]][[0, -1]] == (350, 1000)).all()
    assert (GRID_NM[parts["SWIR1"]][[0, -1]] == (1001, 1830)).all()
    assert (GRID_NM[parts["SWIR2"]][[0, -1]] == (1831, 2500)).all()
    only = quality_scan.parts(GRID_NM[:300], IDENTITY)
    assert [name for name, _ in only] == ["VNIR"]


def test_a_white_has_light_enough() -> None:
    assert quality_scan.white_light(LIGHT, GRID_NM, IDENTITY, RULES) == []
    dim = LIGHT.copy()
    dim[GRID_NM > 1830] *= 0.1
    (finding,) = quality_scan.white_light(dim, GRID_NM, IDENTITY, RULES)
    assert finding.code == "low_signal"
    assert finding.text.startswith("SWIR2 uses")
    # Where the full scale is not known, nothing can be said of the level.
    assert quality_scan.white_light(dim, GRID_NM, IDENTITY, Rules()) == []


def test_a_lamp_that_is_off_or_failing_is_noticed() -> None:
    (finding,) = quality_scan.white_light(np.zeros(GRID_NM.size), GRID_NM, IDENTITY, RULES)
    assert finding.code == "lamp"
    assert "not brighter than the dark" in finding.text
    assert quality_scan.white_light(0.8 * LIGHT, GRID_NM, IDENTITY, RULES, before=LIGHT) == []
    found = quality_scan.white_light(0.4 * LIGHT, GRID_NM, IDENTITY, RULES, before=LIGHT)
    assert codes(found) == ["lamp"] * 3
    assert "VNIR sees 40 % of the last white's light" in found[0].text
    assert quality_scan.white_light(0.4 * LIGHT, GRID_NM, IDENTITY, replace(RULES, lamp_least=0.0), before=LIGHT) == []


def test_a_dark_that_changes_is_noticed() -> None:
    assert quality_scan.dark_level(DARK + 100, DARK, LIGHT, RULES) == []
    (finding,) = quality_scan.dark_level(DARK + 900, DARK, LIGHT, RULES)
    assert finding.code == "dark_drift"
    assert "changed by 3." in finding.text
    assert quality_scan.dark_level(DARK + 900, DARK, None, RULES) == []
    assert quality_scan.dark_level(DARK + 900, DARK, LIGHT, replace(RULES, dark_drift_most=0.0)) == []


def test_the_drift_that_the_instrument_counts_is_noticed() -> None:
    dark = a_scan("dark", drift=10.0)
    assert quality_scan.drift_count(a_scan(drift=30.0), dark, LIGHT, RULES) == []
    assert quality_scan.drift_count(a_scan(), dark, LIGHT, RULES) == []
    (finding,) = quality_scan.drift_count(a_scan(drift=-990.0), dark, LIGHT, RULES)
    assert (finding.code, "by -1000 counts" in finding.text) == ("dark_drift", True)


def test_an_instrument_that_was_exchanged_is_not_the_sessions() -> None:
    assert instrument_exchanged("Probe 7", "Probe 7") == []
    (finding,) = instrument_exchanged("Probe 7", "Probe 8")
    assert finding.code == "exchanged"
    assert "measured by Probe 8" in finding.text


def test_a_reason_says_each_thing_once_and_no_remarks() -> None:
    findings = [Finding("noise", "a"), Finding("clock", "b", "remark"), Finding("noise", "a"), Finding("lamp", "c")]
    assert reason(findings) == "a; c"
    assert codes(refusing(findings)) == ["noise", "noise", "lamp"]
    assert reason([]) == ""
    with pytest.raises(ValueError, match="unknown finding"):
        Finding("nonsense", "x")
    assert all(text and "\n" not in text for text in CODES.values())
