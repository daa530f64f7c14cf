"""What only somebody who has the PIN may do. What is answered as done is in the log."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import Future
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from ..errors import StibiumError
from ..measure.steps import LETTERS, LONGEST_NAME, Command, doubt_of
from .answers import as_answer, number_of
from .desk import Order, OrderRefusedError
from .guard import COOKIE, may_not_change, refusal, try_pin, try_pin_refusal
from .serving import serving_of

COOKIE_S = 7 * 24 * 3600
_COMMANDS = frozenset(LETTERS) - {"q", "?"}


async def do_login(request: Request) -> Response:
    """Take a PIN, and give the browser a cookie for it."""
    said, door = await _body(request), serving_of(request).door
    pin = said.get("pin") if said is not None else None
    if not isinstance(pin, str):
        return refusal(400, 'write {"pin": "..."}')
    token, wait_s = try_pin(door, request, pin)
    if token is None or wait_s:
        return try_pin_refusal(door, request)
    answer = as_answer({})
    answer.set_cookie(COOKIE, token, max_age=COOKIE_S, httponly=True, samesite="strict")
    return answer


async def do_order(request: Request) -> Response:
    """Carry out a tap; see `desk.Order`."""
    serving = serving_of(request)
    refused = may_not_change(serving.door, request)
    if refused is not None:
        return refused
    if serving.desk is None:
        return refusal(409, "this device shows a log and has no instrument; start it as: stibium serve PORT")
    order = _read_order(await _body(request), await asyncio.to_thread(serving.models))
    if isinstance(order, str):
        return refusal(400, order)
    try:
        # It goes on and is stored, whether or not somebody is still there to hear of it.
        answer: Future[Any] = serving.desk.order(order)
        return as_answer(await asyncio.shield(asyncio.wrap_future(answer)))
    except OrderRefusedError as error:
        return refusal(409, str(error))
    except StibiumError as error:
        return refusal(500, str(error))


def _read_order(said: dict[str, Any] | None, models: list[dict[str, Any]]) -> Order | str:
    """Read what a page wants; a text that says what is wrong with it."""
    if said is None or said.get("kind") not in ("begin", "end", "do"):
        return 'write {"kind": "do", "tap": "...", "prompt": "...", "letter": "", "argument": ""}'
    texts = {name: said.get(name, "") for name in ("tap", "prompt", "letter", "argument")}
    if not all(isinstance(text, str) and len(text) <= LONGEST_NAME for text in texts.values()):
        return f"tap, prompt, letter and argument are texts of at most {LONGEST_NAME} letters"
    if texts["letter"] not in _COMMANDS:
        return f"there is no command {texts['letter'][:20]!r}"
    begin = said.get("begin") or {}
    wrong = _wrong_with_begin(begin, models)
    if wrong:
        return wrong
    argument = "".join(letter for letter in texts["argument"] if letter.isprintable()).strip()
    paths = {model["name"]: model["path"] for model in models}
    begin = {**begin, "model": paths.get(begin.get("model", ""), "")}
    doubt = doubt_of(argument) if texts["letter"] == "i" else ""
    return Order(said["kind"], texts["tap"], texts["prompt"], Command(texts["letter"], argument, doubt), begin)


def _wrong_with_begin(begin: Any, models: list[dict[str, Any]]) -> str:
    if not isinstance(begin, dict) or begin.keys() - {"new", "resume", "operator", "prefix", "on_for_min", "model"}:
        return "begin takes new, resume, operator, prefix, on_for_min and model"
    texts = [begin.get(name, "") for name in ("operator", "prefix", "model")]
    if not all(isinstance(text, str) and len(text) <= LONGEST_NAME and text.isprintable() for text in texts):
        return f"operator, prefix and model are texts of at most {LONGEST_NAME} letters"
    minutes = begin.get("on_for_min", 0)
    if isinstance(minutes, bool) or not isinstance(minutes, (int, float)) or not 0 <= minutes <= 100_000:
        return "on_for_min is the minutes that the instrument has been on"
    if begin.get("model") and begin["model"] not in {model["name"] for model in models}:
        return "there is no such model on this device"
    return ""


async def do_write(request: Request) -> Response:
    """Change something that is not the session's."""
    serving = serving_of(request)
    refused = may_not_change(serving.door, request)
    if refused is not None:
        return refused
    work, said = serving.writes.get(request.path_params["name"]), await _body(request)
    if work is None or said is None:
        return refusal(404 if work is None else 400, "nothing like that can be changed here")
    try:
        return as_answer(await asyncio.to_thread(work, said))
    except (StibiumError, ValueError) as error:
        return refusal(409, str(error))


async def do_photo(request: Request) -> Response:
    """Store a photo with a reading."""
    serving = serving_of(request)
    refused = may_not_change(serving.door, request)
    if refused is not None:
        return refused
    reading = number_of(request.path_params["reading"])
    if not reading or not serving.feed.exists(reading):
        return refusal(404, "there is no such reading")
    try:
        content = await request.body()
        return as_answer(await asyncio.to_thread(serving.store_photo, reading, content))
    except (StibiumError, OSError) as error:
        return refusal(409, str(error))


async def _body(request: Request) -> dict[str, Any] | None:
    """Read a JSON object; None if the body is none. How long it may be was looked at before."""
    try:
        said = json.loads(await request.body())
    except (ValueError, RecursionError):
        return None
    return said if isinstance(said, dict) else None
