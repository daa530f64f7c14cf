"""Units in what people are told: as they write them (`%`), wherever a column's name says `pct`."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from stibium.converters.spectra.spectrum import Spectrum
from stibium.edge.errors import StibiumError
from stibium.edge.model.bundle import Bundle
from stibium.edge.model.error_model import ErrorModel, levels_in_words
from stibium.edge.ore.answer import shown
from stibium.edge.ore.cells import field_reader
from stibium.edge.ore.columns import Variable
from stibium.train.assays.table import parse_assay_tables
from stibium.train.crossval.metrics import measure, worse_in_the_unit
from stibium.train.detection import tells_no_grade
from stibium.train.samples import Samples, join
from stibium.train.watched import _advice

CU = Variable("Cu", "cu", "assay", "pct")


def soil(name: str) -> Spectrum:
    nm = np.arange(350.0, 2501.0)
    return Spectrum(nm, 0.3 + 0.1 * np.sin(nm / 300), "reflectance", name, source=f"{name}.asd")


def clay(text: str, **more: Any) -> Samples:
    assays = parse_assay_tables((f"sample,clay_pct\n{text}".encode(), "assays.csv")).assays("clay")
    return join([soil(name) for name in "AB"], assays, None, **more)


def model_of(**given: Any) -> ErrorModel:
    known = dict.fromkeys(ErrorModel.__annotations__) | {"content": (0.0, 60.0), "remark": ""}
    return SimpleNamespace(**(known | given))  # type: ignore[return-value]


def refusal(work: Any) -> str:
    with pytest.raises((StibiumError, ValueError)) as caught:
        work()
    return str(caught.value)


def everything_said(bundle: Bundle) -> list[str]:
    same = clay("A,5\nB,5\n")
    two = np.array([1.0, 2.0, 300.0])
    converted = parse_assay_tables((b"sample,clay_pct\nA,5\n", "a.csv"), (b"sample,clay_g_kg\nB,50\n", "b.csv"))
    return [
        refusal(same.check_target),
        refusal(lambda: clay("A,0\nB,5\n").check_target(transform="log10")),
        refusal(lambda: same.require_of(replace(bundle, element="clay", unit="ppm"))),
        refusal(lambda: replace(same, unit="ppm").require_of(replace(bundle, element="clay", unit="pct"))),
        clay("A,5\nB,50\n", exclude=30.0).limit,
        *converted.notes,
        levels_in_words(model_of(critical=1.0, limit=2.0, quantification=5.0), "pct"),
        tells_no_grade(model_of(critical=1.0), "pct"),
        worse_in_the_unit({"validation": measure(two[::-1], two), "validation (log10)": measure(two, two)}, "pct"),
        _advice(20, 3.0, False, "pct", 1e-4, None)[1],
        CU.title,
        shown(CU, 2.5),
        shown(CU, 0.02, -1),
        refusal(lambda: field_reader(CU, ())("250")),
    ]


def test_what_is_said_has_units_as_people_write_them(shipped_bundle: Bundle) -> None:
    for line in everything_said(shipped_bundle):
        assert "%" in line, line
        assert "pct" not in line.replace("clay_pct", ""), line


def test_no_message_is_made_with_the_name_of_a_unit() -> None:
    """A text that puts a unit behind a figure or a word asks `units.shown_unit` for it; `limits` has none of content, a `Look` shown ones."""
    import stibium.edge
    import stibium.train

    found = []
    for folder in (stibium.edge.__path__[0], stibium.train.__path__[0]):
        for path in Path(folder).rglob("*.py"):
            for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
                if re.search(r"[ (]\{(?!look)[a-z_.\[\]0-9]*\.unit\}", line) and path.name not in (
                    "limits.py",
                    "figures.py",
                ):
                    found.append(f"{path.name}:{number}: {line.strip()}")
    assert not found, found
