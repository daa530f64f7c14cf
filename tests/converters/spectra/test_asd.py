"""ASD binary files made here: what is read from them, and how each damage is refused."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from asd_samples import (
    audit_log,
    calibrations,
    classifier,
    dependent_variables,
    panel,
    patched,
    refusal,
    refusal_of,
    signature,
    soil,
)
from stibium.converters.spectra import asd_layout as layout
from stibium.converters.spectra.asd import looks_like_asd, parse_asd, read_asd
from stibium.converters.spectra.asd_write import pack_asd, write_asd
from stibium.converters.spectra.errors import (
    SpectrumFileError,
    TruncatedFileError,
    UnknownFormatError,
    UnusableSpectrumError,
)
from stibium.converters.spectra.names import sample_and_measurement
from stibium.converters.spectra.spectrum import Position, Spectrum

REVISIONS = range(1, 9)
BANDS = 24


def read(data: bytes, source: str = "RS05200003.asd") -> Spectrum:
    (spectrum,) = parse_asd(data, source)
    return spectrum


def counts(**changes: Any) -> tuple[Spectrum, np.ndarray]:
    white = panel(BANDS)
    target = soil(BANDS)
    return soil(BANDS, quantity="raw_dn", values=target.values * white, **changes), white


@pytest.mark.parametrize("revision", REVISIONS)
@pytest.mark.parametrize("number_format", ["float32", "float64"])
def test_reflectance_of_every_revision(revision: int, number_format: Any) -> None:
    expected = soil()
    spectrum = read(pack_asd(expected, revision=revision, number_format=number_format))
    assert spectrum.quantity == "reflectance"
    tolerance = 1e-15 if number_format == "float64" else 1e-7
    np.testing.assert_allclose(spectrum.values, expected.values, rtol=tolerance)
    np.testing.assert_array_equal(spectrum.wavelengths_nm, expected.wavelengths_nm)
    assert spectrum.extra["revision"] == revision


@pytest.mark.parametrize("revision", REVISIONS[1:])
@pytest.mark.parametrize("number_format", ["float32", "int32", "float64"])
def test_counts_over_the_white_reference(revision: int, number_format: Any) -> None:
    raw, white = counts()
    spectrum = read(pack_asd(raw, reference=white, revision=revision, number_format=number_format))
    assert spectrum.quantity == "reflectance"
    # Whole counts of a panel of 300 are good to 1 in 600, twice.
    tolerance = {"float64": 1e-15, "float32": 2e-7, "int32": 4e-3}[number_format]
    np.testing.assert_allclose(spectrum.values, raw.values / white, rtol=tolerance)


def test_fields_of_the_header() -> None:
    spectrum = read(pack_asd(soil(extra={"integration_time_ms": 136, "sample_count": 40, "swir1_gain": 212})))
    assert spectrum.sample_id == "RS052"
    assert spectrum.measurement == "00003"
    assert spectrum.source == "RS05200003.asd"
    assert spectrum.measured_at == datetime(2024, 10, 23, 16, 58, 34)
    assert spectrum.instrument == "ASD FieldSpec FR 18234"
    assert spectrum.splices_nm == (1000.0, 1800.0)
    assert spectrum.comment == "dried, < 2 mm"
    assert not spectrum.simulated
    assert spectrum.saturated == ()
    assert spectrum.extra["integration_time_ms"] == 136
    assert spectrum.extra["sample_count"] == 40
    assert spectrum.extra["swir1_gain"] == 212
    assert spectrum.extra["dark_corrected"] is True


@pytest.mark.parametrize(
    ("bits", "saturated", "alarms"),
    [
        (0, (), ()),
        (1, ("VNIR",), ()),
        (2, ("SWIR1",), ()),
        (4, ("SWIR2",), ()),
        (7, ("VNIR", "SWIR1", "SWIR2"), ()),
        (8, (), ("SWIR1",)),
        (16 + 4, ("SWIR2",), ("SWIR2",)),
    ],
)
def test_saturation_bits(bits: int, saturated: tuple[str, ...], alarms: tuple[str, ...]) -> None:
    spectrum = read(patched(pack_asd(soil(BANDS)), 422, "B", bits))
    assert spectrum.saturated == saturated
    assert spectrum.extra.get("cooler_alarms", "") == ", ".join(alarms)


@pytest.mark.parametrize(
    ("stored", "position"),
    [
        # Canberra, as the maker's export to text prints it: S-3516.8080, E-14907.6690.
        ((-3516.808, -14907.669, 577.0), Position(-35.280133, 149.127817, 577.0)),
        ((4000.9, 10516.23, 1655.0), Position(40.015, -105.2705, 1655.0)),  # Boulder: west is positive
        ((0.0, 10516.23, 0.0), Position(0.0, -105.2705)),
        ((4000.9, 0.0, float("nan")), Position(40.015, 0.0)),
        ((0.0, 0.0, 100.0), None),
        ((9100.0, 0.0, 0.0), None),
        ((4000.0, 18100.0, 0.0), None),
        ((4075.0, 1000.0, 0.0), None),
        ((float("nan"), 1000.0, 0.0), None),
        ((4000.0, float("inf"), 0.0), None),
    ],
)
def test_position(stored: tuple[float, float, float], position: Position | None) -> None:
    found = read(patched(pack_asd(soil(BANDS)), 334 + 16, "3d", *stored)).position
    if position is None or found is None:
        assert found is position
        return
    assert found.latitude_deg == pytest.approx(position.latitude_deg, abs=1e-6)
    assert found.longitude_deg == pytest.approx(position.longitude_deg, abs=1e-6)
    assert found.altitude_m == position.altitude_m


@pytest.mark.parametrize(
    ("struct_tm", "time"),
    [
        ((29, 39, 12, 21, 6, 109), datetime(2009, 7, 21, 12, 39, 29)),
        ((60, 59, 23, 31, 11, 116), datetime(2016, 12, 31, 23, 59, 59)),  # a leap second
        ((0, 0, 0, 1, 1, 2024), datetime(2024, 2, 1)),  # some programs write the whole year
        ((0, 0, 0, 1, 0, 0), None),
        ((0, 0, 0, 0, 0, 0), None),
        ((0, 0, 25, 1, 0, 124), None),
        ((-1, 0, 0, 1, 0, 124), None),
    ],
)
def test_time(struct_tm: tuple[int, ...], time: datetime | None) -> None:
    assert read(patched(pack_asd(soil(BANDS)), 160, "6h", *struct_tm)).measured_at == time


@pytest.mark.parametrize(
    ("code", "number", "instrument"),
    [
        (4, 6355, "ASD FieldSpec FR 6355"),
        (10, 0, "ASD HandHeld"),
        (0, 77, "ASD 77"),
        (99, 5, "ASD type 99 5"),
        (0, 0, ""),
    ],
)
def test_instrument(code: int, number: int, instrument: str) -> None:
    data = patched(patched(pack_asd(soil(BANDS)), 431, "B", code), 400, "H", number)
    assert read(data).instrument == instrument


def test_splices_outside_the_spectrum_are_none() -> None:
    data = patched(pack_asd(soil(BANDS)), 444, "2f", 1075.0, -1.0)
    assert read(data).splices_nm == ()


def test_a_comment_of_a_windows_program() -> None:
    data = patched(pack_asd(soil(BANDS)), 3, "20s", "Solo n\xba 3\0rest".encode("cp1252"))
    assert read(data).comment == "Solo n\xba 3"


@pytest.mark.parametrize(
    ("comment", "simulated"), [("simulated; plot 3", True), ("Simulated", True), ("not simulated", False)]
)
def test_simulated_is_in_the_comment(comment: str, simulated: bool) -> None:
    assert read(patched(pack_asd(soil(BANDS, comment="")), 3, "40s", comment.encode())).simulated is simulated


@pytest.mark.parametrize(
    ("name", "sample_id", "measurement"),
    [
        ("a/b/RS05200003.asd", "RS052", "00003"),
        ("RS052_00003.ASD", "RS052", "00003"),
        ("RS052-00003.asd", "RS052", "00003"),
        ("RS052.00003.asd", "RS052", "00003"),
        ("RS052.003", "RS052", "003"),
        ("00003.asd", "00003", ""),
        ("_00003.asd", "_00003", ""),
        ("soil7.asd", "soil7", ""),
        ("RS05200003.asd.sco", "RS052", "00003"),
        ("RS05200003.ASD.REF", "RS052", "00003"),
        ("RS052_00003_resamp.asd", "RS052", "00003"),
        ("RS052_20240516_070809.asd", "RS052", "20240516_070809"),
        ("RS052_2024-05-16T07.08.09_00003.asd", "RS052", "00003"),
        ("2024-05-16T070809_00003.asd", "2024-05-16T070809_00003", ""),
        # Names that programs propose: each may be of another soil.
        ("spectrum00003.asd", "spectrum00003", ""),
        ("Spectrum_00003.asd", "Spectrum_00003", ""),
        ("spectrum.003", "spectrum.003", ""),
        ("New Spectra00003.asd", "New Spectra00003", ""),
        ("sample00003.asd", "sample00003", ""),
        ("SpectrumHill00003.asd", "SpectrumHill", "00003"),
        ("handheld2_325-1075.asd", "handheld2_325-1075", ""),
    ],
)
def test_sample_and_measurement_are_in_the_name(name: str, sample_id: str, measurement: str) -> None:
    assert sample_and_measurement(name) == (sample_id, measurement)


def test_what_looks_like_it() -> None:
    data = pack_asd(soil(BANDS, comment="x" * 157))
    for revision in REVISIONS:
        assert looks_like_asd(layout.MAGIC_OF[revision] + data[3:])
    assert not looks_like_asd(b"ASD FieldSpec export\nWavelength\tRS052\n350\t0.1\n" * 9)
    assert not looks_like_asd(b"as7,as8\n1,2\n")
    assert not looks_like_asd(b"as9" + data[3:])
    assert not looks_like_asd(b"")


@pytest.mark.parametrize(
    ("data_type", "with_reference", "quantity"),
    [
        (0, True, "reflectance"),
        (1, True, "reflectance"),
        (2, True, "reflectance"),
        (6, True, "transmittance"),
        (8, True, "reflectance"),
        (1, False, "reflectance"),
        (6, False, "transmittance"),
        (8, False, "absorbance"),
    ],
)
def test_what_the_data_type_means(data_type: int, with_reference: bool, quantity: str) -> None:
    raw, white = counts()
    data = pack_asd(raw, reference=white) if with_reference else pack_asd(soil(BANDS, quantity="transmittance"))
    spectrum = read(patched(data, 186, "B", data_type))
    assert spectrum.quantity == quantity
    np.testing.assert_allclose(spectrum.values, soil(BANDS).values, rtol=1e-12)


@pytest.mark.parametrize("data_type", [0, 2, 3, 4, 5, 7])
@pytest.mark.parametrize("revision", [1, 2, 6, 7, 8])
def test_no_reflectance_without_a_white_reference(data_type: int, revision: int) -> None:
    raw, _ = counts()
    text = refusal(patched(pack_asd(raw, revision=revision), 186, "B", data_type), UnusableSpectrumError)
    assert text.startswith(f"holds {layout.DATA_TYPES[data_type]} with no white reference")
    assert "save it with its white reference" in text


@pytest.mark.parametrize("data_type", [3, 4, 5, 7])
def test_no_reflectance_of_other_types_with_one_either(data_type: int) -> None:
    raw, white = counts()
    text = refusal(patched(pack_asd(raw, reference=white), 186, "B", data_type), UnusableSpectrumError)
    assert text.startswith(f"holds {layout.DATA_TYPES[data_type]} with a white reference")


@pytest.mark.parametrize(
    ("offset", "kind", "value", "says"),
    [
        (204, "H", 0, "0 channels"),
        (204, "H", 1, "1 channels"),
        (204, "H", 10_001, "10001 channels"),
        (191, "f", float("nan"), "from nan nm"),
        (191, "f", float("inf"), "from inf nm"),
        (191, "f", -350.0, "from -350 nm"),
        (191, "f", 1e30, "from 1e+30 nm"),
        (195, "f", 0.0, "steps of 0 nm"),
        (195, "f", -1.0, "steps of -1 nm"),
        (195, "f", float("nan"), "steps of nan nm"),
        (195, "f", float("inf"), "steps of inf nm"),
        (195, "f", 1e-30, "steps of 1e-30 nm"),
        (186, "B", 9, "data type 9"),
        (199, "B", 3, "number format 3"),
        (199, "B", 255, "number format 255"),
        (484 + BANDS * 8, "H", 0x1234, "flag 0x1234"),
    ],
)
def test_a_header_that_cannot_be(offset: int, kind: str, value: Any, says: str) -> None:
    text = refusal(patched(pack_asd(soil(BANDS)), offset, kind, value))
    assert says in text
    assert text.endswith("the file is damaged")


@pytest.mark.parametrize(
    ("first_nm", "step_nm"), [(352.0, 1.0), (348.0, 1.0), (350.0, 1.001), (349.0, 1.0), (350.0, 2.0)]
)
def test_a_full_range_that_no_instrument_has(first_nm: float, step_nm: float) -> None:
    assert "begin at 350 nm" in refusal(patched(pack_asd(soil()), 191, "2f", first_nm, step_nm))


@pytest.mark.parametrize(
    ("white_day", "day", "age_min"),
    [(45000.0, 45000.0, 0.0), (45000.0, 45000.5, 720.0), (45001.0, 45000.0, -1440.0), (0.0, 45000.0, None)],
)
def test_the_age_of_the_white_reference(white_day: float, day: float, age_min: float | None) -> None:
    raw, white = counts()
    data = patched(pack_asd(raw, reference=white), 484 + BANDS * 8 + 2, "2d", white_day, day)
    assert read(data).extra.get("white_age_min") == age_min


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_values_that_are_no_numbers(number: float) -> None:
    data = pack_asd(soil(BANDS))
    assert "values of the spectrum that are not numbers: 1 of 24 (first at 353 nm)" in refusal(
        patched(data, 484 + 3 * 8, "d", number), UnusableSpectrumError
    )
    white = 484 + BANDS * 8 + 20
    assert "values of the white reference that are not numbers: 1 of 24 (first at 355 nm)" in refusal(
        patched(data, white + 5 * 8, "d", number), UnusableSpectrumError
    )


def test_a_white_reference_of_zeros() -> None:
    white = 484 + BANDS * 8 + 20
    data = patched(pack_asd(soil(BANDS)), white + 5 * 8, "2d", 0.0, 0.0)
    assert "the white reference is zero in 2 of 24 (first at 355 nm)" in refusal(data, UnusableSpectrumError)
    both = patched(data, 484 + 5 * 8, "2d", 0.0, 0.0)
    assert "the white reference is zero in 2 of 24" in refusal(both, UnusableSpectrumError)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (np.full(BANDS, 45.0), "24 of 24 values are above 2: percent or counts"),
        (np.full(BANDS, 23_000.0), "reflectance beyond 100 in 24 of 24 (first at 350 nm)"),
        (np.r_[np.full(12, 0.3), 4000.0, np.full(11, 0.3)], "reflectance beyond 100 in 1 of 24 (first at 362 nm)"),
        (np.zeros(BANDS), "24 of 24 values are below 0.001: no light"),
        (np.full(BANDS, 1e-5), "24 of 24 values are below 0.001: no light"),
    ],
)
@pytest.mark.parametrize("revision", [1, 7])
def test_values_that_are_no_reflectance(values: np.ndarray, says: str, revision: int) -> None:
    assert says in refusal(pack_asd(soil(BANDS, values=values), revision=revision), UnusableSpectrumError)


def test_some_noise_is_no_reason_to_refuse() -> None:
    values = soil(BANDS).values.copy()
    values[:3] = -0.02, 5.0, 1.4
    np.testing.assert_array_equal(read(pack_asd(soil(BANDS, values=values))).values, values)


def test_absorbance_out_of_range() -> None:
    spectrum = soil(BANDS, values=np.full(BANDS, 11.0), quantity="absorbance")
    assert "absorbance beyond 10" in refusal(pack_asd(spectrum), UnusableSpectrumError)


@pytest.mark.parametrize("at_nm", [350, 399, 2420, 2500])
@pytest.mark.parametrize("wild", [4000.0, -1e30, float("nan"), float("inf")])
def test_a_wild_channel_at_an_end_is_left_out_and_said(at_nm: int, wild: float) -> None:
    expected = soil()
    values = np.where(expected.wavelengths_nm == at_nm, wild, expected.values)
    data = pack_asd(expected)
    data = data[:484] + values.tobytes() + data[484 + values.nbytes :]
    spectrum = read(data)
    kept = (expected.wavelengths_nm > at_nm) == (at_nm < 1000)
    kept &= expected.wavelengths_nm != at_nm
    np.testing.assert_array_equal(spectrum.wavelengths_nm, expected.wavelengths_nm[kept])
    np.testing.assert_array_equal(spectrum.values, expected.values[kept])
    (remark,) = spectrum.remarks
    assert f"{at_nm}" in remark
    assert "left out, no usable value there" in remark


def test_a_white_reference_of_zeros_at_an_end_is_left_out() -> None:
    raw = soil(quantity="raw_dn", values=soil().values * panel())
    white = panel()
    white[[0, 3]] = 0
    spectrum = read(pack_asd(raw, reference=panel()).replace(panel().tobytes(), white.tobytes()))
    assert spectrum.range_nm == (354.0, 2500.0)
    assert spectrum.remarks == ("350-353 nm left out, no usable value there",)


@pytest.mark.parametrize("flag", [1, 0x0101, 0xFFFF])
def test_every_way_to_say_that_there_is_a_white_reference(flag: int) -> None:
    raw, white = counts()
    spectrum = read(patched(pack_asd(raw, reference=white), 484 + BANDS * 8, "H", flag))
    np.testing.assert_allclose(spectrum.values, soil(BANDS).values)


def test_revision_6_may_end_behind_its_white_reference() -> None:
    raw, white = counts()
    data = b"as6" + pack_asd(raw, reference=white, revision=5)[3:]
    for whole in (data, data + layout.TERMINATOR):
        np.testing.assert_allclose(read(whole).values, soil(BANDS).values)
    refusal(data[:-1], TruncatedFileError)
    refusal(data + b"\0", TruncatedFileError)
    refusal(b"as7" + data[3:], TruncatedFileError)


def test_the_app_for_tablets_writes_no_arrays_of_dependent_variables() -> None:
    raw, white = counts()
    data = b"as7" + pack_asd(raw, reference=white, revision=5)[3:] + bytes(46 + 4 + 1)
    refusal(data, TruncatedFileError)
    data = patched(data, 484 + BANDS * 8, "H", 0x0101)
    for whole in (data, data + layout.TERMINATOR):
        np.testing.assert_allclose(read(whole).values, soil(BANDS).values)
    refusal(data[:-1], TruncatedFileError)


@pytest.mark.parametrize("revision", REVISIONS)
def test_cut_at_any_byte(revision: int) -> None:
    raw, white = counts()
    data = pack_asd(raw, reference=white, revision=revision) if revision > 1 else pack_asd(soil(BANDS), revision=1)
    assert read(data).values.size == BANDS
    behind_white = 484 + 2 * 8 * BANDS + 20
    # There are programs that write no more than this.
    whole = {6: behind_white}.get(revision)
    for length in range(len(data)):
        if length == whole:
            read(data[:length])
            continue
        kind = UnknownFormatError if length < 3 else TruncatedFileError
        text = refusal(data[:length], kind)
        if length >= 3:
            assert text.startswith("the file ends inside ")
            assert f": {length} bytes, at least " in text


FULL_BLOCKS = {
    6: [classifier()],
    7: [classifier(), dependent_variables(), calibrations(BANDS * 8)],
    8: [classifier(), dependent_variables(), calibrations(BANDS * 8), audit_log(), signature()],
}


@pytest.mark.parametrize("revision", FULL_BLOCKS)
def test_cut_inside_blocks_with_something_in_them(revision: int) -> None:
    spectra = pack_asd(soil(BANDS), revision=5)
    whole = layout.MAGIC_OF[revision] + spectra[3:] + b"".join(FULL_BLOCKS[revision]) + layout.TERMINATOR
    read(whole)
    for length in range(len(spectra), len(whole)):
        if length == len(whole) - 3 or (revision == 6 and length == len(spectra)):
            read(whole[:length])  # as older programs end their files
        else:
            refusal(whole[:length], TruncatedFileError)


def test_the_block_that_a_file_ends_in_is_named() -> None:
    spectra = pack_asd(soil(BANDS), revision=5)
    start = len(spectra)
    data = b"as8" + spectra[3:] + b"".join(FULL_BLOCKS[8]) + layout.TERMINATOR
    ends = np.cumsum([start, *[len(block) for block in FULL_BLOCKS[8]], 3])
    names = [
        "the classifier block",
        "the dependent variables",
        "the calibration series",
        "the audit log",
        "the signature",
    ]
    for end, name in zip(ends[1:], [*names, "the end mark"], strict=True):
        assert f"ends inside {name}:" in refusal(data[: end - 1], TruncatedFileError)
    assert "ends inside the header:" in refusal(data[:483])
    assert "ends inside the spectrum:" in refusal(data[:485])
    assert "ends inside the header of the white reference:" in refusal(data[: 484 + BANDS * 8 + 1])
    assert "ends inside the white reference:" in refusal(data[: start - 1])


def test_revision_6_with_dependent_variables() -> None:
    data = pack_asd(soil(BANDS), revision=6)
    read(data + layout.TERMINATOR)
    variables = dependent_variables()
    read(data + variables)
    for length in range(1, len(variables)):
        refusal(data + variables[:length], TruncatedFileError)


def test_a_description_of_the_reference() -> None:
    data = pack_asd(soil(BANDS))
    at = 484 + BANDS * 8 + 18
    data = data[:at] + b"\5\0panel" + data[at + 2 :]
    np.testing.assert_array_equal(read(data).values, soil(BANDS).values)
    refusal(data[:-1], TruncatedFileError)


@pytest.mark.parametrize(
    ("revision", "blocks"),
    [
        (6, bytes(42) + b"\1\0\2\0" + bytes(16)),  # an array of two dimensions
        (7, bytes(42) + b"\1\0\0\0"),  # one constituent in no array
        (7, bytes(46) + b"\0\0\2\0" + b"\1\0\3\0\0\0\0\0\0\0"),  # two variables in an array of three
        (7, bytes(46) + b"\0\0\1\0" + b"\1\0\1\0\0\0\0\0\0\0" + b"\0\0" + b"\0\0"),
        (7, bytes(54) + b"\1" + b"\7" + bytes(28)),  # a calibration of type 7
        (8, bytes(55) + bytes(4)),  # no event in the audit log
        (8, bytes(55) + b"\xff\xff\xff\xff"),
    ],
)
def test_blocks_of_an_unknown_layout_take_nothing_from_the_spectrum(revision: int, blocks: bytes) -> None:
    spectra = pack_asd(soil(BANDS), revision=5)
    np.testing.assert_array_equal(read(layout.MAGIC_OF[revision] + spectra[3:] + blocks).values, soil(BANDS).values)


def test_counts_survive_the_writer(tmp_path: Path) -> None:
    raw, white = counts(saturated=("VNIR",))
    write_asd(tmp_path / "RS052.asd", raw, reference=white)
    (found,) = read_asd(tmp_path / "RS052.asd")
    np.testing.assert_array_equal(found.values, raw.values / white)
    assert found.saturated == ("VNIR",)


def test_files_that_cannot_be_opened(tmp_path: Path) -> None:
    assert "no such file" in refusal_of(lambda: read_asd(tmp_path / "none.asd"))
    assert "is a folder" in refusal_of(lambda: read_asd(tmp_path))
    (tmp_path / "empty.asd").write_bytes(b"")
    assert "does not begin" in refusal_of(lambda: read_asd(tmp_path / "empty.asd"), UnknownFormatError)
    (tmp_path / "text.asd").write_text("Wavelength\tRS052\n350\t0.1\n")
    assert "does not begin" in refusal_of(lambda: read_asd(str(tmp_path / "text.asd")), UnknownFormatError)


def test_errors_are_what_their_names_say() -> None:
    assert issubclass(TruncatedFileError, EOFError)
    assert issubclass(UnusableSpectrumError, SpectrumFileError)
