"""The `[fieldspec]` part of a probe profile: how long an ASD FieldSpec may take for what.

`firmware_configs/probes/fieldspec.toml` shows every key; docs/fieldspec.md explains them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from ..limits import Within
from ..toml_file import Where

_FACTORY_ADDRESS = "socket://169.254.1.11:8080"
Seconds = Annotated[float, Within(0, 3600, "seconds", above=True)]


def _read_address(value: Any, where: Where) -> str:
    if not isinstance(value, str) or "://" not in value:
        raise where.needs(value, f"a port such as {_FACTORY_ADDRESS} is needed")
    return value


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

    address: Annotated[str, _read_address] = _FACTORY_ADDRESS
    restore_s: Seconds = 30.0
    optimise_s: Seconds = 60.0
    scan_s: Seconds = 1.0
    not_ready_s: Seconds = 60.0
    dark_drift: Literal["added", "subtracted"] = "added"
