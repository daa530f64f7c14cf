"""What stands before every request: whose name is asked for, who asks, how much and how often; and headers for all.

Plain ASGI, so that an answer which is never refused costs nothing.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .door import Door, is_own_host, is_own_origin

COOKIE = "stibium"
PIN_HEADER = "x-stibium-pin"
MOST_BYTES, MOST_PHOTO_BYTES = 16_000, 25_000_000
REQUESTS_AT_ONCE, REQUESTS_A_S = 60.0, 20.0
"""From one address."""
_MOST_ADDRESSES = 256

_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
]


@dataclass
class Allowance:
    """How many requests an address may still make."""

    left: float = REQUESTS_AT_ONCE
    at_s: float = field(default_factory=time.monotonic)

    def spend(self) -> bool:
        """Take one; False if there is none left."""
        now_s = time.monotonic()
        self.left = min(REQUESTS_AT_ONCE, self.left + (now_s - self.at_s) * REQUESTS_A_S)
        self.at_s = now_s
        if self.left < 1:
            return False
        self.left -= 1
        return True


class Guard:
    """Lets requests through to the application, or answers why not.

    Args:
        app: behind it.
        door: compares PINs.
        names: under which this device may be asked for.
        stranger: answers who asks for another host, as phones do to find out whether there is an Internet; None
            refuses.
    """

    def __init__(
        self,
        app: ASGIApp,
        door: Door,
        names: frozenset[str],
        stranger: Callable[[Request], Response] | None = None,
    ) -> None:
        self._app, self._door, self._names, self._stranger = app, door, names, stranger
        self._allowed: OrderedDict[str, Allowance] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            return

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = {name for name, _ in message["headers"]}
                message = {**message, "headers": [*message["headers"], *(h for h in _HEADERS if h[0] not in given)]}
            await send(message)

        refusal = self._refusal(Request(scope))
        await (refusal or self._app)(scope, receive, answer)

    def _refusal(self, request: Request) -> Response | None:
        headers, scope = request.headers, request.scope
        host = headers.get("host", "")
        if not self._allowance(client(request)).spend():
            return refusal(429, "too many requests; wait a moment", retry_s=1.0)
        if not is_own_host(host, self._names, tuple(scope["server"])):
            if self._stranger is not None:
                return self._stranger(request)
            return refusal(421, "this device is not asked for under that name")
        if request.method in ("GET", "HEAD"):
            return None
        if request.method != "POST":
            return refusal(405, "only GET and POST are answered here")
        if not is_own_origin(headers.get("origin"), host, headers.get("sec-fetch-site")):
            return refusal(403, "asked from the page of somebody else")
        return _wrong_with_body(headers)

    def _allowance(self, address: str) -> Allowance:
        allowance = self._allowed.setdefault(address, Allowance())
        self._allowed.move_to_end(address)
        if len(self._allowed) > _MOST_ADDRESSES:
            self._allowed.popitem(last=False)
        return allowance


def _wrong_with_body(headers: Headers) -> Response | None:
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.startswith("image/"):
        return refusal(415, "send application/json, or a photo as image/...")
    length = headers.get("content-length", "")
    # What comes in chunks has no length, whatever it says.
    if not (length.isascii() and length.isdecimal()) or "transfer-encoding" in headers:
        return refusal(411, "say how long it is (Content-Length)")
    most = MOST_BYTES if kind == "application/json" else MOST_PHOTO_BYTES
    if len(length) > 12 or int(length) > most:
        return refusal(413, f"too long: at most {f'{most // 10**6} MB' if most >= 10**6 else f'{most // 1000} kB'}")
    return None


def may_not_change(door: Door, request: Request) -> Response | None:
    """Compare what a request shows of the PIN; give what refuses it, None if it may change things."""
    if door.knows(request.cookies.get(COOKIE, "")):
        return None
    pin = request.headers.get(PIN_HEADER)
    if pin is None:
        return refusal(401, "the PIN of the device is needed for this")
    return None if try_pin(door, request, pin)[0] else try_pin_refusal(door, request)


def try_pin(door: Door, request: Request, pin: str) -> tuple[str | None, float]:
    """Compare a PIN; give what the browser keeps (None for a wrong one), and the seconds to wait."""
    wait_s = door.wait_s(client(request))
    return (None, wait_s) if wait_s else (door.open(pin, client(request)), 0.0)


def try_pin_refusal(door: Door, request: Request) -> Response:
    """Say that a PIN was wrong, or not looked at."""
    wait_s = door.wait_s(client(request))
    if wait_s:
        return refusal(429, f"too many wrong PINs; wait {wait_s:.0f} s", retry_s=wait_s)
    return refusal(401, "that is not the PIN of this device")


def refusal(status: int, why: str, retry_s: float | None = None) -> Response:
    """Refuse a request, saying why."""
    headers = None if retry_s is None else {"Retry-After": str(max(1, round(retry_s)))}
    return JSONResponse({"error": why}, status, headers)


def client(request: Request) -> str:
    """Give the address that a request comes from."""
    return request.client.host if request.client is not None else ""
