"""ASD files against two other readers, both ways: real files through ours and theirs, our files through theirs.

Where pyASDReader or specdal is wrong, a test says how, so that a newer version that is right shows up here.
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from asd_samples import panel, patched, refusal_of, soil
from stibium.converters.spectra import asd_layout as layout
from stibium.converters.spectra.asd import parse_asd, read_asd
from stibium.converters.spectra.asd_write import pack_asd, write_asd
from stibium.converters.spectra.errors import TruncatedFileError, UnknownFormatError, UnusableSpectrumError
from stibium.converters.spectra.spectrum import Position

WITH_REFERENCE = (
    "44231B009-1-FW300000.asd",
    "handheld2_325-1075.asd",
    "v6sample00000.asd",
    "v8sample00001.asd",
)
RADIANCE = ("v7sample00000.asd", "v7sample00001.asd")
REVISION_1 = "revision1_float32.000"


@pytest.fixture(scope="module")
def asd_file() -> Callable[[Path], Any]:
    """pyASDReader's class. Importing it opens a log file in the working directory, unless it is kept from it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logging, "FileHandler", lambda *_, **__: logging.NullHandler())
        module = pytest.importorskip("pyASDReader", reason="pyASDReader is not installed")
    return lambda path: module.ASDFile(str(path))


@pytest.fixture(scope="module")
def specdal() -> Callable[[Path], Any]:
    """specdal's reader, as a function from a path to a data frame."""
    reader = pytest.importorskip("specdal.reader", reason="specdal is not installed")
    return lambda path: reader.read_asd(str(path))[0]


@pytest.fixture(scope="session")
def folder(shared_data: Path) -> Path:
    return shared_data / "instruments" / "asd"


@pytest.mark.parametrize("name", WITH_REFERENCE)
def test_real_reflectance_like_pyasdreader(folder: Path, asd_file: Any, name: str) -> None:
    (ours,) = read_asd(folder / name)
    theirs = asd_file(folder / name)
    expected = theirs.spectrumData.spectra / theirs.referenceData.spectra
    if theirs.metadata.dataType.value == layout.REFLECTANCE:
        np.testing.assert_allclose(theirs.reflectance, expected, rtol=1e-12)
    else:
        assert theirs.reflectance is None  # though it has all that is needed
    np.testing.assert_allclose(ours.values, expected, rtol=1e-12)
    np.testing.assert_allclose(ours.wavelengths_nm, theirs.wavelengths, rtol=1e-12)
    assert ours.measured_at == theirs.metadata.when_datetime
    assert ours.instrument.endswith(f" {theirs.metadata.instrumentNum}")
    assert ours.extra["integration_time_ms"] == theirs.metadata.intergrationTime_ms.value
    assert ours.extra["swir1_gain"] == theirs.metadata.swir1Gain
    assert ours.extra["swir2_offset"] == theirs.metadata.swir2Offset
    assert ours.extra["sample_count"] == theirs.metadata.sampleCount


@pytest.mark.parametrize("name", WITH_REFERENCE)
def test_real_reflectance_like_specdal(folder: Path, specdal: Any, name: str) -> None:
    (ours,) = read_asd(folder / name)
    theirs = specdal(folder / name)
    np.testing.assert_allclose(ours.values, theirs.iloc[:, 0] / theirs.iloc[:, 1], rtol=1e-12)
    np.testing.assert_allclose(ours.wavelengths_nm, theirs.index, rtol=1e-12)


def test_real_revision_1(folder: Path, specdal: Any, asd_file: Any) -> None:
    (ours,) = read_asd(folder / REVISION_1)
    assert (ours.sample_id, ours.measurement, ours.quantity) == ("revision1_float32", "000", "reflectance")
    np.testing.assert_allclose(ours.values, specdal(folder / REVISION_1)["tgt_reflect"], rtol=1e-12)
    theirs = asd_file(folder / REVISION_1)
    assert theirs.spectrumData.spectra is None  # takes its float32 for float64, finds too few, and goes on


@pytest.mark.parametrize("name", RADIANCE)
def test_real_radiance_is_refused(folder: Path, specdal: Any, name: str) -> None:
    text = refusal_of(lambda: read_asd(folder / name), UnusableSpectrumError)
    assert text.startswith(f"{folder / name}: holds radiance with no white reference")
    # specdal divides all the same, by what is left of an earlier reference: a "reflectance" around 0.9.
    theirs = specdal(folder / name)
    assert 0.5 < float(np.median(theirs["tgt_radiance"] / theirs["ref_radiance"])) < 1.2


@pytest.mark.parametrize(
    ("name", "time", "instrument", "splices_nm"),
    [
        (WITH_REFERENCE[0], datetime(2024, 10, 23, 16, 58, 34), "ASD FieldSpec FR 19082", (1000.0, 1800.0)),
        (WITH_REFERENCE[1], datetime(2016, 5, 22, 12, 23, 29), "ASD HandHeld 1226", ()),
        (WITH_REFERENCE[2], datetime(2009, 7, 21, 12, 39, 29), "ASD FieldSpec FR 6355", (1000.0, 1800.0)),
        (WITH_REFERENCE[3], datetime(2010, 4, 6, 8, 28, 11), "ASD FieldSpec FR 16371", (1000.0, 1830.0)),
        (REVISION_1, datetime(2008, 2, 18, 11, 28, 15), "ASD FieldSpec FR 6525", (1000.0, 1800.0)),
    ],
)
def test_real_headers(folder: Path, name: str, time: datetime, instrument: str, splices_nm: tuple[float, ...]) -> None:
    (spectrum,) = read_asd(folder / name)
    assert spectrum.measured_at == time
    assert spectrum.instrument == instrument
    assert spectrum.splices_nm == splices_nm
    assert spectrum.position is None
    assert not spectrum.simulated


def test_the_narrow_range_reads_for_what_it_is(folder: Path) -> None:
    (spectrum,) = read_asd(folder / "handheld2_325-1075.asd")
    assert spectrum.range_nm == (325.0, 1075.0)


@pytest.mark.parametrize("name", [*WITH_REFERENCE, *RADIANCE, REVISION_1])
def test_real_files_cut_at_any_place(folder: Path, name: str) -> None:
    data = (folder / name).read_bytes()
    channels = struct.unpack_from("<H", data, 204)[0]
    block = channels * (4 if data[199] == 0 else 8)
    borders = [484, 484 + block, 484 + block + 20, 484 + 2 * block + 20]
    near = {border + offset for border in borders for offset in range(-3, 60)}
    places = {*range(500), *near, *range(500, len(data), 173), *range(len(data) - 1500, len(data))}
    whole_without_mark = len(data) - 3 if data.endswith(layout.TERMINATOR) else len(data)
    # Some programs write nothing behind the white reference of revision 6.
    whole = {whole_without_mark, borders[-1]} if data.startswith(b"as6") else {whole_without_mark}
    for length in sorted(places):
        if length < len(data) and length not in whole:
            refusal_of(
                lambda length=length: parse_asd(data[:length], name),
                UnknownFormatError if length < 3 else TruncatedFileError,
            )
    if whole_without_mark < len(data):
        np.testing.assert_array_equal(
            parse_asd(data[:whole_without_mark], name)[0].values, parse_asd(data, name)[0].values
        )


@pytest.mark.parametrize("name", [*WITH_REFERENCE, *RADIANCE, REVISION_1])
def test_real_files_end_where_their_blocks_end(folder: Path, name: str) -> None:
    """The layout of the blocks accounts for each byte, and none is left over."""
    data = (folder / name).read_bytes()
    channels = struct.unpack_from("<H", data, 204)[0]
    block = channels * (4 if data[199] == 0 else 8)
    revision = layout.REVISION_OF[data[:3]]
    end = 484 + block
    if revision > 1:
        end = layout.check_blocks(data, name, end + 20 + block, revision, block, layout.TRUE)
    assert end == len(data)


@pytest.mark.parametrize("name", WITH_REFERENCE)
def test_real_counts_survive_our_writer(folder: Path, tmp_path: Path, asd_file: Any, name: str) -> None:
    original = asd_file(folder / name)
    (read,) = read_asd(folder / name)
    target = replace(read, quantity="raw_dn", values=np.asarray(original.digitalNumber, dtype=np.float64))
    write_asd(tmp_path / name, target, reference=np.asarray(original.referenceData.spectra, dtype=np.float64))
    theirs = asd_file(tmp_path / name)
    np.testing.assert_array_equal(theirs.digitalNumber, original.digitalNumber)
    np.testing.assert_array_equal(theirs.referenceData.spectra, original.referenceData.spectra)
    for field in ("when_datetime", "instrumentNum", "instrument", "intergrationTime_ms", "swir1Gain", "swir2Gain"):
        assert getattr(theirs.metadata, field) == getattr(original.metadata, field)
    (before,), (after,) = read_asd(folder / name), read_asd(tmp_path / name)
    np.testing.assert_array_equal(after.values, before.values)
    assert after.splices_nm == before.splices_nm
    assert after.instrument == before.instrument
    different = {"revision", "data_type"}
    assert {k: v for k, v in after.extra.items() if k not in different} == {
        k: v for k, v in before.extra.items() if k not in different
    }


@pytest.mark.parametrize("revision", range(2, 9))
def test_pyasdreader_reads_our_reflectance(tmp_path: Path, asd_file: Any, revision: int) -> None:
    spectrum = soil(position=Position(-41.25, 172.5, 12.0), saturated=("SWIR1",), extra={"integration_time_ms": 68})
    write_asd(tmp_path / "RS05200003.asd", spectrum, revision=revision)
    theirs = asd_file(tmp_path / "RS05200003.asd")
    np.testing.assert_allclose(theirs.reflectance, spectrum.values, rtol=1e-12)
    np.testing.assert_array_equal(theirs.wavelengths, spectrum.wavelengths_nm)
    meta = theirs.metadata
    assert theirs.asdFileVersion.value == revision
    assert meta.comments == b"dried, < 2 mm"
    assert meta.when_datetime == spectrum.measured_at
    assert meta.instrumentNum == 18234
    assert meta.instrument.name == "FSFR_INSTRUMENT"
    assert (meta.splice1_wavelength, meta.splice2_wavelength) == (1000.0, 1800.0)
    assert [flag.name for flag in meta.flags2] == ["SWIR1_SATURATION"]
    assert meta.intergrationTime_ms.value == 68
    assert meta.byteStreamLength == layout.HEADER_BYTES
    # South and east are negative.
    assert struct.unpack_from("<5d", meta.gpsData)[2:] == pytest.approx((-4115.0, -17230.0, 12.0))
    header = theirs.referenceFileHeader
    assert header.referenceFlag is True
    assert abs((header.spectrumTime - spectrum.measured_at).total_seconds()) < 1


def test_pyasdreader_reads_our_counts(tmp_path: Path, asd_file: Any) -> None:
    raw = soil(quantity="raw_dn", values=soil().values * panel())
    write_asd(tmp_path / "raw.asd", raw, reference=panel())
    theirs = asd_file(tmp_path / "raw.asd")
    np.testing.assert_array_equal(theirs.digitalNumber, raw.values)
    np.testing.assert_array_equal(theirs.referenceData.spectra, panel())
    # Stored as the maker's programs store reflectance, it also divides.
    write_asd(tmp_path / "made.asd", soil(), reference=panel())
    np.testing.assert_allclose(asd_file(tmp_path / "made.asd").reflectance, soil().values, rtol=1e-12)


@pytest.mark.parametrize("revision", [6, 7, 8])
def test_specdal_reads_our_files(tmp_path: Path, specdal: Any, revision: int) -> None:
    write_asd(tmp_path / "made.asd", soil(), revision=revision)
    theirs = specdal(tmp_path / "made.asd")
    np.testing.assert_allclose(theirs["tgt_reflect"] / theirs["ref_reflect"], soil().values, rtol=1e-12)
    np.testing.assert_allclose(theirs.index, soil().wavelengths_nm)
    raw = soil(quantity="raw_dn", values=soil().values * panel())
    write_asd(tmp_path / "raw.asd", raw, reference=panel(), revision=revision)
    theirs = specdal(tmp_path / "raw.asd")
    np.testing.assert_allclose(theirs["tgt_count"] / theirs["ref_count"], soil().values, rtol=1e-12)


def test_specdal_reads_our_revision_1(tmp_path: Path, specdal: Any) -> None:
    (tmp_path / "made.asd").write_bytes(pack_asd(soil(), revision=1, number_format="float32"))
    np.testing.assert_allclose(specdal(tmp_path / "made.asd")["tgt_reflect"], soil().values, rtol=1e-7)


def test_where_pyasdreader_is_not_right(tmp_path: Path, asd_file: Any) -> None:
    path = tmp_path / "x.asd"
    # Other integration times than those of its list: nothing at all.
    write_asd(path, soil(extra={"integration_time_ms": 100}))
    assert asd_file(path).metadata is None
    np.testing.assert_array_equal(read_asd(path)[0].values, soil().values)
    # float32: neither spectrum nor reference.
    path.write_bytes(pack_asd(soil(), number_format="float32"))
    assert asd_file(path).reflectance is None
    np.testing.assert_allclose(read_asd(path)[0].values, soil().values, rtol=1e-7)
    # A file of which a third is missing: no error.
    path.write_bytes(pack_asd(soil())[:23_000])
    assert asd_file(path).reflectance is None
    refusal_of(lambda: read_asd(path), TruncatedFileError)
    # The detector of a channel: its number in place of its wavelength, so that 1001 to 1350 nm count as VNIR.
    settings = {"integration_time_ms": 17, "swir1_gain": 512, "swir2_gain": 1024}
    write_asd(path, soil(quantity="raw_dn", values=panel(), extra=settings), reference=panel())
    nm = soil().wavelengths_nm
    right = np.where(nm <= 1000, panel() / 17, np.where(nm <= 1800, panel() * 512 / 2048, panel() * 1024 / 2048))
    wrong = ~np.isclose(asd_file(path).whiteReference, right, rtol=1e-12)
    assert wrong.any()
    assert set(nm[wrong]) == {*range(1001, 1350), *range(1801, 2150)}


def test_where_specdal_is_not_right(tmp_path: Path, specdal: Any) -> None:
    path = tmp_path / "x.asd"
    for revision in range(2, 6):
        write_asd(path, soil(), revision=revision)
        with pytest.raises(AssertionError):
            specdal(path)
        np.testing.assert_array_equal(read_asd(path)[0].values, soil().values)
    path.write_bytes(pack_asd(soil(), number_format="float32"))
    with pytest.raises(struct.error):
        specdal(path)
    # No regard for the flag that says whether there is a reference.
    data = pack_asd(soil(quantity="raw_dn", values=panel() / 2), reference=panel())
    path.write_bytes(patched(data, 484 + 2151 * 8, "H", layout.FALSE))
    theirs = specdal(path)
    np.testing.assert_allclose(theirs["tgt_count"] / theirs["ref_count"], 0.5)
    refusal_of(lambda: read_asd(path), UnusableSpectrumError)
