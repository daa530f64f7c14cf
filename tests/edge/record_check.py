"""What every way of output is held against: the JSON Schema of a record."""

from __future__ import annotations

import json
from pathlib import Path

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
