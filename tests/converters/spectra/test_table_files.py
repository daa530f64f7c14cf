"""The project's own table: what is written comes back, and nothing damaged passes."""

from __future__ import annotations

import gzip
import io
import re
import tracemalloc
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stibium.converters.spectra import (
    Position,
    Spectrum,
    SpectrumFileError,
    TruncatedFileError,
    UnusableSpectrumError,
    iter_table,
    read_table,
    write_table,
)
from stibium.converters.spectra.read import iter_spectra
from stibium.converters.spectra.table.layout import COLUMNS, looks_like_table
from stibium.converters.spectra.table.read import iter_rows
from stibium.converters.spectra.text import MAX_NM, MIN_NM
from text_samples import parse_table

NM = np.array([350.0, 351.5, 2500.25])
DOCUMENT = Path(__file__).parents[3] / "docs" / "table_format.md"


def table(*rows: str, header: str = "sample_id,350,351,352", first: str = "# stibium spectra 1\n") -> bytes:
    return (first + "\n".join([header, *rows]) + "\n").encode()


def soil(i: int = 0, **fields) -> Spectrum:
    values = np.array([0.1, 0.2, 0.3]) + i / 7
    return Spectrum(
        **({"wavelengths_nm": NM, "values": values, "quantity": "reflectance", "sample_id": f"S{i}"} | fields)
    )


def assert_same(a: Spectrum, b: Spectrum) -> None:
    np.testing.assert_array_equal(a.wavelengths_nm, b.wavelengths_nm)
    np.testing.assert_allclose(a.values, b.values, rtol=5e-9, atol=0)
    for name in (
        "quantity",
        "sample_id",
        "measurement",
        "measured_at",
        "instrument",
        "position",
        "splices_nm",
        "saturated",
        "comment",
        "simulated",
        "extra",
    ):
        assert getattr(a, name) == getattr(b, name), name


texts = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), max_size=12).map(str.strip)
numbers = st.floats(-1e6, 1e6) | st.integers(-(10**9), 10**9)
extras = st.dictionaries(
    st.from_regex(r"[a-z][a-z_%]{1,10}", fullmatch=True).filter(lambda name: name not in COLUMNS),
    numbers
    | st.booleans()
    | st.from_regex(r"[a-z ,\"']{0,8}[a-z]", fullmatch=True)
    .filter(lambda t: t not in ("true", "false", "nan", "inf"))
    .map(str.strip),
    max_size=3,
)
spectra_strategy = st.builds(
    lambda values, **fields: soil(values=np.array(values), **fields),
    values=st.lists(st.floats(-2, 2), min_size=3, max_size=3),
    quantity=st.sampled_from(["reflectance", "absorbance", "raw_dn"]),
    sample_id=texts.filter(bool),
    measurement=texts,
    measured_at=st.none() | st.datetimes(timezones=st.none() | st.just(timezone(timedelta(hours=2)))),
    instrument=texts,
    position=st.none()
    # A receiver without a fix says 0, 0: that is taken for no position.
    | st.builds(Position, st.floats(-90, 90), st.floats(-180, 180), st.none() | st.floats(-400, 9000)).filter(
        lambda at: at.latitude_deg != 0 or at.longitude_deg != 0
    ),
    splices_nm=st.lists(st.floats(MIN_NM, MAX_NM), max_size=3, unique=True).map(lambda s: tuple(sorted(s))),
    saturated=st.sampled_from([(), ("SWIR1",), ("VNIR", "SWIR2")]),
    comment=texts.filter(lambda text: not text.lower().startswith("simulated")),
    simulated=st.booleans(),
    extra=extras,
)


@settings(max_examples=60, deadline=None)
@given(spectra=st.lists(spectra_strategy, min_size=1, max_size=5), name=st.sampled_from(["t.csv", "t.csv.gz"]))
def test_everything_comes_back(tmp_path_factory: pytest.TempPathFactory, spectra: list[Spectrum], name: str):
    path = tmp_path_factory.mktemp("table") / name
    assert write_table(path, spectra) == len(spectra)
    assert [p.name for p in path.parent.iterdir()] == [name]
    assert (path.read_bytes()[:2] == b"\x1f\x8b") == name.endswith(".gz")
    again = read_table(path)
    for a, b in zip(again, spectra, strict=True):
        assert a.source == str(path)
        assert_same(a, b)


def test_float32_comes_back_exactly_and_the_bytes_are_always_the_same(tmp_path: Path):
    rng = np.random.default_rng(1)
    nm = np.arange(350.0, 2501.0)
    spectra = [Spectrum(nm, rng.random(2151).astype("f4"), "reflectance", f"S{i}") for i in range(20)]
    for name in ("a.csv", "b.csv", "a.csv.gz", "b.csv.gz"):
        write_table(tmp_path / name, iter(spectra))
        for a, b in zip(read_table(tmp_path / name), spectra, strict=True):
            np.testing.assert_array_equal(a.values.astype("f4"), b.values.astype("f4"))
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    assert (tmp_path / "a.csv.gz").read_bytes() == (tmp_path / "b.csv.gz").read_bytes()


def test_gzip_is_known_by_its_content(tmp_path: Path):
    write_table(tmp_path / "t.csv.gz", [soil()])
    (tmp_path / "t.csv.gz").rename(tmp_path / "t.csv")
    assert_same(read_table(tmp_path / "t.csv")[0], soil())


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz"])
def test_extra_columns_may_appear_late(tmp_path: Path, name: str):
    extra: list[dict[str, object]] = [{}, {"clay_pct": 21.5}, {"site": "north, slope"}, {"clay_pct": 3, "new": "x"}, {}]
    write_table(
        tmp_path / name, [soil(i, extra=e, comment='said "dry", yes') for i, e in enumerate(extra)], {"survey": "2024"}
    )
    again = read_table(tmp_path / name)
    assert [s.extra for s in again] == extra
    assert [s.sample_id for s in again] == ["S0", "S1", "S2", "S3", "S4"]
    assert {s.comment for s in again} == {'said "dry", yes'}
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_names_that_mean_something_else_and_odd_values(tmp_path: Path):
    extra = {
        "comment": "a",
        "350": "b",
        "array": np.arange(3),
        "np": np.float32(0.5),
        "none": None,
        "": "c",
        "00": "007",
    }
    write_table(tmp_path / "t.csv", [soil(extra=extra, comment="two\r\nlines", sample_id="#1")])
    (spectrum,) = read_table(tmp_path / "t.csv")
    assert spectrum.extra == {"extra comment": "a", "extra 350": "b", "np": 0.5, "extra 00": "007"}
    assert spectrum.comment == "two lines"
    assert spectrum.sample_id == "#1"


def test_the_table_in_the_document():
    data = re.search(r"```csv\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)[1].encode()  # type: ignore[index]
    first, second = parse_table(data, "t.csv")
    assert (first.sample_id, second.measurement) == ("RS052", "00001")
    assert first.measured_at == datetime(2024, 5, 6, 7, 8, 9)
    assert first.splices_nm == (1000.0, 1800.0)
    assert first.extra == {"clay_pct": 21.5}
    np.testing.assert_array_equal(second.values, [0.0409, 0.0413, 0.0418])
    assert all(f"`{name}`" in DOCUMENT.read_text("utf-8") for name in COLUMNS)


def test_only_names_and_wavelengths_are_needed():
    data = table("a,0.1,0.2,0.3", first="")
    assert looks_like_table(data)
    (spectrum,) = parse_table(data, "t.csv")
    assert (spectrum.sample_id, spectrum.quantity, spectrum.simulated) == ("a", "reflectance", False)
    assert spectrum.measured_at is spectrum.position is None


def test_columns_in_any_order():
    data = table('0.3,x,"21,5",0.1,0.2', header="352,sample_id,clay,350,351")
    (spectrum,) = parse_table(data, "t.csv")
    np.testing.assert_array_equal(spectrum.wavelengths_nm, [350, 351, 352])
    np.testing.assert_array_equal(spectrum.values, [0.1, 0.2, 0.3])
    assert spectrum.extra == {"clay": "21,5"}


def test_made_by_other_programs():
    data = b'\xef\xbb\xbf"sample_id","note","350","351"\r\n"a","two\nlines","0.1","0.2"\r\n\r\n"b","",0.1,0.2\r\n'
    first, second = parse_table(data, "t.csv")
    assert first.extra == {"note": "two\nlines"}
    assert second.sample_id == "b"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("7", 7),
        ("7.0", 7.0),
        ("-1e-3", -0.001),
        ("007", "007"),
        ("1_0", "1_0"),
        ("nan", "nan"),
        ("true", True),
        ("no", "no"),
    ],
)
def test_further_columns_are_typed(text: str, expected: object):
    (spectrum,) = parse_table(table(f"a,{text},0.1,0.2", header="sample_id,x,350,351"), "t.csv")
    assert spectrum.extra["x"] == expected
    assert type(spectrum.extra["x"]) is type(expected)


@pytest.mark.parametrize(
    ("header", "row", "reason"),
    [
        ("sample_id,350,351,352", "a,0.1,,0.3", "1 of 3 values are not numbers \\(first at 351 nm\\)"),
        ("sample_id,350,351,352", "a,0.1,x,0.3", "'x' is not a number"),
        ("sample_id,350,351,352", "a,0.1,1_0,0.3", "underscore"),
        ("sample_id,350,351,352", "a,0.1,inf,0.3", "not numbers"),
        ("sample_id,350,351,352", ",0.1,0.2,0.3", "sample_id is empty"),
        ("sample_id,350,351,352", "a,11,22,33", "a fraction, not %"),
        ("sample_id,quantity,350,351", "a,colour,0.1,0.2", "unknown quantity 'colour'; known are reflectance"),
        ("sample_id,simulated,350,351", "a,maybe,0.1,0.2", "simulated is 'maybe'"),
        ("sample_id,measured_at,350,351", "a,yesterday,0.1,0.2", "measured_at 'yesterday'"),
        ("sample_id,splices_nm,350,351", "a,100;2000,0.1,0.2", "splices_nm '100;2000'"),
        ("sample_id,latitude_deg,longitude_deg,350,351", "a,41N,7,0.1,0.2", "latitude_deg '41N' is not a number"),
    ],
)
def test_a_bad_row_is_refused_by_name_and_the_rest_is_read(tmp_path: Path, header: str, row: str, reason: str):
    good = ",".join(["good", *[""] * (header.count(",") - header.count("35")), *["0.1"] * header.count("35")])
    data = table(row, good, header=header)
    with pytest.raises(UnusableSpectrumError, match=rf"^t.csv: row 1.*{reason}"):
        parse_table(data, "t.csv")
    path = tmp_path / "t.csv"
    path.write_bytes(data)
    bad: list[SpectrumFileError] = []
    assert [s.sample_id for s in iter_table(path, bad.append)] == ["good"]
    assert [str(error).startswith(f"{path}: row 1") for error in bad] == [True]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (table("a,0.1,0.2"), "row 1 has 3 of 4 columns"),
        (table("a,0.1,0.2,0.3,0.4"), "row 1 has 5 of 4 columns"),
        (table("a,0.1,0.2,0.3")[:-1], "no line end"),
        (table(), "without a row"),
        (table("a,1", header="sample_id,350"), "1 columns are wavelengths"),
        (table("a,1,1", header="sample_id,350,350.0"), "two columns are for the same wavelength"),
        (table("a,1,1", header="sample_id,350,350"), "more than one column is named '350'"),
        (table("a,1,1", header="sample_id,35,36"), "wavelengths from 35 to 36"),
        (table("1,1", header="350,351"), "has no column sample_id"),
        (table("a,0.1,0.2,0.3", first="# stibium spectra 3\n"), "version '3'.*update stibium"),
        (table('a,"0.1,0.2,0.3'), "not closed"),
        (table("a\xff,0.1,0.2,0.3").replace(b"\xc3", b""), "no UTF-8"),
        (table("a\r,0.1,0.2,0.3"), "row 1 is damaged"),
        (b"# stibium spectra 1\n", "without its header"),
        (b"# stibium spectra 1\n" + b"#\n" * 2000, "without its header"),
        (table("a,0.1,0.2,0.3", "# end 2", first="# stibium spectra 1\n# closed: yes\n"), "1 rows and 2 announced"),
        (table("a,0.1,0.2,0.3", first="# stibium spectra 1\n# closed: yes\n"), "1 rows and no end"),
        (table("a,0.1,0.2,0.3", "# end 1", "b,0.1,0.2,0.3"), "two tables in one file"),
    ],
)
def test_a_damaged_table_is_refused_with_its_reason(data: bytes, reason: str):
    with pytest.raises(SpectrumFileError, match=rf"^t.csv: .*{reason}"):
        parse_table(data, "t.csv")


def damaged_rows(data: bytes) -> tuple[list[str], list[str]]:
    """Sample ids that are read, and why the others are not."""
    bad: list[SpectrumFileError] = []
    read = [s.sample_id for s in iter_rows(io.BytesIO(data), "t.csv", bad.append)]
    return read, [str(error) for error in bad]


def test_each_row_has_a_checksum_of_itself_and_of_the_header(tmp_path: Path):
    path = tmp_path / "t.csv"
    write_table(path, [soil(i, extra={"clay": i}) for i in range(3)])
    data = path.read_bytes()
    assert data.startswith(b"# stibium spectra 2\n")
    assert damaged_rows(data) == (["S0", "S1", "S2"], [])
    row = data.split(b"\n")[4]
    for at in range(len(row)):
        changed = b"7" if row[at : at + 1] != b"7" else b"8"
        damaged = data.replace(row, row[:at] + changed + row[at + 1 :])
        if row[at : at + 1] == b",":
            with pytest.raises(SpectrumFileError, match="row 2 has"):
                damaged_rows(damaged)
            continue
        read, why = damaged_rows(damaged)
        assert read == ["S0", "S2"], at
        assert why[0].startswith("t.csv: row 2 (")
    read, why = damaged_rows(data.replace(b"splices_nm", b"splicet_nm"))
    assert (read, len(why)) == ([], 3)


def test_an_edited_row_is_refused_by_name_and_taken_without_its_checksum(tmp_path: Path):
    path = tmp_path / "t.csv"
    write_table(path, [soil(i, comment="dry") for i in range(3)])
    lines = path.read_text().splitlines(keepends=True)
    lines[4] = lines[4].replace("dry", "wet")
    read, (why,) = damaged_rows("".join(lines).encode())
    assert read == ["S0", "S2"]
    assert why.startswith(
        "t.csv: row 2 (S1) does not fit its checksum: damaged or edited by hand; copy the table again"
    )
    assert why.endswith("empty the row's cell in the column checksum (or remove that column)")
    lines[4] = lines[4].rpartition(",")[0] + ",\n"
    assert damaged_rows("".join(lines).encode()) == (["S0", "S1", "S2"], [])
    bare = [line if line.startswith("#") else line.rpartition(",")[0] + "\n" for line in lines]
    assert damaged_rows("".join(bare).encode()) == (["S0", "S1", "S2"], [])


def test_other_line_ends_are_no_edit(tmp_path: Path):
    path = tmp_path / "t.csv"
    write_table(path, [soil(i) for i in range(3)])
    assert damaged_rows(path.read_bytes().replace(b"\n", b"\r\n")) == (["S0", "S1", "S2"], [])


def test_version_1_has_no_checksums_and_may_have_such_a_column():
    (spectrum,) = parse_table(table("a,0.1,0.2,0.3,abc", header="sample_id,350,351,352,checksum"), "t.csv")
    assert spectrum.extra == {"checksum": "abc"}


def test_checksums_hold_in_a_table_whose_columns_became_known_late(tmp_path: Path):
    path = tmp_path / "t.csv.gz"
    spectra = [soil(i, extra={f"late{j}": "x, y" for j in range(i)} | {"checksum": "mine"}) for i in range(4)]
    write_table(path, spectra)
    assert [s.extra for s in read_table(path)] == [
        {("extra checksum" if name == "checksum" else name): value for name, value in s.extra.items()} for s in spectra
    ]
    text = gzip.decompress(path.read_bytes()).decode()
    assert damaged_rows(text.replace("S2", "S5").encode())[0] == ["S0", "S1", "S3"]


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz"])
def test_refused_wherever_it_is_cut(tmp_path: Path, name: str):
    path = tmp_path / name
    write_table(path, [soil(i, comment="x, y") for i in range(3)])
    data = path.read_bytes()
    for length in range(len(data)):
        path.write_bytes(data[:length])
        with pytest.raises(SpectrumFileError, match="^" + re.escape(f"{path}: ")):
            read_table(path)


def test_rows_before_a_cut_are_yielded(tmp_path: Path):
    path = tmp_path / "t.csv"
    write_table(path, [soil(i) for i in range(5)])
    path.write_bytes(path.read_bytes()[:-30])
    rows = iter_table(path)
    for i in range(4):
        assert next(rows).sample_id == f"S{i}"
    with pytest.raises(TruncatedFileError):
        next(rows)


def test_other_grids_and_no_spectra_leave_no_file(tmp_path: Path):
    other = Spectrum(NM + 1, np.ones(3), "reflectance", "other", source="b.asd")
    with pytest.raises(UnusableSpectrumError, match="^b.asd: 3 bands of 351 to 2501.25 nm do not fit"):
        write_table(tmp_path / "t.csv", [soil(), other])
    with pytest.raises(SpectrumFileError, match="no spectra"):
        write_table(tmp_path / "t.csv", [])
    assert list(tmp_path.iterdir()) == []
    write_table(tmp_path / "t.csv", [soil()])
    before = (tmp_path / "t.csv").read_bytes()
    with pytest.raises(UnusableSpectrumError):
        write_table(tmp_path / "t.csv", [soil(1), other])
    assert (tmp_path / "t.csv").read_bytes() == before


def test_memory_does_not_grow_with_the_table(tmp_path: Path):
    nm = np.arange(350.0, 2501.0)
    values = np.linspace(0.1, 0.6, nm.size)

    def peak(rows: int) -> int:
        path = tmp_path / f"{rows}.csv"
        tracemalloc.start()
        write_table(path, (Spectrum(nm, values + i / 1e4, "reflectance", f"S{i}") for i in range(rows)))
        assert sum(1 for _ in iter_table(path)) == rows
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    assert peak(120) < peak(20) + 300_000  # 100 rows more are 1.7 MB of numbers


@pytest.mark.parametrize("name", ["sample", "sample_id", "Sample"])
def test_per_cent_is_told_by_the_values_whatever_the_column_of_names_is_called(tmp_path: Path, name: str):
    nm = range(400, 2401, 10)
    path = tmp_path / "soils.csv"

    def write(*scales: float) -> None:
        rows = [
            f"S{i}," + ",".join(f"{k * (0.3 + 0.0001 * (nm - 400)):.4f}" for nm in nm) for i, k in enumerate(scales)
        ]
        path.write_text("\n".join([f"{name},{','.join(map(str, nm))}", *rows, ""]))

    write(100.0, 90.0)
    found = list(iter_spectra(path))
    assert [s.values[0] for s in found] == pytest.approx([0.3, 0.27])
    assert all("taken to be in per cent" in s.remarks[0] for s in found)
    # One file has one scale.
    write(100.0, 90.0, 1.0)
    refused: list[Exception] = []
    assert len(list(iter_spectra(path, refused.append))) == 2
    assert len(refused) == 1


def test_a_column_may_be_written_with_capitals() -> None:
    (wet,) = parse_table(table("a,Wet,0.1,0.2,0.3", header="sample_id,Condition,350,351,352"), "t.csv")
    assert wet.condition == "wet"
    assert "Condition" not in wet.extra
    (dry,) = parse_table(table("a,x,dry,0.1,0.2,0.3", header="sample_id,Condition,condition,350,351,352"), "t.csv")
    assert dry.condition == "dry"
    assert dry.extra == {"Condition": "x"}


def test_a_table_that_a_spreadsheet_has_saved_is_read_or_says_so():
    padded = (
        b"# stibium spectra 1,,,\n# closed: yes,,,\nsample_id,350,351,352\nA,0.1,0.2,0.3\n,,,\n# end 1,,,\n,,,\n,,,\n"
    )
    (spectrum,) = parse_table(padded, "t.csv")
    assert (spectrum.sample_id, spectrum.values.tolist()) == ("A", [0.1, 0.2, 0.3])
    with pytest.raises(SpectrumFileError, match="goes on after the line that ends it"):
        parse_table(padded + b"B,0.1,0.2,0.3\n", "t.csv")
    for separator in (b";", b"\t"):
        with pytest.raises(SpectrumFileError, match="no column sample_id between commas: saved by a spreadsheet?"):
            parse_table(padded.replace(b",", separator), "t.csv")
