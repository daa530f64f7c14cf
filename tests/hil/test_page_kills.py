"""`kill -9` of server and browser in the middle of a day on the page; on its own, for it starts Playwright by itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from page_kills import PROFILE, kill_a_day_in_the_browser
from page_process import Page
from stibium.converters.spectra.spectrum import Spectrum
from test_page_http import fieldspec

pytest.importorskip("starlette", reason="the extra `web` is not installed")
pytest.importorskip("playwright", reason="Playwright is not installed")
pytestmark = pytest.mark.xdist_group("browser")


def test_server_or_browser_killed_at_any_moment_lose_and_double_nothing(
    tmp_path: Path, tiny_bundle: Path, soils: list[Spectrum]
) -> None:
    with fieldspec(soils) as port, Page(tmp_path, tiny_bundle, PROFILE) as page:
        said = kill_a_day_in_the_browser(page, port, kills=10, seed=5)
    assert "0 lost, 0 doubled" in said
