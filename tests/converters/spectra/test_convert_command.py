"""`stibium convert` as people run it: real files, a real process, and every way it can refuse."""

from __future__ import annotations

import gzip
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from stibium.converters.spectra import Spectrum, read_spectra, write_asd, write_table
from stibium.edge.cli import stibium
from text_samples import sed, soil_reflectance, svc, svc_detectors

NM = np.arange(350.0, 2501.0, 10.0)


def soil(i: int = 0, **fields) -> Spectrum:
    values = (soil_reflectance(NM) * (1 - i / 20)).astype("f4")
    return Spectrum(
        **({"wavelengths_nm": NM, "values": values, "quantity": "reflectance", "sample_id": f"RS{i:03d}"} | fields)
    )


def convert(*args: object) -> Result:
    return CliRunner().invoke(stibium, ["convert", *map(str, args)], catch_exceptions=False)


@pytest.fixture
def survey(tmp_path: Path) -> Path:
    """A folder with one file in each instrument's format, and two that are no spectra."""
    folder = tmp_path / "survey"
    (folder / "day 2").mkdir(parents=True)
    write_asd(folder / "RS052_00003.asd", soil(1, splices_nm=(1000.0, 1800.0)))
    (folder / "day 2" / "RS053_00001.sed").write_bytes(sed(NM, {"Reflect. %": 100 * soil_reflectance(NM)}))
    (folder / "day 2" / "RS054_002.sig").write_bytes(svc(*svc_detectors()))
    (folder / "empty.asd").write_bytes(b"")
    (folder / "notes.txt").write_text("Dry, windy.\n")
    return folder


@pytest.mark.parametrize("name", ["all.csv", "all.csv.gz", "all.txt", "all.hdr"])
def test_a_folder_into_one_file(survey: Path, tmp_path: Path, name: str):
    out = tmp_path / name
    result = convert(survey, out, "--resample", "400:2400:10")
    assert result.exit_code == 1
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 3
    assert lines[0] == f"refused: {survey / 'empty.asd'}: is empty"
    assert lines[1].startswith(f"refused: {survey / 'notes.txt'}: text without a table of spectra")
    assert lines[2] == f"3 spectra from 5 files, 2 refused: {out}"
    spectra = read_spectra(out)
    assert sorted((s.sample_id, s.measurement) for s in spectra)[0] == ("RS052", "00003")
    for spectrum in spectra:
        np.testing.assert_array_equal(spectrum.wavelengths_nm, np.arange(400, 2401, 10.0))
    # Each instrument has joins of its own, and every format keeps them.
    joins = {
        s.sample_id[:5]: s.splices_nm for f in survey.rglob("*.*") if f.stat().st_size > 999 for s in read_spectra(f)
    }
    assert len(set(joins.values())) == 3
    assert {s.sample_id[:5]: s.splices_nm for s in spectra} == joins
    assert (out.read_bytes()[:2] == b"\x1f\x8b") == name.endswith(".gz")


def test_a_table_keeps_everything(survey: Path, tmp_path: Path):
    assert convert(survey / "day 2" / "RS053_00001.sed", tmp_path / "t.csv").exit_code == 0
    (before,), (after,) = read_spectra(survey / "day 2" / "RS053_00001.sed"), read_spectra(tmp_path / "t.csv")
    np.testing.assert_allclose(after.values, before.values, rtol=5e-9)
    for name in ("sample_id", "measurement", "measured_at", "instrument", "position", "comment", "splices_nm"):
        assert getattr(after, name) == getattr(before, name)
    assert after.extra["Foreoptic"] == "PROBE ,PROBE"


def test_back_and_forth_through_every_format(tmp_path: Path):
    soils = [soil(i, measurement=f"{i:05d}") for i in range(4)]
    write_table(tmp_path / "a.csv", soils)
    steps = [("a.csv", "b.hdr"), ("b.sli", "c.txt"), ("c.txt", "d"), ("d", "e.csv.gz")]
    for source, target in steps:
        to = ["--to", "asd"] if target == "d" else []
        result = convert(tmp_path / source, tmp_path / target, *to)
        assert result.exit_code == 0, result.stderr
    assert sorted(p.name for p in (tmp_path / "d").iterdir()) == [f"RS{i:03d}_{i:05d}.asd" for i in range(4)]
    for before, after in zip(soils, read_spectra(tmp_path / "e.csv.gz"), strict=True):
        assert (after.sample_id, after.measurement) == (before.sample_id, before.measurement)
        np.testing.assert_allclose(after.values, before.values, rtol=1e-7)


@pytest.mark.parametrize("name", ["x.csv", "x.txt", "x.hdr", "x"])
def test_simulated_stays_simulated(tmp_path: Path, name: str):
    write_table(tmp_path / "a.csv", [soil(0, simulated=True, comment="simulated soil")])
    assert convert(tmp_path / "a.csv", tmp_path / name, *([] if "." in name else ["--to", "asd"])).exit_code == 0
    path = tmp_path / name
    (spectrum,) = read_spectra(next(path.iterdir()) if path.is_dir() else path)
    assert spectrum.simulated
    assert spectrum.sample_id == "RS000"


def test_names_of_asd_files_give_the_samples_again(tmp_path: Path):
    names = [
        ("RS1", "3"),
        ("RS1", ""),
        ("RS1", ""),
        ("Soil12345", ""),
        ("a/b c", "00001"),
        ("..", ""),
        ("RS1", "dry"),
        ("rs1", ""),
    ]
    write_table(tmp_path / "a.csv", [soil(0, sample_id=s, measurement=m) for s, m in names])
    assert convert(tmp_path / "a.csv", tmp_path / "out", "--to", "asd").exit_code == 0
    again = [s.sample_id for path in sorted((tmp_path / "out").iterdir()) for s in read_spectra(path)]
    assert sorted(again) == sorted(["RS1", "RS1", "RS1", "Soil12345", "a_b_c", "spectrum", "RS1", "rs1"])
    assert len({p.name.lower() for p in (tmp_path / "out").iterdir()}) == len(names)


def test_one_asd_file(tmp_path: Path):
    write_table(tmp_path / "one.csv", [soil()])
    write_table(tmp_path / "two.csv", [soil(), soil(1)])
    assert convert(tmp_path / "one.csv", tmp_path / "one.asd").exit_code == 0
    assert read_spectra(tmp_path / "one.asd")[0].values.size == NM.size
    result = convert(tmp_path / "two.csv", tmp_path / "two.asd")
    assert result.exit_code == 2
    assert "an .asd file holds one spectrum" in result.stderr
    assert not (tmp_path / "two.asd").exists()


def test_what_an_asd_file_cannot_hold_is_refused(survey: Path, tmp_path: Path):
    result = convert(survey / "day 2", tmp_path / "out", "--to", "asd")
    assert result.exit_code == 1
    assert re.search(r"refused: .*RS054_002.sig: RS054: .*even", result.stderr)
    assert "1 spectrum from 2 files, 1 refused" in result.stderr
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["RS053_00001.asd"]


def test_splices_for_those_who_have_none(survey: Path, tmp_path: Path):
    convert(survey, tmp_path / "t.csv", "--resample", "400:2400:10", "--splices", "990,1810")
    by_sample = {s.sample_id: s.splices_nm for s in read_spectra(tmp_path / "t.csv")}
    assert by_sample["RS052"] == (1000.0, 1800.0)
    assert by_sample["RS053"] == (990.0, 1810.0)


def test_one_grid_for_one_file(survey: Path, tmp_path: Path):
    result = convert(survey / "day 2", survey / "RS052_00003.asd", tmp_path / "t.csv")
    assert result.exit_code == 1
    assert re.search(
        r"refused: .*RS054_002.sig: RS054: \d+ bands of 338.2 to 2515.9 nm do not fit beside the first spectrum's "
        r"216 of 350 to 2500 nm; --resample brings them to one grid",
        result.stderr,
    )
    assert len(read_spectra(tmp_path / "t.csv")) == 2


def test_resampling_does_not_reach_beyond_the_spectrum(survey: Path, tmp_path: Path):
    result = convert(survey / "RS052_00003.asd", tmp_path / "t.csv", "--resample", "300:2500:1")
    assert result.exit_code == 1
    assert "350-2500 nm; 300-2500 nm is needed" in result.stderr
    assert "nothing written" in result.stderr
    assert not (tmp_path / "t.csv").exists()


def test_values_are_interpolated(tmp_path: Path):
    write_table(tmp_path / "a.csv", [soil()])
    convert(tmp_path / "a.csv", tmp_path / "b.csv", "--resample", "352:2498:0.5")
    (spectrum,) = read_spectra(tmp_path / "b.csv")
    np.testing.assert_array_equal(spectrum.wavelengths_nm, np.arange(352, 2498.1, 0.5))
    np.testing.assert_allclose(spectrum.values, np.interp(spectrum.wavelengths_nm, NM, soil().values), rtol=1e-8)


def test_quantities_mix_in_tables_only(tmp_path: Path):
    write_table(tmp_path / "a.csv", [soil(), soil(1, quantity="absorbance")])
    assert convert(tmp_path / "a.csv", tmp_path / "b.csv").exit_code == 0
    result = convert(tmp_path / "a.csv", tmp_path / "b.hdr")
    assert result.exit_code == 1
    assert "is absorbance, the first spectrum reflectance; only a table holds both" in result.stderr
    assert len(read_spectra(tmp_path / "b.hdr")) == 1


def test_a_bad_row_and_a_cut_table_keep_their_good_rows(tmp_path: Path):
    write_table(tmp_path / "a.csv", [soil(i) for i in range(5)])
    lines = (tmp_path / "a.csv").read_text().splitlines(keepends=True)
    lines[4] = lines[4].replace("0.", "x.", 1)
    (tmp_path / "a.csv").write_text("".join(lines)[:-200])
    result = convert(tmp_path / "a.csv", tmp_path / "b.csv")
    assert result.exit_code == 1
    assert "row 2 (RS001): 'x." in result.stderr
    assert re.search(r"a.csv: .*cut off", result.stderr)
    assert "3 spectra from 1 file, 2 refused" in result.stderr
    assert [s.sample_id for s in read_spectra(tmp_path / "b.csv")] == ["RS000", "RS002", "RS003"]


@pytest.mark.parametrize("name", ["t.csv", "t.txt", "t.asd", "t.hdr"])
def test_nothing_is_overwritten_unless_asked(survey: Path, tmp_path: Path, name: str):
    source = survey / "RS052_00003.asd"
    assert convert(source, tmp_path / name).exit_code == 0
    before = {p.name: p.read_bytes() for p in tmp_path.glob("t.*")}
    result = convert(survey / "day 2" / "RS053_00001.sed", tmp_path / name)
    assert result.exit_code == 2
    assert "exists; --force replaces it" in result.stderr
    assert {p.name: p.read_bytes() for p in tmp_path.glob("t.*")} == before
    assert convert(survey / "day 2" / "RS053_00001.sed", tmp_path / name, "--force").exit_code == 0
    assert {p.name: p.read_bytes() for p in tmp_path.glob("t.*")} != before


def test_the_result_is_no_input_of_its_own(survey: Path):
    for name in ("all.csv", "all.hdr"):
        out = survey / name
        for _ in range(2):
            result = convert(survey / "RS052_00003.asd", survey, out, "--force", "--resample", "400:2400:10")
            assert "all" not in result.stderr.rpartition(":")[0]
        assert len(read_spectra(out)) >= 4
        for path in survey.glob("all.*"):
            path.unlink()


def test_a_table_may_replace_itself(tmp_path: Path):
    path = tmp_path / "a.csv"
    write_table(path, [soil(i) for i in range(3)])
    assert convert(path, path, "--force", "--resample", "400:2400:10").exit_code == 0
    assert [s.wavelengths_nm.size for s in read_spectra(path)] == [201] * 3


def test_a_folder_is_a_folder_of_asd_files(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    write_table(path, [soil(i) for i in range(3)])
    (tmp_path / "there").mkdir()
    for out in (f"{tmp_path / 'new'}/", str(tmp_path / "there")):
        assert convert(path, out).exit_code == 0
        assert len(list(Path(out).glob("*.asd"))) == 3


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        (["{a}", "out.xyz"], "its ending tells no format"),
        (["{a}", "no/such/out.csv"], "there is no such folder"),
        (["{a}", "full", "--to", "table"], "is a folder"),
        (["{a}", "full", "--to", "asd"], "is not empty"),
        (["{a}", "{a}", "--to", "asd"], "is a file"),
        (["{a}", "out.lib", "--to", "envi"], "end the name in .hdr"),
        (["void", "out.csv"], "no files in void"),
        (["out.csv"], "Missing argument"),
        (["{a}", "out.csv", "--splices", "1000,x"], "such as 1000,1800"),
        (["{a}", "out.csv", "--splices", "1800,1000"], "such as 1000,1800"),
        (["{a}", "out.csv", "--resample", "350-2500"], "such as 350:2500:1"),
        (["{a}", "out.csv", "--resample", "350:2500:0"], "such as 350:2500:1"),
        (["{a}", "out.csv", "--resample", "350:2500:3"], "such as 350:2500:1"),
        (["{a}", "out.csv", "--resample", "nan:2500:1"], "such as 350:2500:1"),
    ],
)
def test_wrong_usage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, args: list[str], reason: str):
    monkeypatch.chdir(tmp_path)
    write_table("a.csv", [soil()])
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a.txt").touch()
    (tmp_path / "void").mkdir()
    before = sorted(tmp_path.rglob("*"))
    result = convert(*(arg.format(a="a.csv") for arg in args))
    assert result.exit_code == 2
    assert reason in result.stderr
    assert sorted(tmp_path.rglob("*")) == before


def test_missing_inputs_are_refused_and_the_rest_is_converted(survey: Path, tmp_path: Path):
    result = convert(tmp_path / "nothing.asd", survey / "RS052_00003.asd", tmp_path / "t.csv")
    assert result.exit_code == 1
    assert f"refused: {tmp_path / 'nothing.asd'}: cannot be read: No such file or directory" in result.stderr
    assert len(read_spectra(tmp_path / "t.csv")) == 1


def test_both_halves_of_a_library_are_read_once(tmp_path: Path):
    write_table(tmp_path / "a.csv", [soil(), soil(1)])
    (tmp_path / "lib").mkdir()
    convert(tmp_path / "a.csv", tmp_path / "lib" / "l.hdr")
    for inputs in ([tmp_path / "lib"], [tmp_path / "lib" / "l.hdr", tmp_path / "lib" / "l.sli"]):
        result = convert(*inputs, tmp_path / "b.csv", "--force")
        assert result.exit_code == 0
        assert len(read_spectra(tmp_path / "b.csv")) == 2


def test_help_has_an_example():
    result = convert("--help")
    assert result.exit_code == 0
    assert "Example:  stibium convert" in result.stdout


def run(*args: object) -> subprocess.CompletedProcess[str]:
    code = "from stibium.edge.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, "convert", *map(str, args)], capture_output=True, text=True, check=False
    )


def test_a_real_process(survey: Path, tmp_path: Path):
    done = run(survey, tmp_path / "t.csv.gz", "--resample", "400:2400:1")
    assert done.returncode == 1
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 3
    assert gzip.decompress((tmp_path / "t.csv.gz").read_bytes()).endswith(b"\n# end 3\n")
    assert run(tmp_path / "t.csv.gz", tmp_path / "u.hdr").returncode == 0


def test_a_full_disk_is_one_line(survey: Path, tmp_path: Path):
    code = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000));"
        "from stibium.edge.cli import main; main()"
    )
    args = [sys.executable, "-c", code, "convert", str(survey), str(tmp_path / "t.csv"), "--resample", "400:2400:1"]
    done = subprocess.run(args, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "File too large" in done.stderr.splitlines()[-1]
    assert list(tmp_path.glob("*t.csv*")) == []


def test_real_instruments(shared_data: Path, tmp_path: Path):
    # Not `transfer`: it holds maize, from 1100 nm on.
    of_soil = [path for path in sorted((shared_data / "instruments").iterdir()) if path.name != "transfer"]
    result = convert(*of_soil, tmp_path / "all.csv.gz", "--resample", "400:2400:1")
    assert result.exit_code == 1
    assert "14 spectra from 15 files, 3 refused" in result.stderr
    refused = [Path(line.split(": ")[1]).name for line in result.stderr.splitlines() if line.startswith("refused")]
    assert refused == ["handheld2_325-1075.asd", "v7sample00000.asd", "v7sample00001.asd"]
    assert {s.sample_id for s in read_spectra(tmp_path / "all.csv.gz")} >= {"v6sample", "1456045_00115", "HVb21", "R50"}
