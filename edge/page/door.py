"""Who may do what: a PIN for everything that changes, and only pages of this device may ask.

Certificates for a device without a name on the Internet cannot be had, so the PIN travels over the device's own network
in plain text; what keeps other web pages out is that Host and Origin have to be this device's (RFC 6454; against DNS
rebinding), and what keeps guesses out is that few are answered.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import json
import os
import secrets
import socket
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from ...converters.spectra.files import replacing
from ..errors import ServeError

PIN_DIGITS = 6
TRIES, TRIES_OF_ALL = 5, 20
"""Wrong PINs from one address, and from all, after which none is looked at for a while."""
PAUSE_S = 60.0
_MOST_ADDRESSES = 256


@dataclass(frozen=True)
class Secret:
    """The device's PIN, and the key that what a browser is given after it is signed with."""

    pin: str
    key: bytes = field(repr=False)


def device_secret(path: Path) -> Secret:
    """Read the PIN of this device, made at the first start; only its owner may read the file.

    Raises:
        ServeError: the file is damaged, or others may read it.
        OSError: it cannot be read or written.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return _new_secret(path)
    with os.fdopen(descriptor, "rb") as file:
        if os.fstat(file.fileno()).st_mode & 0o077:
            raise ServeError(f"{path}: others may read the PIN; run: chmod 600 {path}")
        text = file.read(4096)
    try:
        kept = json.loads(text)
        pin, key = str(kept["pin"]), bytes.fromhex(kept["key"])
    except (ValueError, KeyError, TypeError):
        pin, key = "", b""
    if not (pin.isdecimal() and pin.isascii() and len(pin) == PIN_DIGITS and len(key) >= 16):
        raise ServeError(f"{path}: no PIN can be read from it; delete it, and a new PIN is made at the next start")
    return Secret(pin, key)


def _new_secret(path: Path) -> Secret:
    secret = Secret(f"{secrets.randbelow(10**PIN_DIGITS):0{PIN_DIGITS}d}", secrets.token_bytes(32))
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(os.fspath(path)) as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(json.dumps({"pin": secret.pin, "key": secret.key.hex()}).encode())
    return secret


class Door:
    """Compares PINs, and what browsers show afterwards.

    Args:
        secret: the device's.
        monotonic: seconds that pass.
    """

    def __init__(self, secret: Secret, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._secret, self._monotonic = secret, monotonic
        self._wrong: dict[str, list[float]] = {}

    def wait_s(self, address: str) -> float:
        """Give the seconds for which no PIN from an address is looked at; 0.0 if one may be tried."""
        since_s = self._monotonic() - PAUSE_S
        self._wrong = {who: kept for who, times in self._wrong.items() if (kept := [t for t in times if t > since_s])}
        own, of_all = self._wrong.get(address, []), [t for times in self._wrong.values() for t in times]
        full = [sorted(times)[-most] for times, most in ((own, TRIES), (of_all, TRIES_OF_ALL)) if len(times) >= most]
        return max((at_s - since_s for at_s in full), default=0.0)

    def open(self, pin: str, address: str) -> str | None:
        """Compare a PIN; give what the browser keeps and shows from then on, None for a wrong one.

        Ask `wait_s` first: while that is not 0, no PIN is right.
        """
        if self.wait_s(address) > 0:
            return None
        if not hmac.compare_digest(pin.encode(), self._secret.pin.encode()):
            # Addresses can be made up by the thousand on a network of one's own; those are counted as one.
            known = address in self._wrong or len(self._wrong) < _MOST_ADDRESSES
            self._wrong.setdefault(address if known else "", []).append(self._monotonic())
            return None
        number = secrets.token_hex(16)
        return f"{number}.{self._signature(number)}"

    def knows(self, token: str) -> bool:
        """Tell whether `open` gave this, before a restart of the program too."""
        number, _, signature = token.partition(".")
        return hmac.compare_digest(signature.encode(), self._signature(number).encode())

    def _signature(self, number: str) -> str:
        return hmac.new(self._secret.key, number.encode(), hashlib.sha256).hexdigest()


def own_names(given: Iterable[str] = ()) -> frozenset[str]:
    """Give the names under which this device may be asked for: its own, that of mDNS, and those that are given."""
    name = socket.gethostname().partition(".")[0].lower()
    return frozenset({"localhost", name, f"{name}.local", *(one.lower() for one in given)})


def is_own_host(host: str, names: frozenset[str], served: tuple[str, int]) -> bool:
    """Tell whether a Host header names this device; a name that somebody else has pointed at it does not.

    Args:
        host: such as "10.42.0.1:8080".
        names: from `own_names`.
        served: address and port on which the connection came in.
    """
    name, port = split_host(host)
    if port != served[1]:
        return False
    try:
        return ipaddress.ip_address(name) == ipaddress.ip_address(served[0])
    except ValueError:
        return name in names


def split_host(host: str) -> tuple[str, int]:
    """Split a Host header into name and port, which is 80 if it is not said; ("", 0) if it is none."""
    name, colon, port = host.strip().lower().rpartition(":")
    if not colon or port.endswith("]"):
        name, port = host.strip().lower(), "80"
    if not port.isascii() or not port.isdecimal() or len(port) > 5:
        return "", 0
    return name.removeprefix("[").removesuffix("]").rstrip("."), int(port)


def is_own_origin(origin: str | None, host: str, fetch_site: str | None) -> bool:
    """Tell whether a request that changes something comes from this device's own page, or from no web page at all.

    Args:
        origin: the Origin header, which every browser sends with a POST; None without it.
        host: the Host header, known to be this device's.
        fetch_site: the Sec-Fetch-Site header; None without it.
    """
    if origin is None:
        return fetch_site in (None, "same-origin", "none")
    scheme, found, rest = origin.partition("://")
    return bool(found) and scheme == "http" and split_host(rest) == split_host(host)
