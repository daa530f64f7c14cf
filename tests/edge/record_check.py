"""What every way of output is held against: the JSON Schema of a record."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import stibium.edge

SCHEMA = json.loads((Path(stibium.edge.__path__[0]) / "record.schema.json").read_text("utf-8"))
_VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def conforms(record: object) -> None:
    """Fail with what is wrong if a record is not as the schema says, or says two things at once."""
    _VALIDATOR.validate(record)
    assert isinstance(record, dict)
    for estimate in record["estimates"]:
        values = [estimate[name] for name in ("value", "untrusted_value", "below_critical_value")]
        assert sum(value is not None for value in values) == 1
        for end in ("low", "high"):
            ends = [estimate[end], estimate[f"untrusted_{end}"]]
            assert sum(value is not None for value in ends) == (estimate["interval_shown"] != "")


def read_records(lines: str) -> list[dict[str, Any]]:
    """Read JSON lines of records that hold one estimate at most, each held against the schema.

    The estimate's keys stand beside the reading's. `said`, `said_low` and `said_high` are what the model says, whether
    it may be used or not; None where nothing was detected.
    """
    return [_flat(json.loads(line)) for line in lines.splitlines()]


def _flat(record: dict[str, Any]) -> dict[str, Any]:
    conforms(record)
    (one,) = record["estimates"] or [dict.fromkeys(SCHEMA["$defs"]["estimate"]["properties"])]
    flags = dict.fromkeys([*(one["flags"] or ()), *record["flags"]])
    together = {"flags": list(flags), "reason": one["reason"] or record["reason"]}
    if record["estimates"]:
        together["water_index"] = one["water_index"]
    said = {"said": one["untrusted_value"] if one["value"] is None else one["value"]}
    for end in ("low", "high"):
        said[f"said_{end}"] = one[f"untrusted_{end}"] if one[end] is None else one[end]
    simulated = bool(one["simulated"] or record["simulated"])
    return {**one, **record, **together, **said, "simulated": simulated, "trusted": bool(one["trusted"])}
