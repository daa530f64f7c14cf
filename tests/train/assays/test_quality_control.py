"""Quality control: the published tables, and each rule by itself on small tables. All certified values are made up."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from stibium.train.assays.certified import parse_certificates
from stibium.train.assays.findings import QualityControl, QualityLimits, worst
from stibium.train.assays.published import read_published_table
from stibium.train.assays.quality import check_quality
from stibium.train.assays.table import parse_assay_tables
from stibium.train.assays.values import Assay


def check(text: str, certified: str = "", limits: QualityLimits | None = None) -> QualityControl:
    certificates = parse_certificates(certified.encode(), "c") if certified else None
    return check_quality(parse_assay_tables((text.encode(), "t.csv")), certificates, limits)


def only(findings: Sequence[Any]) -> Any:
    (finding,) = findings
    return finding


@pytest.fixture(scope="module")
def published() -> QualityControl:
    return check_quality(read_published_table())


def test_published_pulps_are_compared_with_their_repeats(published: QualityControl) -> None:
    found = {(p.item, p.element): p for p in published.pairs}
    assert len(found) == 10
    assert {p.stage for p in published.pairs} == {"pulp"}
    antimony = found["RS090", "Sb"]
    assert (antimony.first, antimony.second) == (Assay(101.96), Assay(96.97))
    assert antimony.rpd_pct == pytest.approx(100 * 4.99 / 99.465)
    assert antimony.hard_pct == pytest.approx(antimony.rpd_pct / 2)
    assert found["RS037", "As"].rpd_pct == pytest.approx(100 * 4.8 / 1428.8)
    precision = {p.element: p for p in published.precision}
    rpd = np.array([found["RS090", "Sb"].rpd_pct, found["RS037", "Sb"].rpd_pct])
    assert precision["Sb"].cv_pct == pytest.approx(np.sqrt(np.mean(rpd**2 / 2)))
    assert {element: round(p.cv_pct or 0, 1) for element, p in precision.items()} == {
        "Sb": 2.7,
        "As": 0.2,
        "Pb": 1.2,
        "Mn": 2.2,
        "Zn": 1.0,
    }
    assert all(p.verdict == "pass" and (p.n_pairs, p.n_used) == (2, 2) for p in published.precision)


def test_published_originals_listed_again_are_no_second_analysis(published: QualityControl) -> None:
    assert any("listed again, not a second one: RS090, RS037" in note for note in published.notes)
    assert all(p.rpd_pct for p in published.pairs)


def test_published_reference_materials_tell_of_repeatability_only(published: QualityControl) -> None:
    assert len(published.recoveries) == 10
    for r in published.recoveries:
        assert (r.n, r.certified, r.recovery_pct, r.worst_sd) == (2, None, None, None)
        assert "no certified value: repeatability only" in r.note
    antimony = only([r for r in published.recoveries if (r.material, r.element) == ("OREAS 45h", "Sb")])
    assert antimony.mean == pytest.approx(0.98)
    assert antimony.rsd_pct == pytest.approx(100 * np.std([1.12, 0.84], ddof=1) / 0.98)
    assert antimony.within_samples is False
    assert antimony.verdict == "warn"
    assert any("nothing is said of accuracy" in note for note in published.notes)
    assert any(note.startswith("Sb: no reference material lies within") for note in published.notes)


def test_published_blank_is_clean(published: QualityControl) -> None:
    assert {b.element: b.times_limit for b in published.blanks} == {
        "Sb": None,
        "As": pytest.approx(1.5),
        "Pb": pytest.approx(2),
        "Mn": None,
        "Zn": pytest.approx(1.5),
    }
    assert {b.verdict for b in published.blanks} == {"pass"}


def test_published_samples_beyond_the_method_and_amount_of_control(published: QualityControl) -> None:
    antimony = published.detection[0]
    assert (antimony.n, antimony.n_below, antimony.n_above, antimony.detection_limit) == (107, 0, 7, 0.02)
    assert antimony.verdict == "warn"
    assert {d.verdict for d in published.detection[1:]} == {"pass"}
    rates = {r.item: (r.n, r.verdict) for r in published.rates}
    assert rates == {
        "pulp duplicates": (2, "warn"),
        "field duplicates": (0, "warn"),
        "reference materials": (4, "pass"),
        "blanks": (1, "pass"),
    }
    assert published.verdict == "warn"


def test_records_are_json_and_whole(published: QualityControl) -> None:
    records = json.loads(json.dumps(published.to_records(), allow_nan=False))
    sections = [record["section"] for record in records]
    assert [sections.count(s) for s in ("pair", "precision", "reference material", "blank", "detection")] == [
        10,
        5,
        10,
        5,
        5,
    ]
    assert sections.count("insertion rate") == 4
    assert sections.count("note") == len(published.notes)
    assert records[0]["first"] == "101.96"
    assert only([r for r in records if r["section"] == "blank" and r["element"] == "Sb"])["value"] == "<0.02"


def test_one_elements_findings_can_be_had_alone(published: QualityControl) -> None:
    antimony = published.select(["Sb"])
    assert {f.element for f in (*antimony.pairs, *antimony.precision, *antimony.recoveries)} == {"Sb"}
    assert antimony.rates == published.rates
    assert antimony.pairs == tuple(p for p in published.pairs if p.element == "Sb")


def test_replicates_are_field_duplicates_of_their_sample() -> None:
    found = check("kind,name,Sb_ppm\nsample,S1,100\nreplicate,S1,120\nsample,S2,50\nreplicate,S2-D,50\n")
    assert [(p.stage, p.item, p.first.value, p.second.value) for p in found.pairs] == [
        ("field", "S1", 100, 120),
        ("field", "S2", 50, 50),
    ]
    precision = only(found.precision)
    assert precision.cv_pct == pytest.approx(np.sqrt((200 / 11) ** 2 / 4))
    assert precision.verdict == "pass"
    # The same scatter in pulps is worse.
    assert only(check("sample,Sb_ppm\nS1,100\nREP S1,120\nS2,50\nS2 REP,50\n").precision).verdict == "pass"
    assert only(check("sample,Sb_ppm\nS1,100\nREP S1,120\n").precision).verdict == "warn"
    assert only(check("sample,Sb_ppm\nS1,100\nREP S1,140\n").precision).verdict == "fail"
    assert only(check("sample,Sb_ppm\nS1,100\nS1-D,140\n").precision).verdict == "warn"


def test_a_pulp_without_its_sample_is_compared_with_its_replicate() -> None:
    found = check("kind,name,Sb_ppm,As_ppm\npulp,S1,100,5\nreplicate,S1,110,6\n")
    assert [(p.stage, p.element, p.second.value) for p in found.pairs] == [("pulp", "Sb", 110), ("pulp", "As", 6)]
    assert {r.verdict for r in found.rates} == {"not judged"}


def test_an_equal_pulp_is_a_second_analysis_if_it_is_the_only_one_and_of_one_element() -> None:
    alone = check("kind,name,Mn_ppm\nsample,S1,48\npulp,S1,48\n")
    assert only(alone.pairs).rpd_pct == 0
    again = check("kind,name,Mn_ppm\nsample,S1,48\npulp,S1,48\nreplicate,S1,50\n")
    assert only(again.pairs).second == Assay(50.0)
    both = check("kind,name,Mn_ppm,Zn_ppm\nsample,S1,48,25\npulp,S1,48,25\n")
    assert both.pairs == ()
    assert any("nothing to compare them with: S1" in note for note in both.notes)
    different = check("kind,name,Mn_ppm,Zn_ppm\nsample,S1,48,25\npulp,S1,48,26\n")
    assert len(different.pairs) == 2


def test_a_sample_named_twice_is_a_pulp_analysed_again_and_said_to_be() -> None:
    found = check("sample,Sb_ppm\nS1,10\nS1,11\nS1,12\n")
    assert [(p.first.value, p.second.value) for p in found.pairs] == [(10, 11), (10, 12)]
    assert any(note.startswith("named twice") and "S1" in note for note in found.notes)


def test_pairs_near_the_detection_limit_are_shown_and_not_judged() -> None:
    text = "kind,name,Sb_ppm\nmdl,MDL,1\nsample,S1,3\npulp,S1,9\nsample,S2,100\npulp,S2,104\n"
    found = check(text)
    assert [p.used for p in found.pairs] == [False, True]
    assert found.pairs[0].note == "mean below 10 times the detection limit"
    precision = only(found.precision)
    assert (precision.n_pairs, precision.n_used, precision.verdict) == (2, 1, "pass")
    judged = check(text, limits=QualityLimits(quantification=1))
    assert only(judged.precision).verdict == "fail"
    none = check("kind,name,Sb_ppm\nmdl,MDL,1\nsample,S1,3\npulp,S1,9\n")
    assert (only(none.precision).verdict, only(none.precision).cv_pct) == ("not judged", None)


def test_bounds_make_no_pair_but_may_contradict() -> None:
    found = check("sample,Sb_ppm\nS1,<1\nREP S1,<1\nS2,>4000\nREP S2,300\nS3,100\nREP S3,101\n")
    assert [(p.rpd_pct is None, p.note) for p in found.pairs] == [
        (True, "only a bound is known"),
        (True, "the bound contradicts the other value"),
        (False, ""),
    ]
    precision = only(found.precision)
    assert (precision.n_pairs, precision.n_used, precision.verdict) == (3, 1, "warn")
    alone = only(check("sample,Sb_ppm\nS2,>4000\nREP S2,300\n").precision)
    assert (alone.verdict, alone.note) == ("warn", "the bound contradicts the other value")
    agreeing = check("sample,Sb_ppm\nS2,>4000\nREP S2,4300\nS4,>4000\nREP S4,<5000\nS5,<1\nREP S5,0.4\n")
    assert {p.note for p in agreeing.pairs} == {"only a bound is known"}


def test_few_pairs_that_pass_say_how_little_that_is() -> None:
    found = only(check("sample,Sb_ppm\nS1,100\nREP S1,105\n").precision)
    assert found.verdict == "pass"
    assert "1 pair is few: CV may be 55 %" in found.note


def test_too_many_pairs_beyond_hard_warn_even_if_the_mean_square_passes() -> None:
    rows = "".join(f"S{i},100\nREP S{i},{125 if i < 4 else 100}\n" for i in range(20))
    found = only(check(f"sample,Sb_ppm\n{rows}").precision)
    assert found.cv_pct < 10
    assert found.hard_share == pytest.approx(0.8)
    assert found.verdict == "warn"
    assert "80% within HARD 10 %, 90% wanted" in found.note


MATERIAL = "kind,name,Sb_ppm\nsample,S1,1\nsample,S2,1000\n"
WITH_SD = '["MADE-UP 1"]\nmethod = "aqua regia"\nSb_ppm = { value = 100, sd = 4 }\n'
WITHOUT_SD = "['made up 1']\nSb_ppb = 100000\n"


@pytest.mark.parametrize(
    ("measured", "verdict", "note"),
    [
        ((101, 97, 104), "pass", ""),
        ((101, 109, 104), "warn", "1 of 3 beyond 2 SD"),
        ((109, 101, 91), "warn", "2 of 3 beyond 2 SD"),
        ((91, 109, 100), "warn", "2 of 3 beyond 2 SD"),
        ((101, 109, 110), "fail", "two in a row beyond 2 SD on one side"),
        ((101, 87, 100), "fail", "1 of 3 beyond 3 SD"),
    ],
)
def test_certified_values_are_judged_like_a_control_chart(measured: tuple[float, ...], verdict: str, note: str) -> None:
    found = check(MATERIAL + "".join(f"crm,Made-up 1,{value}\n" for value in measured), WITH_SD)
    r = only(found.recoveries)
    assert r.recovery_pct == pytest.approx(np.mean(measured))
    assert abs(r.worst_sd) == pytest.approx(np.abs(np.array(measured) - 100).max() / 4)
    assert (r.verdict, r.certified, r.certified_sd) == (verdict, 100, 4)
    assert r.note == "; ".join(filter(None, [note, "aqua regia"]))
    assert not any("no certified values" in note for note in found.notes)


@pytest.mark.parametrize(("mean", "verdict"), [(104, "pass"), (92, "warn"), (111, "fail")])
def test_without_a_certified_deviation_bias_judges(mean: float, verdict: str) -> None:
    r = only(check(f"{MATERIAL}crm,MADE-UP 1,{mean - 30}\ncrm,MADE-UP 1,{mean + 30}\n", WITHOUT_SD).recoveries)
    assert r.certified == pytest.approx(100)
    assert r.recovery_pct == pytest.approx(mean)
    assert r.verdict == verdict


def test_materials_near_the_detection_limit_or_with_bounds_are_not_judged() -> None:
    near = check(f"{MATERIAL}mdl,MDL,20\ncrm,MADE-UP 1,300\n", WITH_SD)
    assert (only(near.recoveries).verdict, only(near.recoveries).recovery_pct) == ("not judged", pytest.approx(300))
    bound = only(check(f"{MATERIAL}crm,MADE-UP 1,>90\n", WITH_SD).recoveries)
    assert (bound.verdict, bound.n, bound.n_bounds, bound.mean, bound.recovery_pct) == ("not judged", 0, 1, None, None)
    single = only(check(f"{MATERIAL}crm,OTHER,90\n".replace("OTHER", "STD 9")).recoveries)
    assert (single.verdict, single.rsd_pct) == ("not judged", None)


def test_a_certified_value_off_the_samples_grades_still_fails() -> None:
    text = "kind,name,Sb_ppm\nsample,S1,500\nsample,S2,1000\ncrm,MADE-UP 1,140\ncrm,MADE-UP 1,150\n"
    r = only(check(text, WITH_SD).recoveries)
    assert (r.verdict, r.within_samples) == ("fail", False)
    # Without the certificate it only scatters, at a grade that no sample has.
    scattering = only(check(text.replace("150", "240")).recoveries)
    assert (scattering.verdict, scattering.rsd_pct > 15) == ("warn", True)


def test_certified_values_of_absent_materials_are_named() -> None:
    found = check(f"{MATERIAL}crm,STD 9,100\n", WITH_SD)
    assert any("MADE-UP 1: the table has no such material" in note for note in found.notes)
    assert only(found.recoveries).certified is None


@pytest.mark.parametrize(
    ("blank", "verdict"),
    [
        ("<1", "pass"),
        ("2.9", "pass"),
        ("4", "warn"),
        ("6", "fail"),
        (">2", "fail"),
        ("<3", "pass"),
        ("<8", "not judged"),
    ],
)
def test_blanks_against_the_detection_limit(blank: str, verdict: str) -> None:
    found = only(check(f"sample,Sb_ppm\nMDL,1\nBLK,{blank}\nS1,50\n").blanks)
    assert found.verdict == verdict


def test_without_detection_limits_blanks_are_not_judged() -> None:
    assert only(check("sample,Sb_ppm\nBLK,3\nS1,50\n").blanks).verdict == "not judged"
    # The laboratory's own bounds tell the limit where no row does.
    told = check("sample,Sb_ppm\nBLK,3\nS1,50\nS2,<0.5\n")
    assert (only(told.blanks).verdict, only(told.blanks).times_limit) == ("fail", pytest.approx(6))


@pytest.mark.parametrize(("n_below", "verdict"), [(0, "pass"), (3, "pass"), (4, "warn"), (10, "warn"), (11, "fail")])
def test_share_of_bounds(n_below: int, verdict: str) -> None:
    rows = "".join(f"S{i},{'<1' if i < n_below else 20 + i}\n" for i in range(20))
    found = only(check(f"sample,Sb_ppm\n{rows}S20,\n").detection)
    assert (found.n, found.n_missing, found.n_below, found.verdict) == (20, 1, n_below, verdict)


def test_plain_values_below_the_detection_limit_are_pointed_out() -> None:
    found = only(check("sample,Sb_ppm\nMDL,5\nS1,2\nS2,40\nS3,80\n").detection)
    assert (found.n_unquantified, found.verdict, found.note) == (2, "warn", "1 reported below the detection limit")


def test_every_limit_counts() -> None:
    loose = QualityLimits(pulp_rate=0, field_rate=0, crm_rate=0, censored_warn_share=1, pulp_cv_pass_pct=100)
    text = "sample,Sb_ppm\nS1,100\nREP S1,140\nBLK,<1\n"
    assert only(check(text).precision).verdict == "fail"
    assert only(check(text, limits=loose).precision).verdict == "pass"
    assert {r.verdict for r in check(text, limits=loose).rates} == {"pass"}
    strict = replace(loose, pulp_cv_pass_pct=1, pulp_cv_fail_pct=2)
    assert only(check(text, limits=strict).precision).verdict == "fail"


def test_worst_of_nothing_is_not_judged() -> None:
    assert worst([]) == "not judged"
    assert worst(["pass", "not judged"]) == "pass"
    assert worst(["warn", "fail", "pass"]) == "fail"


FIELD = st.one_of(
    st.just(""),
    st.floats(0, 1e4).map(repr),
    st.floats(1e-3, 1e4).map("<{}".format),
    st.floats(0, 1e4).map(">{}".format),
)
KIND = st.sampled_from(["sample", "blank", "crm", "pulp", "replicate", "mdl", ""])
ROWS = st.lists(st.tuples(KIND, st.sampled_from(["A", "B", "A-D", "REP B", "STD 1"]), FIELD, FIELD), min_size=1)


@given(ROWS)
@example([("mdl", "A", "2.2e-309", ""), ("blank", "B", "1.0", "")])
def test_any_table_is_judged_and_every_record_is_json(rows: list[tuple[str, str, str, str]]) -> None:
    text = "kind,name,Sb_ppm,As_ppm\n" + "".join(",".join(row) + "\n" for row in rows)
    found = check(text, '["STD 1"]\nSb_ppm = { value = 10, sd = 1 }\n')
    json.dumps(found.to_records(), allow_nan=False)
    for pair in found.pairs:
        assert pair.rpd_pct is None or 0 <= pair.rpd_pct <= 200.0000001
        assert not pair.used or (not pair.first.censored and not pair.second.censored)
    assert found.verdict in ("pass", "warn", "fail", "not judged")
    for line in found.notes:
        assert "\n" not in line
