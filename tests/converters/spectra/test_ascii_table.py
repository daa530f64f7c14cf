"""Text tables: every way they are written that this project reads, and the ways that are refused."""

from __future__ import annotations

import gzip
import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stibium.converters.spectra import (
    Spectrum,
    SpectrumFileError,
    TruncatedFileError,
    UnknownFormatError,
    read_ascii_table,
    read_spectra,
    write_ascii_table,
)
from stibium.converters.spectra.ascii_table import looks_like_ascii_table
from text_samples import parse_ascii_table, soil_reflectance

NM = np.arange(350.0, 2501.0, 50.0)
SOILS = np.stack([soil_reflectance(NM), 0.8 * soil_reflectance(NM), 0.5 * soil_reflectance(NM) + 0.01]).round(5)
NAMES = ["RS05200003.asd", "RS053_00001.asd", "v6sample.asd"]
IDS = [("RS052", "00003"), ("RS053", "00001"), ("v6sample", "")]


def number(value: float, comma: bool) -> str:
    text = f"{value:.7g}"
    return text.replace(".", ",") if comma else text


def down(nm, spectra, names, delimiter="\t", comma=False, axis="Wavelength", end="\n", preamble=()):
    rows = [[axis, *names]] if names else []
    rows += [[number(w, comma), *(number(v, comma) for v in values)] for w, values in zip(nm, spectra.T, strict=True)]
    return (end.join([*preamble, *(delimiter.join(row) for row in rows)]) + end).encode()


def across(nm, spectra, names, delimiter="\t", comma=False, around=("", ""), end="\n", preamble=(), first="sample"):
    rows = [[first, *(around[0] + number(w, comma) + around[1] for w in nm)]]
    rows += [[name, *(number(v, comma) for v in values)] for name, values in zip(names, spectra, strict=True)]
    return (end.join([*preamble, *(delimiter.join(row) for row in rows)]) + end).encode()


@pytest.mark.parametrize("layout", ["down", "across"])
@pytest.mark.parametrize(
    ("delimiter", "comma"),
    [("\t", False), ("\t", True), (";", False), (";", True), (",", False), ("  ", False), (" ", True)],
)
@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize(("scale", "unit"), [*itertools.product([1.0, 100.0], [1.0, 0.001])])
def test_every_way_of_writing_gives_the_same_spectra(layout, delimiter, comma, order, scale, unit):
    write = down if layout == "down" else across
    data = write(NM[::order] * unit, SOILS[:, ::order] * scale, NAMES, delimiter=delimiter, comma=comma)
    assert looks_like_ascii_table(data)
    assert looks_like_ascii_table(data[:500])
    spectra = parse_ascii_table(data, "export.txt")
    assert [(s.sample_id, s.measurement) for s in spectra] == IDS
    for spectrum, expected in zip(spectra, SOILS, strict=True):
        np.testing.assert_allclose(spectrum.wavelengths_nm, NM, atol=1e-9)
        np.testing.assert_allclose(spectrum.values, expected, atol=1e-9)
        assert spectrum.quantity == "reflectance"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_encodings_and_line_ends(encoding, end):
    text = down(NM / 1000, SOILS, ["Erdé", "b", "c"], axis="Wavelength (µm)", end=end).decode()
    spectra = parse_ascii_table(text.encode(encoding), "export.txt")
    assert [s.sample_id for s in spectra] == ["Erdé", "b", "c"]
    np.testing.assert_array_equal(spectra[0].wavelengths_nm, NM)


def test_quoted_fields_and_decimal_commas_between_commas():
    lines = ['"Wavelength","a","b"'] + [
        f'"{w:.0f}","{number(x, True)}","{number(y, True)}"' for w, x, y in zip(NM, *SOILS[:2], strict=True)
    ]
    spectra = parse_ascii_table(("\n".join(lines) + "\n").encode(), "export.csv")
    assert [s.sample_id for s in spectra] == ["a", "b"]
    np.testing.assert_allclose(spectra[1].values, SOILS[1])


@pytest.mark.parametrize(
    "behind", [[], ["Depth (cm),5,15"], ["Wavelength,,"], ["Depth,5,15", "Wavelength,,"], ["nm,-,-"]]
)
def test_the_names_of_columns_may_stand_above_other_rows(behind: list[str]):
    rows = [f"{w:g},{x},{y}" for w, x, y in zip(NM, *SOILS[:2], strict=True)]
    spectra = parse_ascii_table(("\n".join(["Sample,A1,A2", *behind, *rows]) + "\n").encode(), "t.csv")
    assert [s.sample_id for s in spectra] == ["A1", "A2"]


@pytest.mark.parametrize("note", ['"wet,\nsee book"', '"a\n\n""b"" c"', '12" core', '""', "plain"])
def test_a_cell_in_quotes_may_go_over_several_lines(note: str):
    head = ["ID", "Note", *(f"{w:g}" for w in NM)]
    rows = [[name, text, *map(str, soil)] for name, text, soil in zip("ab", (note, "ok"), SOILS[:2], strict=True)]
    data = "".join(",".join(row) + "\n" for row in (head, *rows)).encode()
    spectra = parse_ascii_table(data, "export.csv")
    assert [s.sample_id for s in spectra] == ["a", "b"]
    np.testing.assert_allclose(spectra[1].values, SOILS[1])


def test_two_columns_without_a_header_are_named_by_the_file(tmp_path: Path):
    path = tmp_path / "R50.txt"
    path.write_bytes(down(NM, SOILS[:1], []))
    (spectrum,) = read_ascii_table(path)
    assert (spectrum.sample_id, spectrum.measurement, spectrum.source) == ("R50", "", str(path))
    path = tmp_path / "RS05200003.asd.txt.gz"
    path.write_bytes(gzip.compress(down(NM, SOILS[:1], ["Reflectance"])))
    (spectrum,) = read_ascii_table(path)
    assert (spectrum.sample_id, spectrum.measurement) == ("RS052", "00003")


def test_columns_without_names_are_counted():
    spectra = parse_ascii_table(down(NM, SOILS, []), "field.txt")
    assert [(s.sample_id, s.measurement) for s in spectra] == [("field", "1"), ("field", "2"), ("field", "3")]


@pytest.mark.parametrize("around", [("X", ""), ("", "nm"), ("R_", ""), ("scan_visnir.", "_ref"), ("Refl. at ", " nm")])
def test_wavelengths_with_letters_around(around):
    spectra = parse_ascii_table(across(NM, SOILS, NAMES, ",", around=around), "x.csv")
    assert [s.sample_id for s in spectra] == [sample for sample, _ in IDS]
    np.testing.assert_allclose(spectra[2].values, SOILS[2])


def test_further_columns_are_kept():
    header = ",".join(
        ["", "lab_id", "clay_pct", "site", "plot", "latitude_deg", "longitude_deg", *(f"X{w:.0f}" for w in NM)]
    )
    row = ",".join(["7", "0042", "21.5", "north slope", "12", "41.2", "-7.5", *(f"{v:.5f}" for v in SOILS[0])])
    (spectrum,) = parse_ascii_table(f"{header}\n{row}\n".encode(), "survey.csv")
    assert spectrum.sample_id == "0042"
    assert spectrum.extra == {"clay_pct": 21.5, "site": "north slope", "plot": 12}
    assert spectrum.position is not None
    assert spectrum.position.longitude_deg == -7.5


def test_row_names_of_r_have_no_header():
    header = " ".join(f'"X{w:.0f}"' for w in NM)
    rows = "".join(f'"s{i}" ' + " ".join(f"{v:.5f}" for v in values) + "\n" for i, values in enumerate(SOILS))
    spectra = parse_ascii_table(f"{header}\n{rows}".replace('"', "").encode(), "r.txt")
    assert [s.sample_id for s in spectra] == ["s0", "s1", "s2"]


def test_row_numbers_beside_the_wavelengths_are_passed_over():
    lines = ['"","wavelength","a"'] + [
        f'"{i + 1}",{w:g},{v:g}' for i, (w, v) in enumerate(zip(NM, SOILS[0], strict=True))
    ]
    (spectrum,) = parse_ascii_table(("\n".join(lines) + "\n").encode(), "r.csv")
    np.testing.assert_array_equal(spectrum.wavelengths_nm, NM)
    assert spectrum.sample_id == "a"


def test_reflectance_is_chosen_among_counts():
    columns = np.stack([2000 + NM, (2000 + NM) * SOILS[0], 100 * SOILS[0]])
    names = ["Norm. DN (Ref.)", "Norm. DN (Target)", "Reflect. %"]
    (spectrum,) = parse_ascii_table(down(NM, columns, names, ",", axis="Wvl"), "RS052_00003.csv")
    np.testing.assert_allclose(spectrum.values, SOILS[0])
    assert (spectrum.sample_id, spectrum.measurement) == ("RS052", "00003")


@pytest.mark.parametrize(
    ("axis", "names", "preamble", "quantity", "factor"),
    [
        ("Wavelength (nm)", ["Absorbance"], [], "absorbance", 1.0),
        ("Wavelength", ["a"], ["log(1/R) of air-dry soil"], "absorbance", 1.0),
        ("Wavelength", ["Transmittance %"], [], "transmittance", 0.01),
        ("Wavelength", ["Radiance (W/m2/sr/nm)"], [], "radiance", 1.0),
        ("Wavelength", ["a"], ["Y axis: raw DN"], "raw_dn", 1.0),
        ("Wavelength", ["a"], ["Quantity: reflectance, %"], "reflectance", 0.01),
        ("Wavelength", ["a"], ["humidity 40 %, lamp 2"], "reflectance", 0.01),
    ],
)
def test_words_say_what_the_values_are(axis, names, preamble, quantity, factor):
    values = 100 * SOILS[:1]
    (spectrum,) = parse_ascii_table(down(NM, values, names, axis=axis, preamble=preamble), "a.txt")
    assert spectrum.quantity == quantity
    np.testing.assert_allclose(spectrum.values, factor * values[0])


def test_simulated_names_mark_spectra():
    spectra = parse_ascii_table(down(NM, SOILS[:2], ["RS052_00003 simulated", "RS053"]), "a.txt")
    assert [(s.sample_id, s.measurement, s.simulated) for s in spectra] == [
        ("RS052", "00003", True),
        ("RS053", "", False),
    ]


def test_a_serial_number_is_no_sample():
    (spectrum,) = parse_ascii_table(down(NM, SOILS[:1], ["1456045_00115"]), "a.txt")
    assert (spectrum.sample_id, spectrum.measurement) == ("1456045_00115", "")


def test_overlapping_detectors_are_joined():
    nm = np.concatenate([np.arange(350, 1051, 10.0), np.arange(950, 2501, 10.0)])
    for write in (down, across):
        (spectrum,) = parse_ascii_table(write(nm, soil_reflectance(nm)[None], ["a"]), "a.txt")
        assert spectrum.splices_nm == (1000.0,)
        assert spectrum.wavelengths_nm.size == 216


@pytest.mark.parametrize("write", [down, across])
def test_one_bad_spectrum_does_not_stop_the_rest(write):
    spoilt = 1.0 * SOILS
    spoilt[1, 4] = np.nan
    bad: list[SpectrumFileError] = []
    spectra = parse_ascii_table(write(NM, spoilt, ["a", "b", "c"]), "a.txt", bad.append)
    assert [s.sample_id for s in spectra] == ["a", "c"]
    assert len(bad) == 1
    assert str(bad[0]).startswith("a.txt: ")
    assert "(b)" in str(bad[0])
    assert "1 of 44 values" in str(bad[0])
    with pytest.raises(SpectrumFileError, match="1 of 44 values"):
        parse_ascii_table(write(NM, spoilt, ["a", "b", "c"]), "a.txt")


def test_percent_or_fraction_is_decided_by_the_middle_of_a_spectrum():
    def read(values, axis="Wavelength"):
        (spectrum,) = parse_ascii_table(down(NM, np.asarray(values)[None], ["a"], axis=axis), "a.txt")
        return spectrum

    dark = 0.01 * SOILS[0]
    np.testing.assert_allclose(read(0 * NM + 1.2).values, 1.2)
    np.testing.assert_allclose(read(0 * NM + 3.0).values, 0.03)
    assert read(0 * NM + 3.0).remarks == ("values taken to be in per cent, which the file does not say",)
    np.testing.assert_allclose(read(dark).values, dark)
    assert read(dark).remarks == ()
    for doubtful in (1.3, 1.9, 151.0, 10000.0, np.where(NM < 1500, 0.9, 3.0)):
        with pytest.raises(SpectrumFileError, match="neither as a fraction nor in %"):
            read(0 * NM + doubtful)
    np.testing.assert_allclose(read(0 * NM + 1.9, "Wavelength, reflectance in %").values, 0.019)
    np.testing.assert_allclose(read(1e4 * SOILS[0], "Wavelength, reflectance * 10000").values, SOILS[0])
    for said, value in (("fractions", 45.0), ("in per cent", 0.4)):
        with pytest.raises(SpectrumFileError, match=f"says values are {said}, but they are {value:g} in the middle"):
            read(0 * NM + value, {"fractions": "Wavelength, fraction", "in per cent": "Wavelength, %"}[said])


def test_wild_bands_and_the_noise_of_water_make_no_per_cent():
    noisy = SOILS[0].copy()
    noisy[(NM >= 1350) & (NM <= 1450) | (NM >= 1800) & (NM <= 1950)] *= [12, -9, 7, 15, -20, 4, 9]
    wild = SOILS[1].copy()
    wild[7] = 4e5
    for values in (noisy, wild):
        (spectrum,) = parse_ascii_table(down(NM, values[None], ["a"]), "a.txt")
        np.testing.assert_allclose(spectrum.values, values, rtol=1e-4)


@pytest.mark.parametrize("write", [down, across])
def test_each_spectrum_is_told_by_itself_and_the_odd_one_is_refused(write):
    soils = np.stack([SOILS[0], SOILS[1], 0.8 * SOILS[0], 40 * SOILS[1]])
    bad: list[SpectrumFileError] = []
    spectra = parse_ascii_table(write(NM, soils, ["a", "b", "c", "odd"]), "a.txt", bad.append)
    np.testing.assert_allclose([s.values for s in spectra], soils[:3], rtol=1e-4)
    assert len(bad) == 1
    assert "odd" in str(bad[0])
    assert "are in per cent, most of the file's fractions" in str(bad[0])
    with pytest.raises(SpectrumFileError, match="2 spectra are .* by their values, and as many"):
        parse_ascii_table(write(NM, soils[[0, 1, 3, 3]], ["a", "b", "c", "d"]), "a.txt")


@pytest.mark.parametrize(
    ("data", "kind", "reason"),
    [
        (b"hello\nworld\n", UnknownFormatError, "without a table of spectra"),
        (b"a,b\n1,2\n3,4\n", UnknownFormatError, "without a table of spectra"),
        (down(np.arange(1.0, 45.0), SOILS, ["a", "b", "c"]), SpectrumFileError, "wavelengths from 1 to 44"),
        (down(NM, SOILS, ["a", "b", "c"], axis="Wavenumber (cm-1)"), SpectrumFileError, "no wavelength"),
        (down(NM[:9], SOILS[:, :9], ["a", "b", "c"]), SpectrumFileError, "9 lines of numbers"),
        (down(NM, SOILS, ["a", "b", "c"])[:-1], TruncatedFileError, "no line end"),
        (down(NM, SOILS, ["a", "b", "c"]) + b"2550\t0.1\n", TruncatedFileError, "2 of 4 columns"),
        (down(NM, SOILS, ["a", "b", "c"]) + b"end of file\n", SpectrumFileError, "1 of 4 columns"),
        (down(NM, SOILS, ["a", "b", "c"]) + b"2550\t0.1\t0.1\tx\n", SpectrumFileError, "line 46: 'x' is not a number"),
        (
            down(NM, SOILS, ["a", "b"][:0]).replace(b"\t0.", b"\t0,", 1),
            SpectrumFileError,
            "decimal commas .* and points",
        ),
        (across(NM, SOILS, ["a", "", "c"]), SpectrumFileError, "line 3 .*'sample' is empty"),
        (across(NM, SOILS, NAMES).split(b"\n")[0] + b"\n", TruncatedFileError, "without a row"),
        (across(NM, SOILS, NAMES)[:-9], TruncatedFileError, "no line end"),
        (across(NM, SOILS, NAMES) + b"x\t0.1\n", TruncatedFileError, "2 of 45 columns"),
        (
            across(np.append(NM, NM[:20] + 0.5), np.hstack([SOILS, SOILS[:, :20]]), NAMES),
            SpectrumFileError,
            "as no detectors do",
        ),
        (b"\x00\x01\x02", UnknownFormatError, "control characters"),
        (b"\xff\xfea", UnknownFormatError, "UTF-16"),
    ],
)
def test_refused_with_its_reason(data, kind, reason):
    with pytest.raises(kind, match=rf"^a.txt: .*{reason}"):
        parse_ascii_table(data, "a.txt")


@pytest.mark.parametrize("delimiter", ["\t", ",", ";"])
def test_numbers_of_samples_are_no_wavelengths(delimiter):
    samples = [str(1001 + i) for i in range(20)]
    soils = np.stack([SOILS[0] * (1 - i / 40) for i in range(20)]).round(5)
    for write, extra in (
        (down, {"axis": "Wavelength"}),
        (down, {"axis": ""}),
        (across, {}),
        (across, {"first": "Wavelength"}),
    ):
        spectra = parse_ascii_table(write(NM, soils, samples, delimiter, **extra), "a.txt")
        assert [s.sample_id for s in spectra] == samples
        np.testing.assert_allclose(np.stack([s.values for s in spectra]), soils)


@pytest.mark.parametrize("quantity", ["reflectance", "transmittance", "absorbance", "raw_dn", "radiance", "irradiance"])
def test_what_we_write_is_read_back(tmp_path: Path, quantity):
    values = {"raw_dn": 30000 * SOILS, "radiance": 9 * SOILS}.get(quantity, SOILS)
    soils = [
        Spectrum(NM, values[0], quantity, "RS052", measurement="00003"),
        Spectrum(NM, values[1], quantity, 'tab\tand "quote"', simulated=True),
    ]
    assert write_ascii_table(tmp_path / "a.txt", soils) == 2
    first, second = read_ascii_table(tmp_path / "a.txt")
    assert (first.sample_id, first.measurement, first.simulated) == ("RS052", "00003", False)
    assert (second.sample_id, second.simulated) == ("tab and quote", True)
    for spectrum, expected in zip((first, second), values, strict=False):
        assert spectrum.quantity == quantity
        np.testing.assert_allclose(spectrum.values, expected, rtol=5e-9)


def test_two_sets_of_wavelengths_are_refused():
    header = ",".join(["id", *(f"{w:.0f}_ref" for w in NM), *(f"{w:.0f}_abs" for w in NM)])
    row = ",".join(["a", *["0.3"] * (2 * NM.size)])
    with pytest.raises(SpectrumFileError, match="two sets of wavelength columns, '_ref' and '_abs'"):
        parse_ascii_table(f"{header}\n{row}\n".encode(), "a.csv")


def test_a_comma_that_may_be_either_is_refused():
    lines = [f"{w:.0f},0,{round(1000 * v)}" for w, v in zip(NM, SOILS[0], strict=True)]
    with pytest.raises(SpectrumFileError, match="a comma may be the decimal sign"):
        parse_ascii_table(("\n".join(lines) + "\n").encode(), "a.csv")


@settings(max_examples=30)
@given(st.data())
def test_refused_wherever_a_line_is_cut(data):
    write = data.draw(st.sampled_from([down, across]))
    content = write(NM, SOILS, NAMES, data.draw(st.sampled_from(["\t", ";", ","])))
    length = data.draw(st.integers(0, len(content) - 1))
    if content[length - 1 : length] == b"\n" or not length:
        return  # a cut between two lines is what this format cannot show
    with pytest.raises(SpectrumFileError):
        parse_ascii_table(content[:length], "a.txt")


def test_the_same_two_soils_on_two_instruments(shared_data: Path):
    asd = read_ascii_table(shared_data / "instruments" / "two_soils_asd.csv")
    other = read_ascii_table(shared_data / "instruments" / "two_soils_spectral_evolution.csv")
    assert [s.sample_id for s in asd] == [s.sample_id for s in other] == ["HVb21", "HVd13"]
    for a, b in zip(asd, other, strict=True):
        assert a.range_nm == b.range_nm == (350.0, 2500.0)
        assert np.corrcoef(a.values, b.values)[0, 1] > 0.9
        assert 0 < a.values.min() < a.values.max() < 1


@pytest.mark.parametrize(("name", "factor"), [("R50", 1), ("R6", 1), ("R90", 1), ("R55_SiSu", 100)])
def test_real_panels(shared_data: Path, name: str, factor: float):
    path = shared_data / "instruments" / "panels" / f"{name}.txt"
    (spectrum,) = read_ascii_table(path)
    theirs = np.loadtxt(path, delimiter=",")
    np.testing.assert_array_equal(spectrum.wavelengths_nm, theirs[:, 0])
    np.testing.assert_array_equal(spectrum.values, theirs[:, 1] / factor)
    assert spectrum.sample_id == name


def test_real_minerals_down(shared_data: Path):
    path = shared_data / "minerals" / "usgs_splib07_1nm.csv"
    spectra = read_ascii_table(path)
    theirs = np.loadtxt(path, delimiter=",", skiprows=1)
    assert len(spectra) == 12
    assert spectra[1].sample_id == "hematite"
    np.testing.assert_array_equal(np.stack([s.values for s in spectra]), theirs[:, 1:].T)


def test_real_survey_across(shared_data: Path):
    path = shared_data / "soil" / "geeves_contact_probe.csv.gz"
    spectra = read_ascii_table(path)
    theirs = np.genfromtxt(path, delimiter=",", skip_header=1)
    assert len(spectra) == 261
    np.testing.assert_array_equal(np.stack([s.values for s in spectra]), theirs[:, 5:])
    assert [s.extra["clay_pct"] for s in spectra] == theirs[:, 1].tolist()
    assert spectra[0].sample_id == "G002"


def test_assays_are_no_spectra(shared_data: Path):
    for name in ("icpms_table_a1.csv", "icpms_qaqc.csv"):
        with pytest.raises(UnknownFormatError):
            read_ascii_table(shared_data / name)


@pytest.mark.parametrize(
    ("preamble", "joins"),
    [
        (("Join between VNIR and SWIR1 was 1000 nm", "Join between SWIR1 and SWIR2 was 1800 nm"), (1000.0, 1800.0)),
        (("Splice 1: 1001.5", "Splice 2: 1830"), (1001.5, 1830.0)),
        (("# detector joins: 1000, 1800 nm",), (1000.0, 1800.0)),
        (("joined by hand in 2024, sample 1500",), ()),
        (("Splices at 12, 99000 nm",), ()),
    ],
)
@pytest.mark.parametrize("write", [down, across])
def test_joins_of_the_header(preamble, joins, write):
    spectra = parse_ascii_table(write(NM, SOILS, NAMES, preamble=preamble), "a.txt")
    assert {s.splices_nm for s in spectra} == {tuple(j for j in joins if NM[0] < j < NM[-1])}


def test_viewspecs_time(tmp_path: Path):
    preamble = ("Text conversion of header file C:\\RS052.asd", "Spectrum saved: 05/16/2024 at 07:08:09", "-----")
    (spectrum,) = parse_ascii_table(down(NM, SOILS[:1], NAMES[:1], preamble=preamble), "a.txt")
    assert str(spectrum.measured_at) == "2024-05-16 07:08:09"
    # Of several spectra in one file it may be only the first one's.
    both = parse_ascii_table(down(NM, SOILS, NAMES, preamble=preamble), "a.txt")
    assert {s.measured_at for s in both} == {None}


# --- axes that are no wavelengths, and numbers that are names ----------------------------------------------------


FINE = np.arange(350.0, 2501.0, 10.0)
FINE_SOILS = np.stack([np.interp(FINE, NM, soil) for soil in SOILS])


@pytest.mark.parametrize("axis", ["", "x", "Wavelength"])
@pytest.mark.parametrize(
    "numbers", [np.arange(4000.0, 399, -2), np.arange(400.0, 4001, 4), np.arange(12000.0, 3999, -8)]
)
def test_wavenumbers_are_refused_by_that_word(axis: str, numbers: np.ndarray):
    content = down(numbers, np.full((1, numbers.size), 0.3), ["a"] if axis else [], axis=axis)
    with pytest.raises(SpectrumFileError, match=r"without a unit: wavenumbers in cm-1, or nm\?"):
        parse_ascii_table(content, "a.txt")


def test_far_wavelengths_that_say_their_unit_are_read():
    numbers = np.arange(2500.0, 15001, 100)
    (spectrum,) = parse_ascii_table(
        down(numbers, np.full((1, numbers.size), 0.3), ["a"], axis="Wavelength (nm)"), "a.txt"
    )
    assert spectrum.range_nm == (2500, 15000)


@pytest.mark.parametrize("mir", ["scan_mir.{:.0f}_abs", "mir{:.0f}", "{:.0f} cm-1"])
def test_wavenumbers_beside_wavelengths_are_left_out(mir: str):
    header = ["id", *(f"scan_visnir.{nm:.0f}_ref" for nm in NM), *(mir.format(n) for n in range(600, 4001, 20))]
    row = ["S1", *("0.3" for _ in NM), *("1.4" for _ in range(600, 4001, 20))]
    (spectrum,) = parse_ascii_table(f"{','.join(header)}\n{','.join(row)}\n".encode(), "a.csv")
    np.testing.assert_array_equal(spectrum.wavelengths_nm, NM)
    np.testing.assert_allclose(spectrum.values, 0.3)
    assert spectrum.extra == {}


def test_two_sets_of_wavelengths_are_refused_whatever_their_lengths():
    header = ["id", *(f"{nm:.0f}_ref" for nm in NM), *(f"{nm:.0f}_abs" for nm in FINE)]
    row = ["S1", *("0.3" for _ in NM), *("0.5" for _ in FINE)]
    with pytest.raises(SpectrumFileError, match="two sets of wavelength columns"):
        parse_ascii_table(f"{','.join(header)}\n{','.join(row)}\n".encode(), "a.csv")


LAB_NUMBERS = [str(n) for n in (312, 455, 690, 871, 1020, 1333, 1502, 1740, 1999, 2210, 2544, 2980)]


@pytest.mark.parametrize("first", ["sample", "Sample ID", "Lab No", ""])
@pytest.mark.parametrize("write", [across, down])
def test_samples_named_by_numbers_stay_samples(first: str, write):
    soils = np.stack([FINE_SOILS[0] * (1 - i / 50) for i in range(12)])
    said = {"first": first} if write is across else {"axis": "Wavelength" if first else ""}
    spectra = parse_ascii_table(write(FINE, soils, LAB_NUMBERS, **said), "a.csv")
    assert [s.sample_id for s in spectra] == LAB_NUMBERS
    np.testing.assert_allclose(np.stack([s.values for s in spectra]), soils, rtol=1e-4)


# --- rows and columns that are no soil ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "lines",
    [
        ["Wavelength,S1,S2", "nm,-,-"],
        ["Wavelength,S1,S2", "(nm),%,%"],
        ["Sample,S1,S2", "Depth_cm,0,10"],
        ["Sample,S1,S2", "Depth_cm,0,10", "Date,2024-05-06,2024-05-07"],
        ["wl,S1,S2", "unit,,"],
        ["Site,North,North", "Sample,S1,S2"],
    ],
)
def test_the_line_that_names_the_samples_is_found_among_others(lines: list[str]):
    factor = 100 if "%" in lines[-1] else 1
    rows = [f"{nm:.0f},{factor * a:.5f},{factor * b:.5f}" for nm, a, b in zip(NM, *SOILS[:2], strict=True)]
    spectra = parse_ascii_table(("\n".join([*lines, *rows]) + "\n").encode(), "a.csv")
    assert [s.sample_id for s in spectra] == ["S1", "S2"]
    np.testing.assert_allclose(spectra[0].values, SOILS[0], atol=1e-5)


@pytest.mark.parametrize("units", ["unit", "", "-"])
def test_a_row_of_units_under_wavelengths_is_no_soil(units: str):
    lines = across(NM, SOILS, NAMES, ",").decode().splitlines()
    lines.insert(1, ",".join([units, *("nm" if units == "unit" else units for _ in NM)]))
    spectra = parse_ascii_table(("\n".join(lines) + "\n").encode(), "a.csv")
    assert [(s.sample_id, s.measurement) for s in spectra] == IDS


@pytest.mark.parametrize("write", [across, down])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_empty_rows_and_columns_of_a_spreadsheet_are_passed_over(write, delimiter: str):
    lines = write(NM, SOILS, NAMES, delimiter).decode().splitlines()
    cells = lines[0].count(delimiter)
    tail = [delimiter * (cells + 2), delimiter * (cells + 2) + " "]
    content = ("\n".join(["sep=" + delimiter, *(line + 2 * delimiter for line in lines), *tail]) + "\n").encode()
    spectra = parse_ascii_table(content, "a.csv")
    assert [(s.sample_id, s.measurement) for s in spectra] == IDS


@pytest.mark.parametrize("name", ["S1 stdev", "S1_sd", "S1 std. dev.", "S1 (SD)", "SD", "standard deviation"])
@pytest.mark.parametrize("write", [across, down])
def test_a_deviation_beside_what_it_is_of_is_never_averaged_in(write, name: str):
    content = write(NM, np.stack([SOILS[0], 0.02 * SOILS[0], SOILS[1]]), ["S1", name, "S2"])
    bad: list[SpectrumFileError] = []
    spectra = parse_ascii_table(content, "a.txt", bad.append)
    assert [s.sample_id for s in spectra] == ["S1", "S2"]
    assert len(bad) == 1
    assert "deviation by its name" in str(bad[0])


def test_names_that_only_look_like_deviations_are_samples():
    names = ["Trestd", "Sd 4", "North_std"]
    spectra = parse_ascii_table(down(NM, np.stack([SOILS[0]] * 3), names), "a.txt")
    assert [s.sample_id for s in spectra] == names


def test_columns_without_a_name():
    named = down(NM, np.stack([SOILS[0], SOILS[1]]), ["S1", ""])
    bad: list[SpectrumFileError] = []
    assert [s.sample_id for s in parse_ascii_table(named, "a.txt", bad.append)] == ["S1"]
    assert "column 3: has values and no name" in str(bad[0])
    with pytest.raises(SpectrumFileError, match="may be a deviation or counts; write names above them"):
        parse_ascii_table(down(NM, np.stack([SOILS[0], 0.08 * SOILS[0]]), []), "a.txt")


def test_a_drill_hole_is_no_sample():
    header = ["BHID", "Assay tag", *(f"{nm:.0f}" for nm in NM)]
    rows = [["DH1", f"T{i}", *(f"{v:.5f}" for v in SOILS[0] * (1 + i / 99))] for i in range(4)]
    content = "\n".join(",".join(cells) for cells in [header, *rows]) + "\n"
    with pytest.raises(SpectrumFileError, match="'BHID' says the same of several rows, 'Assay tag' does not"):
        parse_ascii_table(content.encode(), "a.csv")
    spectra = parse_ascii_table(content.replace("Assay tag", "Sample No").encode(), "a.csv")
    assert [s.sample_id for s in spectra] == ["T0", "T1", "T2", "T3"]
    assert {s.extra["BHID"] for s in spectra} == {"DH1"}


@pytest.mark.parametrize(
    ("names", "fields", "expected"),
    [
        (("Latitude", "Longitude"), ("46.5", "-92.25"), (46.5, -92.25)),
        (("lat", "lon"), ("46.5", "-92.25"), (46.5, -92.25)),
        (("Longitude (deg)", "Latitude (deg)"), ("-92.25", "46.5"), (46.5, -92.25)),
        (("Decimal_Latitude", "Decimal_Longitude"), ("46.5", "-92.25"), (46.5, -92.25)),
        (("Latitude", "Longitude"), ("0.0", "0.0"), None),
        (("Latitude", "Longitude"), ("46 30 N", "92 15 W"), None),
        (("Latitude", "Longitude"), ("", ""), None),
        (("Latitude", "Site"), ("46.5", "north"), None),
    ],
)
def test_columns_of_a_place_are_one(names, fields, expected):
    lines = across(NM, SOILS[:1], NAMES[:1]).decode().splitlines()
    data = "\n".join("\t".join((line, *more)) for line, more in zip(lines, (names, fields), strict=True)) + "\n"
    (spectrum,) = parse_ascii_table(data.encode(), "ecosis.txt")
    if expected is None:
        assert spectrum.position is None
        return
    assert spectrum.position is not None
    assert (spectrum.position.latitude_deg, spectrum.position.longitude_deg) == expected
    assert not set(names) & set(spectrum.extra)


@pytest.mark.parametrize(
    ("names", "fields", "expected"),
    [
        (("Date",), ("2014-05-16",), "2014-05-16T00:00:00"),
        (("Date",), ("5/16/2014",), "2014-05-16T00:00:00"),
        (("Date", "Time"), ("16/5/2014", "10:30"), "2014-05-16T10:30:00"),
        (("Date/Time",), ("2014-05-16 10:30:05",), "2014-05-16T10:30:05"),
        (("Measurement Date",), ("2014-05-16T10:30:05Z",), "2014-05-16T10:30:05+00:00"),
        (("Date",), ("5/6/2014",), None),  # the fifth of June, or the sixth of May
        (("Date",), ("spring 2014",), None),
        (("Date",), ("2014-13-45",), None),
        (("Date",), ("",), None),
        (("Time",), ("10:30",), None),
    ],
)
def test_columns_of_a_time_are_one(names, fields, expected):
    lines = across(NM, SOILS[:1], NAMES[:1]).decode().splitlines()
    data = "\n".join("\t".join((line, *more)) for line, more in zip(lines, (names, fields), strict=True)) + "\n"
    (spectrum,) = parse_ascii_table(data.encode(), "ecosis.txt")
    assert (spectrum.measured_at and spectrum.measured_at.isoformat()) == expected
    kept = {name: text for name, text in zip(names, fields, strict=True) if text}
    assert {name: spectrum.extra.get(name) for name in kept} == (dict.fromkeys(kept) if expected else kept)


@pytest.mark.parametrize("around", [("X", ""), ("", " nm"), ("wl_", ""), ("", "nm")])
def test_a_column_sample_id_makes_no_table_of_our_own(tmp_path: Path, around: tuple[str, str]):
    """Others call theirs so too, and name wavelengths in their own way; a note may stand above, with commas."""
    for preamble in ((), ("made by R, with sample_id,",)):
        path = tmp_path / "t.csv"
        path.write_bytes(
            across(NM, SOILS, ["A1", "B2", "C3"], ",", around=around, first="sample_id", preamble=preamble)
        )
        spectra = read_spectra(path)
        assert [spectrum.sample_id for spectrum in spectra] == ["A1", "B2", "C3"]
        np.testing.assert_allclose([spectrum.values for spectrum in spectra], SOILS)
