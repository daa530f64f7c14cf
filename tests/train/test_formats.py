"""The quantisation ladder's words."""

from __future__ import annotations

from stibium.train.formats import _short


def test_what_a_runtime_lacks_is_said_in_words() -> None:
    said = (
        "the TFLite runtime cannot load the model: Didn't find op for builtin opcode 'LOG' version '2'. An older version "
        "of this builtin might be supported."
    )
    assert _short(said) == "the TFLite runtime here has no LOG in this format"
    assert _short("a\n  b") == "a b"
    assert len(_short("x" * 200)) == 90
