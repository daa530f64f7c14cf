"""ENVI spectral libraries: own files of every kind of number, the real USGS library, and what we write."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from stibium.converters.spectra import (
    Spectrum,
    SpectrumFileError,
    TruncatedFileError,
    UnusableSpectrumError,
    read_envi,
    write_envi,
)
from stibium.converters.spectra.envi import DATA_TYPES, looks_like_envi, parse_header
from text_samples import soil_reflectance

NM = np.arange(400.0, 2401.0, 100.0)
SOILS = np.stack([soil_reflectance(NM), 0.5 * soil_reflectance(NM)]).astype("f4").astype("f8")


def library(
    folder: Path,
    values: np.ndarray = SOILS,
    *,
    code: int = 4,
    order: int = 0,
    offset: int = 0,
    wavelengths: np.ndarray = NM,
    names: tuple[str, ...] = ("Soil 1", "Soil 2"),
    stem: str = "lib",
    **fields: str,
) -> Path:
    """A library of two files; header fields may be added or replaced (`wavelength_units=...`)."""
    header = {
        "description": "{ made for a test,\n with = and lines }",
        "samples": str(values.shape[1]),
        "lines": str(values.shape[0]),
        "bands": "1",
        "header offset": str(offset),
        "file type": "ENVI Spectral Library",
        "data type": str(code),
        "interleave": "bsq",
        "byte order": str(order),
        "wavelength units": "Nanometers",
        "spectra names": "{\n" + ",\n ".join(names) + "}",
        "wavelength": "{" + ", ".join(f"{w:.6f}" for w in wavelengths) + "}",
    } | {key.replace("_", " "): value for key, value in fields.items()}
    text = "ENVI\n" + "".join(f"{key} = {value}\n" for key, value in header.items() if value)
    (folder / f"{stem}.hdr").write_text(text)
    dtype = (">" if order else "<") + DATA_TYPES.get(code, "f4")
    (folder / f"{stem}.sli").write_bytes(b"\x07" * offset + values.astype(dtype).tobytes())
    return folder / f"{stem}.hdr"


@pytest.mark.parametrize("given", [".hdr", ".sli"])
def test_either_file_of_the_pair_may_be_given(tmp_path: Path, given: str):
    path = library(tmp_path).with_suffix(given)
    assert looks_like_envi(path.read_bytes()) == (given == ".hdr")
    spectra = read_envi(path)
    assert [s.sample_id for s in spectra] == ["Soil 1", "Soil 2"]
    assert spectra[0].source == str(path)
    for spectrum, expected in zip(spectra, SOILS, strict=True):
        np.testing.assert_array_equal(spectrum.wavelengths_nm, NM)
        np.testing.assert_array_equal(spectrum.values, expected)
        assert spectrum.quantity == "reflectance"


@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("code", sorted(DATA_TYPES))
def test_every_kind_of_number(tmp_path: Path, code: int, order: int):
    factor = {1: 200, 2: 10000, 12: 10000}.get(code, 10000)
    values = np.round(SOILS * factor)
    path = library(tmp_path, values, code=code, order=order, offset=12, reflectance_scale_factor=str(factor))
    np.testing.assert_allclose(np.stack([s.values for s in read_envi(path)]), values / factor, rtol=1e-12)


@pytest.mark.parametrize(
    ("units", "factor"),
    [
        ("Micrometers", 1000.0),
        ("micrometres", 1000.0),
        ("um", 1000.0),
        ("Nanometers", 1.0),
        ("nm", 1.0),
        ("Unknown", 1.0),
        ("", 1.0),
        ("", 1000.0),
    ],
)
def test_units_of_wavelength(tmp_path: Path, units: str, factor: float):
    path = library(tmp_path, wavelengths=NM / factor, wavelength_units=units)
    np.testing.assert_allclose(read_envi(path)[0].wavelengths_nm, NM, rtol=1e-12)


def test_ignored_bands_are_left_out_of_that_spectrum(tmp_path: Path):
    values = SOILS.copy()
    values[0, [0, 5]] = -1.23e34
    values[1, 3] = np.nan
    path = library(tmp_path, values, data_ignore_value="-1.23000002e+034")
    first, second = read_envi(path)
    np.testing.assert_array_equal(first.wavelengths_nm, np.delete(NM, [0, 5]))
    np.testing.assert_array_equal(first.values, np.delete(SOILS[0], [0, 5]))
    np.testing.assert_array_equal(second.wavelengths_nm, np.delete(NM, 3))


def test_records_that_are_no_spectra_are_passed_over(tmp_path: Path):
    names = (
        "Wavelengths in microns 21ch",
        "Resolution  in microns 21ch",
        "Soil A AREF",
        "error bars to preceding",
        "Film TRAN",
        "Nothing",
    )
    values = np.stack([NM / 1000, 0 * NM + 0.01, SOILS[0], 0 * NM + 0.5, SOILS[1], 0 * NM - 9.0])
    spectra = read_envi(library(tmp_path, values, names=names, data_ignore_value="-9"))
    assert [(s.sample_id, s.quantity) for s in spectra] == [
        ("Soil A AREF", "reflectance"),
        ("Film TRAN", "transmittance"),
    ]


def test_descending_and_overlapping_wavelengths(tmp_path: Path):
    (spectrum, _) = read_envi(library(tmp_path, SOILS[:, ::-1], wavelengths=NM[::-1]))
    np.testing.assert_array_equal(spectrum.values, SOILS[0])
    nm = np.concatenate([np.arange(400, 1101, 50.0), np.arange(900, 2401, 50.0)])
    values = np.stack([soil_reflectance(nm)] * 2)
    (spectrum, _) = read_envi(library(tmp_path, values, wavelengths=nm, stem="two"))
    assert spectrum.splices_nm == (1000.0,)
    np.testing.assert_array_equal(spectrum.wavelengths_nm, np.arange(400, 2401, 50.0))


def test_percent_without_a_scale_factor(tmp_path: Path):
    spectra = read_envi(library(tmp_path, 100 * SOILS))
    np.testing.assert_allclose(spectra[0].values, SOILS[0], rtol=1e-6)
    assert spectra[0].remarks == ("values taken to be in per cent, which the file does not say",)
    with pytest.raises(
        SpectrumFileError, match='write the factor into the header, such as "reflectance scale factor = 100'
    ):
        read_envi(library(tmp_path, 10000 * SOILS))
    with pytest.raises(SpectrumFileError, match="the header says values are fractions"):
        read_envi(library(tmp_path, 10000 * SOILS, reflectance_scale_factor="1.0"))


def test_a_scale_factor_that_leaves_nothing_is_refused(tmp_path: Path):
    with pytest.raises(SpectrumFileError, match="next to nothing once divided by the header's scale factor, 10000"):
        read_envi(library(tmp_path, SOILS, reflectance_scale_factor="10000"))


@pytest.mark.parametrize("title", ["Reflectance [*10000]", "Reflectance x 10000", "Reflectance, scaled by 10,000"])
def test_a_title_may_say_the_factor(tmp_path: Path, title: str):
    path = library(tmp_path, (10000 * SOILS).round(), z_plot_titles=f"{{Wavelength (nm), {title}}}")
    np.testing.assert_allclose(read_envi(path)[0].values, SOILS[0], atol=1e-4)
    assert read_envi(path)[0].remarks == ()


def test_whole_numbers_that_a_title_calls_reflectance_have_a_factor_that_is_said(tmp_path: Path):
    path = library(tmp_path, (10000 * SOILS).round(), z_plot_titles="{Wavelength (nm), Reflectance}")
    np.testing.assert_allclose(read_envi(path)[0].values, SOILS[0], atol=1e-4)
    assert read_envi(path)[0].remarks == ("values taken to be multiplied by 10000, which the file does not say",)


def test_axis_title_says_what_the_values_are(tmp_path: Path):
    path = library(tmp_path, 2 * SOILS, z_plot_titles="{Wavelength (nm), Absorbance}")
    assert {s.quantity for s in read_envi(path)} == {"absorbance"}
    np.testing.assert_allclose(read_envi(path)[0].values, 2 * SOILS[0], rtol=1e-6)


@pytest.mark.parametrize("missing", [".hdr", ".sli"])
def test_missing_partner_is_named(tmp_path: Path, missing: str):
    path = library(tmp_path)
    path.with_suffix(missing).unlink()
    given = path.with_suffix(".sli" if missing == ".hdr" else ".hdr")
    with pytest.raises(SpectrumFileError, match=rf"^{re.escape(str(given))}: .* put lib{missing} beside it$"):
        read_envi(given)


def test_header_named_after_the_values(tmp_path: Path):
    path = library(tmp_path)
    path.rename(tmp_path / "lib.sli.hdr")
    assert len(read_envi(tmp_path / "lib.sli")) == 2
    assert len(read_envi(tmp_path / "lib.sli.hdr")) == 2


@pytest.mark.parametrize("extension", [".SLI", ".dat", ""])
def test_values_under_other_names(tmp_path: Path, extension: str):
    path = library(tmp_path)
    path.with_suffix(".sli").rename(tmp_path / f"lib{extension}")
    assert len(read_envi(path)) == 2


def test_values_of_another_length_are_refused(tmp_path: Path):
    path = library(tmp_path, offset=5)
    data = path.with_suffix(".sli").read_bytes()
    for length in range(len(data)):
        path.with_suffix(".sli").write_bytes(data[:length])
        with pytest.raises(TruncatedFileError, match=f"{length} of {len(data)} bytes"):
            read_envi(path)
    path.with_suffix(".sli").write_bytes(data + b"\0")
    with pytest.raises(SpectrumFileError, match="its header announces"):
        read_envi(path)


def test_header_is_refused_wherever_it_is_cut(tmp_path: Path):
    data = library(tmp_path).read_bytes()
    for length in range(len(data) - 1):  # without its very last line end it still is whole
        with pytest.raises(SpectrumFileError, match=r"^lib.hdr: "):
            parse_header(data[:length], "lib.hdr")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"file_type": "ENVI Standard"}, "'ENVI Standard', no spectral library"),
        ({"data_type": "6"}, "data type 6"),
        ({"data_type": ""}, "has no line 'data type'"),
        ({"byte_order": "2"}, "byte order 2"),
        ({"bands": "3"}, "3 image bands"),
        ({"samples": "20"}, "21 wavelengths for 20 bands"),
        ({"samples": "many"}, "samples 'many' is not a whole number"),
        ({"lines": "3"}, "2 names for 3 spectra"),
        ({"lines": "999999999999", "spectra_names": ""}, "cut off"),
        ({"wavelength": "{1, two}"}, "'two' is not a number|' two' is not a number"),
        ({"wavelength": ""}, "0 wavelengths for 21 bands"),
        ({"wavelength_units": "Wavenumber"}, "no wavelength"),
        ({"wavelength_units": "Micrometers"}, "wavelengths from 400000"),
        ({"reflectance_scale_factor": "0"}, "scale factor 0"),
        ({"data_gain_values": "{2}"}, "has data gain values, which are not applied here"),
        ({"data_gain_values": "{1, 1}", "data_offset_values": "{0, 0.1}"}, "has data offset values"),
        ({"data_ignore_value": "none at all"}, "data ignore value 'none at all'"),
    ],
)
def test_damaged_headers_are_refused_with_their_reason(tmp_path: Path, fields: dict[str, str], reason: str):
    with pytest.raises(SpectrumFileError, match=reason):
        read_envi(library(tmp_path, **fields))


def test_gains_and_offsets_that_change_nothing_are_no_reason(tmp_path: Path):
    path = library(tmp_path, data_gain_values="{1, 1}", data_offset_values="{0, 0}")
    np.testing.assert_array_equal(read_envi(path)[0].values, SOILS[0])


def test_one_bad_spectrum_does_not_stop_the_rest(tmp_path: Path):
    # The library's own grid ascends, but a spectrum can still have too little left.
    values = np.vstack([SOILS, SOILS[:1]])
    values[1, 1:] = -9.0
    spectra = read_envi(library(tmp_path, values, names=("a", "b", "c"), data_ignore_value="-9"))
    assert [s.sample_id for s in spectra] == ["a", "c"]


def test_what_we_write_is_read_back(tmp_path: Path):
    spectra = [
        Spectrum(NM, SOILS[0], "reflectance", "RS052", measurement="00003"),
        Spectrum(NM, SOILS[1], "reflectance", "a {b}, c=d", simulated=True),
    ]
    assert write_envi(tmp_path / "out.sli", spectra) == 2
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out.hdr", "out.sli"]
    first, second = read_envi(tmp_path / "out.hdr")
    np.testing.assert_array_equal(first.wavelengths_nm, NM)
    np.testing.assert_array_equal(np.stack([first.values, second.values]), SOILS)
    assert (first.sample_id, first.measurement, first.simulated) == ("RS052", "00003", False)
    assert (second.sample_id, second.simulated) == ("a b c d", True)


@pytest.mark.parametrize("quantity", ["absorbance", "raw_dn", "radiance", "irradiance", "transmittance"])
def test_quantities_are_written_and_read_back(tmp_path: Path, quantity: str):
    write_envi(tmp_path / "out.hdr", [Spectrum(NM, SOILS[0], quantity, "a")])  # type: ignore[arg-type]
    assert read_envi(tmp_path / "out.hdr")[0].quantity == quantity


@pytest.mark.parametrize(
    "second",
    [Spectrum(NM[1:], SOILS[0, 1:], "reflectance", "b"), Spectrum(NM, SOILS[0], "absorbance", "b")],
    ids=["grid", "quantity"],
)
def test_what_does_not_fit_is_not_written(tmp_path: Path, second: Spectrum):
    with pytest.raises(UnusableSpectrumError, match="^b: .*beside the first"):
        write_envi(tmp_path / "out.hdr", [Spectrum(NM, SOILS[0], "reflectance", "a"), second])
    with pytest.raises(SpectrumFileError, match="no spectra"):
        write_envi(tmp_path / "out.hdr", [])
    assert list(tmp_path.iterdir()) == []


def test_real_library(shared_data: Path):
    path = shared_data / "minerals" / "usgs_splib07_224band.hdr"
    spectra = read_envi(path)
    raw = np.fromfile(path.with_suffix(".sli"), "<f4").reshape(3139, 224)
    text = path.read_text()
    names = [" ".join(n.split()) for n in re.findall(r"spectra names = \{(.*?)\}", text, re.DOTALL)[0].split(",")]
    nm = 1000 * np.array(re.findall(r"wavelength = \{(.*?)\}", text, re.DOTALL)[0].split(","), dtype=float)
    # 3139 records: 680 error bars, one of wavelengths, one of resolutions.
    assert len(spectra) == 3139 - 680 - 2
    assert sum(s.quantity == "transmittance" for s in spectra) == 1
    by_name = dict(zip(names, raw, strict=True))
    for spectrum in spectra[::50]:
        row = by_name[spectrum.sample_id]
        for wavelength, value in zip(spectrum.wavelengths_nm, spectrum.values, strict=True):
            assert value in row[np.abs(nm - wavelength) < 1e-6]
        assert (spectrum.values > -1).all()
    # The four spectrometers of AVIRIS overlap at two of their joins.
    assert spectra[0].splices_nm == pytest.approx((675.65, 1260.675))
    for mineral in ("Arsenopyrite", "Pyrite", "Muscovite", "Jarosite", "Galena", "Sphalerite"):
        assert any(s.sample_id.startswith(mineral) for s in spectra)


@pytest.mark.parametrize("line", ["detector joins = {1000, 1800}", "splice wavelengths = {1000.0, 1800.0}"])
def test_joins_of_the_header(tmp_path: Path, line: str):
    write_envi(tmp_path / "a.hdr", [Spectrum(np.arange(350.0, 2501), np.full(2151, 0.3), "reflectance", "a")])
    with open(tmp_path / "a.hdr", "a") as file:
        file.write(f"{line}\n")
    (spectrum,) = read_envi(tmp_path / "a.hdr")
    assert spectrum.splices_nm == (1000.0, 1800.0)


def test_bands_of_the_bad_band_list_are_holes(tmp_path: Path):
    nm = np.arange(350.0, 2501)
    bad = (nm >= 1350) & (nm <= 1450)
    write_envi(tmp_path / "a.hdr", [Spectrum(nm, np.where(bad, 9.0, 0.3), "reflectance", "a")])
    with open(tmp_path / "a.hdr", "a") as file:
        file.write(f"bbl = {{{', '.join('01'[not b] for b in bad)}}}\n")
    (spectrum,) = read_envi(tmp_path / "a.hdr")
    np.testing.assert_array_equal(spectrum.wavelengths_nm, nm[~bad])
    with open(tmp_path / "a.hdr", "a") as file:
        file.write("bbl = {1, 0, 1}\n")
    with pytest.raises(SpectrumFileError, match=r"a bad band list \(bbl\) of 3 for 2151 bands"):
        read_envi(tmp_path / "a.hdr")


def test_a_deviation_beside_its_mean_is_no_spectrum(tmp_path: Path):
    names = ["Soil 1 mean", "Soil 1 stdev", "Soil 2", "Soil 2_sd", "Pure std"]
    write_envi(
        tmp_path / "a.hdr", [Spectrum(np.arange(350.0, 2501), np.full(2151, 0.3), "reflectance", n) for n in names]
    )
    assert [s.sample_id for s in read_envi(tmp_path / "a.hdr")] == ["Soil 1 mean", "Soil 2", "Pure std"]


@pytest.mark.filterwarnings("error")
def test_a_signalling_not_a_number_warns_of_nothing(tmp_path: Path):
    path = library(tmp_path)
    data = path.with_suffix(".sli").read_bytes()
    # The first number of the first spectrum: a band that it does not have.
    path.with_suffix(".sli").write_bytes(b"\x00\x00\xa0\x7f" + data[4:])
    assert [spectrum.values.size for spectrum in read_envi(path)] == [NM.size - 1, NM.size]
