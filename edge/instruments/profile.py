"""Probe profiles: what is configured of an instrument's line, in TOML files (`firmware_configs/probes/`)."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from importlib import resources
from pathlib import Path
from typing import Any

from ...firmware_configs import probes
from ..errors import ProfileError
from ..gates.rules import ReferenceMaterial, Rules, parse_rules
from ..protocols.host import Timeouts
from .profile_ascii import AsciiProfile, parse_ascii
from .profile_fieldspec import FieldSpecProfile, parse_fieldspec

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

DEFAULT_PROFILE = "framed_serial"


@dataclass(frozen=True)
class Serial:
    """The line."""

    baudrate: int = 115200


@dataclass(frozen=True)
class Measuring:
    """How a sample is measured. `white_valid_min`: minutes a dark and white reference may be used."""

    scans: int = 40
    points: int = 5
    white_valid_min: float = 30.0


@dataclass(frozen=True)
class Profile:
    """A probe's profile. Every number is positive, and finite; among the rules zero is one too."""

    name: str = "framed serial probe"
    protocol: str = "framed"
    serial: Serial = Serial()
    measuring: Measuring = Measuring()
    timeouts: Timeouts = field(default_factory=Timeouts)
    rules: Rules = field(default_factory=Rules)
    reference_material: ReferenceMaterial = field(default_factory=ReferenceMaterial)
    fieldspec: FieldSpecProfile | None = None
    """Set if `protocol` is "fieldspec"."""
    ascii: AsciiProfile | None = None
    """Set if `protocol` is "ascii"."""

    @property
    def default_port(self) -> str | None:
        """Where the instrument is if nobody says otherwise; None where no such place is known."""
        return self.fieldspec.address if self.fieldspec else None


_SECTIONS: dict[str, type[Serial] | type[Measuring] | type[Timeouts]] = {
    "serial": Serial,
    "measuring": Measuring,
    "patience": Timeouts,
}
_TEXTS = ("name", "protocol")
_RULES = ("rules", "reference_material")
_PROTOCOLS = ("framed", "fieldspec", "ascii")
_HIGHEST = {
    "baudrate": 12_000_000,
    "scans": 0xFFFF,
    "points": 1000,
    "request_attempts": 1000,
    "resend_attempts": 1000,
}
_LONGEST_S = 1e6


def profile_names() -> list[str]:
    """Names of the profiles that come with the package."""
    return sorted(p.name[:-5] for p in resources.files(probes).iterdir() if p.name.endswith(".toml"))


def read_profile(name_or_path: str | os.PathLike[str] = DEFAULT_PROFILE) -> Profile:
    """Read a profile: one that comes with the package, by its name, or a file.

    Raises:
        ProfileError: no such profile or file, not TOML, an unknown key, a value of the wrong kind or range.
    """
    return parse_profile(profile_text(name_or_path), os.fspath(name_or_path))


def profile_text(name_or_path: str | os.PathLike[str]) -> str:
    """Give the TOML text of a profile, as it stands in its file.

    Raises:
        ProfileError: no such profile or file, or not UTF-8.
    """
    name = os.fspath(name_or_path)
    if os.sep not in name and not name.endswith(".toml"):
        if name not in profile_names():
            raise ProfileError(
                f"{name}: no profile of that name; there are {', '.join(profile_names())}, or a .toml file"
            )
        return resources.files(probes).joinpath(f"{name}.toml").read_text("utf-8")
    try:
        return Path(name).read_text("utf-8")
    except OSError as error:
        raise ProfileError(f"{name}: {error.strerror or error}") from error
    except UnicodeDecodeError:
        raise ProfileError(f"{name}: not a text file in UTF-8, so no profile") from None


def parse_profile(text: str, source: str) -> Profile:
    """Read a profile's TOML text; `source` is what errors name. Raises ProfileError."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ProfileError(f"{source}: not TOML: {error}") from None
    _refuse_unknown(document, [*_TEXTS, *_SECTIONS, *_RULES, "fieldspec", "ascii"], source, "")
    found: dict[str, Any] = {}
    for key in _TEXTS:
        if key in document:
            if not isinstance(document[key], str) or not document[key].strip():
                raise ProfileError(f"{source}: {key} = {document[key]!r}; a text is needed")
            found[key] = document[key]
    if found.get("protocol", "framed") not in _PROTOCOLS:
        raise ProfileError(f"{source}: protocol {found['protocol']!r}; this program speaks {', '.join(_PROTOCOLS)}")
    for section, kind in _SECTIONS.items():
        table = document.get(section, {})
        if not isinstance(table, dict):
            raise ProfileError(f"{source}: {section} is no section; write [{section}]")
        defaults = {f.name: f.default for f in fields(kind)}
        _refuse_unknown(table, list(defaults), source, f"{section}.")
        numbers = {key: _number(table[key], defaults[key], key, f"{source}: {section}.{key}") for key in table}
        found["timeouts" if section == "patience" else section] = kind(**numbers)
    found["rules"], found["reference_material"] = parse_rules(document, source)
    if found.get("protocol") == "fieldspec":
        found["fieldspec"] = parse_fieldspec(document.get("fieldspec", {}), source)
    elif "fieldspec" in document:
        raise ProfileError(f'{source}: [fieldspec] needs protocol = "fieldspec"')
    if found.get("protocol") == "ascii":
        found["ascii"] = parse_ascii(document.get("ascii", {}), source)
    elif "ascii" in document:
        raise ProfileError(f'{source}: [ascii] needs protocol = "ascii"')
    return Profile(**found)


def _refuse_unknown(table: Mapping[str, Any], known: list[str], source: str, prefix: str) -> None:
    unknown = [key for key in table if key not in known]
    if unknown:
        raise ProfileError(f"{source}: unknown key {prefix}{unknown[0]}; known are {', '.join(known)}")


def _number(value: Any, default: Any, key: str, where: str) -> Any:
    whole = isinstance(default, int)
    # TOML knows true and false, which Python counts among the integers.
    right_kind = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
    highest = _HIGHEST.get(key, _LONGEST_S)
    if not right_kind or not math.isfinite(value) or not 0 < value <= highest:
        kind = "a whole number" if whole else "a number"
        raise ProfileError(f"{where} = {value!r}; {kind} above 0 and at most {highest:g} is needed")
    return value if whole else float(value)
