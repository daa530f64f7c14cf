"""The writer of ASD binary files: what comes back, what it refuses, and what it leaves on the disk."""

from __future__ import annotations

import os
import stat
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from asd_samples import panel, refusal_of, soil
from hypothesis import given, settings
from hypothesis import strategies as st
from stibium.converters.spectra.asd import parse_asd, read_asd
from stibium.converters.spectra.asd_write import pack_asd, write_asd
from stibium.converters.spectra.errors import SpectrumFileError, UnusableSpectrumError
from stibium.converters.spectra.spectrum import Position, Spectrum

BANDS = 24


def back(spectrum: Spectrum, **how: Any) -> Spectrum:
    (read,) = parse_asd(pack_asd(spectrum, **how), "RS052_00003.asd")
    return read


texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=39).map(str.strip)
angles = st.floats(0.001, 89.999) | st.sampled_from([1 / 3, 59.99999999999999, 1.0, 30 - 1e-13])
positions = st.none() | st.builds(
    lambda latitude, longitude, south, west, altitude: Position(
        -latitude if south else latitude, -2 * longitude if west else 2 * longitude, altitude
    ),
    angles,
    angles,
    st.booleans(),
    st.booleans(),
    st.none() | st.floats(1, 8848),
)


@st.composite
def spectra(draw: st.DrawFn) -> Spectrum:
    bands = draw(st.integers(2, 60))
    first_nm = draw(st.sampled_from([325.0, 350.0, 400.5, 1000.0]))
    step_nm = draw(st.sampled_from([1.0, 0.5, 2.0, 10.0, 1.4]))
    nm = first_nm + step_nm * np.arange(bands)
    inner = [float(np.float32(nm[0] + share * (nm[-1] - nm[0]))) for share in (0.3, 0.7)]
    return Spectrum(
        wavelengths_nm=nm,
        values=np.array(draw(st.lists(st.floats(0.01, 1.9), min_size=bands, max_size=bands))),
        quantity=draw(st.sampled_from(["reflectance", "transmittance", "absorbance"])),
        sample_id="RS052",
        measurement="00003",
        measured_at=draw(
            st.none()
            | st.datetimes(datetime(1970, 1, 1), datetime(9999, 1, 1)).map(lambda time: time.replace(microsecond=0))
        ),
        instrument=draw(
            st.sampled_from(["", "ASD FieldSpec FR 18234", "ASD HandHeld 7", "ASD 65535", "ASD type 99 12"])
        ),
        position=draw(positions),
        splices_nm=tuple(inner) if draw(st.booleans()) else (),
        saturated=tuple(name for name in ("VNIR", "SWIR1", "SWIR2") if draw(st.booleans())),
        comment=draw(texts),
    )


@given(spectra(), st.integers(1, 8))
@settings(max_examples=150, deadline=None)
def test_what_is_written_is_read(spectrum: Spectrum, revision: int) -> None:
    read = back(spectrum, revision=revision)
    np.testing.assert_array_equal(read.values, spectrum.values)
    np.testing.assert_allclose(read.wavelengths_nm, spectrum.wavelengths_nm, atol=0.01)
    for field in (
        "quantity",
        "sample_id",
        "measurement",
        "measured_at",
        "instrument",
        "splices_nm",
        "saturated",
        "comment",
        "simulated",
    ):
        assert getattr(read, field) == getattr(spectrum, field)
    if spectrum.position is None:
        assert read.position is None
    else:
        assert read.position is not None
        assert read.position.latitude_deg == pytest.approx(spectrum.position.latitude_deg, abs=1e-10)
        assert read.position.longitude_deg == pytest.approx(spectrum.position.longitude_deg, abs=1e-10)
        assert read.position.altitude_m == spectrum.position.altitude_m


@pytest.mark.parametrize("revision", range(2, 9))
def test_reflectance_made_with_a_reference_holds_counts(revision: int) -> None:
    data = pack_asd(soil(), reference=panel(), revision=revision)
    (read,) = parse_asd(data, "x.asd")
    np.testing.assert_allclose(read.values, soil().values, rtol=1e-14)
    np.testing.assert_array_equal(np.frombuffer(data, "<f8", 2151, 484), soil().values * panel())
    np.testing.assert_array_equal(np.frombuffer(data, "<f8", 2151, 484 + 2151 * 8 + 20), panel())


def test_the_reference_may_be_a_spectrum() -> None:
    white = soil(quantity="raw_dn", values=panel())
    assert pack_asd(soil(), reference=white) == pack_asd(soil(), reference=panel())
    shifted = soil(quantity="raw_dn", values=panel(), wavelengths_nm=351.0 + np.arange(2151))
    text = refusal_of(lambda: pack_asd(soil(), reference=shifted), UnusableSpectrumError)
    assert text == "RS052: its white reference has other wavelengths"


def test_simulated_is_written_into_the_comment() -> None:
    assert back(soil(BANDS, simulated=True, comment="")).comment == "simulated"
    read = back(soil(BANDS, simulated=True, comment="plot 3"))
    assert read.simulated
    assert read.comment == "simulated; plot 3"
    again = back(read)
    assert again.simulated
    assert again.comment == "simulated; plot 3"


@pytest.mark.parametrize(
    ("instrument", "read_as"),
    [
        ("ASD FieldSpec 4 18234", "ASD FieldSpec FR 18234"),
        ("ASD FieldSpec 4", "ASD FieldSpec FR"),
        ("ASD TerraSpec 4 Hi-Res 28011", "ASD FieldSpec FR 28011"),
        ("ASD FieldSpec FR 7", "ASD FieldSpec FR 7"),
        ("ASD FieldSpec FR", "ASD FieldSpec FR"),
        ("ASD FieldSpec 3 Jr 712", "ASD FieldSpec FR 712"),
        ("ASD HandHeld 2", "ASD HandHeld 2"),
        ("ASD type 12", "ASD type 12"),
        ("ASD type 12 3456", "ASD type 12 3456"),
        ("ASD type 255", "ASD type 255"),
        ("ASD type 256", ""),
        ("ASD 99999", ""),
        ("ASD", ""),
        ("Spectra Vista HR-1024i 1234", ""),
        ("ASDX FieldSpec FR 1234", ""),
    ],
)
def test_instruments(instrument: str, read_as: str) -> None:
    assert back(soil(BANDS, instrument=instrument)).instrument == read_as


def test_one_splice_keeps_its_place() -> None:
    assert back(soil(splices_nm=(1000.0,))).splices_nm == (1000.0,)
    assert back(soil(splices_nm=(1830.0,))).splices_nm == (1830.0,)


def test_a_time_zone_has_no_room() -> None:
    zone = timezone(timedelta(hours=-6))
    read = back(soil(BANDS, measured_at=datetime(2024, 7, 1, 8, 30, 5, 999, tzinfo=zone)))
    assert read.measured_at == datetime(2024, 7, 1, 8, 30, 5)


def test_empty_settings_are_none() -> None:
    read = back(soil(BANDS, extra={"sample_count": None, "swir1_gain": ""}))
    assert read.extra["sample_count"] == 0
    assert read.extra["swir1_gain"] == 2048


def test_settings_come_back() -> None:
    extra = {
        "integration_time_ms": 544,
        "swir1_gain": 31,
        "swir2_gain": 16,
        "swir1_offset": 2095,
        "swir2_offset": 2187,
        "dark_count": 100,
        "reference_count": 25,
        "sample_count": 40,
        "foreoptic_deg": 8,
        "dark_corrected": False,
        "cooler_alarms": "SWIR2",
    }
    read = back(soil(BANDS, extra={**extra, "clay_pct": "31"}))
    assert {name: read.extra[name] for name in extra} == extra


@pytest.mark.parametrize(
    ("changes", "how", "says"),
    [
        ({"comment": "x" * 158}, {}, "a comment of 158 bytes"),
        ({"comment": "é" * 79}, {}, "a comment of 158 bytes"),
        ({"comment": "x" * 150, "simulated": True}, {}, "a comment of 161 bytes"),
        ({"comment": "a\0b"}, {}, "none of them zero"),
        ({"splices_nm": (360.0, 365.0, 370.0)}, {}, "3 splices"),
        ({"wavelengths_nm": 350 + np.arange(BANDS) ** 1.1}, {}, "evenly spaced"),
        ({"extra": {"swir1_gain": 70_000}}, {}, "swir1_gain is 70000"),
        ({"extra": {"integration_time_ms": "fast"}}, {}, "integration_time_ms is 'fast'"),
        ({"extra": {"sample_count": [4]}}, {}, "sample_count is [4]"),
        ({"extra": {"dark_count": -1}}, {}, "dark_count is -1"),
        ({"extra": {"dark_count": float("inf")}}, {}, "dark_count is inf"),
        ({}, {"reference": np.ones(3)}, "(3,) values of the white reference for (24,)"),
        ({}, {"reference": np.zeros(BANDS)}, "zeros"),
        ({}, {"reference": np.full(BANDS, np.nan)}, "not numbers"),
        ({}, {"reference": np.ones(BANDS), "revision": 1}, "no room for a white reference"),
        ({"quantity": "absorbance"}, {"reference": np.ones(BANDS)}, "absorbance is not stored with"),
        ({"values": np.full(BANDS, 1e300)}, {"number_format": "float32"}, "do not fit"),
        ({"values": np.full(BANDS, 3e9)}, {"number_format": "int32"}, "do not fit"),
    ],
)
def test_what_the_format_cannot_hold(changes: dict[str, Any], how: dict[str, Any], says: str) -> None:
    text = refusal_of(lambda: pack_asd(soil(BANDS, **changes), **how), UnusableSpectrumError)
    assert text.startswith("RS052: ")
    assert says in text


def test_too_many_bands() -> None:
    spectrum = soil(70_000)
    assert "70000 bands are more than" in refusal_of(lambda: pack_asd(spectrum), UnusableSpectrumError)


@pytest.mark.parametrize("revision", [0, 9, -1])
def test_no_such_revision(revision: int) -> None:
    with pytest.raises(ValueError, match="only 1 to 8"):
        pack_asd(soil(BANDS), revision=revision)


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "RS05200003.asd"
    write_asd(path, soil(BANDS))
    before = path.read_bytes()
    assert stat.S_IMODE(path.stat().st_mode) & 0o400
    refusal_of(lambda: write_asd(path, soil(BANDS, comment="x" * 500)))
    assert path.read_bytes() == before
    write_asd(str(path), soil(BANDS, comment="second"))
    assert read_asd(path)[0].comment == "second"
    assert os.listdir(tmp_path) == ["RS05200003.asd"]


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    missing = tmp_path / "none" / "x.asd"
    text = refusal_of(lambda: write_asd(missing, soil(BANDS)), SpectrumFileError)
    assert text.startswith(f"{missing}: cannot be written: ")
    folder = tmp_path / "x.asd"
    folder.mkdir()
    assert "cannot be written" in refusal_of(lambda: write_asd(folder, soil(BANDS)), SpectrumFileError)
    assert os.listdir(tmp_path) == ["x.asd"]
