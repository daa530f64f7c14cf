"""What `stibium serve` has to be told, and how it says readings in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from .session_options import LedOptions, option, shared

if TYPE_CHECKING:
    from ..instruments.profile import Profile
    from ..measure.state import SessionSettings
    from ..record import ReadingRecord


def _parse_lines(ctx: click.Context, parameter: click.Parameter, text: str | None) -> tuple[str, int] | None:
    from ..page.address import address_of

    if text is None:
        return None
    host, _, number = text.rpartition(":")
    if not host or not number.isascii() or not number.isdecimal() or int(number) > 0xFFFF:
        raise click.BadParameter(f"{text!r}; write HOST:PORT, such as 10.42.0.1:4001")
    return address_of(host.strip("[]")), int(number)


@dataclass(frozen=True)
class ServeOptions(LedOptions):
    """What `stibium serve` has to be told."""

    port: str = shared(click.argument("port", required=False, default=""))
    interface: str = option(
        "--on",
        default="127.0.0.1",
        show_default=True,
        metavar="ADDRESS|INTERFACE",
        help="Serve on this address or network interface only, such as wlan0.",
    )
    http_port: int = option(
        "--http-port",
        type=click.IntRange(0, 0xFFFF),
        default=8000,
        show_default=True,
        metavar="N",
        help="TCP port of the page; 0: any free one.",
    )
    names: tuple[str, ...] = option(
        "--name", multiple=True, metavar="HOST", help="Another name that this device is asked for under."
    )
    captive: bool = option(
        "--captive",
        is_flag=True,
        help="On a network of the device's own: show phones that look for an Internet the way to the page.",
    )
    lines: tuple[str, int] | None = option(
        "--lines",
        callback=_parse_lines,
        metavar="HOST:PORT",
        help="Send each new reading as one line of text to whoever connects there, such as QField.",
    )
    qr: bool = option("--qr", is_flag=True, help="Show the address as a QR code too.")

    def session_settings(self, profile: Profile) -> SessionSettings:
        """Give the plan of a session that the page begins."""
        return self.settings(profile, self.condition or "ask")


def in_words(record: ReadingRecord) -> dict[str, Any]:
    """Say a record in words; see `page.feed.Describe`."""
    from .readings import refused_reason, remarks, sample_name

    return {
        "name": sample_name(record),
        "why": "" if record.estimates else refused_reason(record),
        "words": [remarks(record, one) for one in record.estimates],
    }
