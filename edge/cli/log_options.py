"""Options that choose readings of the log, shared by the commands that read it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import update_wrapper
from typing import Any

import click

_CHOICES = ("sample", "since", "until", "session", "simulated")


def _time(ctx: click.Context, param: click.Parameter, text: str | None) -> datetime | None:
    """Read a day or a time, in this device's time zone unless it names one; `--until` a day means its end."""
    if not text:
        return None
    try:
        time = datetime.fromisoformat(text.replace("Z", "+00:00"))
        if len(text) == 10 and param.name == "until":
            time += timedelta(days=1)
        return time.astimezone()
    except (ValueError, OverflowError, OSError):
        raise click.BadParameter(f"{text} is no time; write 2026-05-06 or 2026-05-06T14:30", ctx, param) from None


def reading_options(command: Callable[..., None]) -> Callable[..., None]:
    """`--sample`, `--since`, `--until`, `--session`, `--simulated/--real`: the command gets them as `chosen`."""

    def choosing(*args: Any, **options: Any) -> None:
        from ..log.read import Chosen

        command(*args, chosen=Chosen(**{name: options.pop(name) for name in _CHOICES}), **options)

    decorated = update_wrapper(choosing, command)
    for option in reversed(
        (
            click.option(
                "--sample", metavar="GLOB", default="", help="Only samples of this name; *, ? and [...] stand for any."
            ),
            click.option(
                "--since", metavar="TIME", callback=_time, help="Only what was stored from this day or time on."
            ),
            click.option(
                "--until", metavar="TIME", callback=_time, help="Only what was stored up to this day or time."
            ),
            click.option(
                "--session", type=click.IntRange(1, 2**63 - 1), metavar="NUMBER", help="Only this measuring session."
            ),
            click.option("--simulated/--real", default=None, help="Only simulated spectra, or only real ones."),
        )
    ):
        decorated = option(decorated)
    return decorated
