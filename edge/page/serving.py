"""What the application works with, and the page's one file with what it begins with put in."""

from __future__ import annotations

import asyncio
import hashlib
import json
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

from starlette.requests import Request

from ..log.exports import Noted
from .desk import Desk
from .door import Door
from .feed import Feed
from .guard import COOKIE
from .hub import Hub
from .portal import Portal


class WantedFile(NamedTuple):
    """A file that somebody wants of the log.

    Attributes:
        name: such as "readings.csv" or "day.html".
        session: only this one; None for all.
        wide, separator, decimal: of CSV, as `stibium log` names them.
        day: such as "2026-05-06"; "" for the last one.
    """

    name: str
    session: int | None = None
    wide: bool = False
    separator: str = "comma"
    decimal: str = "point"
    day: str = ""

    @property
    def download_name(self) -> str:
        """What the file is called where it goes."""
        what, _, ending = self.name.rpartition(".")
        session = f"-session-{self.session}" if self.session else ""
        return f"stibium{'' if what == 'readings' else '-day'}{session}.{ending}"


@dataclass
class Serving:
    """What the application works with.

    Attributes:
        feed: reads the log, in the event loop's thread.
        door: compares PINs.
        about: the device and its usual model, as plain values.
        desk: leads a session; None where this program has no instrument.
        health: looks at the device; may take seconds.
        models: lists the models that may be chosen.
        export: writes a file that is wanted, and gives what it has noted of its readings. Raises ExportError.
        exported: called with that, the form and the file's name, where somebody who has the PIN has fetched it.
        writes: what else may be changed: name in /api/NAME -> what is done with the parsed body, off the loop.
        portal: answers for every other host on a network of the device's own.
        photo: gives path and type of a photo.
        store_photo: called with reading and bytes of a photo. Raises StibiumError.
    """

    feed: Feed
    door: Door
    about: dict[str, Any]
    desk: Desk | None
    health: Callable[[], list[dict[str, Any]]]
    models: Callable[[], list[dict[str, Any]]]
    export: Callable[[str, WantedFile], Noted]
    exported: Callable[[Noted, str, str], object]
    photo: Callable[[str], tuple[Path, str] | None]
    store_photo: Callable[[int, bytes], dict[str, Any]]
    writes: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = field(default_factory=dict)
    portal: Portal | None = None
    health_now: list[dict[str, Any]] = field(default_factory=list)
    exports: int = 0
    reading: asyncio.Lock = field(default_factory=asyncio.Lock)
    hub: Hub | None = None

    @cached_property
    def page(self) -> Template:
        """The page's file."""
        return Template((files(__package__) / "page.html").read_text("utf-8"))

    def export_done(self) -> None:
        """Count one export less."""
        self.exports -= 1

    def start(self, request: Request) -> dict[str, Any]:
        """Give what a page begins with."""
        return {
            **self.feed.start(),
            "desk": self.desk.snapshot if self.desk is not None else {"mode": "none"},
            "about": self.about,
            "health": self.health_now,
            "unfinished": self.feed.unfinished_on(self.about["port"]) if self.desk is not None else None,
            "may_change": self.door.knows(request.cookies.get(COOKIE, "")),
        }


class Template:
    """A page with its style and script inside, and a place for what it begins with.

    Attributes:
        policy: Content-Security-Policy under which nothing but this very style and script has an effect.
    """

    _PLACE = '<script type="application/json" id="start"></script>'

    def __init__(self, text: str) -> None:
        self._before, found, self._after = text.partition(self._PLACE)
        assert found
        style, script = _inside(text, "<style>", "</style>"), _inside(text, "<script>", "</script>")
        self.policy = (
            f"default-src 'none'; script-src '{_source(script)}'; style-src '{_source(style)}'; connect-src 'self'; "
            "img-src 'self' data:; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
        )

    def filled(self, start: dict[str, Any]) -> str:
        """Put in what the page begins with."""
        text = json.dumps(start, ensure_ascii=False, separators=(",", ":"))
        # Names may hold anything, "</script>" and "<!--" among it.
        text = text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
        return f"{self._before}{self._PLACE.replace('></', f'>{text}</')}{self._after}"


def _inside(text: str, begin: str, end: str) -> str:
    return text.partition(begin)[2].partition(end)[0]


def _source(text: str) -> str:
    return f"sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def serving_of(request: Request) -> Serving:
    """Give what the application works with that a request came to."""
    return request.app.state.serving  # type: ignore[no-any-return]
