"""`stibium ports`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from .finite import FiniteRange
from .output import Layout, Output, format_option, notice
from .progress import clear_line, show_line

if TYPE_CHECKING:
    from ..instruments.discovery import AttachedPort
    from ..instruments.profile import Profile

_COLUMNS = ("port", "device", "usb_id", "serial_number", "links", "profile", "instrument", "remark")


@click.command(epilog="Example:  stibium ports --probe")
@click.argument("ports", nargs=-1, metavar="[PORT]...")
@click.option("--probe", is_flag=True, help="Open each free port and ask who is there, in every profile's words.")
@click.option(
    "--profile",
    "profiles",
    multiple=True,
    metavar="NAME|FILE",
    help="Ask in this profile's words only; may be repeated.  [default: every shipped one]",
)
@click.option(
    "--timeout",
    "timeout_s",
    type=FiniteRange(min=0.01, max=60),
    default=0.5,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for one answer.",
)
@format_option
@click.pass_context
def ports(
    ctx: click.Context,
    ports: tuple[str, ...],
    probe: bool,
    profiles: tuple[str, ...],
    timeout_s: float,
    out_format: str,
) -> None:
    """List the serial ports and what is attached to them.

    Without --probe nothing is opened: USB ids tell the device, not the instrument behind an adapter. With it each
    free port is opened and asked who is there, and a FieldSpec is looked for at its factory address; nothing is
    measured. A port that is taken, or not permitted, says so in its row. PORT names ports to look at, such as
    /dev/ttyUSB0 or socket://HOST:PORT.
    """
    from ..instruments.discovery import attached_ports, is_there, network_ports, profiles_to_ask

    if profiles and not probe:
        raise click.UsageError("--profile needs --probe: without it nobody is asked")
    rows = attached_ports(ports)
    missing = [row for row in rows if not is_there(row)]
    if probe:
        known = profiles_to_ask(profiles)
        rows = [_asking(row, known, timeout_s) for row in rows]
        if not ports:
            elsewhere = [_asking(row, known, timeout_s) for row in network_ports(known, timeout_s)]
            # Where nobody says that anything is, nothing is nothing to list.
            rows += [row for row in elsewhere if row.profile]
        clear_line()
    Output(out_format, Layout(_record, _COLUMNS, _rows, lines=_lines)).write(rows)
    if not rows:
        notice("no serial device is plugged in")
    ctx.exit(1 if missing else 0)


def _asking(row: AttachedPort, known: dict[str, Profile], timeout_s: float) -> AttachedPort:
    from ..instruments.discovery import ask

    show_line(f"{row.port} ...")
    return ask(row, known, timeout_s)


def _record(row: AttachedPort) -> dict[str, Any]:
    return {name: getattr(row, name) for name in _COLUMNS}


def _rows(row: AttachedPort) -> list[dict[str, Any]]:
    return [_record(row) | {"links": " ".join(row.links)}]


def _lines(row: AttachedPort) -> list[str]:
    """One port a paragraph: what does not fit beside the port's name stands under it."""
    usb = " ".join(filter(None, (row.usb_id, row.serial_number)))
    about = [row.device, usb, *row.links]
    if row.profile:
        about.append(f"{row.instrument}: use --profile {row.profile}")
    about = [text for text in [*about, row.remark] if text] or ["nothing is known of it"]
    return [f"{row.port}  {about[0]}", *(f"  {text}" for text in about[1:])]
