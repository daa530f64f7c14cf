"""The PIN, what a browser is given for it, and whose page may ask."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stibium.edge.errors import ServeError
from stibium.edge.page.door import (
    PAUSE_S,
    TRIES,
    TRIES_OF_ALL,
    Door,
    Secret,
    device_secret,
    is_own_host,
    is_own_origin,
    split_host,
)

SECRET = Secret("482913", bytes(range(32)))
NAMES = frozenset({"localhost", "probe", "probe.local"})
SERVED = ("10.42.0.1", 8000)


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def test_the_pin_is_made_once_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "state" / "log.db-page"
    made = device_secret(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert device_secret(path) == made
    assert len(made.pin) == 6
    assert made.pin not in repr(made.key)
    os.chmod(path, 0o640)
    with pytest.raises(ServeError, match="chmod 600"):
        device_secret(path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        '{"pin": "12", "key": "00"}',
        '{"pin": "\u0661\u0662\u0663\u0664\u0665\u0666", "key": "%s"}' % ("0" * 64),
        "\x00\xff",
    ],
)
def test_a_damaged_pin_is_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "pin"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(ServeError, match="delete it"):
        device_secret(path)


def test_the_right_pin_opens_and_its_cookie_outlives_the_program() -> None:
    token = Door(SECRET).open("482913", "phone")
    assert token is not None
    assert Door(SECRET).knows(token)
    assert not Door(Secret("482913", bytes(32))).knows(token)
    for wrong in ("", ".", token[:-1], token.replace(".", ""), "x" + token, "482913", "\u00e9.\u00e9"):
        assert not Door(SECRET).knows(wrong)


def test_few_guesses_are_answered_even_with_the_right_pin_among_them() -> None:
    clock = Clock()
    door = Door(SECRET, clock)
    for number in range(TRIES):
        assert door.wait_s("guesser") == 0
        assert door.open(f"{number:06d}", "guesser") is None
    assert 0 < door.wait_s("guesser") <= PAUSE_S
    assert door.open("482913", "guesser") is None
    assert door.open("482913", "owner") is not None
    clock.now_s += PAUSE_S + 1
    assert door.open("482913", "guesser") is not None


def test_guesses_from_many_addresses_are_counted_together() -> None:
    clock = Clock()
    door = Door(SECRET, clock)
    tried = 0
    for number in range(10_000):
        if door.wait_s(f"address {number}") == 0:
            tried += 1
            door.open("000000", f"address {number}")
    assert tried == TRIES_OF_ALL
    clock.now_s += PAUSE_S + 1
    assert door.wait_s("address 1") == 0


@pytest.mark.parametrize(
    ("host", "own"),
    [
        ("10.42.0.1:8000", True),
        ("probe.local:8000", True),
        ("PROBE:8000", True),
        ("localhost:8000", True),
        ("10.42.0.1", False),
        ("10.42.0.1:80", False),
        ("10.42.0.2:8000", False),
        ("evil.example:8000", False),
        ("probe.local.evil.example:8000", False),
        ("", False),
        ("probe.local:8000:8000", False),
        ("probe.local:\u0668000", False),
    ],
)
def test_only_this_device_is_asked_for(host: str, own: bool) -> None:
    assert is_own_host(host, NAMES, SERVED) is own


def test_addresses_of_the_new_kind() -> None:
    assert is_own_host("[fe80::1]:8000", NAMES, ("fe80::1", 8000))
    assert is_own_host("[fe80:0::1]", NAMES, ("fe80::1", 80))
    assert not is_own_host("[fe80::2]:8000", NAMES, ("fe80::1", 8000))


@pytest.mark.parametrize(
    ("origin", "site", "own"),
    [
        ("http://10.42.0.1:8000", "same-origin", True),
        ("http://10.42.0.1:8000", None, True),
        (None, None, True),
        (None, "cross-site", False),
        (None, "same-site", False),
        ("null", None, False),
        ("http://evil.example", None, False),
        ("https://10.42.0.1:8000", None, False),
        ("http://10.42.0.1:8001", None, False),
        ("http://10.42.0.1:8000.evil.example", None, False),
    ],
)
def test_a_change_comes_from_the_own_page_or_from_no_page(origin: str | None, site: str | None, own: bool) -> None:
    assert is_own_origin(origin, "10.42.0.1:8000", site) is own


@given(st.text())
def test_any_host_is_read_without_failing(host: str) -> None:
    name, port = split_host(host)
    assert 0 <= port <= 99_999
    assert is_own_host(host, NAMES, SERVED) in (True, False)
    assert isinstance(name, str)
