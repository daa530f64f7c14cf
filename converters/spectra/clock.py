"""Dates as instruments write them: parts by slashes, month or day first, with AM and PM or without."""

from __future__ import annotations

import re
from datetime import datetime

_SLASHES = re.compile(
    r"(\d{1,2})/(\d{1,2})/(\d{4}|\d\d),? +(\d{1,2}):(\d\d):(\d\d)(?:[.,](\d+))?(?: *([AP])\.?M\.?)?", re.IGNORECASE
)


def month_first(text: str) -> datetime | None:
    """Read `05/16/2024 07:08:09.25`, with or without AM or PM; None if it is no time."""
    return _moment(text, day_first=False)


def either_first(text: str) -> datetime | None:
    """Read a date whose month or day may come first; None if it is no time, or if both could be the month.

    Only computers that write AM and PM are taken to write the month first where both could be.
    """
    month, day = _moment(text, day_first=False), _moment(text, day_first=True)
    if month is None or day is None or month == day:
        return month or day
    return month if re.search(r"[AP]\.?M\.?$", text, re.IGNORECASE) else None


def any_moment(text: str) -> datetime | None:
    """Read a date of a table, as `2024-05-16` or by `either_first`, with or without a time; None if it is none.

    A date alone is the beginning of its day.
    """
    text = text.strip()
    if re.match(r"\d{4}-\d\d-\d\d", text):
        try:
            return datetime.fromisoformat(text.removesuffix("Z") + "+00:00" * text.endswith("Z"))
        except ValueError:
            return None
    return either_first(text) or either_first(f"{text}:00") or either_first(f"{text} 00:00:00")


def white_age(white: datetime | None, target: datetime | None) -> dict[str, float]:
    """Give how many minutes older than its target a white reference is, as a fact for `Spectrum.extra`, if told."""
    if white is None or target is None:
        return {}
    return {"white_age_min": round((target - white).total_seconds() / 60, 3)}


def _moment(text: str, day_first: bool) -> datetime | None:
    found = _SLASHES.fullmatch(text.strip())
    if found is None:
        return None
    first, second, year, hour, minute, seconds = map(int, found.groups()[:6])
    day, month = (first, second) if day_first else (second, first)
    if found[8]:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + 12 * (found[8].upper() == "P")
    try:
        return datetime(
            year + 2000 * (year < 100), month, day, hour, minute, seconds, int((found[7] or "0").ljust(6, "0")[:6])
        )
    except ValueError:
        return None
