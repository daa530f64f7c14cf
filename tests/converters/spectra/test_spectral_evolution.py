"""Spectral Evolution `.sed` files: own files in the maker's layout, and the real pair against specdal."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from stibium.converters.spectra import (
    Position,
    SpectrumFileError,
    TruncatedFileError,
    UnusableSpectrumError,
    read_spectral_evolution,
)
from stibium.converters.spectra.spectral_evolution import looks_like_spectral_evolution, parse_spectral_evolution
from stibium.edge.errors import UnsuitableSpectrumError
from stibium.edge.model.suitability import require_reflectance
from text_samples import sed, soil_reflectance

NM = np.round(np.linspace(344.6, 2504.2, 60), 1)
REFLECTANCE = np.round(soil_reflectance(NM), 5)
PERCENT = {"Reflect. %": 100 * REFLECTANCE}
COUNTS = {"Norm. DN (Ref.)": 2000 + NM, "Norm. DN (Target)": (2000 + NM) * REFLECTANCE}
SOURCE = "probe/2201045_00007.sed"


def test_reads_everything_the_file_says():
    data = sed(NM, COUNTS | PERCENT, Comment="north face")
    assert looks_like_spectral_evolution(data)
    (spectrum,) = parse_spectral_evolution(data, SOURCE)
    np.testing.assert_array_equal(spectrum.wavelengths_nm, NM)
    np.testing.assert_allclose(spectrum.values, REFLECTANCE, atol=6e-6)
    assert spectrum.quantity == "reflectance"
    assert spectrum.source == SOURCE
    assert spectrum.measured_at == datetime(2024, 5, 6, 7, 8, 9)
    assert spectrum.instrument == "Spectral Evolution PSR-3500 SN2201045"
    assert spectrum.position == Position(41.18521, -7.5541, 512.3)
    assert spectrum.comment == "north face"
    assert not spectrum.simulated
    assert spectrum.extra["Foreoptic"] == "PROBE ,PROBE"
    assert spectrum.splices_nm == ()


@pytest.mark.parametrize(
    ("name", "sample", "measurement"),
    [
        ("2201045_00007.sed", "2201045_00007", ""),
        ("RS052_00003.sed", "RS052", "00003"),
        ("RS05200003.SED", "RS052", "00003"),
        ("RS052.sed", "RS052", ""),
        ("PSR_SN2201045_00007.sed", "PSR_SN2201045_00007", ""),
        ("20240516_00007.sed", "20240516_00007", ""),
    ],
)
def test_serial_number_is_no_sample(name, sample, measurement):
    (spectrum,) = parse_spectral_evolution(sed(NM, PERCENT), name)
    assert (spectrum.sample_id, spectrum.measurement) == (sample, measurement)


@pytest.mark.parametrize("label", ["Reflect. [1.0]", "Reflect."])
def test_fraction_column(label):
    (spectrum,) = parse_spectral_evolution(sed(NM, {label: REFLECTANCE}), SOURCE)
    np.testing.assert_allclose(spectrum.values, REFLECTANCE, rtol=1e-6)


def test_a_dark_sample_in_percent_is_still_in_percent():
    (spectrum,) = parse_spectral_evolution(sed(NM, {"Reflect. %": 0 * NM + 0.9}), SOURCE)
    np.testing.assert_allclose(spectrum.values, 0.009)


def test_ratio_where_there_is_no_reflectance_column():
    (spectrum,) = parse_spectral_evolution(sed(NM, COUNTS), SOURCE)
    assert spectrum.quantity == "reflectance"
    np.testing.assert_allclose(spectrum.values, REFLECTANCE, rtol=2e-6)


@pytest.mark.parametrize(
    ("measurement", "label", "quantity"),
    [
        ("DIRECT_ENERGY", "Norm. DN (Target)", "raw_dn"),
        ("RADIANCE", "Rad. (Target)", "radiance"),
        ("IRRADIANCE", "Irr. (Target)", "irradiance"),
        ("TRANSMITTANCE", "Reflect. %", "transmittance"),
    ],
)
def test_other_measurements_come_out_as_what_they_are(measurement, label, quantity):
    columns = {"Norm. DN (Ref.)": 2000 + NM, label: 10 + 0 * NM}
    (spectrum,) = parse_spectral_evolution(sed(NM, columns, Measurement=measurement), SOURCE)
    assert spectrum.quantity == quantity
    np.testing.assert_allclose(spectrum.values, 0.1 if "%" in label else 10.0)


@pytest.mark.parametrize("measurement", ["DIRECT_ENERGY", "RADIANCE"])
@pytest.mark.parametrize("kind", ["Norm. DN", "Rad."])
def test_energy_with_target_and_reference_is_refused_by_what_it_is(measurement, kind):
    columns = {f"{kind} (Ref.)": 2000 + NM, f"{kind} (Target)": (2000 + NM) * REFLECTANCE}
    (spectrum,) = parse_spectral_evolution(sed(NM, columns, Measurement=measurement), SOURCE)
    assert spectrum.quantity != "reflectance"
    with pytest.raises(UnsuitableSpectrumError) as refused:
        require_reflectance(spectrum, (400, 2400))
    text = str(refused.value)
    assert f"a measurement of {measurement}, with columns of target and reference" in text
    assert "white" not in text


def test_energy_without_a_reference_lacks_one():
    (spectrum,) = parse_spectral_evolution(sed(NM, {"Rad. (Target)": 10 + 0 * NM}, Measurement="RADIANCE"), SOURCE)
    with pytest.raises(UnsuitableSpectrumError, match="measure a white reference"):
        require_reflectance(spectrum, (400, 2400))


def test_missing_white_reference_is_refused():
    columns = COUNTS | {"Norm. DN (Ref.)": np.where((NM > 1000) & (NM < 1060), 0.0, 100.0)}
    with pytest.raises(UnusableSpectrumError, match=r"00007.sed: .*white reference is 0 or less at 2 bands"):
        parse_spectral_evolution(sed(NM, columns), SOURCE)


def test_a_white_reference_of_zeros_at_an_end_is_left_out():
    columns = COUNTS | {"Norm. DN (Ref.)": np.where(NM < 400, 0.0, 2000 + NM)}
    (spectrum,) = parse_spectral_evolution(sed(NM, columns), SOURCE)
    np.testing.assert_array_equal(spectrum.wavelengths_nm, NM[2:])
    np.testing.assert_allclose(spectrum.values, REFLECTANCE[2:], rtol=2e-6)
    assert spectrum.remarks == ("344.6-381.2 nm left out, no usable value there",)


def test_a_value_that_is_not_finite_at_an_end_is_left_out():
    percent = 100 * REFLECTANCE
    percent[-2] = np.nan
    (spectrum,) = parse_spectral_evolution(sed(NM, {"Reflect. %": percent}), SOURCE)
    assert spectrum.wavelengths_nm[-1] == NM[-3]
    assert spectrum.remarks == ("2467.6-2504.2 nm left out, no usable value there",)


@pytest.mark.parametrize(
    ("time", "read"),
    [
        ("07:01:02.50,07:08:09.25", datetime(2024, 5, 6, 7, 8, 9, 250_000)),
        ("07:01:02,7:08:09.1234567", datetime(2024, 5, 6, 7, 8, 9, 123_456)),
        ("07:01:02,50,07:08:09,5", datetime(2024, 5, 6, 7, 8, 9, 500_000)),
        ("1:01:02 PM,1:08:09 PM", datetime(2024, 5, 6, 13, 8, 9)),
        ("12:01:02 AM,12:08:09 AM", datetime(2024, 5, 6, 0, 8, 9)),
        ("07:01:02,27:08:09", None),
        ("n/a,n/a", None),
    ],
)
def test_times(time, read):
    (spectrum,) = parse_spectral_evolution(sed(NM, PERCENT, Time=time), SOURCE)
    assert spectrum.measured_at == read


@pytest.mark.parametrize(
    ("date", "time", "age_min"),
    [
        ("05/06/2024,05/06/2024", "07:01:02,07:03:32", 2.5),
        ("05/06/2024,05/06/2024", "07:01:02.50,07:00:02.50", -1.0),
        ("05/05/2024,05/06/2024", "07:01:02,07:01:02", 1440.0),
        ("05/06/2024", "07:01:02", None),
        ("n/a,n/a", "n/a,n/a", None),
    ],
)
def test_how_old_the_white_reference_is(date: str, time: str, age_min: float | None):
    (spectrum,) = parse_spectral_evolution(sed(NM, PERCENT, Date=date, Time=time), SOURCE)
    assert spectrum.extra.get("white_age_min") == age_min


def test_bands_given_twice_are_averaged():
    twice = np.insert(NM, 20, NM[20])
    percent = np.insert(100 * REFLECTANCE, 20, 100 * REFLECTANCE[20] + 2)
    (spectrum,) = parse_spectral_evolution(sed(twice, {"Reflect. %": percent}), SOURCE)
    np.testing.assert_array_equal(spectrum.wavelengths_nm, NM)
    assert spectrum.values[20] == pytest.approx(REFLECTANCE[20] + 0.01, abs=1e-5)


def test_overlapping_detectors_are_joined():
    nm = np.concatenate([np.arange(350, 1051, 10.0), np.arange(950, 2501, 10.0)])
    (spectrum,) = parse_spectral_evolution(sed(nm, {"Reflect. %": 100 * soil_reflectance(nm)}), SOURCE)
    assert spectrum.splices_nm == (1000.0,)
    np.testing.assert_array_equal(spectrum.wavelengths_nm, np.arange(350, 2501, 10.0))


def test_receiver_without_a_fix_gives_no_position():
    (spectrum,) = parse_spectral_evolution(sed(NM, PERCENT, Latitude="n/a", Longitude="n/a", Altitude="n/a"), SOURCE)
    assert spectrum.position is None


def test_simulated_comment_marks_the_spectrum():
    (spectrum,) = parse_spectral_evolution(sed(NM, PERCENT, Comment="simulated soil 3"), SOURCE)
    assert spectrum.simulated


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r"])
def test_any_line_end(end):
    (spectrum,) = parse_spectral_evolution(sed(NM, PERCENT, end=end), SOURCE)
    assert spectrum.values.size == NM.size


def test_refused_wherever_it_is_cut():
    data = sed(NM[:12], PERCENT)
    for length in range(len(data)):
        with pytest.raises(SpectrumFileError, match=r"^probe/2201045_00007.sed: "):
            parse_spectral_evolution(data[:length], SOURCE)


def test_missing_rows_are_seen_by_the_announced_number():
    with pytest.raises(TruncatedFileError, match="58 of 60 channels"):
        parse_spectral_evolution(sed(NM[:58], PERCENT, channels=60), SOURCE)
    with pytest.raises(SpectrumFileError, match="60 rows of data, but Channels: says 58"):
        parse_spectral_evolution(sed(NM, PERCENT, channels=58), SOURCE)


def test_missing_rows_are_seen_by_the_announced_range():
    with pytest.raises(TruncatedFileError, match="header announces 2500 nm"):
        parse_spectral_evolution(sed(NM[:50], PERCENT, drop=("Channels",)), SOURCE)
    (spectrum,) = parse_spectral_evolution(sed(NM, PERCENT, drop=("Channels",)), SOURCE)
    assert spectrum.values.size == NM.size


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        (b"Wvl\t", b"Band\t", "no wavelengths among the columns"),
        (b"Reflect. %", b"Temperature", "neither reflectance nor target"),
        (b"1076.7", b"1O76.7", "is not a number"),
        (b"1076.7", b"10_6.7", "is not a number|underscore"),
        (b" 344.6\t", b" 344.6\tnan\t", "has 3 of 2 columns"),
        (b" 344.6", b"  nan", "a wavelength is not a number"),
        (b" 344.6", b"  34.4", "wavelengths from 34.4"),
        (b"Channels: 60", b"Channels: 6O", "is not a number"),
        (b" 344.6", b"9344.6", "wavelengths do not ascend"),
    ],
)
def test_damage_is_refused_with_its_reason(before, after, reason):
    data = sed(NM, PERCENT)
    assert before in data
    with pytest.raises(SpectrumFileError, match=reason):
        parse_spectral_evolution(data.replace(before, after, 1), SOURCE)


def test_value_that_is_not_finite_is_refused():
    percent = 100 * REFLECTANCE
    percent[7] = np.nan
    with pytest.raises(UnusableSpectrumError, match="1 of 60 values are not numbers"):
        parse_spectral_evolution(sed(NM, {"Reflect. %": percent}), SOURCE)


def test_own_file_agrees_with_specdal(tmp_path: Path):
    from specdal.reader import read_sed

    path = tmp_path / "RS052_00003.sed"
    path.write_bytes(sed(NM, {"Rad. (Ref.)": 2 + 0 * NM, "Rad. (Target)": 2 * REFLECTANCE} | PERCENT))
    (spectrum,) = read_spectral_evolution(path)
    theirs, _ = read_sed(str(path))
    np.testing.assert_array_equal(spectrum.wavelengths_nm, theirs.index)
    np.testing.assert_allclose(spectrum.values, theirs["pct_reflect"], rtol=1e-12)


@pytest.mark.parametrize("name", ["1456045_00115.sed", "1456045_00116.sed"])
def test_real_pair_agrees_with_specdal(shared_data: Path, name: str, monkeypatch: pytest.MonkeyPatch):
    from specdal import reader

    # specdal 0.2.1 fails on files with columns of counts; told their names, it reads the rest.
    for label in COUNTS:
        monkeypatch.setitem(reader.SED_COLUMNS, label, label)
    path = shared_data / "instruments" / "sed" / name
    (spectrum,) = read_spectral_evolution(path)
    theirs, metadata = reader.read_sed(str(path))
    by_nm = theirs["pct_reflect"].groupby(level=0).mean()
    np.testing.assert_array_equal(spectrum.wavelengths_nm, by_nm.index)
    np.testing.assert_allclose(spectrum.values, by_nm, rtol=1e-12)
    assert spectrum.wavelengths_nm.size == 1023  # of 1024 channels two are at 993.4 nm
    assert spectrum.sample_id == path.stem
    assert spectrum.position is not None
    assert (spectrum.position.latitude_deg, spectrum.position.longitude_deg) == (46.32004, 23.22582)
    assert spectrum.measured_at is not None
    assert spectrum.measured_at.year == 2012
    assert metadata["instrument_type"] == "SED"


THREE_WAYS = {
    "Rad. (Ref.)": 2 + NM / 1000,
    "Rad. (Target)": (2 + NM / 1000) * REFLECTANCE,
    "Reflect. %": 100 * REFLECTANCE,
}


@pytest.mark.parametrize("label", THREE_WAYS)
@pytest.mark.parametrize("factor", [1.005, 1.05, 0.1, 10.0])
def test_reflectance_is_compared_with_what_it_was_made_of(label: str, factor: float):
    (spectrum,) = parse_spectral_evolution(sed(NM, THREE_WAYS), SOURCE)
    np.testing.assert_allclose(spectrum.values, REFLECTANCE, atol=1e-5)
    damaged = {name: values.copy() for name, values in THREE_WAYS.items()}
    damaged[label][NM.size // 2] *= factor
    with pytest.raises(
        UnusableSpectrumError, match=f"reflectance at {NM[NM.size // 2]:g} nm is not target over reference"
    ):
        parse_spectral_evolution(sed(NM, damaged), SOURCE)


def test_counts_of_other_integration_times_and_a_panels_calibration_are_no_damage():
    steps = np.repeat([3.0, 1.0, 5.0], np.diff([0, NM.size // 3, 2 * NM.size // 3, NM.size]))
    columns = THREE_WAYS | {"Rad. (Target)": THREE_WAYS["Rad. (Target)"] * steps * (0.97 + NM / 1e5)}
    assert len(parse_spectral_evolution(sed(NM, columns), SOURCE)) == 1


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_counts_that_are_no_number_say_nothing_and_warn_of_nothing(value: float):
    counts = {label: np.where(np.arange(NM.size) == 30, value, column) for label, column in COUNTS.items()}
    (spectrum,) = parse_spectral_evolution(sed(NM, counts | PERCENT), SOURCE)
    np.testing.assert_allclose(spectrum.values, REFLECTANCE, atol=6e-6)


@pytest.mark.parametrize("base", ["PSR_SN12345", "SN98765", "SR_SN00123"])
def test_the_name_of_any_instrument_is_no_samples(base: str):
    names = [parse_spectral_evolution(sed(NM, PERCENT), f"{base}_0000{i}.sed")[0].sample_id for i in (1, 2)]
    assert names == [f"{base}_00001", f"{base}_00002"]
