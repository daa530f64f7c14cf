"""Reflectance from counts, and every reason to refuse it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import numpy as np
import pytest
from framed_samples import a_head
from hypothesis import given
from hypothesis import strategies as st
from stibium.converters.spectra.errors import UnusableSpectrumError
from stibium.edge.errors import MeasurementError
from stibium.edge.instruments.driver import detector_names
from stibium.edge.measure import referencing
from stibium.edge.measure.referencing import References, to_spectrum
from stibium.edge.protocols.framed_messages import Feature, Identification, Kind, Unit
from stibium.edge.protocols.framed_transfer import Measurement

BANDS = 30
GRID_NM = np.linspace(400.0, 2400.0, BANDS)
DARK = np.linspace(100.0, 130.0, BANDS)
WHITE = DARK + 20_000.0 + 1000 * np.sin(GRID_NM / 300)
SOIL = 0.2 + 0.1 * np.cos(GRID_NM / 500)
WHO = Identification(
    boot=1,
    features=Feature.RAW_COUNTS | Feature.SHUTTER,
    first_nm=400.0,
    step_nm=1.0,
    count=BANDS,
    saturation_dn=60_000,
    payload_limit=64,
    splices_nm=(1000.0, 1800.0),
    name="Probe",
    serial_number="7",
    firmware="1",
)


def measured(kind: Kind, values: np.ndarray, **changes: Any) -> Measurement:
    head = {"kind": kind, "unit": Unit.RAW_DN, "count": values.size, "label": "RS1", "measurement": 9} | changes
    return Measurement(a_head(**head), values)


def references(**changes: Any) -> References:
    taken = References(valid_min=30)
    taken.take(measured(Kind.DARK, DARK, **changes), WHO, GRID_NM)
    taken.take(measured(Kind.WHITE, WHITE, **changes), WHO, GRID_NM)
    return taken


def target(values: np.ndarray | None = None, **changes: Any) -> Measurement:
    return measured(Kind.TARGET, DARK + SOIL * (WHITE - DARK) if values is None else values, **changes)


def spectrum(measurement: Measurement, taken: References | None = None, who: Identification = WHO) -> Any:
    return to_spectrum(measurement, who, GRID_NM, taken or references(), "/dev/ttyX")


def test_counts_become_the_reflectance_they_came_from() -> None:
    before = datetime.now(timezone.utc)
    made = spectrum(target(age_ms=2000, temperature_centi_c=2150))
    np.testing.assert_allclose(made.values, SOIL, rtol=1e-12)
    np.testing.assert_array_equal(made.wavelengths_nm, GRID_NM)
    assert (made.quantity, made.sample_id, made.measurement) == ("reflectance", "RS1", "9")
    assert made.source == "/dev/ttyX measurement 9"
    assert made.instrument == "Probe 7"
    assert made.splices_nm == (1000.0, 1800.0)
    assert not made.simulated
    assert made.extra == {"scans": 10, "temperature_c": 21.5}
    assert 1.9 < (before - made.measured_at).total_seconds() + 0.1 <= 2.1


@given(st.floats(1e-3, 1e3), st.floats(-50, 50))
def test_reflectance_does_not_depend_on_the_lamp_or_the_dark_level(lamp: float, offset: float) -> None:
    taken = References(30)
    dark = DARK + offset
    white = dark + lamp * (WHITE - DARK)
    who = replace(WHO, saturation_dn=0)
    taken.take(measured(Kind.DARK, dark), who, GRID_NM)
    taken.take(measured(Kind.WHITE, white), who, GRID_NM)
    made = spectrum(target(dark + SOIL * (white - dark)), taken, who)
    np.testing.assert_allclose(made.values, SOIL, rtol=1e-6)


def test_an_instrument_that_subtracts_the_dark_needs_none() -> None:
    who = replace(WHO, features=Feature.RAW_COUNTS | Feature.DARK_SUBTRACTED)
    taken = References(30)
    assert taken.wanting(who) == (Kind.WHITE,)
    taken.take(measured(Kind.WHITE, WHITE - DARK), who, GRID_NM)
    assert taken.wanting(who) == ()
    np.testing.assert_allclose(spectrum(target(SOIL * (WHITE - DARK)), taken, who).values, SOIL)


def test_dark_bands_at_the_ends_are_left_away_and_inside_refused() -> None:
    white = WHITE.copy()
    white[:2], white[-1] = DARK[:2], DARK[-1] - 5
    taken = References(30)
    taken.take(measured(Kind.DARK, DARK), WHO, GRID_NM)
    taken.take(measured(Kind.WHITE, white), WHO, GRID_NM)
    made = spectrum(target(), taken)
    assert made.range_nm == (GRID_NM[2], GRID_NM[-2])
    white = white.copy()
    white[10:13] = DARK[10:13]
    with pytest.raises(
        MeasurementError, match=r"not brighter than dark at 1089.66 nm and 2 other bands; is the lamp on"
    ):
        taken.take(measured(Kind.WHITE, white), WHO, GRID_NM)
    with pytest.raises(MeasurementError, match="not brighter than dark anywhere"):
        taken.take(measured(Kind.WHITE, DARK), WHO, GRID_NM)
    # The white that was refused did not replace the good one.
    assert spectrum(target(), taken).range_nm == made.range_nm


def test_missing_references_are_named() -> None:
    empty = References(30)
    assert empty.wanting(WHO) == (Kind.DARK, Kind.WHITE)
    assert empty.complaint(WHO) == "the dark reference is missing"
    with pytest.raises(MeasurementError, match="dark reference is missing; take dark and white again"):
        spectrum(target(), empty)
    empty.take(measured(Kind.DARK, DARK), WHO, GRID_NM)
    with pytest.raises(MeasurementError, match="white reference is missing"):
        spectrum(target(), empty)
    with pytest.raises(MeasurementError, match="dark reference is missing"):
        References(30).take(measured(Kind.WHITE, WHITE), WHO, GRID_NM)


def test_references_grow_old(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = references()
    now = referencing.time.monotonic()
    monkeypatch.setattr(referencing.time, "monotonic", lambda: now + 29 * 60)
    assert spectrum(target(), taken)
    monkeypatch.setattr(referencing.time, "monotonic", lambda: now + 31 * 60)
    with pytest.raises(MeasurementError, match="dark reference is 31 min old"):
        spectrum(target(), taken)
    assert taken.wanting(WHO) == (Kind.DARK, Kind.WHITE)


def test_references_from_before_a_restart_do_not_count() -> None:
    taken = references()
    with pytest.raises(MeasurementError, match="from before the instrument was switched off and on"):
        spectrum(target(boot=2), taken)
    assert taken.wanting(replace(WHO, boot=2)) == (Kind.DARK, Kind.WHITE)
    assert taken.wanting(WHO) == ()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"integration_us": 34_000}, "integration 17000 us, gain 0; now 34000 us, 0"),
        ({"gain": 3}, "now 17000 us, 3"),
    ],
)
def test_other_settings_than_the_references_are_refused(changes: dict[str, int], says: str) -> None:
    with pytest.raises(MeasurementError, match="taken with other settings") as caught:
        spectrum(target(**changes))
    assert says in str(caught.value)


def test_saturation_is_refused_wherever_it_shows() -> None:
    with pytest.raises(MeasurementError, match="target: VNIR, SWIR2 saturated; shorten"):
        spectrum(target(saturated=0b101))
    with pytest.raises(MeasurementError, match="white: SWIR1 saturated"):
        references().take(measured(Kind.WHITE, WHITE, saturated=2), WHO, GRID_NM)
    counts = DARK + SOIL * (WHITE - DARK)
    counts[GRID_NM > 2000] = 60_000
    with pytest.raises(MeasurementError, match="target: SWIR2 saturated"):
        spectrum(target(counts))
    with pytest.raises(MeasurementError, match="target: VNIR saturated"):
        spectrum(measured(Kind.TARGET, SOIL, unit=Unit.REFLECTANCE, saturated=1))


def test_delivered_reflectance_needs_no_references() -> None:
    who = replace(WHO, features=Feature(0))
    assert References(30).wanting(who) == ()
    made = spectrum(measured(Kind.TARGET, SOIL, unit=Unit.REFLECTANCE, simulated=True), References(30), who)
    np.testing.assert_array_equal(made.values, SOIL)
    assert made.simulated


def test_the_word_simulated_and_virtual_reach_the_spectrum() -> None:
    who = replace(WHO, features=Feature.SIMULATED | Feature.VIRTUAL)
    made = spectrum(measured(Kind.TARGET, SOIL, unit=Unit.REFLECTANCE), References(30), who)
    assert made.simulated
    assert made.instrument == "Probe 7 (played by a virtual probe)"


def test_what_is_no_target_or_of_another_size_is_refused() -> None:
    with pytest.raises(MeasurementError, match="measurement of white, no target"):
        spectrum(measured(Kind.WHITE, WHITE))
    with pytest.raises(MeasurementError, match="12 values from an instrument with 30 bands"):
        spectrum(measured(Kind.TARGET, SOIL[:12], unit=Unit.REFLECTANCE))
    with pytest.raises(MeasurementError, match="dark: reflectance where counts are due"):
        References(30).take(measured(Kind.DARK, SOIL, unit=Unit.REFLECTANCE), WHO, GRID_NM)
    with pytest.raises(MeasurementError, match="dark: 3 values for 30 bands"):
        References(30).take(measured(Kind.DARK, DARK[:3]), WHO, GRID_NM)
    with pytest.raises(MeasurementError, match="counts that are no numbers"):
        spectrum(target(np.full(BANDS, np.nan)))
    with pytest.raises(UnusableSpectrumError, match="are not numbers"):
        spectrum(measured(Kind.TARGET, np.full(BANDS, np.nan), unit=Unit.REFLECTANCE))


def test_detectors_have_names() -> None:
    assert detector_names(0) == ("detector",)
    assert detector_names(1) == ("VNIR", "SWIR")
    assert detector_names(2) == ("VNIR", "SWIR1", "SWIR2")
    assert detector_names(3)[-1] == "detector 4"
