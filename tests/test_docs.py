"""The documentation: what it links to is there, every page is found from the index, every file it names exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


def targets(page: Path) -> list[str]:
    return [link for link in LINK.findall(page.read_text("utf-8")) if "://" not in link]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    assert [link for link in targets(page) if not (page.parent / link).exists()] == []


def test_every_page_is_in_the_index() -> None:
    pages = {page.name for page in PAGES[1:]} - {"index.md"}
    assert pages == {link for link in targets(ROOT / "docs" / "index.md") if link.endswith(".md")}


def test_files_that_the_architecture_names_exist() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    named = re.findall(r"`((?:edge|train|converters|docs)/[\w/.]+)`", text)
    assert len(named) > 30
    assert [name for name in named if "NEW" not in name and not (ROOT / name).exists()] == []
