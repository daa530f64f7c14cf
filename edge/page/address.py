"""Addresses to serve on: of a network interface, and a socket that says at once what is wrong with one."""

from __future__ import annotations

import errno
import fcntl
import ipaddress
import socket
import struct
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress

from ..errors import ServeError

MOST_CONNECTIONS = 64
_SIOCGIFADDR = 0x8915


def address_of(interface: str) -> str:
    """Give the address to serve on: one that is given, or that of a network interface such as wlan0.

    Raises:
        ServeError: there is no such interface, it has no address, or every one is meant.
    """
    there = ", ".join(name for _, name in socket.if_nameindex())
    with suppress(ValueError):
        address = ipaddress.ip_address(interface)
        if address.is_unspecified:
            raise ServeError(f"{interface}: every network of this device; name one of them: {there}")
        return str(address)
    if interface == "localhost":
        return "127.0.0.1"
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
            request = struct.pack("256s", interface.encode()[:15])
            return socket.inet_ntoa(fcntl.ioctl(asked, _SIOCGIFADDR, request)[20:24])
    except OSError:
        raise ServeError(f"{interface}: no network interface with an address; there are {there}") from None


def listening(address: str, port: int) -> socket.socket:
    """Give a socket that listens; port 0 for any free one.

    Raises:
        ServeError: the address is not this device's, or the port is taken or not permitted.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((address, port))
        made.listen(MOST_CONNECTIONS)
    except OSError as error:
        made.close()
        what = {
            errno.EADDRINUSE: "another program serves there; choose another --port",
            errno.EADDRNOTAVAIL: "that is no address of this device; `ip addr` lists them",
            errno.EACCES: "ports below 1024 need permission; choose one above with --port",
        }.get(error.errno or 0, error.strerror or str(error))
        raise ServeError(f"{address}:{port}: {what}") from None
    return made


def most_crowded(addresses: Sequence[str]) -> int:
    """Tell which of those who are connected, the oldest first, goes for another: the oldest of whoever has the most."""
    ((address, _),) = Counter(addresses).most_common(1)
    return addresses.index(address)
