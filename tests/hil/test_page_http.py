"""The page's server as programs reach it: what it shows, what it lets through, a day led by it, two at once, kill -9."""

from __future__ import annotations

import io
import json
import os
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from line_processes import STIBIUM
from page_kills import PROFILE, kill_a_day_on_the_page
from page_process import Page, fill
from soak import memory_mb
from stibium.converters.spectra.spectrum import Spectrum
from stibium.converters.spectra.table.write import write_table
from stibium.edge.simulators.ends import TcpEnd
from stibium.edge.simulators.fieldspec_instrument import VirtualFieldSpec
from stibium.edge.simulators.in_front import InFront, things_from
from stibium.edge.simulators.serve import VirtualProbe

pytest.importorskip("starlette", reason="the extra `web` is not installed")
pytest.importorskip("uvicorn", reason="the extra `web` is not installed")
segno = pytest.importorskip("segno", reason="the extra `web` is not installed")

DAY = ("--points", "2", "--scans", "5", "--prefix", "RS", "--condition", "dry")


@pytest.fixture
def page(tmp_path: Path, tiny_bundle: Path) -> Iterator[Page]:
    with Page(tmp_path, tiny_bundle, PROFILE) as made:
        yield made


@contextmanager
def fieldspec(soils: list[Spectrum]) -> Iterator[str]:
    front = InFront(things_from(soils))
    with VirtualProbe(VirtualFieldSpec(front), TcpEnd("127.0.0.1", 0)) as probe:
        yield probe.name


@pytest.fixture
def measured(tmp_path: Path, tiny_bundle: Path, page: Page, soils: list[Spectrum]) -> Page:
    """The page of a log with some readings from files."""
    write_table(tmp_path / "soils.csv", soils[:3])
    predict(page, tmp_path / "soils.csv")
    return page.start()


def predict(page: Page, *files: Path) -> None:
    command = [STIBIUM, "predict", *map(str, files), "--model", str(page.bundle), "--log", str(page.log)]
    subprocess.run(command, check=False, capture_output=True)


# --- looking --------------------------------------------------------------------------------------------------


def test_the_page_is_one_request_and_small(measured: Page) -> None:
    status, text, headers = measured.ask("/")
    assert status == 200
    assert len(text) < 150_000
    html = text.decode()
    assert '"sample_id":"G2"' in html
    for outside in (' src="', "@import", "url(", "http://", "https://"):
        assert outside not in html.replace("http://www.w3.org/2000/svg", ""), outside
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert " on" + "click=" not in html
    assert headers["x-content-type-options"] == "nosniff"


def test_what_is_shown_is_what_the_log_gives(measured: Page, tiny_bundle: Path) -> None:
    said = measured.get("/api/readings?since=0")
    command = [STIBIUM, "log", "--log", str(measured.log), "--format", "jsonl"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said["readings"] == [json.loads(line) for line in listed.splitlines()]
    assert [one["reading"] for one in measured.get("/api/readings?since=2")["readings"]] == [3]
    assert [one["reading"] for one in measured.get("/api/readings?last=2")["readings"]] == [2, 3]
    spectrum = measured.get("/api/spectra/2?full")
    with closing(sqlite3.connect(measured.log)) as db:
        (blob,) = db.execute("SELECT spectrum FROM readings WHERE id = 2").fetchone()
    assert len(spectrum["values"]) == len(blob) / 4
    assert len(measured.get("/api/spectra/2")["values"]) <= 500
    (model,) = measured.get("/api/models")["models"]
    assert (model["element"], model.get("path")) == ("Sb", None)


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_an_export_is_the_file_that_log_writes(measured: Page, tmp_path: Path, form: str) -> None:
    out = tmp_path / f"out.{form}"
    subprocess.run([STIBIUM, "log", "--log", str(measured.log), "--export", str(out)], check=True, capture_output=True)
    status, content, headers = measured.ask(f"/export/readings.{form}")
    assert status == 200
    assert content == out.read_bytes()
    assert "attachment" in headers["content-disposition"]
    # Of what the page gives away only somebody who has the PIN leaves a trace in the log, as the command did.
    exported = "SELECT count(*) FROM events WHERE kind = 'exported'"
    assert measured.rows(exported) == [(1,)]
    measured.log_in()
    measured.ask(f"/export/readings.{form}")
    assert measured.rows(exported) == [(2,)]
    left = "SELECT details FROM events WHERE kind = 'exported' ORDER BY id"
    assert [json.loads(details)["readings"] for (details,) in measured.rows(left)] == [[[1, 3]], [[1, 3]]]


def test_wide_csv_and_the_day_are_the_files_that_the_commands_write(measured: Page, tmp_path: Path) -> None:
    out, how = tmp_path / "wide.csv", ("--wide", "--separator", "semicolon", "--decimal", "comma")
    subprocess.run([STIBIUM, "log", "--log", str(measured.log), "--export", str(out), *how], check=True)
    status, content, _ = measured.ask("/export/readings.csv?wide&separator=semicolon&decimal=comma")
    assert (status, content) == (200, out.read_bytes())
    assert measured.ask("/export/readings.csv?separator=comma&decimal=comma")[0] == 409
    status, content, headers = measured.ask("/export/day.html")
    assert status == 200
    assert "attachment" in headers["content-disposition"]
    assert b"G0" in content
    assert measured.ask("/export/day.html?day=yesterday")[1]["error"] == "write the day as in ?day=2026-05-06"
    assert measured.ask("/export/nothing.csv")[0] == 404


def test_what_has_left_the_log_is_said_of_each_reading(measured: Page, tmp_path: Path) -> None:
    def left() -> list[list[str]]:
        return [one["left"] for one in measured.get("/api/state")["readings"]]

    assert left() == [[], [], []]
    cursor = measured.get("/api/state")["cursor"]
    command = [STIBIUM, "log", "--log", str(measured.log), "--sample", "G[01]", "--export", str(tmp_path / "some.csv")]
    subprocess.run(command, check=True)
    assert left() == [["exported"], ["exported"], []]
    with measured.events(cursor) as news:
        while (one := news.get(timeout=30))["event"] != "log":
            pass
    assert [(r["reading"], r["left"]) for r in one["data"]["readings"]][:2] == [(1, ["exported"]), (2, ["exported"])]
    measured.log_in()
    measured.ask("/api/correct", {"reading": 1, "kind": "note", "value": {"text": "wet"}})
    assert left() == [[], ["exported"], []]
    # A map holds only what has a position, whatever is asked for.
    measured.ask(
        "/api/correct", {"reading": 3, "kind": "place", "value": {"latitude_deg": 41.0, "longitude_deg": -7.9}}
    )
    assert measured.ask("/export/readings.geojson")[0] == 200
    assert left() == [[], ["exported"], ["exported"]]
    day = subprocess.run([STIBIUM, "day", "--log", str(measured.log)], capture_output=True, text=True).stdout
    assert "exported: 2 of 3" in day


def test_a_map_without_places_is_one_line(measured: Page) -> None:
    status, said, _ = measured.ask("/export/readings.gpkg")
    assert status == 409
    assert said["error"].startswith("not written, for none of 3 readings has a position")
    assert measured.get("/api/places") == {"day": measured.get("/api/places")["day"], "places": []}


def test_news_of_another_program_come_by_the_rows_of_the_log(measured: Page, tmp_path: Path) -> None:
    first = measured.get("/api/state")
    with measured.events(first["cursor"]) as news:
        (tmp_path / "rubbish.asd").write_bytes(b"rubbish")
        predict(measured, tmp_path / "soils.csv", tmp_path / "rubbish.asd")
        came: list[Any] = []
        while len(came) < 4:
            one = news.get(timeout=30)
            came += one["data"]["readings"] if one["event"] == "log" else []
            cursor = one.get("id", first["cursor"])
    assert [one["reading"] for one in came if one["reading"]] == [4, 5, 6]
    assert "rubbish.asd" in next(one["why"] for one in came if not one["reading"])
    # A phone that slept asks for the rest: once, and all of it.
    predict(measured, tmp_path / "soils.csv")
    with measured.events(cursor) as news:
        while (one := news.get(timeout=30))["event"] != "log":
            pass
    assert [r["reading"] for r in one["data"]["readings"]] == [7, 8, 9]
    with measured.events(one["id"]) as news:
        kinds = [news.get(timeout=30)["event"]]
    assert kinds == ["health"]


def test_of_too_much_news_or_of_another_log_the_page_begins_anew(measured: Page) -> None:
    for known in ("9.9.9.9.9.9", "nonsense", "", "1.2", "0.0.0.0.0.-1"):
        with measured.events(known) as news:
            assert news.get(timeout=30)["event"] == "again", known


# --- who may do what ------------------------------------------------------------------------------------------


def test_everything_that_changes_needs_the_pin(measured: Page) -> None:
    order = {"kind": "end"}
    assert measured.ask("/api/order", order)[0] == 401
    assert measured.ask("/api/photo/1", b"\xff\xd8\xff", Content_Type="image/jpeg")[0] == 401
    assert measured.ask("/api/time", {})[0] == 401
    assert measured.ask("/api/order", order, X_Stibium_Pin="000000" if measured.pin != "000000" else "1")[0] == 401
    status, said, _ = measured.ask("/api/order", order, X_Stibium_Pin=measured.pin)
    assert (status, said["error"].split(";")[0]) == (409, "this device shows a log and has no instrument")
    measured.log_in()
    assert measured.ask("/api/order", order)[0] == 409
    # The cookie outlives the program, and no address has the PIN in it.
    measured.stop()
    measured.start()
    assert measured.ask("/api/order", order)[0] == 409
    assert measured.ask(f"/api/state?pin={measured.pin}")[1]["may_change"] is True
    measured.cookie = ""
    assert measured.ask(f"/api/state?pin={measured.pin}")[1]["may_change"] is False


def test_guessing_ends(measured: Page) -> None:
    wrong = "111111" if measured.pin != "111111" else "222222"
    answers = [measured.ask("/api/login", {"pin": wrong})[0] for _ in range(8)]
    assert answers == [401] * 5 + [429] * 3 or answers == [401] * 4 + [429] * 4
    status, said, headers = measured.ask("/api/login", {"pin": measured.pin})
    assert status == 429
    assert int(headers["retry-after"]) > 0
    assert "wait" in said["error"]


@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "127.0.0.1:1", "10.0.0.1:{port}", ""])
def test_another_host_is_not_answered(measured: Page, host: str) -> None:
    for path in ("/", "/api/state", "/api/readings?since=0", "/export/readings.csv"):
        assert measured.ask(path, Host=host.format(port=measured.address[1]))[0] == 421


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
def test_its_own_names_are(measured: Page, name: str) -> None:
    assert measured.ask("/", Host=f"{name}:{measured.address[1]}")[0] == 200


def test_pages_of_others_change_nothing(measured: Page) -> None:
    measured.log_in()
    for origin in ("http://evil.example", "null", f"https://127.0.0.1:{measured.address[1]}"):
        assert measured.ask("/api/order", {"kind": "end"}, Origin=origin)[0] == 403
    assert measured.ask("/api/order", {"kind": "end"}, Sec_Fetch_Site="cross-site")[0] == 403
    own = f"http://127.0.0.1:{measured.address[1]}"
    assert measured.ask("/api/order", {"kind": "end"}, Origin=own)[0] == 409
    # What a form of another page can send without asking first.
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
        assert measured.ask("/api/order", {"kind": "end"}, Content_Type=kind)[0] == 415


def test_sizes_rates_and_ways_are_bounded(measured: Page) -> None:
    measured.log_in()
    assert measured.ask("/api/order", b"x" * 20_000, Content_Type="application/json")[0] == 413
    assert measured.ask("/api/order", method="PUT")[0] == 405
    assert measured.ask("/api/login", b"{", Content_Type="application/json")[0] == 400
    assert measured.ask("/api/login", b"[" * 16_000, Content_Type="application/json")[0] == 400
    for wrong in (
        {"kind": "format"},
        {"kind": "do", "letter": "q"},
        {"kind": "do", "letter": "RESTORE,1"},
        {"kind": "do", "letter": "i", "argument": "x" * 201},
        {"kind": "begin", "begin": {"model": "../../etc/passwd"}},
        {"kind": "begin", "begin": {"port": "/dev/ttyS0"}},
        {"kind": "begin", "begin": {"on_for_min": True}},
        {"kind": "begin", "begin": [1]},
    ):
        assert measured.ask("/api/order", wrong)[0] in (400, 409), wrong
    assert 429 in [measured.ask("/api/nothing")[0] for _ in range(120)]


def test_somebody_who_takes_all_connections_keeps_nobody_out(measured: Page) -> None:
    assert measured.process is not None
    held = [socket.create_connection(measured.address, 30, ("127.0.0.9", 0)) for _ in range(150)]
    try:
        assert measured.ask("/api/health")[0] == 200
        with measured.events() as news:
            assert news.get(timeout=30)["event"] == "again"
            for line in [socket.create_connection(measured.address, 30, ("127.0.0.9", 0)) for _ in range(150)]:
                held.append(line)
                with suppress(OSError):
                    line.sendall(f"GET /api/events HTTP/1.1\r\nHost: 127.0.0.1:{measured.address[1]}\r\n\r\n".encode())
            # Whoever has one connection keeps it.
            measured.log_in()
            measured.ask("/api/correct", {"reading": 1, "kind": "note", "value": {"text": "wet"}})
            while news.get(timeout=30)["event"] != "log":
                pass
        # No files are left for the log otherwise.
        assert len(os.listdir(f"/proc/{measured.process.pid}/fd")) < 150
    finally:
        for line in held:
            line.close()
    assert measured.said_wrong() == ""


def test_a_body_is_as_long_as_it_says(measured: Page) -> None:
    head = f"POST /api/login HTTP/1.1\r\nHost: 127.0.0.1:{measured.address[1]}\r\nContent-Type: application/json\r\n"
    with socket.create_connection(measured.address, 30) as line:
        line.sendall(f"{head}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n[1,2]\r\n0\r\n\r\n".encode())
        assert line.recv(100).startswith(b"HTTP/1.1 411")


def test_a_large_photo_is_stored_and_a_huge_one_is_refused_in_words(measured: Page) -> None:
    measured.log_in()
    large = b"\xff\xd8\xff" + bytes(20_000_000)
    status, said, _ = measured.ask("/api/photo/1", large, Content_Type="image/jpeg")
    assert status == 200, said
    assert measured.ask(f"/photos/{said['file']}")[1] == large
    # What it is too large for is said before it is sent.
    headers = {"Content_Type": "image/jpeg", "Content_Length": "30000000"}
    status, said, _ = measured.ask("/api/photo/1", b"\xff\xd8\xff", **headers)
    assert (status, said["error"]) == (413, "too long: at most 25 MB")
    assert measured.get("/api/state")["about"]["most_photo_bytes"] == 25_000_000


@pytest.mark.parametrize(
    "path",
    [
        "/api/readings?since=x",
        "/api/readings?since=-1",
        "/api/readings?drop=1",
        "/api/spectra/99",
        "/api/places?day=5",
        "/api/places?day=9999-12-31",
        "/api/places?day=0001-01-01",
        "/api/places?day=2026-05-06T10:00",
        "/api/spectra/99999999999999999999",
        "/api/spectra/" + "9" * 5000,
        "/api/spectra/-1",
        "/export/readings.exe",
        "/etc/passwd",
        "/../log.db",
        "/export/readings.csv?session=x",
    ],
)
def test_nonsense_is_refused_in_one_line(measured: Page, path: str) -> None:
    status, said, _ = measured.ask(path)
    assert status in (400, 404)
    assert b"Traceback" not in (said if isinstance(said, bytes) else json.dumps(said).encode())
    assert measured.said_wrong() == ""


# --- a day ----------------------------------------------------------------------------------------------------


def test_a_day_is_led_by_the_page(page: Page, soils: list[Spectrum]) -> None:
    with fieldspec(soils) as port:
        page.start(port, *DAY)
        assert page.get("/api/state")["desk"]["mode"] == "idle"
        page.log_in()
        status, said = page.order("begin", begin={"operator": "Ana", "prefix": "T"})
        assert status == 200
        assert said["desk"]["prompt"]["step"] == "optimise"
        steps = []
        desk = said["desk"]
        while desk["prompt"]["step"] != "point":
            steps.append(desk["prompt"]["step"])
            desk = page.tap()
        assert steps == ["optimise", "white"]
        assert (desk["sample"]["id"], desk["white"]["age_min"]) == ("T001", 0)
        # Nothing came of it, and so nothing is said to be stored.
        status, said = page.order("do", "u")
        assert (status, said["stored"]) == (200, False)
        assert "nothing was edited" in said["told"][0]["text"]
        # What may be no name is asked about, as in `measure`.
        for unusual in ("Help", "void 3", "P", "north"):
            desk = page.tap("i", unusual)
            assert (desk["prompt"]["step"], desk["prompt"]["title"]) == ("name", f"Is {unusual} the name of a sample?")
            assert page.tap("s")["sample"]["id"] == "T001"
        desk = page.tap("i", "Rua do Alto 7\x1b[2J")
        assert desk["sample"]["id"] == "Rua do Alto 7[2J"
        page.tap("n", "wet, roots")
        desk = page.tap()
        assert desk["sample"]["points"] == 1
        assert len(page.get("/api/points")["points"]) == 1
        assert page.order("end")[0] == 409
        page.measured(1)
        (reading,) = page.get("/api/readings?since=0")["readings"]
        assert (reading["sample_id"], reading["notes"]) == ("Rua do Alto 7[2J", "wet, roots")
        page.tap("r")
        page.measured(3)
        status, said = page.order("do", "n", "roots")
        assert said["stored"]
        status, said = page.order("end")
        # What was told of the tap before is no news of this one.
        assert (status, said["told"]) == (200, [])
        assert page.desk("idle")["mode"] == "idle"
        state = page.get("/api/state")
        assert state["session"]["operator"] == "Ana"
        assert state["session"]["ended_at"]
        assert state["unfinished"] is None
        assert page.stop() == 0
    assert page.said_wrong() == ""


def test_the_ground_is_asked_for_before_a_sample_and_controls_are_on_charts(page: Page, soils: list[Spectrum]) -> None:
    with fieldspec(soils) as port:
        page.start(port, *DAY[:-2], "--points", "1", "--reference-every", "1")
        page.log_in()
        page.order("begin")
        page.tap()
        desk = page.tap()
        assert desk["prompt"]["step"] == "ground"
        assert [words for _, _, words in desk["prompt"]["choices"]] == ["Dry", "Damp", "Wet"]
        desk = page.tap(*desk["prompt"]["choices"][1][:2])
        assert (desk["prompt"]["step"], desk["sample"]["condition"]) == ("point", "damp")
        page.measured(2)
        desk = page.get("/api/state")["desk"]
        assert desk["prompt"]["choices"][1][2] == "Damp, as before"
        page.measured(4)
        said = page.get("/api/readings?since=0")["readings"]
        assert [one["condition"] for one in said if one["sample_kind"] == "sample"] == ["damp", "damp"]
        charts = page.get("/api/charts")
    found = [one for one in said if one["sample_kind"] == "reference" and one["estimates"]]
    found = [one for one in found if not one["estimates"][0]["bound"]]
    assert [r["reading"] for one in charts["soils"] for r in one["readings"]] == [one["reading"] for one in found]


def test_of_two_phones_that_answer_one_question_one_counts(page: Page, soils: list[Spectrum]) -> None:
    with fieldspec(soils) as port:
        page.start(port, *DAY)
        page.log_in()
        page.order("begin")
        page.tap()
        page.tap()
        asked = page.get("/api/state")["desk"]["prompt"]["id"]
        order = {"kind": "do", "tap": "first", "prompt": asked, "letter": ""}
        first = page.ask("/api/order", order)
        assert first[0] == 200
        # The other phone, and the same tap once more as a network may send it.
        second = page.ask("/api/order", order | {"tap": "second"})
        assert second[0] == 409
        assert page.ask("/api/order", order)[1] == first[1]
        assert page.rows("SELECT count(*) FROM scans WHERE kind = 'target'") == [(1,)]


def test_who_measures_elsewhere_is_named_and_what_it_stores_is_shown(page: Page, soils: list[Spectrum]) -> None:
    with fieldspec(soils) as port:
        chosen = ["--model", str(page.bundle), "--log", str(page.log), "--profile", str(page.profile)]
        other = subprocess.Popen(
            [STIBIUM, "measure", port, *chosen, *DAY],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert other.stdin is not None
        sessions = "SELECT count(*) FROM sqlite_master WHERE name = 'sessions'"
        page.wait(lambda: page.rows(sessions) == [(1,)] and page.rows("SELECT count(*) FROM sessions") == [(1,)])
        page.start(port, *DAY)
        page.log_in()
        status, said = page.order("begin", begin={"new": True})
        assert status == 500
        assert f"stibium measure (process {other.pid}) measures with this instrument" in said["error"]
        other.stdin.write("\n" * 12)
        other.stdin.flush()
        page.wait(lambda: page.get("/api/readings?since=0")["readings"])
        assert 0 <= page.get("/api/state")["session"]["white_age_s"] < 600
        other.communicate("q\n", timeout=60)
        # Now it is free, and the day goes on here.
        status, said = page.order("begin")
        assert status == 200, said
        assert said["desk"]["mode"] == "ready"


def test_killed_at_any_moment_the_day_goes_on_and_each_sample_is_there_once(page: Page, soils: list[Spectrum]) -> None:
    with fieldspec(soils) as port:
        said = kill_a_day_on_the_page(page, port, kills=20, seed=7)
    assert "0 lost, 0 doubled" in said


def test_a_port_that_is_taken_and_an_address_that_is_not_ours_are_one_line(page: Page, measured: Page) -> None:
    for options, why in (
        (["--http-port", str(measured.address[1])], "another program serves there"),
        (["--on", "192.0.2.1"], "no address of this device"),
        (["--on", "wlan9"], "no network interface with an address"),
        (["--on", "0.0.0.0"], "every network of this device; name one of them"),
        (["--on", "::"], "every network of this device; name one of them"),
    ):
        done = subprocess.run(
            [STIBIUM, "serve", "--log", str(page.log), *options], capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 1
        assert why in done.stderr
        assert done.stderr.count("\n") == 1


def test_news_come_at_once(page: Page, soils: list[Spectrum]) -> None:
    with fieldspec(soils) as port:
        page.start(port, "--points", "1", "--scans", "5")
        page.log_in()
        page.order("begin")
        page.tap()
        page.tap()
        with page.events(page.get("/api/state")["cursor"]) as news:
            page.tap()
            give_up_s = time.monotonic() + 30
            seen = []
            while "log" not in seen and time.monotonic() < give_up_s:
                seen.append(news.get(timeout=30)["event"])
    assert {"log", "desk"} <= set(seen)


def test_corrections_and_photos_are_rows_of_their_own(measured: Page) -> None:
    measured.log_in()
    rename = {"reading": 2, "kind": "rename", "value": {"sample_id": "RS7"}, "who": "Ana"}
    assert measured.ask("/api/correct", rename)[1] == {"correction": 1}
    said = measured.ask("/api/correct", {"reading": 1, "kind": "rename", "value": {"sample_id": "RS7"}})[1]
    assert "RS7 was measured at" in said["warning"]
    assert measured.ask("/api/correct", {"reading": 1, "kind": "undo", "value": {"correction": 2}})[0] == 200
    assert measured.get("/api/readings?last=2")["readings"][0]["sample_id"] == "RS7"
    assert measured.ask("/api/correct", {"reading": 3, "kind": "void", "value": {"reason": "spilt"}})[0] == 200
    assert [one["void"] for one in measured.get("/api/readings?since=1")["readings"]] == ["", "void: spilt"]
    # What does not count is in no export, as with `stibium log --export`.
    assert b"G2" not in measured.ask("/export/readings.csv")[1]
    for wrong in (
        {"reading": 99, "kind": "void"},
        {"reading": 2, "kind": "drop table"},
        {"reading": True, "kind": "void"},
        {"reading": 2, "kind": "rename", "value": {"sample_id": ""}},
        {"reading": 2, "kind": "photo", "value": {"file": "/etc/passwd"}},
        {"reading": 2, "kind": "condition", "value": {"condition": "muddy"}},
    ):
        status, said, _ = measured.ask("/api/correct", wrong)
        assert status == 409, wrong
        assert said["error"]
    picture = b"\xff\xd8\xff\xe0" + bytes(1000)
    status, said, _ = measured.ask("/api/photo/1", picture, Content_Type="image/jpeg")
    assert status == 200
    status, content, headers = measured.ask(f"/photos/{said['file']}")
    assert (status, content, headers["content-type"]) == (200, picture, "image/jpeg")
    assert measured.ask("/api/photo/99", picture, Content_Type="image/jpeg")[0] == 404
    assert measured.ask("/api/photo/1", b"<svg onload=alert(1)>", Content_Type="image/svg+xml")[0] == 409
    for name in ("../log.db", "..%2Flog.db", "log.db", "reading-1-000000000000.jpg"):
        assert measured.ask(f"/photos/{name}")[0] == 404, name


# --- to the office, and on a network of one's own -------------------------------------------------------------


def test_each_new_reading_is_one_line_on_a_tcp_port(page: Page, soils: list[Spectrum], tmp_path: Path) -> None:
    write_table(tmp_path / "soils.csv", soils[:2])
    predict(page, tmp_path / "soils.csv")
    page.start("", "--lines", "127.0.0.1:0")
    with socket.create_connection(page.lines, 30) as client, client.makefile("r", encoding="utf-8") as lines:
        time.sleep(0.5)
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        (tmp_path / "rub\tbish.asd").write_bytes(b"rubbish")
        predict(page, tmp_path / "soils.csv", tmp_path / "rub\tbish.asd")
        came = [lines.readline().rstrip("\n").split("\t") for _ in range(3)]
        page.log_in()
        measured = page.get("/api/readings?since=2")["readings"]
        page.ask("/api/correct", {"reading": 3, "kind": "void", "value": {"reason": "spilt"}})
        page.ask("/api/correct", {"reading": 4, "kind": "note", "value": {"text": "wet"}})
        page.ask("/api/correct", {"reading": 4, "kind": "void"})
        came += [lines.readline().rstrip("\n").split("\t") for _ in range(2)]
    assert [fields[1:4] for fields in came[:2]] == [["3", "G0", "remark"], ["4", "G1", "remark"]]
    for fields, reading in zip(came[:2], measured, strict=True):
        (one,) = reading["estimates"]
        # Simulated: a form that reads the field alone gets no number.
        bare = one["shown"] if one["bound"] or one["shown"].startswith("(") else f"({one['shown']})"
        assert fields[5:] == [one["element"], bare, one["unit"], one["interval_shown"]]
    assert "(" in came[0][6] + came[1][6]
    assert came[2][1:4] == ["", str(tmp_path / "rub bish.asd"), "refused"]
    assert len(came[2]) == 5
    assert [(fields[1], fields[3]) for fields in came[3:]] == [("3", "void"), ("4", "void")]
    assert came[3][4].startswith("void: spilt; ")
    # What went to somebody is said of each; what was corrected afterwards has not gone so.
    page.wait(
        lambda: (
            [one["left"] for one in page.get("/api/state")["readings"] if one["reading"] in (3, 4)] == 2 * [["sent"]]
        )
    )
    assert [one["left"] for one in page.get("/api/state")["readings"][:2]] == [[], []]


def test_lines_need_no_web_extra(page: Page, soils: list[Spectrum], tmp_path: Path) -> None:
    # As on a device without it: Python finds no such module.
    (tmp_path / "without" / "starlette").mkdir(parents=True)
    (tmp_path / "without" / "starlette" / "__init__.py").write_text("raise ModuleNotFoundError(name='starlette')")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "without")}
    command = [STIBIUM, "serve", "--log", str(page.log), "--model", str(page.bundle)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr == (
        "stibium: starlette is not installed, so there is no page; run: pip install '.[web]' where stibium was cloned\n"
    )
    write_table(tmp_path / "soils.csv", soils[:1])
    with subprocess.Popen(
        [*command, "--lines", "127.0.0.1:0"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        address = ("127.0.0.1", int(process.stdout.readline().strip().rpartition(":")[2]))
        assert "no page" in process.stderr.readline()
        with socket.create_connection(address, 30) as client, client.makefile("r") as lines:
            time.sleep(0.5)
            predict(page, tmp_path / "soils.csv")
            assert lines.readline().split("\t")[2] == "G0"
        process.terminate()
        assert process.wait(30) == 0


@pytest.mark.parametrize("text", ["4001", ":4001", "127.0.0.1:", "127.0.0.1:99999", "127.0.0.1:4x"])
def test_an_address_for_lines_that_is_none_is_a_usage_error(text: str, page: Page) -> None:
    done = subprocess.run([STIBIUM, "serve", "--lines", text, "--log", str(page.log)], capture_output=True, text=True)
    assert done.returncode == 2
    assert "write HOST:PORT" in done.stderr


def test_a_phone_that_looks_for_an_internet_finds_the_page(page: Page) -> None:
    page.start("", "--captive")
    url = f"http://127.0.0.1:{page.address[1]}/"
    probes = {
        "connectivitycheck.gstatic.com": "/generate_204",
        "captive.apple.com": "/hotspot-detect.html",
        "www.msftconnecttest.com": "/connecttest.txt",
    }
    for host, path in probes.items():
        status, _, headers = page.ask(path, Host=host)
        assert (status, headers["location"]) == (302, f"{url}welcome")
    status, text, _ = page.ask("/welcome")
    assert status == 200
    assert url.encode() in text.replace(b"<wbr>", b"")
    assert b"<script" not in text
    # Only after the person has chosen to stay; and another host's pages are never this device's.
    assert page.ask("/stay")[0] == 200
    assert [page.ask(path, Host=host)[0] for host, path in probes.items()] == [204, 200, 200]
    assert page.ask("/", Host="bank.example")[0] == 302
    assert page.ask("/api/state", Host="bank.example")[0] == 302
    assert page.ask("/api/login", {"pin": page.pin}, Host="bank.example")[0] == 302


def test_without_a_network_of_its_own_it_answers_for_nobody_else(measured: Page) -> None:
    assert measured.ask("/generate_204", Host="connectivitycheck.gstatic.com")[0] == 421
    assert measured.ask("/welcome")[0] == 404


def test_the_address_is_a_code_for_the_camera_and_the_pin_is_not(page: Page) -> None:
    command = [STIBIUM, "serve", "--log", str(page.log), "--qr", "--http-port", "0"]
    environment = {name: value for name, value in os.environ.items() if name != "JOURNAL_STREAM"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        shown = []
        while not (shown and shown[-1].startswith("PIN")):
            shown.append(process.stdout.readline())
        process.terminate()
        assert process.wait(30) == 0
    url = shown[-2].removeprefix("Page: ").strip()
    drawn = io.StringIO()
    segno.make(url, error="m").terminal(out=drawn, compact=True)
    assert "".join(shown[:-2]) == drawn.getvalue()


def test_in_a_journal_stands_where_the_pin_is_and_not_the_pin(page: Page) -> None:
    command = [STIBIUM, "serve", "--log", str(page.log), "--http-port", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "JOURNAL_STREAM": "8:1"}
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        said = process.stdout.readline()
        process.terminate()
        assert process.wait(30) == 0
    path = Path(said.rpartition(" ")[2].strip())
    assert json.loads(path.read_text())["pin"] not in said


def test_other_commands_pay_nothing_for_it() -> None:
    code = (
        "import importlib, pkgutil, sys\nimport stibium.edge.cli as cli\n"
        "for one in pkgutil.iter_modules(cli.__path__):\n"
        "    if one.name != 'serve_page': importlib.import_module(f'stibium.edge.cli.{one.name}')\n"
        "print(sorted({'starlette', 'uvicorn', 'anyio', 'asyncio', 'segno'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_a_phones_time_is_put_beside_what_was_stored(page: Page, soils: list[Spectrum]) -> None:
    with fieldspec(soils) as port:
        page.start(port, "--points", "1", "--scans", "5")
        page.log_in()
        page.order("begin")
        page.measured(1)
        ahead_s = 3 * 86400
        status, said, _ = page.ask("/api/time", {"phone_ms": 1000 * (time.time() + ahead_s)})
        assert status == 200
        if not said["stored"]:
            pytest.skip("the network sets this machine's clock")
        page.measured(2)
        for one in page.get("/api/readings?since=0")["readings"]:
            assert one["time_offset_s"] == pytest.approx(ahead_s, abs=5)
            assert one["corrected_at"] > one["stored_at"]
        assert b"time corrected by +3 days, 0:00:0" in page.ask("/export/readings.csv")[1]
        assert page.rows("SELECT count(*) FROM time_offsets") == [(1,)]
        # The same is no news; that this phone was wrong is.
        assert page.ask("/api/time", {"phone_ms": 1000 * (time.time() + ahead_s)})[1]["stored"] is False
        assert page.ask("/api/time", {"phone_ms": 1000 * time.time()})[1]["stored"] is True
        assert {one["corrected_at"] for one in page.get("/api/readings?since=0")["readings"]} == {None}
        # What a slow network delays is compared with what this device's clock was then.
        then_ms = page.get("/api/health")["now_ms"] - 30_000
        said = page.ask("/api/time", {"phone_ms": then_ms, "device_ms": then_ms})[1]
        assert said == {"offset_s": 0.0, "stored": False}
        for device_ms in (then_ms - 600_000, "now", True, 1e300):
            assert page.ask("/api/time", {"phone_ms": then_ms, "device_ms": device_ms})[0] == 409
        for wrong in ("now", None, True, -1, 1e300, [1]):
            assert page.ask("/api/time", {"phone_ms": wrong})[0] == 409


def test_two_phones_and_ten_thousand_readings_take_no_more_memory(page: Page) -> None:
    def resident_mb() -> float:
        assert page.process is not None
        found = memory_mb(page.process)
        assert found is not None
        return found

    fill(page.log, 400)
    page.start()
    with page.events(page.get("/api/state")["cursor"]) as first, page.events() as second:
        fill(page.log, 1000)
        # Whatever is asked below has been asked once before: what that takes is kept, and is no growth.
        page.get("/")
        page.get("/api/readings?last=500")
        page.wait(lambda: first.qsize() > 2)
        before_mb, after_mb = resident_mb(), []
        for _ in range(10):
            fill(page.log, 1000)
            page.get("/")
            page.get("/api/readings?last=500")
            told = first.qsize()
            after_mb.append(resident_mb())
        page.wait(lambda: first.qsize() >= told)
        assert page.get("/api/readings?last=1")["readings"][0]["reading"] == 11_400
        # What two requests at one moment take for a while comes and goes; what grows stays.
        assert min(after_mb[-4:]) <= 1.05 * before_mb + 1
        assert min(first.qsize(), second.qsize()) > 5
