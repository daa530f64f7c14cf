"""The `[fieldspec]` part of a probe profile: how long an ASD FieldSpec may take for what.

`firmware_configs/probes/fieldspec.toml` shows every key; docs/fieldspec.md explains them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

from ..errors import ProfileError

_LONGEST_S = 3600.0
_DRIFT = ("added", "subtracted")


@dataclass(frozen=True)
class FieldSpecProfile:
    """What is particular to an ASD FieldSpec.

    Attributes:
        address: where it is if no port is named.
        restore_s: until its settings have to be loaded.
        optimise_s: until it has to have optimised.
        scan_s: one scan may take so long, or its integration time if that is longer.
        not_ready_s: for so long "not ready" is asked again.
        dark_drift: "added" (as the maker's guide has it) or "subtracted": how the drift of the VNIR's dark, and its
            dark current correction, enter target minus dark.
    """

    address: str = "socket://169.254.1.11:8080"
    restore_s: float = 30.0
    optimise_s: float = 60.0
    scan_s: float = 1.0
    not_ready_s: float = 60.0
    dark_drift: str = "added"


def parse_fieldspec(table: Any, source: str) -> FieldSpecProfile:
    """Read the section; ProfileError names `source`, the key and what is needed."""
    if not isinstance(table, dict):
        raise ProfileError(f"{source}: fieldspec is no section; write [fieldspec]")
    known = {field.name: field.default for field in fields(FieldSpecProfile)}
    found: dict[str, Any] = {}
    for key, value in table.items():
        where = f"{source}: fieldspec.{key} = {value!r}"
        if key not in known:
            raise ProfileError(f"{source}: unknown key fieldspec.{key}; known are {', '.join(known)}")
        if key == "address":
            if not isinstance(value, str) or "://" not in value:
                raise ProfileError(f"{where}; a port such as {known['address']} is needed")
            found[key] = value
        elif key == "dark_drift":
            if value not in _DRIFT:
                raise ProfileError(f"{where}; one of {', '.join(_DRIFT)} is needed")
            found[key] = value
        else:
            # TOML knows true and false, which Python counts among the integers.
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
                raise ProfileError(f"{where}; a number of seconds is needed")
            if not 0 < value <= _LONGEST_S:
                raise ProfileError(f"{where}; seconds above 0 and at most {_LONGEST_S:g} are needed")
            found[key] = float(value)
    return FieldSpecProfile(**found)
