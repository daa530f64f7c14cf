"""What is answered to everybody who reaches the page: the page itself, news as they come, and JSON for programs."""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse

from ..errors import ExportError, LogError
from .feed import MOST_READINGS, Cursor, Feed, News
from .guard import COOKIE, refusal
from .serving import Serving, WantedFile, serving_of

HEARTBEAT_S = 10.0
MOST_EXPORTS = 4
"""Written or fetched at once; half of them by strangers."""
EXPORTS = {
    "readings.csv": "text/csv; charset=utf-8",
    "readings.jsonl": "application/jsonl; charset=utf-8",
    "readings.geojson": "application/geo+json",
    "readings.gpkg": "application/geopackage+sqlite3",
    "day.html": "text/html; charset=utf-8",
    "day.csv": "text/csv; charset=utf-8",
    "day.xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


async def answer_page(request: Request) -> Response:
    """Answer with the page, and all that it begins with inside: nothing else is fetched before it is painted."""
    serving = serving_of(request)
    template = serving.page
    text = template.filled(serving.start(request)).encode("utf-8", "replace")
    return Response(text, 200, {"Content-Security-Policy": template.policy}, "text/html; charset=utf-8")


async def answer_state(request: Request) -> Response:
    """Answer with what a page begins with, for one that has slept too long."""
    return as_answer(serving_of(request).start(request))


async def answer_readings(request: Request) -> Response:
    """Answer with the readings after one, or the last ones."""
    asked = request.query_params
    since, last = number_of(asked.get("since")), number_of(asked.get("last"))
    if asked.keys() - {"since", "last"} or since is None or last is None:
        return refusal(400, "write /api/readings?since=READING or /api/readings?last=N")

    def read(feed: Feed) -> dict[str, Any]:
        if "since" not in asked:
            return {"readings": feed.last(last or MOST_READINGS), "more": False}
        found = feed.readings(since, MOST_READINGS)
        return {"readings": found, "more": len(found) == MOST_READINGS}

    return as_answer(await _apart(request, read))


async def answer_spectrum(request: Request) -> Response:
    """Answer with a reading's spectrum and its points."""
    reading = number_of(request.path_params["reading"])
    found = serving_of(request).feed.spectrum(reading, "full" in request.query_params) if reading else None
    return refusal(404, "there is no such reading") if found is None else as_answer(found)


async def answer_places(request: Request) -> Response:
    """Answer with what a map of a day shows."""
    try:
        return as_answer(await _apart(request, lambda feed: feed.places(request.query_params.get("day", ""))))
    except ValueError:
        return refusal(400, "write the day as in /api/places?day=2026-05-06")


async def answer_points(request: Request) -> Response:
    """Answer with the spectra of the sample that is half measured."""
    desk = serving_of(request).desk
    return as_answer(desk.points if desk is not None else {"sample_id": "", "points": []})


async def answer_charts(request: Request) -> Response:
    """Answer with the control charts: check soils with centre and limits, and blanks."""
    return as_answer(await _apart(request, Feed.charts))


async def answer_models(request: Request) -> Response:
    """Answer with the models that may be chosen."""
    found = await asyncio.to_thread(serving_of(request).models)
    # Where they lie is nobody's business on a network.
    return as_answer({"models": [{name: one[name] for name in one if name != "path"} for one in found]})


async def answer_health(request: Request) -> Response:
    """Answer with how the device is."""
    serving = serving_of(request)
    return as_answer({"health": serving.health_now, "about": serving.about, "now_ms": round(1000 * time.time())})


async def answer_export(request: Request) -> Response:
    """Answer with a file of readings as `stibium log --export` writes it, or of a day as `stibium day` does."""
    serving, wanted = serving_of(request), _wanted_file(request)
    if wanted is None:
        return refusal(404, f"write /export/ and one of {', '.join(EXPORTS)}; ?session=N for one session")
    known = serving.door.knows(request.cookies.get(COOKIE, ""))
    if serving.exports >= (MOST_EXPORTS if known else MOST_EXPORTS // 2):
        return refusal(503, "other exports are being fetched; wait a moment", retry_s=2.0)
    with ExitStack() as stack:
        serving.exports += 1
        stack.callback(serving.export_done)
        # The person's own file system may be full or slow; the name is that of nobody's file.
        path = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="stibium-export-")), wanted.name)
        try:
            noted = await asyncio.to_thread(serving.export, str(path), wanted)
        except (ExportError, LogError, OSError) as error:
            return refusal(409, _plain_reason(error, path))
        said = wanted.download_name
        if known:
            await asyncio.to_thread(serving.exported, noted, wanted.name.rpartition(".")[2], said)
        return _Temporary(stack.pop_all(), path, media_type=EXPORTS[wanted.name], filename=said)


def _wanted_file(request: Request) -> WantedFile | None:
    name, asked = request.path_params["name"], request.query_params
    session = number_of(asked.get("session"))
    if name not in EXPORTS or session is None:
        return None
    texts = {key: asked[key] for key in ("separator", "decimal", "day") if key in asked}
    return WantedFile(name, session or None, wide="wide" in asked, **texts)


async def answer_photo(request: Request) -> Response:
    """Answer with a photo of a reading."""
    found = serving_of(request).photo(request.path_params["name"])
    return refusal(404, "there is no such photo") if found is None else FileResponse(found[0], media_type=found[1])


class _Temporary(FileResponse):
    """A file that is gone when it has been sent."""

    def __init__(self, until_sent: ExitStack, path: Path, **said: Any) -> None:
        super().__init__(path, **said)
        self._until_sent = until_sent

    async def __call__(self, *asgi: Any) -> None:
        with self._until_sent:
            await super().__call__(*asgi)


def _plain_reason(error: Exception, path: Path) -> str:
    return str(error).replace(f"{path}: ", "")


async def answer_events(request: Request) -> Response:
    """Answer with news as server-sent events; `Last-Event-ID` or `after` says what is known already."""
    serving = serving_of(request)
    known = request.headers.get("last-event-id") or request.query_params.get("after", "")
    headers = {"X-Accel-Buffering": "no"}
    return StreamingResponse(_stream(serving, Cursor.parse(known)), 200, headers, "text/event-stream")


async def _stream(serving: Serving, cursor: Cursor | None) -> AsyncIterator[bytes]:
    hub, feed = serving.hub, serving.feed
    assert hub is not None
    desk: dict[str, Any] | None = None
    health: list[dict[str, Any]] | None = None
    yield b"retry: 1000\n\n"
    while not hub.stopping:
        news = feed.since(cursor) if cursor is not None else None
        if news is None:
            cursor = feed.newest()
            yield _event("again", {}, cursor)
        elif news.cursor != cursor:
            cursor = news.cursor
            yield _event("log", {**_told(news), "session": feed.session()}, cursor)
        if serving.desk is not None and serving.desk.snapshot is not desk:
            desk = serving.desk.snapshot
            yield _event("desk", desk)
        if serving.health_now is not health:
            health = serving.health_now
            yield _event("health", {"health": health})
        else:
            yield b": \n\n"
        await hub.wait(HEARTBEAT_S)


def _told(news: News) -> dict[str, Any]:
    return {"readings": news.readings, "events": news.events}


def _event(kind: str, said: dict[str, Any], cursor: Cursor | None = None) -> bytes:
    mark = "" if cursor is None else f"id: {cursor}\n"
    return f"event: {kind}\n{mark}data: {json_text(said)}\n\n".encode("utf-8", "replace")


async def _apart(request: Request, read: Callable[[Feed], dict[str, Any]]) -> dict[str, Any]:
    """Read what takes long in another thread, one after the other: whoever taps meanwhile is answered."""
    serving = serving_of(request)

    def work() -> dict[str, Any]:
        with closing(serving.feed.another()) as feed:
            return read(feed)

    async with serving.reading:
        return await asyncio.to_thread(work)


def number_of(text: str | None) -> int | None:
    """Read a number of a query or path: 0 for none, None for what is no number of anything."""
    if not text:
        return 0
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else None


def json_text(said: object) -> str:
    """Write JSON in one line."""
    return json.dumps(said, ensure_ascii=False, separators=(",", ":"))


def as_answer(said: object) -> Response:
    """Answer with JSON."""
    return Response(json_text(said).encode("utf-8", "replace"), media_type="application/json")
