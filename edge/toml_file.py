"""Reading the small TOML files of this package: a frozen dataclass says what a section may hold.

A field's type says what is read, its default what is taken where the key is left out (a field without one must be
there), and `Annotated` adds limits, another key or a reading of its own:

    baudrate: Annotated[int, Within(0, 12_000_000, "bit/s", above=True)] = 115200

Whatever is wrong with a file is one clear line: the file, the key, the value, what is needed.
"""

from __future__ import annotations

import math
import os
import sys
import typing
from collections.abc import Callable, Collection, Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from functools import cache
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, TypeAlias, TypeVar, get_args, get_origin

from .errors import StibiumError
from .limits import Within

_T = TypeVar("_T")
_SHOWN = 60


@dataclass(frozen=True)
class Key:
    """The key in the file, where it is not the field's name."""

    name: str


@dataclass(frozen=True)
class Where:
    """A place in a file, for what is said of it.

    Attributes:
        source: the file, and what part of it, as in "my.toml" or "my.toml: variable 2".
        error: what is raised.
        path: keys that lead to the place, as in "ascii.values"; "" at the top.
    """

    source: str
    error: type[StibiumError]
    path: str = ""

    def at(self, key: str) -> Where:
        """Give the place of a key in this section."""
        return Where(self.source, self.error, f"{self.path}.{key}" if self.path else key)

    def item(self, number: int) -> Where:
        """Give the place of an item, numbered from 1, in this list."""
        return Where(self.source, self.error, f"{self.path}[{number}]")

    def says(self, complaint: str) -> StibiumError:
        """Make the error for a complaint about the place."""
        return self.error(f"{self.source}: {complaint}")

    def needs(self, value: Any, needed: str) -> StibiumError:
        """Make the error for a value that is not what is needed."""
        return self.says(f"{self.path} = {_shown(value)}; {needed}")


Reading: TypeAlias = Callable[[Any, Where], Any]
"""Reads a value in a way of its own; raises what `Where` makes."""


def read_text(path: str | os.PathLike[str], error: type[StibiumError]) -> str:
    """Read a text file in UTF-8; whatever fails is raised as `error`, naming the file."""
    try:
        return Path(path).read_text("utf-8-sig")
    except OSError as problem:
        raise error(f"{os.fspath(path)}: {problem.strerror or problem}") from problem
    except UnicodeDecodeError:
        raise error(f"{os.fspath(path)}: not a text file in UTF-8; save it as UTF-8") from None


def read_named(
    name_or_path: str | os.PathLike[str], shipped: Mapping[str, Callable[[], str]], what: str, error: type[StibiumError]
) -> str:
    """Read the text of a file that comes with the package, by its name, or of any other, by its path.

    Args:
        name_or_path: a path has a folder in it, or ends with .toml.
        shipped: what gives the texts, by name.
        what: what such a file is, in words.
        error: is raised if there is none, naming it.
    """
    name = os.fspath(name_or_path)
    if os.sep in name or name.endswith(".toml"):
        return read_text(name, error)
    if name not in shipped:
        raise error(f"{name}: no {what} of that name; there are {', '.join(sorted(shipped))}, or a .toml file")
    return shipped[name]()


def parse_toml(text: str, source: str, error: type[StibiumError]) -> dict[str, Any]:
    """Parse TOML; raises `error`, naming `source`."""
    # Only where a file is read: every start would pay for it, as the rules of spectra are declared with this module.
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        raise error(f"{source}: not TOML: {problem}") from None
    except RecursionError:
        raise error(f"{source}: lists or tables inside each other, too many of them to be read") from None
    except (ValueError, OverflowError):
        # Python reads no whole number of more than some thousand digits.
        raise error(f"{source}: a number with too many digits") from None


def read_section(kind: type[_T], table: Any, where: Where, also: Collection[str] = ()) -> _T:
    """Read a section into a dataclass.

    Args:
        kind: the dataclass.
        table: the section's keys and values.
        where: the section's place.
        also: further keys that may be in it and are left alone.

    Raises:
        StibiumError: as `where` has it: no section, an unknown or a missing key, a value of the wrong kind or range.
    """
    if not isinstance(table, Mapping):
        raise where.says(f"{where.path} is no section; write [{where.path}]")
    known = _keys(typing.cast(Any, kind))
    for key in table:
        if key not in known and key not in also:
            raise where.says(f"unknown key {where.at(key).path}; known are {', '.join([*known, *also])}")
    found: dict[str, Any] = {}
    for key, (own, hint) in known.items():
        if key in table:
            found[own.name] = _read(hint, table[key], where.at(key), _is_needed(own))
        elif _is_needed(own):
            raise where.says(f"{where.at(key).path} is missing")
    return kind(**found)


@cache
def _keys(kind: type[Any]) -> dict[str, tuple[Field[Any], Any]]:
    """Keys of a section with their fields and types."""
    hints = typing.get_type_hints(kind, include_extras=True)
    keys = {own.name: own for own in fields(kind)}
    named = {name: [m.name for m in getattr(hints[name], "__metadata__", ()) if isinstance(m, Key)] for name in keys}
    return {(named[name] or [name])[0]: (own, hints[name]) for name, own in keys.items()}


def _is_needed(own: Field[Any]) -> bool:
    return own.default is MISSING and own.default_factory is MISSING


def _read(hint: Any, value: Any, where: Where, needed: bool, limits: Within | None = None) -> Any:
    if get_origin(hint) is Annotated:
        hint, *notes = get_args(hint)
        own = [note for note in notes if callable(note)]
        if own:
            return own[0](value, where)
        limits = next((note for note in notes if isinstance(note, Within)), None)
    inner = [kind for kind in get_args(hint) if kind is not NoneType]
    if hint in (int, float):
        return _number(value, hint is int, limits, where)
    if hint is str:
        return read_str(value, where, needed)
    if hint is bool:
        if not isinstance(value, bool):
            raise where.needs(value, "true or false is needed")
        return value
    if get_origin(hint) is Literal:
        if not isinstance(value, str) or value not in inner:
            raise where.needs(value, f"one of {', '.join(map(repr, inner))} is needed")
        return value
    if get_origin(hint) is tuple:
        items = enumerate(read_list(value, where), 1)
        return tuple(_read(inner[0], item, where.item(number), needed, limits) for number, item in items)
    if isinstance(hint, type) and is_dataclass(hint):
        return read_section(hint, value, where)
    if len(inner) == 1:
        return _read(inner[0], value, where, needed, limits)
    raise TypeError(f"{where.path}: nothing reads {hint}")


def read_str(value: Any, where: Where, needed: bool = False) -> str:
    """Read a text, without white space around it; one that is `needed` may not be empty."""
    if not isinstance(value, str) or (needed and not value.strip()):
        raise where.needs(value, "a text is needed")
    return value.strip()


def read_list(value: Any, where: Where) -> list[Any]:
    """Read a list."""
    if not isinstance(value, (list, tuple)):
        raise where.needs(value, "a list is needed")
    return list(value)


def read_names(value: Any, where: Where) -> tuple[str, ...]:
    """Read a list of texts of which no two are the same but for upper and lower case."""
    if not isinstance(value, (list, tuple)) or not all(isinstance(v, str) for v in value):
        raise where.needs(value, "a list of texts is needed")
    texts = tuple(v.strip() for v in value)
    folded = [v.casefold() for v in texts]
    twice = [v for v in texts if folded.count(v.casefold()) > 1]
    if twice:
        raise where.says(f"{where.path} has {twice[0]!r} twice")
    return texts


def _number(value: Any, whole: bool, limits: Within | None, where: Where) -> int | float:
    kind = "a whole number" if whole else "a number"
    # TOML knows true and false, which Python counts among the integers.
    right = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
    inside = right and (limits is None or _inside(value, limits))
    if not inside or not (isinstance(value, int) or math.isfinite(value)):
        raise where.needs(value, f"{kind} {limits or 'is needed'}")
    return int(value) if whole else float(value)


def _inside(value: int | float, limits: Within) -> bool:
    return (limits.low < value if limits.above else limits.low <= value) and value <= limits.high


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."
