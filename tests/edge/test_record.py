"""One record of a reading, whoever gives it: what may be used and what may not, in typed keys."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from record_check import SCHEMA, conforms
from stibium.converters.spectra.spectrum import Spectrum
from stibium.edge.engine import Engine, Measured
from stibium.edge.log.columns import ReadingFacts, StoredModel
from stibium.edge.log.records import record_of
from stibium.edge.log.write import Log, Result
from stibium.edge.model.bundle import Bundle
from stibium.edge.model.estimate import Estimate, Estimator, Refusal
from stibium.edge.record import FLAT_NAMES, ReadingRecord, as_json, as_rows, in_figures


@pytest.fixture
def plain(shipped_bundle: Bundle, soils: list[Spectrum]) -> Estimate:
    (estimate,) = Estimator(shipped_bundle).estimate(soils[:1])
    assert isinstance(estimate, Estimate)
    changes = {"value": 128.4, "bound": "", "verdict": "inside", "reason": "", "low": 20.0, "high": 700.0}
    return estimate._replace(**changes, simulated=False, flags=(), scatter_over_limit=None)  # type: ignore[arg-type]


def model_of(bundle: Bundle) -> StoredModel:
    return StoredModel(bundle.sha256, bundle.name, *bundle.calibrated_range)


def put_down(estimate: Estimate, bundle: Bundle, spectrum: Spectrum) -> dict[str, object]:
    record = as_json(record_of(Result(spectrum, estimate, stored_at="2026-05-06T09:30:00.000+00:00"), model_of(bundle)))
    conforms(json.loads(json.dumps(record)))
    return record["estimates"][0]  # type: ignore[no-any-return]


def test_a_number_that_may_not_be_trusted_is_not_in_value(
    shipped_bundle: Bundle, soils: list[Spectrum], plain: Estimate
) -> None:
    lowest, highest = shipped_bundle.calibrated_range
    cases = {
        "plain": plain,
        "above": plain._replace(value=highest, bound=">", low=900.0, high=highest),
        "not detected": plain._replace(value=12.5, bound="< LOD", low=lowest, high=50.0),
        "outside": plain._replace(verdict="outside", reason="T2 3 times its limit"),
        "scattered": plain._replace(scatter_over_limit=1.4),
        "simulated": plain._replace(simulated=True, flags=("simulated model",)),
    }
    names = ("shown", "value", "untrusted_value", "below_critical_value", "low", "high", "untrusted_low")
    found = {}
    for name, case in cases.items():
        record = put_down(case, shipped_bundle, soils[0])
        found[name] = tuple(record[key] for key in (*names, "untrusted_high", "trusted"))
    assert found == {
        "plain": ("128", 128.4, None, None, 20.0, 700.0, None, None, True),
        "above": (f"> {in_figures(highest)}", None, float(f"{highest:.6g}"), None, 900.0, None, None, highest, False),
        "not detected": ("< LOD", None, None, 12.5, None, 50.0, lowest, None, False),
        "outside": ("(128)", None, 128.4, None, None, None, 20.0, 700.0, False),
        "scattered": ("(128)", None, 128.4, None, 20.0, 700.0, None, None, False),
        "simulated": ("128", None, 128.4, None, None, None, 20.0, 700.0, False),
    }


def test_the_schema_names_every_key_and_no_other() -> None:
    assert list(SCHEMA["properties"]) == [
        "schema",
        *ReadingRecord._fields,
        "before",
        "stored",
    ]
    for part in (SCHEMA, *SCHEMA["$defs"].values()):
        if "properties" in part:
            assert set(part["required"]) == set(part["properties"]) - {"before", "stored"}


def test_the_document_names_every_key() -> None:
    text = (Path(__file__).parents[2] / "docs" / "records.md").read_text("utf-8")
    for part in (SCHEMA, *SCHEMA["$defs"].values()):
        for key in part.get("properties", {}):
            assert f"`{key}`" in text, key
    assert f"`{SCHEMA['$id']}`" in text


def test_rows_put_reading_and_estimate_together(shipped_bundle: Bundle, soils: list[Spectrum], plain: Estimate) -> None:
    result = Result(soils[0], plain._replace(flags=("2 of 5 points outside", "simulated spectrum")), reading_id=7)
    record = record_of(result, model_of(shipped_bundle))
    (row,) = as_rows(record._replace(flags=("this device's clock jumped", "simulated spectrum")))
    assert list(row) == list(FLAT_NAMES)
    assert row["flags"] == "2 of 5 points outside; simulated spectrum; this device's clock jumped"
    assert (row["reading"], row["shown"], row["simulated"]) == (7, "128", True)
    two = record._replace(estimates=(record.estimates[0], record.estimates[0]._replace(element="As")))
    assert [r["element"] for r in as_rows(two)] == ["Sb", "As"]
    refused = Result(soils[0], Refusal("a.asd", "too short", "G0"), stored_at="2026-05-06T09:30:00+00:00")
    (row,) = as_rows(record_of(refused, model_of(shipped_bundle)))
    assert (row["status"], row["reason"], row["trusted"]) == ("refused", "too short", False)
    assert (row["estimated_at"], row["model"]) == ("2026-05-06T09:30:00+00:00", shipped_bundle.name)
    assert all(row[name] is None for name in ("element", "value", "untrusted_value", "low"))


def test_what_is_taken_is_a_record_by_the_schema(tmp_path: Path, shipped_bundle: Bundle, soils: list[Spectrum]) -> None:
    facts = ReadingFacts(notes="stony", position_source="typed", settings={"white_age_min": 3})
    with Log(tmp_path / "log.db", shipped_bundle.name, shipped_bundle.sha256) as log:
        engine = Engine(Estimator(shipped_bundle), log)
        refusal = Refusal("broken.asd", "is empty")
        taken = engine.take([Measured(soils[0], about=facts), refusal, *soils[1:3]])
    records = [as_json(record_of(result, model_of(shipped_bundle))) for result in taken]
    for record in records:
        conforms(json.loads(json.dumps(record)))
    assert [record["reading"] for record in records] == [1, None, 2, 3]
    assert (records[0]["notes"], records[0]["flags"]) == ("stony", ("simulated spectrum",))
    assert (records[1]["status"], records[1]["source"]) == ("refused", "broken.asd")
    assert records[1]["refusals"][0]["model"] == ""


def test_a_field_of_a_file_is_no_finding(shipped_bundle: Bundle, soils: list[Spectrum]) -> None:
    for said in ("none", 3, ["odd"], [["a", "remark"]]):
        (result,) = Engine(Estimator(shipped_bundle), None).answer([replace(soils[0], extra={"findings": said})])
        assert record_of(result, model_of(shipped_bundle)).flags == ("simulated spectrum",)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.01234, "0.0123"),
        (0.5, "0.500"),
        (6.34, "6.34"),
        (12.345, "12.3"),
        (100, "100"),
        (1234.5, "1230"),
    ],
)
def test_three_figures(value: float, text: str) -> None:
    assert in_figures(value) == text


@given(st.floats(1e-3, 1e7))
def test_figures_are_close_and_plain(value: float) -> None:
    text = in_figures(value)
    assert "e" not in text
    assert float(text) == pytest.approx(value, rel=0.006, abs=5.1e-5)
