"""Spectra Vista `.sig` files, made in the maker's layout: three overlapping detectors, radiances, reflectance in %."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pytest
from stibium.converters.spectra import SpectrumFileError, TruncatedFileError, UnusableSpectrumError, read_svc
from stibium.converters.spectra.svc import looks_like_svc, parse_svc
from text_samples import DETECTORS_NM, soil_reflectance, svc, svc_detectors

SOURCE = "survey/RS052_003.sig"
REMOVED = "0.795, 0.848, 1.000 [Overlap: Remove @ 990,1902, Matching Type: Radiance @ 976 - 1010 / NIR-SWIR On]"
JOINED_NM = np.concatenate(
    [d[(d > low) & (d <= high)] for d, low, high in zip(DETECTORS_NM, (0, 990, 1902), (990, 1902, 9999), strict=True)]
)


def test_reads_everything_the_file_says(tmp_path):
    path = tmp_path / "RS052_003.sig"
    path.write_bytes(svc(*svc_detectors(), comm="north face"))
    assert looks_like_svc(path.read_bytes())
    (spectrum,) = read_svc(path)
    assert spectrum.range_nm == pytest.approx((338.2, 2515.9))
    np.testing.assert_allclose(spectrum.values, soil_reflectance(spectrum.wavelengths_nm), atol=6e-5)
    assert (spectrum.sample_id, spectrum.measurement) == ("RS052", "003")
    assert spectrum.instrument == "Spectra Vista HR-1024i SN7142055"
    assert spectrum.measured_at == datetime(2024, 7, 29, 13, 55, 32)
    assert spectrum.position is not None
    assert spectrum.position.latitude_deg == pytest.approx(41 + 11.0512 / 60)
    assert spectrum.position.longitude_deg == pytest.approx(-(7 + 33.125 / 60))
    assert spectrum.comment == "north face"
    assert not spectrum.simulated
    assert spectrum.extra["optic"] == "FIBER1(2), FIBER1(2)"
    assert spectrum.source == str(path)


def test_overlaps_are_joined_in_their_middle():
    nm, values = svc_detectors(step=0.1)
    (spectrum,) = parse_svc(svc(nm, values), SOURCE)
    vnir, swir1, swir2 = DETECTORS_NM
    assert spectrum.splices_nm == pytest.approx(
        ((round(vnir[-1], 1) + round(swir1[0], 1)) / 2, (round(swir1[-1], 1) + round(swir2[0], 1)) / 2)
    )
    middle = (spectrum.wavelengths_nm > spectrum.splices_nm[0]) & (spectrum.wavelengths_nm <= spectrum.splices_nm[1])
    expected = soil_reflectance(spectrum.wavelengths_nm) + 0.1 * middle
    np.testing.assert_allclose(spectrum.values, expected, atol=1e-4)
    assert (np.diff(spectrum.wavelengths_nm) > 0).all()


def test_removed_overlaps_are_remembered():
    (spectrum,) = parse_svc(svc(JOINED_NM, soil_reflectance(JOINED_NM), factors=REMOVED), SOURCE)
    assert spectrum.splices_nm == (990.0, 1902.0)
    assert spectrum.wavelengths_nm.size == JOINED_NM.size


def test_the_applied_record_of_a_reprocessed_file_counts():
    factors = REMOVED + "0.800, 0.844, 1.000 [Overlap: Preserve, Matching Type: None]"
    comm = "SIG file reprocesed for matching/overlap;"
    (spectrum,) = parse_svc(svc(JOINED_NM, soil_reflectance(JOINED_NM), factors=factors, comm=comm), SOURCE)
    assert spectrum.splices_nm == (990.0, 1902.0)


def test_overlaps_still_there_are_joined_where_the_header_says():
    nm, values = svc_detectors()
    (spectrum,) = parse_svc(svc(nm, values, factors=REMOVED), SOURCE)
    assert spectrum.splices_nm == (990.0, 1902.0)


def test_three_columns_give_the_ratio():
    (spectrum,) = parse_svc(svc(*svc_detectors(), columns=3), SOURCE)
    np.testing.assert_allclose(spectrum.values, soil_reflectance(spectrum.wavelengths_nm), atol=2e-5)
    with pytest.raises(UnusableSpectrumError, match="white reference is 0 or less"):
        parse_svc(svc(*svc_detectors(), columns=3, white=0.0), SOURCE)


def test_a_white_reference_of_zeros_at_an_end_is_left_out():
    nm, values = svc_detectors()
    lines = svc(nm, values, columns=3).split(b"\r\n")
    at = lines.index(b"data= ") + 1
    lines[at] = b"  ".join([lines[at].split()[0], b"0.00", b"0.00"])
    (spectrum,) = parse_svc(b"\r\n".join(lines), SOURCE)
    assert spectrum.wavelengths_nm[0] == nm[1]
    assert any("338.2-338.2 nm left out" in remark for remark in spectrum.remarks)


@pytest.mark.parametrize(("codes", "remarked"), [("0, 7", True), ("6, 1", True), ("0, 0", False), ("", False)])
def test_error_codes_are_remarked_and_not_refused(codes, remarked):
    (spectrum,) = parse_svc(svc(*svc_detectors(), error=codes), SOURCE)
    assert any(codes in remark for remark in spectrum.remarks if "error code" in remark) == remarked


@pytest.mark.parametrize(
    ("longitude", "latitude", "expected"),
    [
        ("09231.1579W     , 09231.1625W     ", "4640.7548N      , 4640.7536N      ", (46.679227, -92.519375)),
        ("11121.2335,W, 11121.2324,W", "5330.5955,N, 5330.5964,N", (53.509940, -111.353873)),
        ("00052.6520E      , 00052.6527E", "3318.5403S        , 3318.5408S", (-33.309013, 0.877545)),
        ("00733.1234W     ,                 ", "4111.0500N      ,                 ", (41.184167, -7.552057)),
        ("                 ,                 ", "                 ,                 ", None),
        ("99999.9999W, 99999.9999W", "4111.0500N, 4111.0500N", None),
    ],
)
def test_positions(longitude, latitude, expected):
    (spectrum,) = parse_svc(svc(*svc_detectors(), longitude=longitude, latitude=latitude), SOURCE)
    if expected is None:
        assert spectrum.position is None
    else:
        assert spectrum.position is not None
        assert (spectrum.position.latitude_deg, spectrum.position.longitude_deg) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        ("8/6/2015 10:36:17 AM, 8/6/2015 10:38:35 AM", datetime(2015, 8, 6, 10, 38, 35)),
        ("7/18/10 9:47:09 AM, 7/18/10 9:47:31 AM", datetime(2010, 7, 18, 9, 47, 31)),
        ("29.07.2017 13:54:23, 29.07.2017 13:55:32", datetime(2017, 7, 29, 13, 55, 32)),
        ("2017-07-29 13:54:23, 2017-07-29 13:55:32", datetime(2017, 7, 29, 13, 55, 32)),
        ("06/08/2015 10:36:17, 06/08/2015 10:38:35", None),  # June or August: nobody can tell
        ("7/29/2024 13:54:23, 7/29/2024 13:55:32", datetime(2024, 7, 29, 13, 55, 32)),
        ("29/07/2024 13:54:23, 29/07/2024 13:55:32", datetime(2024, 7, 29, 13, 55, 32)),
        ("29/07/24 1:54:23 PM, 29/07/24 1:55:32 PM", datetime(2024, 7, 29, 13, 55, 32)),
        ("7/7/2024 00:54:23, 7/7/2024 00:55:32", datetime(2024, 7, 7, 0, 55, 32)),
        ("", None),
    ],
)
def test_clocks(time, expected):
    (spectrum,) = parse_svc(svc(*svc_detectors(), time=time), SOURCE)
    assert spectrum.measured_at == expected


@pytest.mark.parametrize(
    ("time", "age_min"),
    [
        ("8/6/2015 10:36:17 AM, 8/6/2015 10:38:47 AM", 2.5),
        ("29.07.2017 13:55:32, 29.07.2017 13:54:32", -1.0),
        ("06/08/2015 10:36:17, 06/08/2015 11:36:17", 60.0),  # of one day, whichever it is
        ("06/08/2015 10:36:17, 07/08/2015 11:36:17", None),
        ("29.07.2017 13:54:23", None),
        ("", None),
    ],
)
def test_how_old_the_white_reference_is(time: str, age_min: float | None):
    (spectrum,) = parse_svc(svc(*svc_detectors(), time=time), SOURCE)
    assert spectrum.extra.get("white_age_min") == age_min


@pytest.mark.parametrize(
    ("name", "sample", "measurement"),
    [
        ("RS052_003.sig", "RS052", "003"),
        ("RS052.0003.sig", "RS052", "0003"),
        ("gr072817_003.sig", "gr072817_003", ""),
        ("HR.072817.0003.sig", "HR.072817.0003", ""),
        ("RS052.sig", "RS052", ""),
        ("ACSA_T_A_SH_20160630_000_moc.sig", "ACSA_T_A_SH_20160630", "000"),
        ("RS052_003_moc_resamp.sig", "RS052", "003"),
        ("gr072817_003_resamp.sig", "gr072817_003", ""),
        ("HRPDA.052024.0003.sig", "HRPDA.052024.0003", ""),
        ("HRPDA.0003.sig", "HRPDA.0003", ""),
        ("svc_0003.sig", "svc_0003", ""),
        ("RS052.052024.0004.sig", "RS052", "0004"),
        # The date of the header: 28 July 2017.
        ("RS052_20170728_004.sig", "RS052", "004"),
        ("RS052_072817_004.sig", "RS052", "004"),
        # A laboratory's number that is no date of this measurement.
        ("RS052_110524_004.sig", "RS052_110524", "004"),
    ],
)
def test_a_date_is_no_sample(name, sample, measurement):
    (spectrum,) = parse_svc(svc(*svc_detectors(), time="28.07.2017 13:02:11"), name)
    assert (spectrum.sample_id, spectrum.measurement) == (sample, measurement)


def test_decimal_commas():
    data = svc(*svc_detectors())
    start = data.index(b"data=")
    (spectrum,) = parse_svc(data[:start] + data[start:].replace(b".", b","), SOURCE)
    np.testing.assert_allclose(spectrum.values, soil_reflectance(spectrum.wavelengths_nm), atol=6e-5)


def test_simulated_comment_marks_the_spectrum():
    (spectrum,) = parse_svc(svc(*svc_detectors(), comm="simulated"), SOURCE)
    assert spectrum.simulated


def test_refused_wherever_it_is_cut_but_between_the_last_detector_s_lines():
    data = svc(*svc_detectors(), end="\n")
    last_detector = data.index(b"\n1898.4  ") + 1
    after_eight_bands = [i + 1 for i in range(last_detector, len(data)) if data[i : i + 1] == b"\n"][7:]
    for length in range(len(data)):
        if length in after_eight_bands:
            (spectrum,) = parse_svc(data[:length], SOURCE)
            assert spectrum.range_nm[1] < 2509
        else:
            with pytest.raises(SpectrumFileError, match=r"^survey/RS052_003.sig: "):
                parse_svc(data[:length], SOURCE)


def test_a_missing_detector_is_noticed():
    nm, values = svc_detectors()
    two = nm.size - DETECTORS_NM[2].size
    with pytest.raises(TruncatedFileError, match="2 of 3 detectors"):
        parse_svc(svc(nm[:two], values[:two]), SOURCE)
    # What the maker's software has resampled has no detectors left.
    (spectrum,) = parse_svc(svc(JOINED_NM, soil_reflectance(JOINED_NM), comm="Resampled 1 nm"), SOURCE)
    assert spectrum.splices_nm == ()


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        (b"data=", b"dada=", "ends within its header"),
        (b"345.0  ", b"345.0", "3 of 4 columns"),
        (b"345.0  ", b"34S.0  ", "is not a number"),
        (b"338.2  ", b"inf  ", "a wavelength is not a number"),
        (b"338.2  ", b"33.2  ", "wavelengths from 33.2"),
        (b"345.0  ", b"2345.0  ", "wavelengths do not ascend"),
        (b"1898.4  ", b"398.4  ", "wavelengths go back"),
    ],
)
def test_damage_is_refused_with_its_reason(before, after, reason):
    data = svc(*svc_detectors())
    assert before in data
    with pytest.raises(SpectrumFileError, match=reason):
        parse_svc(data.replace(before, after, 1), SOURCE)


def test_value_that_is_not_finite_is_refused():
    nm, values = svc_detectors()
    values[55] = np.inf
    with pytest.raises(UnusableSpectrumError, match="1 of .* values are not numbers"):
        parse_svc(svc(nm, values), SOURCE)


@pytest.mark.parametrize("column", [1, 2, 3])
@pytest.mark.parametrize("factor", [1.05, 0.1, 10.0])
def test_reflectance_is_compared_with_target_and_reference(column: int, factor: float):
    nm, values = svc_detectors()
    lines = svc(nm, values).split(b"\r\n")
    at = lines.index(b"data= ") + 1 + nm.size // 6
    fields = lines[at].split()
    fields[column] = b"%.2f" % (float(fields[column]) * factor)
    lines[at] = b"  ".join(fields)
    with pytest.raises(UnusableSpectrumError, match=f"at {nm[nm.size // 6]:.1f}.* nm is not target over reference"):
        parse_svc(b"\r\n".join(lines), SOURCE)


def test_what_makes_reflectance_differ_smoothly_from_the_ratio_is_no_damage():
    """A panel's own reflectance, and a factor that matches the detectors."""
    nm, values = svc_detectors()
    lines = svc(nm, values).split(b"\r\n")
    at = lines.index(b"data= ") + 1
    for i, wavelength in enumerate(nm):
        fields = lines[at + i].split()
        factor = (0.99 - wavelength / 1e5) * (1.0 if wavelength < 1000 else 1.04)
        fields[3] = b"%.2f" % (float(fields[3]) * factor)
        lines[at + i] = b"  ".join(fields)
    assert len(parse_svc(b"\r\n".join(lines), SOURCE)) == 1
