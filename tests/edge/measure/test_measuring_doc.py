"""docs/measuring.md names every gate, key and rule, and docs/measuring_day.md shows what a small screen shows."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from stibium.edge.gates.finding import CODES
from stibium.edge.gates.rules import Rules
from stibium.edge.instruments.profile import Measuring
from stibium.edge.measure.steps import LETTERS

DOCS = Path(__file__).parents[3] / "docs"
TEXT = (DOCS / "measuring.md").read_text()


def test_every_gate_stands_in_the_table_and_nothing_else() -> None:
    table = [line for line in TEXT.split("## Gates")[1].split("## ")[0].splitlines() if line.startswith("| `")]
    named = {code for line in table for code in re.findall(r"`(\w+)`", line.split("|")[1])}
    assert named == set(CODES)


def test_every_rule_that_the_table_names_is_one() -> None:
    known = {field.name for kind in (Rules, Measuring) for field in fields(kind)}
    table = [line for line in TEXT.split("## Gates")[1].split("## ")[0].splitlines() if line.startswith("| `")]
    rules = {rule for line in table for rule in re.findall(r"`(\w+)`", line.split("|")[3])}
    assert rules <= known
    for rule in known - {"scans", "points"}:
        assert f"`{rule}`" in TEXT, rule


def test_every_key_is_explained() -> None:
    keys = TEXT.split("| key |")[1].split("\n\n")[0]
    for letter in LETTERS:
        assert letter == "" or re.search(rf"`{re.escape(letter)}[` ]", keys), letter


def test_the_day_fits_a_small_screen_and_says_what_it_is() -> None:
    page = (DOCS / "measuring_day.md").read_text()
    assert "SIMULATED" in page
    blocks = re.findall(r"```console\n(.*?)```", page, re.DOTALL)
    assert len(blocks) > 5
    lines = [line for block in blocks[1:] for line in block.splitlines()]
    assert max(len(line) for line in lines) <= 40
    assert any(line.endswith("REFUSED") for line in lines)
    assert "dark and white reference" in page
