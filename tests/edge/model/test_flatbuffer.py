"""Networks that are damaged are refused before the TFLite runtime sees them, by what is wrong with them."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest
from stibium.edge.errors import BundleError
from stibium.edge.model import runtime
from stibium.edge.model.bundle import Bundle
from stibium.edge.model.flatbuffer import _follow, _Table, _table, require_whole
from stibium.edge.model.runtime import Runtime

Change = tuple[int, bytes]


def model_of(data: bytes) -> _Table:
    return _table(data, _follow(data, 0))


def number(at: int, code: str, value: float) -> Change:
    return at, struct.pack(f"<{code}", value)


def start(table: _Table, field: int) -> int:
    return _follow(table.data, table.fields[field])


def tensors(data: bytes) -> list[_Table]:
    return model_of(data).tables(2)[0].tables(0)


def layer(data: bytes) -> _Table:
    return next(one for one in model_of(data).tables(2)[0].tables(3) if one.fields[0] and one.fields[4])


def per_channel(data: bytes) -> _Table:
    """The quantisation of weights that have a scale for each channel."""
    found = (tensor.table(4) for tensor in tensors(data))
    return next(one for one in found if one is not None and len(one.numbers(2, "<f4")) > 1)


def with_data(data: bytes) -> _Table:
    buffers = model_of(data).tables(4)
    return next(one for one in tensors(data) if len(buffers[one.number(2, "I")].numbers(0, "u1")))


DAMAGE: dict[str, Callable[[bytes], Change]] = {
    "an offset leads out": lambda data: number(0, "I", len(data)),
    "no TFLite model": lambda data: (4, b"TFL9"),
    "a list leads out": lambda data: number(start(layer(data), 1), "I", 1 << 30),
    "a table is out of line": lambda data: number(layer(data).at, "i", 1),
    "a layer of a kind": lambda data: number(layer(data).fields[0], "I", 500),
    "a tensor or buffer that is not there": lambda data: number(start(layer(data), 1) + 4, "i", 5000),
    "another number of zero points": lambda data: number(start(per_channel(data), 3), "I", 1),
    "scale is no number": lambda data: number(start(per_channel(data), 2) + 4, "f", float("nan")),
    "a tensor's buffer": lambda data: number(with_data(data).fields[2], "I", 5000),
    "do not fill its shape": lambda data: number(start(with_data(data), 0) + 4, "i", 3333),
    "a shape that cannot be": lambda data: number(start(with_data(data), 0) + 4, "i", -1),
}


@pytest.mark.parametrize("said", DAMAGE)
def test_damage_is_refused_by_what_it_is(shipped_bundle: Bundle, said: str) -> None:
    require_whole(shipped_bundle.model)
    at, written = DAMAGE[said](shipped_bundle.model)
    damaged = shipped_bundle.model[:at] + written + shipped_bundle.model[at + len(written) :]
    with pytest.raises(BundleError, match=f"its network is damaged: .*{said}"):
        require_whole(damaged)


def test_every_cut_is_refused(shipped_bundle: Bundle) -> None:
    whole = shipped_bundle.model
    for size in range(0, len(whole) - 64, 997):
        with pytest.raises(BundleError, match="its network is damaged"):
            require_whole(whole[:size])


def test_what_the_trial_cannot_run_is_never_loaded(shipped_bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    interpreter = runtime._interpreter_class()
    loaded = []

    class Failing:
        def __init__(self, **arguments: object) -> None:
            loaded.append(arguments)
            self.inner = interpreter(**arguments)

        def __getattr__(self, name: str) -> object:
            return getattr(self.inner, name)

        def invoke(self) -> None:
            raise RuntimeError("Input tensor 25 lacks data")

    monkeypatch.setattr(runtime, "_interpreter_class", lambda: Failing)
    with pytest.raises(BundleError, match="Input tensor 25 lacks data"):
        Runtime(shipped_bundle.model)
    assert not loaded
