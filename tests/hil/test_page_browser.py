"""The page in a real browser against a virtual FieldSpec: a day with faults, nothing from outside, two phones, kill -9."""

from __future__ import annotations

import itertools
import re
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from browser import Phone, axe_of, browsing
from page_process import Page
from stibium.converters.spectra.spectrum import Spectrum
from stibium.edge.model.bundle import Bundle, write_bundle
from stibium.edge.simulators.ends import TcpEnd
from stibium.edge.simulators.fieldspec_instrument import VirtualFieldSpec
from stibium.edge.simulators.in_front import InFront, things_from
from stibium.edge.simulators.serve import VirtualProbe
from stored_checks import stored
from test_page_http import PROFILE, fieldspec

pytest.importorskip("starlette", reason="the extra `web` is not installed")
pytest.importorskip("playwright", reason="Playwright is not installed")
# One browser at a time is enough for a machine.
pytestmark = pytest.mark.xdist_group("browser")

ASKED = ("--points", "2", "--scans", "5", "--position", "41.05,-7.91,500")
DAY = (*ASKED, "--condition", "dry")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with browsing() as made:
        yield made


@pytest.fixture
def page(tmp_path: Path, tiny_bundle: Path) -> Iterator[Page]:
    with Page(tmp_path, tiny_bundle, PROFILE) as made:
        yield made


def measure(phone: Phone, page: Page, samples: int) -> None:
    while page.rows("SELECT count(*) FROM readings")[0][0] < samples:
        phone.tap()
    phone.until(f"document.querySelectorAll('#list li').length >= {samples}")


def test_a_day_with_corrections_and_nothing_from_outside(
    browser: Any, page: Page, soils: list[Spectrum], tmp_path: Path
) -> None:
    with fieldspec(soils) as port:
        page.start(port, *DAY)
        phone = Phone(browser, page.address).open()
        assert "No session" in phone.page.inner_text("#step")
        phone.begin(page.pin)
        assert "white panel" in phone.page.inner_text("#step")
        measure(phone, page, 1)
        assert phone.page.inner_text("#step") == "RS002"
        # A scanner types a name and Enter; one that the log has is asked about.
        phone.page.fill("#name", "RS001")
        phone.page.press("#name", "Enter")
        phone.until("document.getElementById('step').textContent.includes('the same sample again')")
        phone.page.click("#skip")
        phone.until("document.getElementById('step').textContent === 'RS002'")
        phone.page.fill("#note", "<img src=x onerror=alert(1)> wet")
        phone.page.press("#note", "Enter")
        phone.until("document.getElementById('said').textContent.startsWith('Stored')")
        measure(phone, page, 2)
        # Reloaded in the middle of a sample, it is where it was.
        phone.tap()
        phone.page.reload()
        phone.ready()
        assert "Point 2 of 2" in phone.page.inner_text("#detail")
        measure(phone, page, 3)
        phone.page.click("summary:has-text('Correct')")
        phone.page.select_option("#which", "1")
        phone.page.fill("#text", "wrong pit")
        phone.page.click("#correct button")
        phone.until("document.getElementById('list').textContent.includes('does not count: void')")
        photo = tmp_path / "photo.png"
        phone.page.screenshot(path=str(photo))
        phone.page.set_input_files("#photo", str(photo))
        phone.until("document.getElementById('said').textContent === 'Stored: photo'")
        assert page.rows("SELECT kind FROM corrections ORDER BY id")[-2:] == [("void",), ("photo",)]
        (stored,) = (page.log.parent / "log.db-photos").iterdir()
        assert stored.read_bytes() == photo.read_bytes()
        assert phone.axe() == []
        assert phone.outside == []
        assert [text for text in phone.wrong if "401" not in text] == []
        assert phone.page.locator("#map circle").count() == 2  # one is void
        assert "calibrated from" in phone.page.inner_text("#bar")
        assert phone.page.locator("#spectrum polyline").count() >= 2


def test_axe_finds_nothing_in_any_mode(browser: Any, page: Page, soils: list[Spectrum], tmp_path: Path) -> None:
    page.profile.write_text(PROFILE.replace("replug_s = 30.0", "replug_s = 0.5"))
    found: dict[str, list[str]] = {}
    step = "document.getElementById('step').textContent"

    def look(mode: str) -> None:
        wide = phone.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        found[mode] = phone.axe() + ([f"{wide} px beside the screen"] if wide > 0 else [])

    page.start("", "--captive")
    phone = Phone(browser, page.address, 320).open()
    look("log")
    for shown in ("welcome", "stay"):
        phone.page.goto(phone.base + shown)
        look(shown)
    page.kill()
    with VirtualProbe(VirtualFieldSpec(InFront(things_from(soils), loop=True)), TcpEnd("127.0.0.1", 0)) as probe:
        page.start(probe.name, *ASKED, "--blank-every", "1")
        phone = Phone(browser, page.address, 320).open()
        look("no session")
        phone.page.click("#new")
        phone.page.fill("#pin", "1")
        phone.page.press("#pin", "Enter")
        phone.until("document.getElementById('pin-said').textContent !== ''")
        look("wrong PIN")
        phone.give_pin(page.pin)
        for mode in ("optimise", "white", "ground"):
            phone.ready()
            look(mode)
            phone.tap()
        for mode in ("first point", "second point"):
            phone.ready()
            look(mode)
            phone.tap()
        phone.ready()
        look("blank")
        measure(phone, page, 2)
        phone.ready()
        phone.page.fill("#name", "Sample 1")
        phone.page.press("#name", "Enter")
        phone.until(f"{step}.includes('the same sample again')")
        look("name")
        for summary in phone.page.locator("summary").all():
            summary.click()
        for kind in ("void", "rename", "note", "condition", "place", "undo"):
            phone.page.select_option("#kind", kind)
            look(f"correct: {kind}")
        huge = tmp_path / "huge.jpg"
        huge.write_bytes(bytes(26_000_000))
        phone.page.set_input_files("#photo", str(huge))
        phone.until("document.getElementById('said').textContent.startsWith('The photo has 26 MB, at most 25 MB')")
        look("a photo that is too large")
        phone.page.evaluate("document.documentElement.style.fontSize = '36px'")
        look("text of twice the size")
        phone.page.click("#skip")
        phone.until(f"!{step}.includes('again')")
        phone.tap()
        phone.ready()
    phone.page.click("#go")
    phone.until(f"{step} === 'Measuring stopped'")
    look("stopped")
    page.kill()
    phone.until("document.getElementById('line').textContent.startsWith('No connection')")
    look("no connection")
    assert {mode: wrong for mode, wrong in found.items() if wrong} == {}


def test_everything_is_large_and_inside_the_screen(browser: Any, page: Page, soils: list[Spectrum]) -> None:
    with fieldspec(soils) as port:
        page.start(port, *DAY)
        for width in (360, 768, 1280):
            phone = Phone(browser, page.address, width).open()
            if width == 360:
                phone.begin(page.pin)
                measure(phone, page, 1)
            for summary in phone.page.locator("summary").all():
                if summary.is_visible():
                    summary.click()
            assert phone.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
            for control in phone.page.locator("button, input, select, summary, a.link:not(.skip)").all():
                box = control.bounding_box()
                if control.is_visible() and box is not None:
                    assert box["height"] >= 48, control.evaluate("e => e.outerHTML")
            assert phone.axe() == []


def test_ground_name_and_place_are_said_on_the_page_and_what_left_looks_different(
    browser: Any, page: Page, soils: list[Spectrum], tmp_path: Path
) -> None:
    with fieldspec(soils) as port:
        page.start(port, *ASKED, "--blank-every", "1", "--lines", "127.0.0.1:0")
        phone = Phone(browser, page.address).open()
        phone.begin(page.pin)
        phone.tap()
        phone.tap()
        # One tap says how wet the ground is, before anything is measured.
        assert "How wet is the ground" in phone.page.inner_text("#detail")
        assert phone.page.locator("#go").is_hidden()
        assert phone.axe() == []
        phone.tap("Damp")
        phone.until("document.getElementById('detail').textContent.includes('Ground: damp.')")
        phone.tap()
        # The sample at hand gets its right name, and a sample that was begun by mistake goes.
        phone.ready()
        phone.page.fill("#name", "KX7")
        phone.page.press("#name", "Enter")
        phone.until("document.getElementById('step').textContent === 'KX7'")
        # What was edited last is taken back with one tap.
        phone.page.click("#more summary")
        phone.page.click("#wishes button:has-text('Undo')")
        phone.until("document.getElementById('said').textContent.includes('KX7 is RS001 again')")
        phone.page.fill("#name", "KX7")
        phone.page.press("#name", "Enter")
        phone.until("document.getElementById('step').textContent === 'KX7'")
        phone.page.click("#more summary")
        measure(phone, page, 1)
        assert page.rows("SELECT sample_id, condition FROM readings") == [("KX7", "damp")]
        # What came of it stands beside the next step, without scrolling, and says that it is simulated.
        phone.until("/^KX7: .*simulated/.test(document.getElementById('brief').textContent)")
        assert phone.page.locator("#brief").bounding_box()["y"] < 740
        phone.tap()
        phone.ready()
        phone.page.click("#more summary")
        phone.page.click("#drop")
        phone.until("document.getElementById('said').textContent.includes('left out')")
        assert page.rows("SELECT count(*) FROM readings") == [(1,)]
        assert [c.inner_text() for c in phone.page.locator("#list li:first-child .chip").all()] == ["stored"]
        with socket.create_connection(page.lines, 30):
            phone.page.wait_for_timeout(500)
            measure(phone, page, 2)
            phone.until("document.querySelector('#list .chip.sent')")
        page.log_in()
        page.ask("/export/readings.csv")
        phone.until("document.querySelectorAll('#list .chip.exported').length === 2")
        looks = "e => [getComputedStyle(e).backgroundColor, getComputedStyle(e).borderStyle].join()"
        chips = phone.page.locator("#list li:first-child .chip").all()
        assert [chip.inner_text() for chip in chips] == ["stored", "exported", "sent"]
        assert len({chip.evaluate(looks) for chip in chips}) == 3
        phone.page.click("summary:has-text('Correct')")
        phone.page.select_option("#kind", "place")
        phone.page.fill("#text", "41.0501; -7.9102")
        phone.page.click("#correct button")
        phone.until("document.getElementById('said').textContent.startsWith('Stored: correction')")
        assert page.rows("SELECT kind FROM corrections") == [("place",)]
        assert phone.axe() == []
        assert phone.outside == []
        # The day's page shows each estimate on a phone too, and on paper.
        day = tmp_path / "day.html"
        day.write_bytes(page.ask("/export/day.html")[1])
        sheet = browser.new_context(viewport={"width": 360, "height": 740}).new_page()
        sheet.goto(f"file://{day}")
        assert sheet.evaluate("[...document.querySelectorAll('.wide')].every(e => e.scrollWidth <= e.clientWidth)")
        assert sheet.evaluate("document.documentElement.scrollWidth") <= 360
        assert axe_of(sheet) == []


def test_controls_stand_on_charts_with_their_limits(
    browser: Any, page: Page, soils: list[Spectrum], shipped_bundle: Bundle
) -> None:
    values = [100.0, 104.0, 97.0, 101.0, 99.0, 103.0, 98.0, 100.0, 102.0, 96.0, 101.0, 190.0]
    stored(page.log, shipped_bundle, replace(soils[0], sample_id="jar"), values)
    page.start()
    phone = Phone(browser, page.address).open()
    phone.until("document.querySelectorAll('#charts svg').length === 1")
    said = phone.page.locator("#charts").inner_text()
    assert "jar DRIFTS: Western Electric rule 1" in said
    assert "+3 SD" in phone.page.locator("#charts svg").text_content()
    assert phone.page.locator("#charts svg line").count() == 3
    assert phone.page.locator("#charts svg rect[fill='#d40000']").count() == 1
    # No word is cut off at the edge, and none lies over another one.
    boxes = "[...document.querySelectorAll('#charts text')].map(t => (b => [b.x, b.x + b.width, b.y, b.y + b.height])(t.getBBox()))"
    placed = [box for box in phone.page.evaluate(boxes) if box[1] - box[0] > 20]
    assert len(placed) == 3
    assert max(box[1] for box in placed) <= 360
    tops = sorted((box[2], box[3]) for box in placed)
    assert all(after[0] >= before[1] - 3 for before, after in itertools.pairwise(tops))
    assert phone.axe() == []


def test_the_first_paint_takes_one_request(
    browser: Any, page: Page, soils: list[Spectrum], shipped_bundle: Bundle
) -> None:
    stored(page.log, shipped_bundle, replace(soils[0], sample_id="jar"), [100.0])
    page.start()
    phone = Phone(browser, page.address)
    # Nothing else is ever answered, and the page is there all the same.
    phone.page.route(re.compile("/api/"), lambda route: None)
    phone.open()
    phone.until("performance.getEntriesByName('first-contentful-paint').length === 1")
    assert "jar" in phone.page.inner_text("#list")
    assert "jar" in phone.page.inner_text("#last")
    painted_ms = phone.page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    assert phone.page.evaluate("performance.getEntriesByType('resource').map(e => e.responseEnd)") == []
    assert painted_ms > phone.page.evaluate("performance.getEntriesByType('navigation')[0].responseStart")


def test_a_model_is_chosen_on_the_page(
    browser: Any, page: Page, soils: list[Spectrum], shipped_bundle: Bundle, tiny_bundle: Path
) -> None:
    write_bundle(tiny_bundle.with_name("pb.tflite"), replace(shipped_bundle, element="Pb", path="", sha256=""))
    with fieldspec(soils) as port:
        page.start(port, *DAY)
        phone = Phone(browser, page.address).open()
        phone.until("document.querySelectorAll('#model option').length === 3")
        assert phone.page.locator("#model option").all_inner_texts() == [
            "the usual: Sb",
            "only sb_simulated.tflite (Sb, simulated)",
            "only pb.tflite (Pb, simulated)",
        ]
        phone.page.select_option("#model", "pb.tflite")
        phone.begin(page.pin)
        measure(phone, page, 1)
        phone.until("document.getElementById('last').textContent.includes('Pb')")
    elements = {one["element"] for one in page.get("/api/readings?since=0")["readings"][0]["estimates"]}
    assert elements == {"Pb"}


def test_by_keyboard_alone(browser: Any, page: Page, soils: list[Spectrum]) -> None:
    with fieldspec(soils) as port:
        page.start(port, *ASKED)
        phone = Phone(browser, page.address).open()
        phone.begin(page.pin)
        phone.page.locator("#go").focus()
        # Optimising, the white, how wet the ground is, a point: Enter goes on, and nothing has to be found again.
        for _ in range(4):
            phone.ready()
            with phone.page.expect_response(lambda answer: answer.url.endswith("/api/order")):
                phone.page.keyboard.press("Enter")
        phone.ready()
        assert "Point 2 of 2" in phone.page.inner_text("#detail")


def test_two_phones_see_the_same_and_one_tap_counts(browser: Any, page: Page, soils: list[Spectrum]) -> None:
    with fieldspec(soils) as port:
        page.start(port, *DAY)
        first, second = Phone(browser, page.address).open(), Phone(browser, page.address).open()
        with first.page.expect_request("**/api/time") as told:
            first.begin(page.pin)
        clocks = told.value.post_data_json
        assert abs(clocks["phone_ms"] - clocks["device_ms"]) < 2000
        measure(first, page, 2)
        second.until("document.querySelectorAll('#list li').length === 2")
        assert second.readings() == first.readings()
        assert second.page.inner_text("#step") == first.page.inner_text("#step") == "RS003"
        # Looking needs no PIN, tapping does, on each phone.
        second.page.locator("#go").tap()
        second.page.locator("#pin-dialog").wait_for(state="visible")


def test_when_the_server_is_killed_the_page_says_so_and_goes_on(
    browser: Any, page: Page, soils: list[Spectrum]
) -> None:
    with fieldspec(soils) as port:
        page.start(port, *DAY)
        http_port = page.address[1]
        phone = Phone(browser, page.address).open()
        phone.begin(page.pin)
        measure(phone, page, 1)
        phone.tap()
        page.kill()
        phone.until("document.getElementById('line').textContent.startsWith('No connection')")
        assert phone.page.locator("#go").is_disabled()
        page.start(port, *DAY, http_port=http_port)
        phone.until("!document.getElementById('line').textContent.startsWith('No connection')")
        phone.ready()
        measure(phone, page, 2)
        assert [re.sub(r" .*", "", text.lstrip("\u25cb\u25cf\u2715 ")) for text in phone.readings()] == [
            "RS002",
            "RS001",
        ]
        assert page.rows("SELECT sample_id FROM readings ORDER BY id") == [("RS001",), ("RS002",)]


def test_a_phone_that_slept_catches_up(browser: Any, page: Page, soils: list[Spectrum]) -> None:
    with fieldspec(soils) as port:
        page.start(port, *DAY)
        phone = Phone(browser, page.address).open()
        phone.begin(page.pin)
        measure(phone, page, 1)
        # The system ends the connection of a page in the background without a word.
        phone.page.evaluate("source.close()")
        page.log_in()
        page.measured(3)
        assert len(phone.readings()) == 1
        phone.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        phone.until("document.querySelectorAll('#list li').length === 3")


def test_a_day_with_faults_of_the_instrument_goes_on(browser: Any, page: Page, soils: list[Spectrum]) -> None:
    page.profile.write_text(PROFILE.replace("replug_s = 30.0", "replug_s = 4.0"))
    front = InFront(things_from(soils), loop=True)
    said = "document.getElementById('said').textContent"
    with VirtualProbe(VirtualFieldSpec(front), TcpEnd("127.0.0.1", 0)) as probe:
        page.start(probe.name, *DAY)
        phone = Phone(browser, page.address).open()
        phone.begin(page.pin)
        measure(phone, page, 1)
        # The line breaks under way, and is there again: nothing is asked of the person.
        phone.tap()
        probe.unplug(power=False)
        threading.Timer(1.0, probe.plug).start()
        measure(phone, page, 2)
        assert page.rows("SELECT count(*) FROM scans WHERE kind = 'white'") == [(1,)]
        # Its power goes: white and dark of before are no use, and the sample waits for new ones.
        probe.unplug(power=True)
        threading.Timer(1.0, probe.plug).start()
        phone.tap()
        phone.until(f"{said}.includes('switched off and on')")
        assert phone.page.get_attribute("#said", "class") == "warn"
        assert "white panel" in phone.page.inner_text("#step")
        measure(phone, page, 3)
    # Now it is gone for good; why stands there once, and the day is not lost.
    phone.page.locator("#go").tap()
    phone.until("document.getElementById('step').textContent === 'Measuring stopped'")
    assert phone.page.inner_text("#next").count("nothing listens there") == 1
    with VirtualProbe(VirtualFieldSpec(front), TcpEnd("127.0.0.1", int(probe.name.rpartition(":")[2]))):
        phone.page.locator("#resume").tap()
        phone.until("document.getElementById('step').textContent.includes('white panel')")
        measure(phone, page, 4)
    names = page.rows("SELECT sample_id, count(*) FROM readings GROUP BY sample_id ORDER BY sample_id")
    assert names == [("RS001", 1), ("RS002", 1), ("RS003", 1), ("RS004", 1)]
    assert phone.outside == []
