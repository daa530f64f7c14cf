"""The paper's printed figures against its appendix: which come out, which do not, and that the test can tell."""

from __future__ import annotations

import json

import numpy as np
import pytest
from stibium.train.assays.paper_tables import PaperComparison, PrintedFigure, compare_with_paper, printed_figures
from stibium.train.assays.published import ELEMENTS, read_table_a1
from stibium.train.simulate.geochemistry import fit_geochemistry


@pytest.fixture(scope="module")
def paper() -> PaperComparison:
    return compare_with_paper(fit_geochemistry(read_table_a1()).correlations)


def test_all_printed_figures_are_there() -> None:
    figures = printed_figures()
    assert [figure.table for figure in figures] == [1] * 10 + [2] * 35
    assert {figure.element for figure in figures} == set(ELEMENTS)
    printed = {(f.statistic, f.element, f.other): f.printed for f in figures}
    assert printed["pearson", "Sb", "As"] == "0.90"
    assert printed["mean", "Sb", ""] == "132"
    assert [printed[q, "Sb", ""] for q in ("q1", "median", "q3")] == ["26", "59", "155"]


@pytest.mark.parametrize(
    ("printed", "value", "met"),
    [("0.90", 0.8951, True), ("0.90", 0.894, False), ("26", 25.5, True), ("26", 26.51, False), ("6.3", 6.34, True)],
)
def test_a_figure_is_met_to_its_printed_digits(printed: str, value: float, met: bool) -> None:
    assert PrintedFigure(1, "pearson", "Sb", "As", "", printed).is_met_by(value) is met


def test_descriptive_statistics_come_out_and_correlations_do_not(paper: PaperComparison) -> None:
    origins = [(c.figure.table, c.origin) for c in paper.figures]
    assert [origin for table, origin in origins if table == 1] == ["not from the table"] * 10
    assert {origin for table, origin in origins if table == 2} == {"Sb up to 1000 ppm", "one of those left out"}
    sample, met = paper.left_out
    assert sample in {row.sample for row in read_table_a1()}
    assert met == 33


def test_antimony_with_arsenic_in_full(paper: PaperComparison) -> None:
    (c,) = (c for c in paper.figures if (c.figure.element, c.figure.other) == ("Sb", "As"))
    ppm = np.array([row.bound_ppm for row in read_table_a1()])
    low = ppm[ppm[:, 0] <= 1000]
    assert c.all_rows == pytest.approx(np.corrcoef(ppm[:, 0], ppm[:, 1])[0, 1])
    assert c.up_to_1000 == pytest.approx(np.corrcoef(low[:, 0], low[:, 1])[0, 1])
    without = [np.corrcoef(np.delete(low, i, axis=0)[:, :2].T)[0, 1] for i in range(len(low))]
    assert (c.low, c.high) == pytest.approx((min(without), max(without)))
    assert c.high < 0.65
    assert abs(c.nearest - 0.9) > 0.02
    assert any(
        note.startswith("Sb-As: printed 0.90; 0.74 over all 107 rows") and "0.47" in note for note in paper.notes
    )


def test_records_are_json(paper: PaperComparison) -> None:
    records = json.loads(json.dumps(paper.to_records(), allow_nan=False))
    assert len([record for record in records if record["section"] == "paper"]) == 45
    assert records[0]["printed"] == 0.9
    assert records[0]["origin"] == "not from the table"
