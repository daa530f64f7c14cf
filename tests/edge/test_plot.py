"""Pictures of spectra: what is drawn is what was given, as one file, whatever is wrong with the rest."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import get_args
from xml.etree import ElementTree

import numpy as np
import pytest
import stibium
from browser import install
from hypothesis import example, given
from hypothesis import strategies as st
from stibium.converters.spectra.spectrum import Spectrum
from stibium.edge.chart import GREEN, GREY, PAPER, VERMILLION, Axis, Chart, Shape, root_steps
from stibium.edge.model.bundle import Bundle
from stibium.edge.model.recipe import Blocks
from stibium.edge.plot import (
    as_page,
    as_picture,
    draw_beside_laboratory,
    draw_estimate,
    draw_rests_on,
    draw_spectra,
    draw_steps,
    draw_unlike,
)

SAMPLES = Path(stibium.edge.__path__[0]) / "shipped" / "demo_samples.csv.gz"
MODEL = SAMPLES.with_name("sb_simulated.tflite")


def plot(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "stibium.edge", "plot", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)


def test_one_line_a_spectrum_with_its_name_and_joins(soils: list[Spectrum]) -> None:
    svg = draw_spectra(soils[:5])
    assert svg.count("<polyline") == 5
    assert all(f"<title>{f'{s.sample_id} {s.measurement}'.strip()}</title>" in svg for s in soils[:5])
    assert svg.count('stroke-dasharray="2 3"') == len(soils[0].splices_nm) == 2
    assert ">SIMULATED<" in svg
    bare = [replace(s, splices_nm=(), simulated=False) for s in soils[:5]]
    assert "stroke-dasharray" not in draw_spectra(bare)
    assert "SIMULATED" not in draw_spectra(bare)


def test_each_step_is_drawn_once_as_the_recipe_does_it(soils: list[Spectrum], shipped_bundle: Bundle) -> None:
    recipe = shipped_bundle.recipe
    figures = draw_steps(soils[0], recipe)
    one = recipe.recipes[0] if isinstance(recipe, Blocks) else recipe
    drawn = [step for step in one.steps if step.step != "spectrogram"]
    assert len(figures) >= len(drawn)
    assert len({title for title, _ in figures}) == len(figures)
    # Three of the shipped model's blocks have another derivative or none, and each is called what it is.
    titles = [title for title, _ in figures]
    assert {"block 1: first derivative over 31 nm", "block 3: smoothed over 15 nm"} <= set(titles)
    assert any("second derivative over 61 nm" in title for title in titles)
    twice = Blocks((one, one))
    assert len(draw_steps(soils[0], twice)) == len(drawn)


def test_the_estimate_rests_on_what_moves_it(soils: list[Spectrum], shipped_bundle: Bundle) -> None:
    svg = draw_rests_on(soils[0], shipped_bundle)
    moved = [float(text) for text in re.findall(r" nm: ([\d.]+)</title>", svg)]
    first, last = shipped_bundle.recipe.range_nm
    assert len(moved) == round((last - first) / 50)
    assert max(moved) == 1.0
    assert min(moved) >= 0.0
    # A stretch that is straight already moves nothing.
    nm = soils[0].wavelengths_nm
    inside = (nm >= first) & (nm <= first + 50)
    straight = np.where(inside, np.interp(nm, nm[~inside], soils[0].values[~inside]), soils[0].values)
    assert f">{first:g}-{first + 50:g} nm: 0.00<" in draw_rests_on(replace(soils[0], values=straight), shipped_bundle)


def test_what_is_unlike_the_calibration_stands_out(soils: list[Spectrum], shipped_bundle: Bundle) -> None:
    """A band that no soil has goes far beyond the limit's lines, and makes room on the axis."""
    nm = soils[0].wavelengths_nm
    odd = replace(soils[0], values=soils[0].values * (1 - 0.6 * np.exp(-(((nm - 1200) / 40) ** 2))))

    def between_limits(svg: str) -> float:
        levels = [float(y) for y in re.findall(r'd="M\d+ ([\d.]+)H\d+" stroke="#6b7785"', svg)]
        return max(levels) - min(levels)

    good = draw_unlike(soils[0], shipped_bundle)
    assert between_limits(draw_unlike(odd, shipped_bundle)) < 0.5 * between_limits(good)
    assert draw_unlike(soils[0], replace(shipped_bundle, domain=None)) == ""


def test_a_value_that_may_not_be_used_is_drawn_hollow(soils: list[Spectrum], shipped_bundle: Bundle) -> None:
    real = replace(shipped_bundle, simulated=False)
    for bundle, hollow in ((shipped_bundle, True), (real, False)):
        found = [
            reading.estimates[0]
            for reading in stibium.Model(bundle).estimate([replace(s, simulated=False) for s in soils])
            if reading.estimates and not reading.estimates[0].bound and reading.estimates[0].verdict == "inside"
        ]
        assert found
        svg = draw_estimate(found[0], bundle.calibrated_range, bundle.transform)
        assert ('fill="#fff" stroke=' in svg) is hollow


@pytest.mark.parametrize("ending", ["svg", "html"])
def test_a_bad_file_is_named_and_the_others_are_drawn(tmp_path: Path, ending: str) -> None:
    (tmp_path / "cut.asd").write_bytes(b"ASD" + bytes(90))
    done = plot(
        SAMPLES, "cut.asd", "--sample", "TP091", "--model", MODEL, "--steps", "--out", f"p.{ending}", cwd=tmp_path
    )
    assert done.returncode == 1
    assert done.stdout.strip() == f"p.{ending}"
    assert [line for line in done.stderr.splitlines() if "cut.asd" in line] == [
        "stibium: refused cut.asd: the file ends inside the header: 93 bytes, at least 484 are needed; copy it again"
    ]
    text = (tmp_path / f"p.{ending}").read_text("utf-8")
    assert "TP091 00005" in text
    assert "http" not in text.replace('xmlns="http://www.w3.org/2000/svg"', "")
    if ending == "svg":
        ElementTree.fromstring(text)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["nothing.asd"], 1, "nothing to draw in nothing.asd"),
        ([SAMPLES, "--sample", "none"], 2, "no sample is called none"),
        ([SAMPLES, "--out", "p.gif"], 2, "end it in .svg, .png or .html"),
        ([SAMPLES, "--model", "none.tflite"], 1, "none.tflite: there is no such file"),
    ],
)
def test_what_cannot_be_drawn_is_one_line(tmp_path: Path, arguments: list[object], code: int, said: str) -> None:
    done = plot(*arguments, cwd=tmp_path)
    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_page_keeps_columns_in_line_and_lets_words_wrap() -> None:
    figures = [("soils", "<svg>1</svg>"), ("A: inside", "<svg>2</svg>"), ("A: steps", "<svg>3</svg>")]
    page = as_page("soils", figures, "two models\n\nn      3      4\nR2   0.8    0.9\n\nthe first is nearer\n")
    assert re.findall(r"<(p|pre)>(.*?)</\1>", page, re.DOTALL) == [
        ("p", "two models"), ("pre", "n      3      4\nR2   0.8    0.9"), ("p", "the first is nearer")
    ]  # fmt: skip
    # What is of one spectrum stands together.
    assert [part.count("<svg") for part in re.split("</?section>", page)] == [1, 2, 0]


def test_names_cannot_break_out_of_the_picture(soils: list[Spectrum]) -> None:
    svg = as_picture([("<b>&", draw_spectra([replace(soils[0], sample_id="</svg><script>")]))])
    assert "<script" not in svg
    ElementTree.fromstring(svg)


@given(st.floats(0, 1e3), st.floats(1.01, 1e4), st.integers(3, 8))
@example(1.0100000000000002, 1.03125, 3)
def test_a_root_axis_has_ticks_where_small_values_lie(low: float, times: float, wanted: int) -> None:
    high = max(low, 0.01) * times
    at = root_steps(low, high, wanted)
    assert at == sorted(set(at))
    # A round number at an end may be that end but for its last digit.
    assert all(low - 1e-9 * high <= value <= high + 1e-9 * high for value in at)
    if low == 0 and wanted >= 4:
        assert any(0 < value <= high / 4 for value in at)


def test_what_is_not_detected_is_said_in_words(tmp_path: Path) -> None:
    done = plot(
        SAMPLES,
        "--sample",
        "RS045",
        "--model",
        SAMPLES.with_name("sb_simulated.tflite"),
        "--out",
        "p.html",
        cwd=tmp_path,
    )
    assert done.returncode == 0
    page = (tmp_path / "p.html").read_text()
    assert "Sb not detected, 90 % interval" in page
    assert "LOD ppm" not in page


def test_each_step_of_a_recipe_of_ones_own_is_drawn(tmp_path: Path) -> None:
    own = tmp_path / "mine.toml"
    steps = '[[steps]]\nstep = "resample"\nfirst_nm = {}\nlast_nm = 2400\n[[steps]]\nstep = "continuum_removal"\n'
    own.write_text(steps.format(1000))
    done = plot(SAMPLES, "--sample", "TP091", "--recipe", own, "--out", "p.html", cwd=tmp_path)
    assert done.returncode == 0
    page = (tmp_path / "p.html").read_text()
    assert page.count("<figcaption>TP091") == 2 * 5
    own.write_text(steps.format(100))
    refused = plot(SAMPLES, "--sample", "TP091", "--recipe", own, "--out", "q.html", cwd=tmp_path)
    assert refused.returncode == 1
    assert "refused TP091" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert plot(SAMPLES, "--recipe", own, "--steps", cwd=tmp_path).returncode == 2


def test_a_png_is_the_same_picture_in_pixels(tmp_path: Path) -> None:
    pytest.importorskip("resvg_py")
    done = plot(SAMPLES, "--sample", "TP091", "--out", "p.png", cwd=tmp_path)
    if "needs a font" in done.stderr:
        install("fonts-dejavu-core")
        done = plot(SAMPLES, "--sample", "TP091", "--out", "p.png", cwd=tmp_path)
    if "needs a font" in done.stderr:
        pytest.skip("no font: apt-get install fonts-dejavu-core, as root")
    assert (done.returncode, done.stdout) == (0, "p.png\n")
    png = (tmp_path / "p.png").read_bytes()
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = (int.from_bytes(png[at : at + 4], "big") for at in (16, 20))
    assert width == 960
    assert 500 < height < 1000


def test_a_legend_shows_the_marks_that_are_drawn() -> None:
    """A soil outside the calibration is a ring, and so is its mark in the legend; likewise every set of a report."""
    record = {"element": "clay", "unit": "pct", "shown": "", "simulated": False, "below_critical_value": None}
    inside = {"value": 20.0, "low": 10.0, "high": 30.0}
    trusted = {**record, **inside, **{f"untrusted_{name}": None for name in inside}}
    outside = {**record, **dict.fromkeys(inside), **{f"untrusted_{name}": value for name, value in inside.items()}}
    svg = draw_beside_laboratory([("a", 21.0, trusted), ("b", 40.0, outside)], (0.0, 73.0))
    assert marks_by_style(svg, "points") == {(PAPER, GREY): 1, (VERMILLION, PAPER): 1}
    assert marks_by_style(svg, "key") == marks_by_style(svg, "points")


@pytest.mark.parametrize("shape", get_args(Shape))
def test_each_mark_is_alike_among_points_and_in_the_legend(shape: Shape) -> None:
    chart = Chart(Axis("x", 0, 1), Axis("y", 0, 1), "")
    chart.points([0.5], [0.5], GREEN, shape=shape)
    chart.legend([("one", GREEN, shape)])
    svg = chart.svg()
    (drawn,) = marks_by_style(svg, "points").items()
    assert marks_by_style(svg, "key") == dict([drawn])
    outlines = [re.sub(r"[\d.]+", "", part) for part in re.findall(r"<g class=.*?(<(?:circle|path).*?)</g>", svg)]
    assert outlines[0] == outlines[1]


def marks_by_style(svg: str, group: str) -> Counter[tuple[str, str]]:
    """Count marks in groups of a class, by what they are filled and drawn with."""
    found: Counter[tuple[str, str]] = Counter()
    for fill, stroke, marks in re.findall(rf'<g class="{group}" fill="(\S+)" stroke="(\S+)".*?>(.*?)</g>', svg):
        found[fill, stroke] += marks.count("<circle") + marks.count("<path")
    return found
