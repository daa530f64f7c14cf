"""Gates on time: ages, order, warming up, and a clock that jumps."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from scan_samples import a_scan
from stibium.edge.gates import time as gates
from stibium.edge.gates.rules import Rules

RULES = Rules()
NOON = datetime(2026, 6, 1, 12, 0, tzinfo=timezone.utc)


def test_a_white_lasts_less_while_the_instrument_is_warming() -> None:
    assert gates.white_valid_min(RULES, 30.0, on_for_min=16.0) == 10.0
    assert gates.white_valid_min(RULES, 30.0, on_for_min=30.0) == 30.0
    assert gates.white_valid_min(RULES, 5.0, on_for_min=16.0) == 5.0
    assert gates.white_valid_min(replace(RULES, white_valid_warming_min=0.0), 30.0, on_for_min=0.0) == 30.0


@pytest.mark.parametrize("kind", ["white", "dark"])
def test_references_that_are_too_old_are_said_to_be(kind: str) -> None:
    assert gates.too_old(kind, 30.0, 30.0) == []
    (finding,) = gates.too_old(kind, 31.4, 30.0)
    assert finding.code == f"{kind}_old"
    assert finding.text == f"{kind} reference 31 min old, 30 min are allowed: take it again"
    (finding,) = gates.too_old(kind, 0.03, 0.02)
    assert "0.0 min old, 0.02 min" in finding.text


def test_an_instrument_has_to_be_warm() -> None:
    (finding,) = gates.warming_up(RULES, 4.4)
    assert (finding.code, finding.text) == ("warm_up", "warming up: on for 4 of 15 min")
    assert gates.warming_up(RULES, 15.0) == []
    assert gates.warming_up(replace(RULES, warm_up_min=0.0), 0.0) == []


def test_a_measurement_older_than_the_last_or_than_its_white_is_refused() -> None:
    before, white = a_scan(taken_s=1000.0), a_scan("white", taken_s=900.0)
    assert gates.out_of_order(a_scan(taken_s=1010.0), before, white) == []
    assert gates.out_of_order(a_scan(taken_s=999.0), before, white) == []
    (finding,) = gates.out_of_order(a_scan(taken_s=940.0), before, white)
    assert (finding.code, "60 s before the measurement before it" in finding.text) == ("order", True)
    (finding,) = gates.out_of_order(a_scan(taken_s=800.0), None, white)
    assert "100 s before its white reference" in finding.text
    assert gates.out_of_order(a_scan(taken_s=800.0), None, None) == []


@pytest.mark.parametrize(("jump_s", "words"), [(-3600, "jumped 3600 s back"), (7200, "jumped 7200 s ahead")])
def test_a_clock_that_jumps_is_noticed_once(jump_s: float, words: str) -> None:
    watch = gates.ClockWatch(NOON, 500.0)
    assert watch.check(NOON + timedelta(seconds=600), 1100.0, RULES) == []
    (finding,) = watch.check(NOON + timedelta(seconds=1200 + jump_s), 1700.0, RULES)
    assert (finding.code, finding.severity) == ("clock", "remark")
    assert words in finding.text
    assert watch.check(NOON + timedelta(seconds=1260 + jump_s), 1760.0, RULES) == []


def test_a_clock_that_is_only_slow_is_let_be() -> None:
    watch = gates.ClockWatch(NOON, 0.0)
    assert watch.check(NOON + timedelta(seconds=3559), 3600.0, RULES) == []
    assert watch.check(NOON, 3600.0, replace(RULES, clock_jump_s=0.0)) == []
