"""Whether a TFLite flatbuffer is whole: a runtime believes each offset, length and index in it, and reads anywhere.

Fields are named by their place in the tables of TFLite's schema (tensorflow/compiler/mlir/lite/schema/schema.fbs,
version 3). What this program's exports never have (sparse tensors, variants, strings, data behind the flatbuffer) is
refused.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import BundleError

_ITEM_BYTES = {0: 4, 1: 2, 2: 4, 3: 1, 4: 8, 6: 1, 7: 2, 9: 1}
"""Of a tensor's type: float32, float16, int32, uint8, int64, bool, int16, int8."""
_OPTIONS_VECTOR = {17: 0, 30: 0}
"""The field of a layer's options that is a vector of int32: new_shape of a reshape, squeeze_dims of a squeeze."""
_OPTIONS_REFUSED = frozenset({3, 111, 115})
"""Options with vectors that no layer of a network for spectra has: embeddings, variables, buckets."""


def require_whole(model: bytes) -> None:
    """Refuse a flatbuffer in which something lies outside it, or says something else than what it belongs to.

    Raises:
        BundleError: it is damaged.
    """
    try:
        _require_model(model)
    except _DamagedError as error:
        raise BundleError(f"its network is damaged: {error}; export it again") from error


class _DamagedError(ValueError):
    pass


@dataclass(frozen=True, eq=False)
class _Table:
    data: bytes
    at: int
    fields: tuple[int, ...]
    """Place of each field in the data; 0 for one that is left out."""

    def number(self, field: int, code: str, default: int = 0) -> int:
        return int(_read(self.data, code, at)[0]) if (at := self._place(field)) else default

    def numbers(self, field: int, dtype: str) -> NDArray[np.generic]:
        """Vector of a field, empty where it is left out."""
        at = self._place(field)
        return _vector(self.data, _follow(self.data, at), dtype) if at else np.zeros(0, dtype)

    def table(self, field: int) -> _Table | None:
        at = self._place(field)
        return _table(self.data, _follow(self.data, at)) if at else None

    def tables(self, field: int) -> list[_Table]:
        at = self._place(field)
        if not at:
            return []
        start = _follow(self.data, at)
        offsets = _vector(self.data, start, "<u4").tolist()
        return [_table(self.data, start + 4 + 4 * i + offset) for i, offset in enumerate(offsets)]

    def require_text(self, field: int) -> None:
        if at := self._place(field):
            start = _follow(self.data, at)
            end = start + 4 + len(_vector(self.data, start, "u1"))
            _require(self.data[end : end + 1] == b"\0", "a name without an end")

    def has(self, field: int) -> bool:
        return bool(self._place(field))

    def _place(self, field: int) -> int:
        return self.fields[field] if field < len(self.fields) else 0


def _require(holds: object, what: str) -> None:
    if not holds:
        raise _DamagedError(what)


def _read(data: bytes, code: str, at: int) -> tuple[int, ...]:
    _require(0 <= at <= len(data) - struct.calcsize(f"<{code}"), "an offset leads out of it")
    return struct.unpack_from(f"<{code}", data, at)


def _follow(data: bytes, at: int) -> int:
    return at + _read(data, "I", at)[0]


def _vector(data: bytes, start: int, dtype: str) -> NDArray[np.generic]:
    size = np.dtype(dtype).itemsize
    (count,) = _read(data, "I", start)
    _require(start + 4 + count * size <= len(data), "a list leads out of it")
    _require((start + 4) % size == 0, "a list is out of line")
    return np.frombuffer(data, dtype, count, start + 4)


def _table(data: bytes, at: int) -> _Table:
    vtable = at - _read(data, "i", at)[0]
    bytes_of_vtable, bytes_of_table = _read(data, "HH", vtable)
    _require(bytes_of_vtable >= 4 and bytes_of_vtable % 2 == 0 and vtable % 2 == at % 4 == 0, "a table is out of line")
    _require(at + bytes_of_table <= len(data), "a table leads out of it")
    offsets = _read(data, f"{bytes_of_vtable // 2 - 2}H", vtable + 4)
    _require(all(offset == 0 or 4 <= offset < bytes_of_table for offset in offsets), "a field is outside its table")
    return _Table(data, at, tuple(offset and at + offset for offset in offsets))


def _require_model(data: bytes) -> None:
    _require(data[4:8] == b"TFL3", "it is no TFLite model")
    model = _table(data, _follow(data, 0))
    model.require_text(3)
    buffers = [_buffer(buffer) for buffer in model.tables(4)]
    codes = model.tables(1)
    for code in codes:
        code.require_text(1)
    _require_indices(model.numbers(5, "<i4"), len(buffers))
    for metadata in model.tables(6):
        metadata.require_text(0)
        _require(metadata.number(1, "I") < len(buffers), "metadata name a buffer that is not there")
    graphs = [_graph(graph, buffers, len(codes)) for graph in model.tables(2)]
    _require(graphs, "it has no layers")
    for signature in model.tables(7):
        signature.require_text(2)
        graph = signature.number(4, "I")
        _require(graph < len(graphs), "a signature names a graph that is not there")
        for named in (*signature.tables(0), *signature.tables(1)):
            named.require_text(0)
            _require(named.number(1, "I") < graphs[graph], "a signature names a tensor that is not there")


def _buffer(buffer: _Table) -> NDArray[np.generic]:
    # 1 and above: it lies behind the flatbuffer, where a bundle has its ZIP.
    _require(buffer.number(1, "Q") <= 1 and buffer.number(2, "Q") <= 1, "a buffer lies outside it")
    return buffer.numbers(0, "u1")


def _graph(graph: _Table, buffers: list[NDArray[np.generic]], codes: int) -> int:
    """Look at a graph's tensors and layers; gives the number of tensors."""
    graph.require_text(4)
    are_constant = [_is_constant(tensor, buffers) for tensor in graph.tables(0)]
    inputs, outputs = graph.numbers(1, "<i4"), graph.numbers(2, "<i4")
    _require_indices(inputs, len(are_constant))
    _require_indices(outputs, len(are_constant))
    _require(not any(are_constant[i] for i in inputs.tolist()), "an input is a constant")
    for layer in graph.tables(3):
        _require(layer.number(0, "I") < codes, "a layer of a kind that is not there")
        # -1: an optional input that is left out.
        _require_indices(layer.numbers(1, "<i4"), len(are_constant), first=-1)
        _require_indices(layer.numbers(8, "<i4"), len(are_constant), first=-1)
        written = layer.numbers(2, "<i4")
        _require_indices(written, len(are_constant))
        _require(not any(are_constant[i] for i in written.tolist()), "a layer answers into a constant")
        _require_options(layer)
    return len(are_constant)


def _require_options(layer: _Table) -> None:
    kind, options = layer.number(3, "B"), layer.table(4)
    _require((kind == 0) == (options is None), "a layer's options do not go with their kind")
    _require(kind not in _OPTIONS_REFUSED and not layer.has(12), "a layer's options are unknown")
    _require(layer.number(9, "Q") <= 1 and layer.number(10, "Q") <= 1, "a layer's options lie outside it")
    if options and kind in _OPTIONS_VECTOR:
        options.numbers(_OPTIONS_VECTOR[kind], "<i4")
    layer.numbers(5, "u1")
    layer.numbers(7, "u1")


def _require_indices(indices: NDArray[np.generic], count: int, first: int = 0) -> None:
    _require(all(first <= i < count for i in indices.tolist()), "a number of a tensor or buffer that is not there")


def _is_constant(tensor: _Table, buffers: list[NDArray[np.generic]]) -> bool:
    tensor.require_text(3)
    kind, buffer = tensor.number(1, "b"), tensor.number(2, "I")
    shape = tensor.numbers(0, "<i4").tolist()
    signature = tensor.numbers(7, "<i4").tolist()
    _require(kind in _ITEM_BYTES and not tensor.has(6) and not tensor.has(9), "a tensor of an unknown type")
    _require(all(n >= 0 for n in shape) and len(signature) in (0, len(shape)), "a tensor of a shape that cannot be")
    _require(buffer < len(buffers), "a tensor's buffer is not there")
    stored = buffers[buffer]
    _require(stored.size in (0, math.prod(shape) * _ITEM_BYTES[kind]), "a tensor's numbers do not fill its shape")
    if quantisation := tensor.table(4):
        _require_quantisation(quantisation, shape)
    return stored.size > 0


def _require_quantisation(quantisation: _Table, shape: list[int]) -> None:
    scale, zero_point = quantisation.numbers(2, "<f4"), quantisation.numbers(3, "<i8")
    quantisation.numbers(0, "<f4")
    quantisation.numbers(1, "<f4")
    _require(quantisation.number(4, "B") == 0 and not quantisation.has(5), "a quantisation of an unknown kind")
    _require(len(zero_point) in (0, len(scale)), "a quantisation with another number of zero points than of scales")
    # 0 is the scale of weights that are all 0.
    _require(all(math.isfinite(s) and s >= 0 for s in scale.tolist()), "a quantisation's scale is no number")
    if len(scale) > 1:
        axis = quantisation.number(6, "i")
        _require(0 <= axis < len(shape) and shape[axis] == len(scale), "a quantisation is not of its tensor's axis")
