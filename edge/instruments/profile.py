"""Probe profiles: what is configured of an instrument's line, in TOML files (`firmware_configs/probes/`)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib import resources
from typing import Annotated, Any, Literal

from ...firmware_configs import probes
from ..errors import ProfileError
from ..gates.rules import WHITE_VALID_MIN, Rules, beside
from ..gates.wavelength import ReferenceMaterial
from ..limits import Within
from ..protocols.host import Timeouts
from ..toml_file import Key, Where, parse_toml, read_named, read_section, read_str
from .profile_ascii import AsciiProfile, read_ascii
from .profile_fieldspec import FieldSpecProfile

DEFAULT_PROFILE = "framed_serial"


@dataclass(frozen=True)
class Serial:
    """The line."""

    baudrate: Annotated[int, Within(0, 12_000_000, "bit/s", above=True)] = 115200


@dataclass(frozen=True)
class Measuring:
    """How a sample is measured. `white_valid_min`: minutes a dark and white reference may be used."""

    scans: Annotated[int, Within(0, 0xFFFF, above=True)] = 40
    points: Annotated[int, Within(0, 1000, above=True)] = 5
    white_valid_min: Annotated[float, Within(0, 1e6, "minutes", above=True)] = WHITE_VALID_MIN


def _read_name(value: Any, where: Where) -> str:
    return read_str(value, where, needed=True)


@dataclass(frozen=True)
class Profile:
    """A probe's profile. Every number is positive, and finite; among the rules zero is one too."""

    name: Annotated[str, _read_name] = "framed serial probe"
    protocol: Literal["framed", "fieldspec", "ascii"] = "framed"
    serial: Serial = Serial()
    measuring: Measuring = Measuring()
    timeouts: Annotated[Timeouts, Key("patience")] = field(default_factory=Timeouts)
    rules: Rules = field(default_factory=Rules)
    reference_material: ReferenceMaterial = field(default_factory=ReferenceMaterial)
    fieldspec: FieldSpecProfile | None = None
    """Set if `protocol` is "fieldspec"."""
    ascii: Annotated[AsciiProfile | None, read_ascii] = None
    """Set if `protocol` is "ascii"."""

    @property
    def default_port(self) -> str | None:
        """Where the instrument is if nobody says otherwise; None where no such place is known."""
        return self.fieldspec.address if self.fieldspec else None


def profile_names() -> list[str]:
    """Names of the profiles that come with the package."""
    return sorted(p.name[:-5] for p in resources.files(probes).iterdir() if p.name.endswith(".toml"))


def read_profile(name_or_path: str | os.PathLike[str] = DEFAULT_PROFILE) -> Profile:
    """Read a profile: one that comes with the package, by its name, or a file.

    Raises:
        ProfileError: no such profile or file, not TOML, an unknown key, a value of the wrong kind or range.
    """
    return parse_profile(profile_text(name_or_path), os.fspath(name_or_path))


def stored_rules(text: str, source: str) -> Rules:
    """Read the rules of a session's profile as the log has it; the default ones if it has none. Raises ProfileError."""
    document = parse_toml(text, source, ProfileError)
    return read_section(Rules, document.get("rules", {}), Where(source, ProfileError, "rules"))


def profile_text(name_or_path: str | os.PathLike[str]) -> str:
    """Give the TOML text of a profile, as it stands in its file.

    Raises:
        ProfileError: no such profile or file, or not UTF-8.
    """
    shipped = {name: resources.files(probes).joinpath(f"{name}.toml") for name in profile_names()}
    texts = {name: (lambda file=file: file.read_text("utf-8")) for name, file in shipped.items()}
    return read_named(name_or_path, texts, "profile", ProfileError)


def parse_profile(text: str, source: str) -> Profile:
    """Read a profile's TOML text; `source` is what errors name. Raises ProfileError."""
    document: Mapping[str, Any] = parse_toml(text, source, ProfileError)
    protocol = document.get("protocol", "framed")
    for own in ("fieldspec", "ascii"):
        if own in document and protocol != own:
            raise ProfileError(f'{source}: [{own}] needs protocol = "{own}"')
    if protocol in ("fieldspec", "ascii"):
        document = {protocol: {}, **document}
    profile = read_section(Profile, document, Where(source, ProfileError))
    return replace(profile, rules=beside(profile.rules, source))
