"""The quantisation ladder's words."""

from __future__ import annotations

from stibium.train.formats import _short


def test_what_a_runtime_says_is_cut_to_one_short_line() -> None:
    assert _short("a\n  b") == "a b"
    assert len(_short("x" * 200)) == 90
