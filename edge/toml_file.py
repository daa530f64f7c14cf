"""Reading the small TOML files of this package: one clear line for whatever is wrong with one."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from .errors import StibiumError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def read_text(path: str | os.PathLike[str], error: type[StibiumError]) -> str:
    """Read a text file in UTF-8; whatever fails is raised as `error`, naming the file."""
    try:
        return Path(path).read_text("utf-8-sig")
    except OSError as problem:
        raise error(f"{os.fspath(path)}: {problem.strerror or problem}") from problem
    except UnicodeDecodeError:
        raise error(f"{os.fspath(path)}: not a text file in UTF-8; save it as UTF-8") from None


def parse_toml(text: str, source: str, error: type[StibiumError]) -> dict[str, Any]:
    """Parse TOML; raises `error`, naming `source`."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        raise error(f"{source}: not TOML: {problem}") from None


def refuse_unknown(table: Mapping[str, Any], known: Collection[str], where: str, error: type[StibiumError]) -> None:
    """Raise `error` if the table has a key that means nothing here: a misspelt one must not pass silently."""
    unknown = [key for key in table if key not in known]
    if unknown:
        raise error(f"{where}: unknown key {unknown[0]}; known are {', '.join(known)}")


def text_of(table: Mapping[str, Any], key: str, where: str, error: type[StibiumError], default: str | None = "") -> str:
    """Return a text; without a default (None) the key must be there."""
    value = table.get(key, default)
    if value is None:
        raise error(f"{where}: {key} is missing")
    if not isinstance(value, str) or (default is None and not value.strip()):
        raise error(f"{where}: {key} = {value!r}; a text is needed")
    return value.strip()


def texts_of(
    table: Mapping[str, Any], key: str, where: str, error: type[StibiumError], default: tuple[str, ...] | None = ()
) -> tuple[str, ...]:
    """Return a list of texts without repetitions; without a default (None) the key must be there."""
    value = table.get(key, default)
    if value is None:
        raise error(f"{where}: {key} is missing")
    if not isinstance(value, (list, tuple)) or not all(isinstance(v, str) for v in value):
        raise error(f"{where}: {key} = {value!r}; a list of texts is needed")
    texts = tuple(v.strip() for v in value)
    folded = [v.casefold() for v in texts]
    twice = [v for v in texts if folded.count(v.casefold()) > 1]
    if twice:
        raise error(f"{where}: {key} has {twice[0]!r} twice")
    return texts
