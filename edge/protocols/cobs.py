"""Consistent overhead byte stuffing: bytes without a zero, so that zero can end a frame.

Source: S. Cheshire and M. Baker, "Consistent overhead byte stuffing", IEEE/ACM Transactions on Networking
7(2), 1999.
"""

from __future__ import annotations

from ..errors import ProtocolError

_LONGEST_RUN = 254


def encoded_length(length: int) -> int:
    """Bytes that `length` bytes may grow to when stuffed."""
    return length + length // _LONGEST_RUN + 1


def stuff(data: bytes) -> bytes:
    """Return `data` in a form that has no zero byte; at most one byte longer for every 254 begun."""
    out = bytearray()
    runs = data.split(b"\0")
    for number, run in enumerate(runs):
        start = 0
        while len(run) - start >= _LONGEST_RUN:
            out.append(_LONGEST_RUN + 1)
            out += run[start : start + _LONGEST_RUN]
            start += _LONGEST_RUN
        # A full block stands for no zero. When it ends the data, nothing needs to follow it.
        if start and start == len(run) and number == len(runs) - 1:
            break
        out.append(len(run) - start + 1)
        out += run[start:]
    return bytes(out)


def unstuff(stuffed: bytes) -> bytes:
    """Undo `stuff`.

    Raises:
        ProtocolError: a zero byte inside, nothing at all, or a block that claims more bytes than follow.
    """
    if not stuffed:
        raise ProtocolError("an empty frame")
    if 0 in stuffed:
        raise ProtocolError("a zero byte inside a frame")
    out = bytearray()
    at = 0
    while at < len(stuffed):
        code = stuffed[at]
        end = at + code
        if end > len(stuffed):
            raise ProtocolError(f"a block claims {code - 1} bytes where {len(stuffed) - at - 1} are left")
        out += stuffed[at + 1 : end]
        at = end
        if code <= _LONGEST_RUN and at < len(stuffed):
            out.append(0)
    return bytes(out)
