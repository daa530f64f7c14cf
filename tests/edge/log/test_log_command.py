"""`stibium log` and `stibium reprocess`: lists, files that others read, and old beside new."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
import struct
import subprocess
import sys
import time
from contextlib import closing, redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from log_samples import make_full_log
from old_logs import make_old_log
from record_check import conforms, read_records
from stibium.converters.spectra.asd import read_asd
from stibium.converters.spectra.spectrum import Spectrum
from stibium.converters.spectra.table.read import read_table
from stibium.converters.spectra.table.write import write_table
from stibium.edge.cli import run as program
from stibium.edge.engine import Engine, Measured
from stibium.edge.log.columns import ReadingFacts, StoredModel
from stibium.edge.log.geopackage import geometry
from stibium.edge.log.read import iter_entries, open_for_reading
from stibium.edge.log.write import Log, Result
from stibium.edge.model.bundle import Bundle, read_bundle, write_bundle
from stibium.edge.model.estimate import Estimator, Refusal
from stibium.edge.model.stability import UNKNOWN_LIMITS
from stibium.edge.record import FLAT_NAMES

PROGRAM = [sys.executable, "-m", "stibium.edge"]


@dataclass(frozen=True)
class Done:
    """How a call of the program ended."""

    returncode: int
    stdout: str
    stderr: str


def run(command: str, log: Path, *arguments: object, zone: str = "UTC") -> Done:
    """Call the program in this process, which takes a tenth of the time of a new one."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["stibium", command, "--log", str(log), *map(str, arguments)])
        patch.setenv("TZ", zone)
        time.tzset()
        with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
            program()
    time.tzset()
    assert "unexpected" not in err.getvalue()
    return Done(int(ended.value.code or 0), out.getvalue(), err.getvalue())


def records(done: Done) -> list[dict[str, object]]:
    return read_records(done.stdout)


@pytest.fixture(scope="module")
def full_log(tmp_path_factory: pytest.TempPathFactory, shipped_bundle: Bundle, soils: list[Spectrum]) -> Path:
    """Only read by the tests that share it."""
    path = tmp_path_factory.mktemp("log") / "full.db"
    make_full_log(path, shipped_bundle, soils)
    return path


@pytest.fixture
def own_log(tmp_path: Path, shipped_bundle: Bundle, soils: list[Spectrum]) -> Path:
    path = tmp_path / "own.db"
    # T1 holds more than any model's critical level.
    make_full_log(path, shipped_bundle, [soils[0], soils[4], *soils[2:4]])
    return path


def shown_of(path: Path, sample: str) -> str:
    (record,) = records(run("log", path, "--sample", sample, "--format", "jsonl"))
    return str(record["shown"])


def test_the_table_says_everything_that_matters(full_log: Path) -> None:
    done = run("log", full_log)
    assert done.returncode == 0
    heading, *rows = done.stdout.splitlines()
    assert heading.split() == ["reading", "stored", "sample", "estimate", "interval", "verdict"]
    assert len(rows) == 5
    assert "< LOD" in rows[0]
    assert "inside calibration; not detected; points " in rows[0]
    assert rows[0].endswith("; simulated model; simulated spectrum")
    assert "duplicate of T0" in rows[2]
    assert "refused" in rows[3]
    assert "white reference is 31 min old, 15 min are allowed (simulated spectrum)" in rows[3]
    assert rows[4].split()[0] == "-"


def test_a_process_of_its_own_says_the_same(full_log: Path) -> None:
    command = [*PROGRAM, "log", "--log", str(full_log), "--format", "csv"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == run("log", full_log, "--format", "csv").stdout
    # A reader that goes away, as `head` does, is no error.
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == ""
        # As of SIGPIPE, which is what a shell expects there; 1 would say that something was refused.
        assert process.wait() == 141


def test_json_lines_and_csv_say_the_same(full_log: Path) -> None:
    lines = records(run("log", full_log, "--format", "jsonl"))
    table = list(csv.DictReader(io.StringIO(run("log", full_log, "--format", "csv").stdout)))
    assert [list(row) for row in table] == [list(FLAT_NAMES)] * 5
    for line, row in zip(lines, table, strict=True):
        said = {name: line[name] for name in FLAT_NAMES} | {"flags": "; ".join(line["flags"])}
        said["corrections"] = "; ".join(one["text"] for one in line["corrections"])
        if not line["estimates"]:
            (by,) = line["refusals"]
            said |= {
                "estimated_at": by["refused_at"],
                **{name: by[name] for name in ("software", "model", "model_sha256")},
            }
        assert row == {name: "" if value is None else str(value) for name, value in said.items()}


def test_predict_and_log_give_the_same_record(tmp_path: Path, shipped_bundle: Bundle, soils: list[Spectrum]) -> None:
    """A leaf outside the calibration once had a bare value here and none there; flags were a list here, a text there."""
    leaf = replace(soils[1], sample_id="leaf", values=soils[1].values ** 0.2)
    write_table(tmp_path / "soils.csv", [soils[0], leaf, replace(soils[2], quantity="raw_dn", sample_id="raw")])
    path = tmp_path / "log.db"
    (tmp_path / "broken.asd").write_bytes(b"")
    files = [tmp_path / "soils.csv", tmp_path / "broken.asd"]
    command = [*PROGRAM, "predict", "--log", str(path), "--format", "jsonl", *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    predicted = [json.loads(line) for line in done.stdout.splitlines()]
    listed = [json.loads(line) for line in run("log", path, "--format", "jsonl").stdout.splitlines()]
    assert listed == predicted
    (one,) = predicted[1]["estimates"]
    assert (one["verdict"], one["value"], one["trusted"]) == ("outside", None, False)
    assert one["untrusted_value"] is not None or one["below_critical_value"] is not None
    assert [record["status"] for record in predicted] == ["estimated", "estimated", "refused", "refused"]
    csv_there = subprocess.run(
        [*command[:5], str(tmp_path / "b.db"), *command[6:7], "csv", *command[8:]],
        capture_output=True,
        text=True,
        check=False,
    )
    csv_here = run("log", tmp_path / "b.db", "--format", "csv")
    assert csv_there.stdout == csv_here.stdout
    for name, out in (
        ("day.jsonl", run("log", path, "--format", "jsonl")),
        ("day.csv", run("log", path, "--format", "csv")),
    ):
        run("log", path, "--export", tmp_path / name)
        assert (tmp_path / name).read_text("utf-8") == out.stdout


def test_filters_choose_for_lists_and_exports_alike(full_log: Path, tmp_path: Path) -> None:
    def chosen(*arguments: str) -> list[object]:
        listed = [record["sample_id"] for record in records(run("log", full_log, "--format", "jsonl", *arguments))]
        out = tmp_path / f"{'_'.join(arguments)}.jsonl"
        done = run("log", full_log, "--export", out, *arguments)
        if not listed:
            # An empty file would look as if the log had been lost.
            assert (done.returncode, out.exists()) == (1, False)
            assert "nothing written: the log has nothing of what is chosen" in done.stderr
            return listed
        assert done.returncode == 0
        assert [json.loads(line)["sample_id"] for line in out.read_text().splitlines()] == listed
        return listed

    assert chosen("--sample", "T[01]") == ["T0", "T1"]
    assert chosen("--refused") == ["T3", "T4"]
    assert chosen("--until", "2020-01-01", "--session", "1") == []
    assert chosen("--since", "2020-01-01T12:00", "--element", "Sb") == ["T0", "T1", "T2"]
    for listing in ((), ("--sessions",), ("--events",), ("--format", "csv")):
        done = run("log", full_log, "--until", "2020-01-01", *listing)
        assert (done.returncode, done.stderr) == (0, "the log has nothing of what is chosen\n"), listing


def test_the_last_ones(full_log: Path, tmp_path: Path) -> None:
    listed = records(run("log", full_log, "--last", 2, "--format", "jsonl"))
    assert [record["sample_id"] for record in listed] == ["T3", "T4"]
    assert run("log", full_log, "--events", "--last", 1, "--format", "jsonl").stdout.count("\n") == 1
    assert len(records(run("log", full_log, "--last", 9, "--format", "jsonl"))) == 5
    run("log", full_log, "--last", 1, "--sample", "T[01]", "--export", tmp_path / "one", "--as", "asd")
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["T1.asd"]


def test_a_day_means_the_whole_day_where_the_device_is(tmp_path: Path, soils: list[Spectrum]) -> None:
    path = tmp_path / "old.db"
    make_old_log(path, 2, [soils[0]])  # stored 2025-05-01T10:00 UTC
    for day, zone, count in [("2025-05-01", "UTC", 1), ("2025-05-02", "UTC", 0), ("2025-05-01", "XXX-15", 0)]:
        done = run("log", path, "--sample", "G*", "--since", day, "--until", day, "--format", "jsonl", zone=zone)
        assert len(records(done)) == count, (day, zone)
    # Fifteen hours ahead it is the next day already.
    assert "2025-05-02 01:00" in run("log", path, zone="XXX-15").stdout


def test_sessions_and_events_are_listed(full_log: Path) -> None:
    done = run("log", full_log, "--sessions")
    assert done.stdout.splitlines()[1].split()[-4:] == ["Inês", "4", "2", "8"]
    session = json.loads(run("log", full_log, "--sessions", "--format", "jsonl").stdout)
    assert session["profile_text"] == 'protocol = "fieldspec"\n'
    assert "integration time 68 ms" in run("log", full_log, "--events").stdout
    rows = list(csv.DictReader(io.StringIO(run("log", full_log, "--events", "--format", "csv").stdout)))
    # What other tests have exported of this log stands there too.
    assert [(row["kind"], row["details"]) for row in rows if row["kind"] != "exported"] == [
        ("optimised", '{"integration_ms": 68}'),
        ("rule_broken", "{}"),
    ]


def test_geojson_has_the_points_and_says_what_it_leaves_out(full_log: Path, tmp_path: Path) -> None:
    out = tmp_path / "day.geojson"
    done = run("log", full_log, "--export", out)
    assert done.returncode == 0
    assert "2 readings" in done.stderr
    assert "3 left out, since they have no position" in done.stderr
    collection = json.loads(out.read_text("utf-8"))
    assert set(collection) == {"type", "features"}
    first, second = collection["features"]
    # RFC 7946, 3.1.1 and 4: longitude, latitude, height above the ellipsoid.
    assert first["geometry"] == {"type": "Point", "coordinates": [-8.361, 41.1496, 120.5]}
    assert second["geometry"]["coordinates"][0] == pytest.approx(-8.363)
    assert first["properties"]["shown"] == "< LOD"
    assert first["properties"]["value"] is None
    assert first["properties"]["below_critical_value"] > 0
    assert first["properties"]["simulated"] is True
    assert list(first["properties"]) == list(FLAT_NAMES)


@pytest.mark.parametrize("name", ["day.gpkg", "day.geojson"])
def test_a_map_of_nothing_is_not_written(full_log: Path, tmp_path: Path, name: str) -> None:
    done = run("log", full_log, "--refused", "--export", tmp_path / name)
    assert done.returncode == 1
    assert "none of 2 readings has a position" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_geopackage_is_one(full_log: Path, tmp_path: Path) -> None:
    """The checks of OGC 12-128r19, annex A, that concern a package with one layer of points, by its own SQL."""
    out = tmp_path / "day.gpkg"
    done = run("log", full_log, "--export", out)
    assert (done.returncode, "3 left out" in done.stderr) == (0, True)
    assert [path.name for path in tmp_path.iterdir()] == ["day.gpkg"]
    head = out.read_bytes()[:100]
    assert head[:16] == b"SQLite format 3\0"
    assert head[68:72] == b"GPKG"
    assert struct.unpack(">I", head[60:64]) == (10300,)
    with closing(sqlite3.connect(out)) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert db.execute("PRAGMA foreign_key_check").fetchall() == []
        systems = db.execute(
            "SELECT srs_id, organization, organization_coordsys_id FROM gpkg_spatial_ref_sys"
        ).fetchall()
        assert set(systems) == {(4326, "EPSG", 4326), (-1, "NONE", -1), (0, "NONE", 0)}
        (contents,) = db.execute(
            "SELECT table_name, data_type, identifier, srs_id, min_x, min_y, max_x, max_y FROM gpkg_contents"
        ).fetchall()
        assert contents[:4] == ("readings", "features", "readings", 4326)
        assert contents[4:] == pytest.approx((-8.363, 41.1496, -8.361, 41.1496))
        stamp = "____-__-__T__:__:__.___Z"
        assert db.execute("SELECT count(*) FROM gpkg_contents WHERE last_change LIKE ?", (stamp,)).fetchone() == (1,)
        assert db.execute("SELECT count(*) FROM readings WHERE stored_at LIKE ?", (stamp,)).fetchone() == (2,)
        (column,) = db.execute("SELECT * FROM gpkg_geometry_columns").fetchall()
        assert column == ("readings", "geom", "POINT", 4326, 0, 0)
        columns = db.execute("PRAGMA table_info(readings)").fetchall()
        assert (columns[0][1:3], columns[0][5]) == (("fid", "INTEGER"), 1)
        assert {row[2] for row in columns} <= {"INTEGER", "POINT", "TEXT", "DOUBLE", "BOOLEAN", "DATETIME"}
        assert [row[1] for row in columns[2:]] == list(FLAT_NAMES)
        blob, shown, value, simulated, trusted = db.execute(
            "SELECT geom, shown, value, simulated, trusted FROM readings ORDER BY fid"
        ).fetchone()
    assert (shown, value, simulated, trusted) == ("< LOD", None, 1, 0)
    assert blob == geometry(-8.361, 41.1496)
    magic, version, flags, srs_id = struct.unpack("<2sBBi", blob[:8])
    assert (magic, version, flags, srs_id) == (b"GP", 0, 0b11, 4326)
    assert struct.unpack("<4d", blob[8:40]) == (-8.361, -8.361, 41.1496, 41.1496)
    assert struct.unpack("<BI2d", blob[40:]) == (1, 1, -8.361, 41.1496)


def test_gdal_takes_the_maps_for_its_own(full_log: Path, tmp_path: Path) -> None:
    """The library that QGIS reads with, where it is installed (pip install pyogrio)."""
    pyogrio = pytest.importorskip("pyogrio", reason="pyogrio, which brings GDAL, is not installed")
    for name, driver, layer in (("day.gpkg", "GPKG", "readings"), ("day.geojson", "GeoJSON", "day")):
        run("log", full_log, "--export", tmp_path / name)
        info = pyogrio.read_info(tmp_path / name)
        assert (info["driver"], info["layer_name"], info["features"]) == (driver, layer, 2)
        assert list(info["fields"]) == list(FLAT_NAMES)
        assert info["total_bounds"] == pytest.approx((-8.363, 41.1496, -8.361, 41.1496))
        meta, _, points, values = pyogrio.raw.read(tmp_path / name)
        said = dict(zip(meta["fields"], values, strict=True))
        assert struct.unpack("<2d", points[0][5:21]) == (-8.361, 41.1496)
        assert list(said["shown"]) == ["< LOD", "< LOD"]
        assert list(said["simulated"]) == [True, True]


def test_spectra_come_out_as_asd_and_as_a_table(full_log: Path, tmp_path: Path) -> None:
    done = run("log", full_log, "--export", tmp_path / "spectra", "--as", "asd")
    assert done.returncode == 0
    assert "4 spectra" in done.stderr
    files = sorted((tmp_path / "spectra").iterdir())
    assert [path.name for path in files] == ["T0.asd", "T1.asd", "T2.asd", "T3.asd"]
    assert run("log", full_log, "--export", tmp_path / "all.csv", "--as", "table").returncode == 0
    rows = read_table(tmp_path / "all.csv")
    with open_for_reading(full_log) as db:
        blobs = [np.frombuffer(blob, "<f4") for (blob,) in db.execute("SELECT spectrum FROM readings ORDER BY id")]
    for path, row, values in zip(files, rows, blobs, strict=True):
        (spectrum,) = read_asd(path)
        np.testing.assert_allclose(spectrum.values, values, rtol=1e-7)
        np.testing.assert_allclose(row.values, values, rtol=1e-7)
        assert spectrum.sample_id == row.sample_id == path.stem
        assert spectrum.simulated
        assert row.simulated
    assert rows[0].position is not None
    assert rows[0].position.altitude_m == 120.5
    assert rows[0].extra["integration_time_ms"] == 68
    done = run("log", full_log, "--export", tmp_path / "few", "--as", "asd", "--refused")
    assert [path.name for path in (tmp_path / "few").iterdir()] == ["T3.asd"]


def test_a_spectrum_that_does_not_fit_is_refused_and_the_rest_written(
    own_log: Path, tmp_path: Path, soils: list[Spectrum], shipped_bundle: Bundle
) -> None:
    nm, values = soils[0].wavelengths_nm, soils[0].values
    uneven = np.delete(np.arange(nm.size), 7)
    with Log(own_log, shipped_bundle.name, shipped_bundle.sha256) as log:
        other = replace(soils[0], sample_id="U", wavelengths_nm=nm[uneven], values=values[uneven])
        Engine(Estimator(shipped_bundle), log).take([other, replace(soils[0], sample_id="V")])
    done = run("log", own_log, "--export", tmp_path / "spectra", "--as", "asd")
    assert done.returncode == 1
    assert ": U: " in done.stderr
    assert "evenly spaced" in done.stderr
    assert (tmp_path / "spectra" / "V.asd").exists()
    done = run("log", own_log, "--export", tmp_path / "all.csv", "--as", "table")
    assert (done.returncode, "reading 5: G0.asd: U: " in done.stderr) == (1, True)
    assert [row.sample_id for row in read_table(tmp_path / "all.csv")] == ["T0", "T1", "T2", "T3", "V"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--export", "x.shp"], "its ending tells no format"),
        (["--export", "no/such/x.csv"], "there is no such folder"),
        (["--as", "csv"], "belong to --export"),
        (["--sessions", "--events"], "exclude each other"),
        (["--sessions", "--sample", "T*"], "take --since, --until and --session only"),
        (["--refused", "--verdict", "inside"], "has no element and no verdict"),
        (["--since", "yesterday"], "write 2026-05-06"),
    ],
)
def test_wrong_usage_is_said(full_log: Path, arguments: list[str], said: str) -> None:
    done = run("log", full_log, *arguments)
    assert done.returncode == 2
    assert said in " ".join(done.stderr.split())


def test_a_file_that_cannot_be_made_is_called_by_the_name_it_was_given(full_log: Path) -> None:
    done = run("log", full_log, "--export", "/proc/x.csv")
    assert done.returncode == 1
    assert done.stderr == "stibium: /proc/x.csv: No such file or directory\n"


@pytest.mark.parametrize("command", [["log", "--log"], ["info"], ["check"]])
def test_output_that_takes_nothing_more_is_said_as_such(full_log: Path, command: list[str]) -> None:
    with open("/dev/full", "w") as full:
        arguments = [*command, str(full_log)] if command[-1] == "--log" else command
        done = subprocess.run([*PROGRAM, *arguments], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("stibium: the output cannot be written: No space left on device")


def test_nothing_is_replaced_without_being_told(full_log: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.csv"
    out.write_text("mine")
    done = run("log", full_log, "--export", out)
    assert (done.returncode, out.read_text()) == (2, "mine")
    assert run("log", full_log, "--export", out, "--force").returncode == 0
    assert out.read_text().startswith("schema,status,")


def test_no_log_is_one_line_and_makes_none(tmp_path: Path) -> None:
    for command in ("log", "reprocess"):
        done = run(command, tmp_path / "none.db")
        assert done.returncode == 1
        assert len(done.stderr.splitlines()) == 1
        assert "there is no log" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def other_model(tmp_path: Path, shipped_bundle: Bundle) -> Path:
    """The shipped model with another calibrated range: other answers, another SHA-256."""
    lowest, _ = shipped_bundle.calibrated_range
    path = tmp_path / "other.tflite"
    bundle = replace(shipped_bundle, calibrated_range=(lowest, 100.0), detection=None, stability=UNKNOWN_LIMITS)
    write_bundle(path, bundle)
    return path


def estimates(path: Path) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as db:
        return db.execute("SELECT * FROM estimates ORDER BY id").fetchall()


def test_reprocess_puts_new_estimates_beside_the_old_ones(
    own_log: Path, other_model: Path, shipped_bundle: Bundle
) -> None:
    before, shown = estimates(own_log), shown_of(own_log, "T1")
    dry = run("reprocess", own_log, "--model", other_model, "--dry-run", "--format", "jsonl")
    assert estimates(own_log) == before
    assert "nothing stored (--dry-run)" in dry.stderr
    done = run("reprocess", own_log, "--model", other_model, "--format", "jsonl")
    assert done.returncode == dry.returncode == 0
    assert [r["said"] for r in records(done)] == [r["said"] for r in records(dry)]
    assert {r["stored"] for r in records(dry)} == {False}
    after = estimates(own_log)
    assert after[: len(before)] == before
    assert len(after) == 2 * len(before) == 6
    # What was refused when it was measured is no model's to estimate, and is not refused once more.
    assert "3 estimated again, 0 refused; 1 left out, since they broke a rule" in done.stderr
    assert len(records(run("log", own_log, "--refused", "--format", "jsonl"))) == 2
    one, two, three = records(done)
    (earlier,) = two["before"]
    assert (earlier["shown"], earlier["model"]) == (shown, shipped_bundle.name)
    assert (two["shown"], two["bound"]) == ("> 100", ">")
    assert two["model"] == "other.tflite"
    assert two["model_sha256"] == read_bundle(other_model).sha256 != earlier["model_sha256"]
    # The points are estimated again too.
    assert one["points"] == three["points"] == 2
    assert one["scatter_over_limit"] > 0
    again = run("reprocess", own_log, "--model", other_model)
    assert (again.returncode, again.stdout) == (0, "")
    assert "nothing to do" in again.stderr
    assert estimates(own_log) == after
    listed = records(run("log", own_log, "--format", "jsonl"))
    assert [record["model"] for record in listed[:3]] == ["other.tflite"] * 3
    every = [
        json.loads(line) for line in run("log", own_log, "--format", "jsonl", "--all-estimates").stdout.splitlines()
    ]
    for record in every:
        conforms(record)
    assert [len(record["estimates"]) for record in every] == [2, 2, 2, 0, 0]
    # In a table each is told apart by its model.
    table = run("log", own_log, "--all-estimates").stdout
    assert table.splitlines()[0].split()[-2:] == ["model", "verdict"]
    estimated = [line for line in table.splitlines()[1:] if " refused " not in line]
    assert sum(" other.tflite " in line for line in estimated) == 3
    assert sum(" sb_simulated.tflite " in line for line in estimated) == 3


def test_reprocess_writes_csv_with_what_was_before(own_log: Path, other_model: Path) -> None:
    done = run("reprocess", own_log, "--model", other_model, "--sample", "T1", "--dry-run", "--format", "csv")
    (row,) = csv.DictReader(io.StringIO(done.stdout))
    assert (row["before_shown"], row["shown"], row["stored"]) == (shown_of(own_log, "T1"), "> 100", "False")


def test_reprocess_holds_spectra_against_the_rules_of_their_session(
    tmp_path: Path, shipped_bundle: Bundle, soils: list[Spectrum], other_model: Path
) -> None:
    path = tmp_path / "log.db"
    noise = np.random.default_rng(3).normal(0, 0.008, soils[0].values.size)
    noisy = replace(soils[0], values=soils[0].values + noise)
    with Log(path, shipped_bundle.name, shipped_bundle.sha256) as log:
        lenient = log.begin_session(profile_text="[rules]\nnoise_most = 0.02\n")
        facts = [ReadingFacts(session_id=session) for session in (lenient, None)]
        bears = replace(shipped_bundle, stability=UNKNOWN_LIMITS)
        Engine(Estimator(bears), log, rules=None).take([Measured(noisy, about=about) for about in facts])
    run("reprocess", path, "--model", other_model)
    first, second = (
        json.loads(line) for line in run("log", path, "--all-estimates", "--format", "jsonl").stdout.splitlines()
    )
    assert [(len(r["estimates"]), len(r["refusals"])) for r in (first, second)] == [(2, 0), (1, 1)]
    assert "0.005 is allowed" in second["refusals"][0]["reason"]


def test_reprocess_shows_old_and_new_in_a_table(own_log: Path, other_model: Path) -> None:
    done = run("reprocess", own_log, "--model", other_model, "--sample", "T1", "--dry-run")
    model, _, heading, row = done.stdout.splitlines()
    assert "unsigned" in model
    assert heading.split()[:4] == ["reading", "sample", "before", "by"]
    assert row.split()[:7] == ["2", "T1", shown_of(own_log, "T1"), "sb_simulated.tflite", ">", "100", row.split()[6]]
    assert "1 estimated again, 0 refused" in done.stderr


def test_reprocess_says_what_cannot_be_made_again(tmp_path: Path, soils: list[Spectrum], other_model: Path) -> None:
    path = tmp_path / "old.db"
    short = soils[2].wavelengths_nm <= 1075
    handheld = replace(
        soils[2],
        sample_id="H",
        wavelengths_nm=soils[2].wavelengths_nm[short],
        values=soils[2].values[short],
        splices_nm=(),
    )
    make_old_log(path, 2, [soils[0], replace(soils[1], measurement="mean of 5"), handheld])
    done = run("reprocess", path, "--model", other_model, "--format", "jsonl")
    assert done.returncode == 1
    plain, mean, refused = records(done)
    assert plain["before"][0]["interval_shown"] == "(10.0 - 900)"
    assert "points" not in str(plain["flags"])
    assert "how its points scatter is not known" in str(mean["flags"])
    first_nm, last_nm = read_bundle(other_model).recipe.range_nm
    assert refused["reason"] == f"covers 350-1075 nm; the model needs {first_nm:g}-{last_nm:g} nm"
    # It is said again by whoever reads the log later.
    later = records(run("log", path, "--format", "jsonl"))
    assert "how its points scatter is not known" in str(later[1]["flags"])
    assert (later[2]["shown"], later[2]["model"]) == ("102", "old.tflite")


def test_two_that_reprocess_at_once_store_no_answer_twice(
    tmp_path: Path, shipped_bundle: Bundle, soils: list[Spectrum], other_model: Path
) -> None:
    path = tmp_path / "log.db"
    with Log(path, shipped_bundle.name, shipped_bundle.sha256) as log:
        engine = Engine(Estimator(shipped_bundle), log)
        engine.take([replace(soils[i % len(soils)], sample_id=f"{i}") for i in range(200)])
    command = [*PROGRAM, "reprocess", "--log", str(path), "--model", str(other_model), "--format", "jsonl"]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    outputs = [process.communicate() for process in running]
    assert [process.returncode for process in running] == [0, 0, 0], outputs
    assert sum(len(out.splitlines()) for out, _ in outputs) == 200
    with open_for_reading(path) as db:
        counts = db.execute(
            "SELECT model_id, count(*), count(DISTINCT reading_id) FROM estimates GROUP BY 1"
        ).fetchall()
        assert counts == [(1, 200, 200), (2, 200, 200)]
        assert len(list(iter_entries(db))) == 200


def test_reprocess_goes_on_after_a_kill(
    tmp_path: Path, shipped_bundle: Bundle, soils: list[Spectrum], other_model: Path
) -> None:
    path = tmp_path / "log.db"
    with Log(path, shipped_bundle.name, shipped_bundle.sha256) as log:
        engine = Engine(Estimator(shipped_bundle), log)
        engine.take([replace(soils[i % len(soils)], sample_id=f"{i}") for i in range(300)])
    command = [*PROGRAM, "reprocess", "--log", str(path), "--model", str(other_model), "--format", "jsonl"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.kill()
    stored = len(estimates(path)) - 300
    assert 64 <= stored <= 300
    done = run("reprocess", path, "--model", other_model, "--format", "jsonl")
    assert len(records(done)) == 300 - stored
    assert len(estimates(path)) == 600


def test_a_session_counts_what_was_refused_as_the_list_of_its_readings_does(
    tmp_path: Path, shipped_bundle: Bundle, soils: list[Spectrum]
) -> None:
    """Two models: one refuses what the other answers; both refuse; a file cannot be read."""
    path = tmp_path / "log.db"
    (answer,) = Estimator(shipped_bundle).estimate(soils[:1])
    other = StoredModel("cd" * 32, "other.tflite", None, None)
    with Log(path, shipped_bundle.name, shipped_bundle.sha256) as log:
        about = ReadingFacts(session_id=log.begin_session(port="p"))
        no = Refusal("x.asd", "too noisy", "G0")
        log.add([Result(soils[0], answer, about, others=((other, no),))])
        log.add([Result(soils[1], no, about, others=((other, no),))])
        log.add([Result(None, no, about)])
    listed = records(run("log", path, "--session", "1", "--format", "jsonl"))
    assert [one["status"] for one in listed] == ["estimated", "refused", "refused"]
    session = json.loads(run("log", path, "--sessions", "--format", "jsonl").stdout)
    assert (session["readings"], session["refusals"]) == (2, 2)
