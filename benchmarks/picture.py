"""Draw the README's picture again: a spectrum of the demonstration and what the shipped model says of it (simulated)."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from stibium.converters.spectra import read_spectra
from stibium.edge.chart import BLUE, GREY, INK, VERMILLION, WIDTH, Axis, Chart, drawing
from stibium.edge.model.bundle import read_bundle, shipped_bundle_path
from stibium.edge.model.estimate import Estimate, Estimator
from stibium.edge.model.replicates import mean_spectrum
from stibium.edge.record import in_figures, shown_interval

SAMPLES = Path(__file__).parents[1] / "edge" / "shipped" / "demo_samples.csv.gz"
PICTURE = Path(__file__).parents[1] / "docs" / "pictures" / "estimate.svg"
SAMPLE = "TP091"


def draw() -> str:
    """Give the picture as SVG."""
    bundle = read_bundle(shipped_bundle_path())
    points = [spectrum for spectrum in read_spectra(SAMPLES) if spectrum.sample_id == SAMPLE]
    spectrum = mean_spectrum(points)
    (answer,) = Estimator(bundle).estimate([spectrum])
    assert isinstance(answer, Estimate)
    assert answer.low is not None
    assert answer.high is not None
    above = Chart(
        Axis("wavelength (nm)", 350, 2500),
        Axis("reflectance", 0, 0.6),
        f"Reflectance of {SAMPLE}",
        height=200,
        right=24,
    )
    for point in points:
        above.line(point.wavelengths_nm, point.values, GREY, width=0.6)
    above.line(spectrum.wavelengths_nm, spectrum.values, INK, width=1.8)
    above.text(above.left + 8, above.top + 14, f"{SAMPLE}: {len(points)} points and their mean", colour=INK)
    lowest, highest = bundle.calibrated_range
    label = f"{bundle.element} ({bundle.unit}), as far as the model is calibrated"
    below = Chart(
        Axis(label, lowest, highest, "log10"), Axis("", 0, 1), "The estimate", height=104, right=24, y_ticks=[]
    )
    y = float(below.py(0.45))
    first, last, at = (float(below.px(np.array([v]))[0]) for v in (answer.low, answer.high, answer.value))
    below.raw(
        f'<line x1="{first:.1f}" x2="{last:.1f}" y1="{y:.1f}" y2="{y:.1f}" stroke="{BLUE}" stroke-width="9" '
        f'stroke-opacity="0.35" stroke-linecap="round"/><circle cx="{at:.1f}" cy="{y:.1f}" r="6" fill="{VERMILLION}"/>'
    )
    interval = shown_interval(answer.low, answer.high, bundle.calibrated_range)
    text = f"{in_figures(answer.value)} {bundle.unit}, {100 * answer.coverage:g} % interval {interval}"
    below.text(at, y - 14, text, anchor="middle", bold=True)
    parts = ((above.svg(), 0, 200), (below.svg(simulated=True), 200, 104))
    body = "".join(
        svg.replace("<svg ", f'<svg y="{y}" width="{WIDTH}" height="{height}" ', 1) for svg, y, height in parts
    )
    return drawing(body, 304, f"A soil's spectrum and its estimate: {text}").replace(
        "<svg ", f'<svg xmlns="http://www.w3.org/2000/svg" width="{2 * WIDTH}" style="background:#fff" ', 1
    )


if __name__ == "__main__":
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(draw() + "\n", "utf-8")
    print(PICTURE.relative_to(Path.cwd()) if PICTURE.is_relative_to(Path.cwd()) else PICTURE, file=sys.stdout)
