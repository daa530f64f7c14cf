"""Figures: the right number of marks in the right places, whatever the numbers are."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from stibium.edge.chart import Axis, axis_over, image, nice_steps, number, sequential, thin
from stibium.train.crossval.validation import quartiles
from stibium.train.report.contents import BandProfile, PredictedSet, ReportContents
from stibium.train.report.figures import (
    Look,
    draw_baselines,
    draw_by_samples,
    draw_correlations,
    draw_domain,
    draw_importance,
    draw_ladder,
    draw_learning,
    draw_predictions,
    draw_residuals,
    draw_spectrogram,
    draw_step,
    grade_classes,
    residuals_of,
)

SB = Look("Sb", "ppm", "log10", False)


def marks(svg: str) -> int:
    """Marks within groups of points."""
    return sum(g.count("<circle") + g.count("<path") for g in re.findall(r'<g class="points".*?</g>', svg))


def test_a_point_for_every_sample_and_a_line_for_every_interval(full: ReportContents) -> None:
    assert full.predictions is not None
    sets = full.predictions.sets
    for i, s in enumerate(sets):
        svg = draw_predictions(s, sets, i, SB)
        assert marks(svg) == len(s.samples)
        whiskers = re.findall(r'class="whiskers" d="([^"]*)"', svg)
        assert len(whiskers) == 1
        assert whiskers[0].count("M") == len(s.samples)
        assert svg.count("<ellipse") == 1
        assert all(f"<title>{name}: measured" in svg for name in s.samples)
        assert marks(draw_residuals(s, sets, i, SB)) == len(s.samples)
    bare = replace(sets[0], low=None, high=None, outside=None)
    svg = draw_predictions(bare, (bare,), 0, SB)
    assert "whiskers" not in svg
    assert "<ellipse" not in svg


def test_a_perfect_prediction_lies_on_the_diagonal() -> None:
    values = np.array([2.0, 20.0, 200.0])
    s = PredictedSet("validation", ("a", "b", "c"), values, values)
    svg = draw_predictions(s, (s,), 0, SB)
    circles = [(float(x), float(y)) for x, y in re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)"', svg)]
    steps = np.diff(np.array(circles), axis=0)
    # Log axes: equal factors, equal distances; up as far as right, in units of each axis.
    assert steps[0] == pytest.approx(steps[1], abs=0.15)
    line = re.search(r'<polyline points="([\d.]+),([\d.]+) ([\d.]+),([\d.]+)"', svg)
    assert line is not None
    x0, y0, x1, y1 = map(float, line.groups())
    for x, y in circles:
        assert (y - y0) / (y1 - y0) == pytest.approx((x - x0) / (x1 - x0), abs=0.002)


def test_no_soil_is_hidden_by_what_is_said_of_the_set() -> None:
    # The farthest off of all stood behind the figures of merit, in the corner.
    s = PredictedSet("cross-validation", ("a", "b", "c"), np.array([0.1, 1.0, 6.0]), np.array([6.0, 1.0, 6.0]))
    look = replace(SB, element="total carbon", unit="%")
    for svg in (draw_predictions(s, (s,), 0, look), draw_residuals(s, (s,), 0, look)):
        points = re.findall(r'<g class="points".*?</g>', svg)[0]
        highest = min(float(y) for y in re.findall(r' cy="([\d.]+)"', points))
        written = [float(y) for y in re.findall(r'y="([\d.]+)"[^>]*paint-order="stroke"', svg)]
        assert written
        assert max(written) < highest


def test_axes_name_an_element_in_words() -> None:
    contents = ReportContents("Total carbon", "training", "total_carbon", "pct", "none", False)
    s = PredictedSet("x", ("a", "b"), np.array([1.0, 2.0]), np.array([1.0, 2.0]))
    assert "measured total carbon (%)" in draw_predictions(s, (s,), 0, Look.at(contents))


def test_residuals_are_factors_on_log_axes_and_differences_else() -> None:
    s = PredictedSet("x", ("a", "b"), np.array([10.0, 100.0]), np.array([20.0, 50.0]))
    assert residuals_of(s, "log10") == pytest.approx([2.0, 0.5])
    assert residuals_of(s, "none") == pytest.approx([10.0, -50.0])
    assert "predicted / measured" in draw_residuals(s, (s,), 0, SB)
    assert "predicted − measured" in draw_residuals(s, (s,), 0, replace(SB, transform="none"))


def test_a_value_that_has_no_logarithm_makes_plain_axes() -> None:
    s = PredictedSet("x", ("a", "b", "c"), np.array([0.0, 1.0, 5.0]), np.array([0.5, 1.0, 4.0]))
    assert SB.spacing(s.measured) == "none"
    assert marks(draw_predictions(s, (s,), 0, SB)) == 3
    assert marks(draw_residuals(s, (s,), 0, SB)) == 3


def test_one_sample_and_equal_values_can_be_drawn() -> None:
    for transform in ("none", "sqrt", "log10"):
        s = PredictedSet("x", ("a",), np.array([3.0]), np.array([3.0]), np.array([3.0]), np.array([3.0]))
        look = replace(SB, transform=transform)
        for svg in (draw_predictions(s, (s,), 0, look), draw_residuals(s, (s,), 0, look)):
            assert "nan" not in svg
            assert marks(svg) == 1


def test_classes_of_grade_divide_all_samples_in_order() -> None:
    measured = np.random.default_rng(0).uniform(0, 100, 41)
    classes = grade_classes(measured)
    assert [len(rows) for _, _, rows in classes] == [10, 10, 10, 11]
    assert sorted(np.concatenate([rows for _, _, rows in classes])) == list(range(41))
    for low, high, rows in classes:
        assert (low, high) == (measured[rows].min(), measured[rows].max())
    for (_, below, _), (above, _, _) in pairwise(classes):
        assert below <= above
    assert len(grade_classes(measured[:7])) == 1


def test_grades_at_a_bound_are_in_the_class_that_a_validation_puts_them_in() -> None:
    measured = np.repeat([5.0, 14.0, 19.0, 36.0, 70.0], [4, 2, 4, 3, 2])
    found = [(low, high, len(rows)) for low, high, rows in grade_classes(measured, measured, measured)]
    assert found == [(5, 5, 4), (14, 14, 2), (19, 19, 4), (36, 70, 5)]
    assert list(quartiles(measured)) == [9.5, 19, 36]


def test_equal_grades_are_in_one_class() -> None:
    measured = np.array([5.0] * 9 + [7.0, 8.0, 9.0])
    rows = [rows for _, _, rows in grade_classes(measured)]
    assert sorted(np.concatenate(rows)) == list(range(12))
    assert any(set(range(9)) <= set(r) for r in rows)


def test_a_line_for_every_spectrum_and_the_bands_of_the_element(full: ReportContents) -> None:
    assert full.spectra is not None
    step = full.spectra.steps[0]
    svg = draw_step(step, full.spectra.samples, full.spectra.grade, SB)
    assert svg.count("<polyline") == 3
    for label in ("stibnite edge", "Fe³⁺", "OH, H₂O", "Al–OH", "CO₃, Mg–OH"):
        assert label in svg
    assert "stibnite" not in draw_step(step, full.spectra.samples, full.spectra.grade, replace(SB, element="clay"))
    colours = re.findall(r'<polyline [^>]*stroke="(#\w+)"', svg)
    assert len(set(colours)) == 3


def test_the_spectrogram_is_carried_within(full: ReportContents) -> None:
    assert full.spectra is not None
    svg = draw_spectrogram(full.spectra, SB)
    assert svg.count("data:image/png;base64,") == 2
    with pytest.raises(ValueError):
        draw_spectrogram(replace(full.spectra, spectrogram=None), SB)


def test_the_best_epoch_is_marked(full: ReportContents) -> None:
    assert full.learning is not None
    svg = draw_learning(full.learning, SB)
    assert svg.count("<polyline") == 2
    assert "kept: epoch 40" in svg
    one = replace(full.learning, epoch=np.ones(1), training=np.ones(1), validation=np.ones(1), best_epoch=1)
    assert "nan" not in draw_learning(one, SB)


def test_the_curve_by_samples_has_a_point_for_each_share(full: ReportContents) -> None:
    assert full.by_samples is not None
    svg = draw_by_samples(full.by_samples, SB)
    assert svg.count("<polyline") == 2
    assert "40 samples, 60 on those fitted to, 150 on others" in svg


def test_comparison_ladder_and_domain_show_each_row(full: ReportContents) -> None:
    assert full.baselines is not None
    assert full.ladder is not None
    assert full.domain is not None
    # Four repeats and a mean of one model, a mean alone of the other.
    assert marks(draw_baselines(full.baselines, full.ours, SB)) == 6
    ladder = draw_ladder(full.ladder, SB)
    assert ladder.count("<rect") == 2
    assert ladder.count("✓ chosen") == 1
    domain = draw_domain(full.domain, SB)
    assert marks(domain) == 2
    assert "1 of 2 training spectra outside" in domain


def test_a_column_for_every_stretch(full: ReportContents) -> None:
    assert full.importance is not None
    svg = draw_importance(full.importance.profiles[0], SB)
    group = re.search(r'<g class="columns".*?</g>', svg)
    assert group is not None
    assert group.group().count("<rect") == 50
    nothing = BandProfile("x", "y", "", np.array([400.0, 440.0]), np.array([440.0, 480.0]), np.zeros(2))
    assert "nan" not in draw_importance(nothing, SB)


def test_a_cell_for_every_pair_with_its_number() -> None:
    r = np.array([[1.0, -0.53], [-0.53, 1.0]])
    svg = draw_correlations(("Sb", "As"), r, False)
    assert svg.count('class="cell"') == 4
    assert svg.count(">−0.53<") == 2
    assert "As and Sb -0.53" in svg
    assert draw_correlations(("Sb", "As"), np.full((2, 2), np.nan), False).count(">–<") == 4
    assert draw_correlations(("Sb", "As"), np.array([[1, -0.004], [-0.004, 1]]), False).count(">0.00<") == 2


def test_long_names_of_a_matrix_stay_within_the_figure_and_off_each_other() -> None:
    names = ("total_organic_carbon", "sand", "exchangeable_magnesium", *"abcde")
    svg = draw_correlations(names, np.eye(8), False)
    left = re.findall(r'<text x="([\d.]+)" y="[\d.]+" text-anchor="end"[^>]*>([^<]*)<', svg)
    assert [name for _, name in left] == list(names)
    assert all(float(x) - 6.2 * len(name) >= 0 for x, name in left)
    above = [(float(x), len(name)) for x, name in re.findall(r'<text x="([\d.]+)" y="22"[^>]*>([^<]*)<', svg)]
    assert all(a + 3.1 * n <= b - 3.1 * m for (a, n), (b, m) in pairwise(above))


@given(st.floats(-1e9, 1e9), st.floats(1e-6, 1e9), st.integers(2, 10))
def test_ticks_lie_on_the_axis(low: float, length: float, wanted: int) -> None:
    high = low + length
    if high - low < 1e-9 * max(abs(low), abs(high), 1):
        return
    at = nice_steps(low, high, wanted)
    slack = 1e-6 * (high - low) + 1e-9 * max(abs(low), abs(high))
    assert all(low - slack <= v <= high + slack for v in at)
    assert 2 <= len(at) <= 4 * wanted + 4


@example([700001.0, 700002.0], "sqrt")
@given(st.lists(st.floats(0.01, 1e6), min_size=1, max_size=30), st.sampled_from(["none", "sqrt", "log10"]))
def test_an_axis_holds_its_values(values: list[float], kind: str) -> None:
    axis = axis_over("x", values, kind=kind)  # type: ignore[arg-type]
    assert axis.low < axis.high
    placed = axis.place(values)
    assert (placed >= -1e-9).all()
    assert (placed <= 1 + 1e-9).all()
    ticks, _ = axis.ticks(6)
    assert ticks


def test_log_ticks_are_decades_where_there_are_many() -> None:
    ticks, _ = Axis("x", 1.0, 10000.0, "log10").ticks(6)
    assert [text for _, text in ticks] == ["1", "10", "100", "1000", "10\u2009000"]


def test_numbers_are_written_for_people() -> None:
    assert number(-0.5) == "−0.5"
    assert number(123456.0) == "123\u2009456"
    assert number(0.00012) == "0.00012"
    assert number(1234.5678, 4) == "1235"
    assert number(float("nan")) == "–"


def test_a_thinned_line_keeps_its_ends_and_peaks() -> None:
    x = np.arange(5000.0)
    y = np.sin(x / 50)
    y[3333] = 9.0
    xs, ys = thin(x, y, 200)
    assert len(xs) <= 200
    assert (xs[0], xs[-1]) == (0.0, 4999.0)
    assert ys.max() == 9.0
    assert (np.diff(xs) > 0).all()


def test_the_picture_is_a_png_of_the_pixels() -> None:
    import base64
    import zlib

    pixels = np.random.default_rng(0).integers(0, 256, (3, 5, 3), dtype=np.uint8)
    data = re.search(r"base64,([^\"]+)", image(pixels, 0, 0, 1, 1))
    assert data is not None
    png = base64.b64decode(data.group(1))
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    assert (int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big")) == (5, 3)
    at = png.index(b"IDAT")
    size = int.from_bytes(png[at - 4 : at], "big")
    raw = np.frombuffer(zlib.decompress(png[at + 4 : at + 4 + size]), dtype=np.uint8).reshape(3, 16)
    assert (raw[:, 0] == 0).all()
    assert (raw[:, 1:].reshape(3, 5, 3) == pixels).all()


def test_colours_grow_lighter() -> None:
    light = sequential(np.linspace(0, 1, 9)).astype(float) @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(light) > 0).all()
