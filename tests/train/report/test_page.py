"""The page: self-contained, whole, safe, and without what it was not given."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from report_parts import PARTS, a_score, a_validation
from stibium.train.crossval.validation import ClassError, Spread, Validation
from stibium.train.errors import ReportError
from stibium.train.formats import FormatResult, QuantisationFormats
from stibium.train.report.contents import PredictedSet, ReportContents
from stibium.train.report.page import Table, environment
from stibium.train.report.write import render_report, write_report

VOID = {"meta", "link", "br", "img", "hr", "input"}


class Page(HTMLParser):
    """Elements of a page; fails where one is closed that is not open."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1:] == [tag], f"{tag} closed within {self.open[-3:]}"
        self.open.pop()

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def sections(text: str) -> set[str | None]:
    return {attributes.get("id") for attributes in Page(text).named("section")}


def test_the_page_loads_nothing_from_anywhere(full: ReportContents) -> None:
    text = render_report(full)
    page = Page(text)
    assert page.open == []
    assert not re.search(r"(?i)https?:|//[a-z]|@import|javascript:", text)
    assert not page.named("script")
    for tag, attributes in page.elements:
        for name in ("src", "href", "xlink:href", "srcset", "data", "action"):
            target = attributes.get(name)
            assert target is None or target.startswith(("#", "data:")), f"{tag} {name} {target}"
    assert not re.search(r"url\((?!data:)", text)
    policy = next(a["content"] for a in page.named("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in str(policy)


def test_links_within_the_page_lead_somewhere(full: ReportContents) -> None:
    page = Page(render_report(full))
    targets = {a["id"] for _, a in page.elements if "id" in a}
    links = [str(a["href"])[1:] for a in page.named("a")]
    assert len(links) == len(set().union(*PARTS.values()))
    assert set(links) <= targets


def test_every_part_has_a_name_here(full: ReportContents) -> None:
    optional = {f.name for f in fields(ReportContents) if f.default is None}
    assert optional == set(PARTS) | {"printed", "ours"}
    assert all(getattr(full, name) is not None for name in optional)


def test_all_parts_appear(full: ReportContents) -> None:
    assert sections(render_report(full)) == set().union(*PARTS.values())


@pytest.mark.parametrize("part", PARTS)
def test_a_part_that_is_none_is_left_out_and_nothing_else(full: ReportContents, part: str) -> None:
    text = render_report(replace(full, **{part: None}))
    others = set().union(*(made for name, made in PARTS.items() if name != part))
    assert sections(text) == others


@pytest.mark.parametrize("part", PARTS)
def test_a_part_can_stand_alone(full: ReportContents, part: str) -> None:
    alone = replace(full, printed=None, **{other: None for other in PARTS if other != part})
    assert sections(render_report(alone)) == PARTS[part]


def test_nothing_at_all_is_still_a_page(full: ReportContents) -> None:
    empty = replace(full, printed=None, **dict.fromkeys(PARTS))
    assert sections(render_report(empty)) == set()
    assert "A report" in render_report(empty)


def test_simulated_is_said_throughout(full: ReportContents) -> None:
    measured, simulated = render_report(full), render_report(replace(full, simulated=True))
    assert "SIMULATED" not in measured
    assert "<title>SIMULATED: A report</title>" in simulated
    assert 'class="simulated"' in simulated
    drawings = Page(simulated).named("svg")
    said = [a for a in drawings if str(a["aria-label"]).startswith("SIMULATED")]
    # The paper's correlations are of real soils, in a report on simulated ones too.
    assert len(said) == len(drawings) - 1


def test_every_figure_says_in_words_what_it_shows(full: ReportContents) -> None:
    drawings = Page(render_report(full)).named("svg")
    assert len(drawings) == 16
    for drawing in drawings:
        assert drawing["role"] == "img"
        assert len(str(drawing["aria-label"])) > 30
        assert re.search(r"\d", str(drawing["aria-label"]))


def test_hostile_names_stay_text(full: ReportContents) -> None:
    bad = '"><script>alert(1)</script><svg onload=x>&'
    sets = tuple(replace(s, name=bad, samples=(bad,) * len(s.samples)) for s in full.predictions.sets)
    assert full.predictions is not None
    assert full.spectra is not None
    assert full.domain is not None
    assert full.baselines is not None
    contents = replace(
        full,
        title=bad,
        element=bad,
        unit=bad,
        facts=((bad, bad),),
        notes=(bad,),
        predictions=replace(full.predictions, sets=sets),
        spectra=replace(full.spectra, samples=(bad,) * 3),
        domain=replace(full.domain, method=bad, sets=tuple(replace(s, name=bad) for s in full.domain.sets)),
        baselines=a_validation(bad, *(replace(s, method=bad, chosen=((bad,),)) for s in full.baselines.scores)),
        correlations=tuple(replace(c, elements=(bad, "As", "Mn")) for c in full.correlations or ()),
    )
    page = Page(render_report(contents))
    assert page.open == []
    assert not page.named("script")
    assert not any("onload" in attributes for _, attributes in page.elements)


def test_a_report_is_written_whole_or_not_at_all(full: ReportContents, tmp_path: Path) -> None:
    path = tmp_path / "r.html"
    write_report(path, full)
    assert path.read_text(encoding="utf-8") == render_report(full)
    assert [p.name for p in tmp_path.iterdir()] == ["r.html"]
    with pytest.raises(ReportError, match="the report cannot be written"):
        write_report(tmp_path / "absent" / "r.html", full)


def test_a_table_leaves_out_columns_without_any_entry() -> None:
    macros = environment().get_template("macros.html").module
    text = macros.table(Table(("a", "b", "c"), [("1", "", "3"), ("4", "", "pass")]))  # type: ignore[attr-defined]
    assert '<th scope="col">b</th>' not in text
    assert 'class="verdict pass"' in text


def test_the_error_table_counts_what_lies_in_the_interval(full: ReportContents) -> None:
    assert full.predictions is not None
    s = full.predictions.sets[1]
    assert s.low is not None
    assert s.high is not None
    share = 100 * ((s.low <= s.measured) & (s.measured <= s.high)).mean()
    assert f"{share:.0f} % of the measured values lie in theirs, 90 % stated" in render_report(full)
    assert "1 ringed spectrum lies outside the calibration" in render_report(full)


def test_tables_of_errors_side_by_side_have_the_same_classes(full: ReportContents) -> None:
    """Two sets of samples whose own quarters differ, and one that has none in the highest class."""
    assert full.predictions is not None
    low, wide = (np.linspace(1.0, top, n) for top, n in ((40.0, 12), (900.0, 20)))
    sets = tuple(
        PredictedSet(name, tuple(map(str, y)), y, y * 1.1) for name, y in (("training", wide), ("validation", low))
    )
    text = render_report(alone(full, predictions=replace(full.predictions, sets=sets)))
    tables = re.findall("<table><caption>Sb .ppm.: error by grade.*?</table>", text)
    rows = [re.findall(r'<th scope="row">(.*?)</th><td>(\d+)</td>', table) for table in tables]
    assert [label for label, _ in rows[0]] == [label for label, _ in rows[1]]
    assert len(rows[0]) == 4
    assert [sum(int(n) for _, n in table) for table in rows] == [20, 12]
    assert rows[1][3][1] == "0"


def alone(full: ReportContents, **parts: object) -> ReportContents:
    return replace(full, printed=None, **(dict.fromkeys(PARTS) | parts))  # type: ignore[arg-type]


def a_comparison(*sd: float) -> Validation:
    """Two methods, their figures 0, or as far apart over two repeats as is said."""

    def over(mean: float) -> tuple[float, ...]:
        return tuple(mean + s for s in (sd or (0,)))

    def of_class(rmse: float, bias: float | None) -> tuple[ClassError, ...]:
        return (ClassError(None, 20.0, 31, Spread.of(over(rmse)), Spread.of(over(bias) if bias else (None,))),)

    return a_validation(
        "2 folds",
        a_score("default", "9 views " * 40, of_class(4.0, 1.5), r2=over(0.8), rmse=over(5.0)),
        a_score("PLSR", "9 components", of_class(5.5, None), r2=over(0.7), rmse=over(6.0)),
    )


def test_what_was_chosen_stands_below_the_comparison_and_not_in_it(full: ReportContents) -> None:
    only = alone(full, element="clay", unit="pct", kind="validation", ours="default", baselines=a_comparison(-0.1, 0.1))
    text = render_report(only)
    tables = re.findall("<table>.*?</table>", text)
    assert len(tables) == 2
    assert "9 views" in text
    assert not any("9 views" in one for one in tables), "a long note would make a row as high as the screen"
    assert '<th scope="col">RMSE (%)</th>' in tables[0]
    assert "<caption>Mean ± SD over repeats</caption>" in tables[0]
    assert re.search(
        r"below 20</th><td>31</td><td class=.text.>default</td><td>4 ± 0.14</td><td>1.5 ± 0.14</td>", tables[1]
    )
    assert re.search(r"<td class=.text.>PLSR</td><td>5.5 ± 0.14</td><td>–</td>", tables[1])
    assert "The diamond is the best by errors in the unit and of log10." in text
    once = render_report(replace(only, kind="training", baselines=a_comparison()))
    assert "Further right is better. The diamond is the model of this report." in once
    assert "<caption>One repeat</caption>" in once


def test_what_hardly_adds_an_error_is_not_given_to_ten_places(full: ReportContents) -> None:
    results = (
        FormatResult("int8", 70_000, 0.123, 0.324, 0.2, 0.1),
        FormatResult("float16", 100_000, 7.18e-6, -5e-11, 0.0, 0.0),
    )
    text = render_report(alone(full, ladder=QuantisationFormats(results, 494.4, 40.0, 20.0, 60.0, "ppm")))
    assert "e−" not in text
    assert text.count("&lt; 0.01 %") >= 3, "two cells, a label and the figure's words"
    assert "12.3 %" in text


def test_axes_of_square_roots_say_so(full: ReportContents) -> None:
    lead = "Axes are spaced by square roots"
    assert lead in render_report(replace(full, transform="sqrt"))
    assert lead not in render_report(replace(full, transform="none"))
