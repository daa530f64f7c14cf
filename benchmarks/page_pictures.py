"""Draw the pictures of docs/phone.md again: the page at three widths, in Debian's Chromium.

    python benchmarks/page_pictures.py

The soils and the model are those of the demonstration: real soils, clay; the FieldSpec that measures them is a program.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests" / "hil"), str(ROOT / "tests" / "edge")]

from browser import Phone, browsing
from page_process import Page
from stibium.converters.spectra import read_spectra
from stibium.edge.simulators.ends import TcpEnd
from stibium.edge.simulators.fieldspec_instrument import VirtualFieldSpec
from stibium.edge.simulators.in_front import InFront, things_from
from stibium.edge.simulators.serve import VirtualProbe

SHIPPED = ROOT / "edge" / "shipped"
PICTURES = ROOT / "docs" / "pictures"
PROFILE = 'protocol = "fieldspec"\n[rules]\nwarm_up_min = 0.0\nwarming_min = 0.0\n'
SAMPLES = 5
PLACES = ("41.0501,-7.9102", "41.0507,-7.9098", "41.0512,-7.9107", "41.0516,-7.9094", "41.0521,-7.9101")


def main() -> None:
    """Measure some soils from the page, and take its picture."""
    front = InFront(things_from(read_spectra(SHIPPED / "real_soils.csv.gz")))
    with tempfile.TemporaryDirectory(prefix="stibium-pictures-") as folder:
        page = Page(Path(folder), SHIPPED / "clay_geeves.tflite", PROFILE)
        with (
            VirtualProbe(VirtualFieldSpec(front, simulated=False), TcpEnd("127.0.0.1", 0)) as probe,
            page,
            browsing() as browser,
        ):
            page.start(probe.name, "--points", "1", "--operator", "Ana")
            phone = Phone(browser, page.address).open()
            phone.begin(page.pin, "RS")
            for number in range(1, SAMPLES + 1):
                while page.rows("SELECT count(*) FROM readings")[0][0] < number:
                    phone.tap()
                latitude, longitude = map(float, PLACES[number - 1].split(","))
                page.log_in()
                place = {"latitude_deg": latitude, "longitude_deg": longitude, "altitude_m": None}
                assert page.ask("/api/correct", {"reading": number, "kind": "place", "value": place})[0] == 200
            for width, height in ((360, 1180), (768, 1024), (1280, 800)):
                window = Phone(browser, page.address, width).open()
                window.page.set_viewport_size({"width": width, "height": height})
                window.until("document.querySelectorAll('#map circle').length > 0")
                window.until("document.querySelectorAll('#spectrum polyline').length > 0")
                window.page.wait_for_timeout(1500)
                path = PICTURES / f"page_{width}.jpg"
                window.page.screenshot(path=str(path), type="jpeg", quality=60)
                print(f"{path.relative_to(ROOT)}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
