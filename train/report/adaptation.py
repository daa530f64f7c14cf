"""The page of an adaptation: readings before and after, and what was tried."""

from __future__ import annotations

import numpy as np

from ...converters.spectra.spectrum import Floats
from ...edge.chart import BLUE, INK, VERMILLION, Axis, Chart, axis_over, number
from ...edge.model.bundle import Bundle
from ...edge.units import plain, shown_unit
from ..adaptation.adapted import Adapted
from ..crossval.metrics import rms
from .page import Table, render


def render_adaptation(parent: Bundle, adapted: Adapted) -> str:
    """Give the page as text.

    Args:
        parent: the model before.
        adapted: what came of it.
    """
    bundle, did = adapted.bundle, adapted.did
    by_pairs = bundle.correction.spectra is not parent.correction.spectra or "pairs" in did.judged
    wanted = f"{parent.element} by the parent's instrument" if by_pairs else f"{parent.element} of the laboratory"
    unit = shown_unit(parent.unit)
    facts = [
        ("model", parent.name),
        ("parent", did.parent_sha256[:16]),
        ("pairs" if by_pairs else "assayed samples", str(did.samples)),
        ("done", did.what),
        ("instrument", ", ".join(bundle.lineage.instruments) or "not said by the files"),
        (
            "calibrated range",
            f"{plain(bundle.calibrated_range[0])} to {plain(bundle.calibrated_range[1])} {unit}".rstrip(),
        ),
        ("applicability domain", adapted.domain or "as before"),
    ]
    if bundle.interval:
        facts.append(("interval", f"{100 * bundle.interval.coverage:g} %: {bundle.interval.method}"))
    space = f", {unit}" if parent.transform == "none" else f" ({parent.transform})"
    tried = Table(
        ("way", f"left-out RMSE{space}"),
        [(t.what, plain(t.rmse)) for t in did.tried],
        strong=[i for i, t in enumerate(did.tried) if t.what in did.what.removeprefix("mean of ").split("; ")],
    )
    drawn = []
    axis = _axis(wanted, parent, adapted)
    for name, values, colour in (("before", adapted.before, VERMILLION), ("after", adapted.after, BLUE)):
        drawn.append((name, _draw(axis, f"{parent.element} read {name}", adapted, values, colour, unit)))
    return render(
        "adaptation.html",
        title=f"{parent.element}: {parent.name} adapted",
        kind="adaptation",
        simulated=bundle.simulated,
        facts=facts,
        drawn=drawn,
        tried=tried,
        judged=did.judged,
        wanted=wanted,
    )


def _axis(wanted: str, parent: Bundle, adapted: Adapted) -> Axis:
    shown = [adapted.wanted, adapted.before, adapted.after]
    positive = all(np.min(values) > 0 for values in shown)
    kind = "log10" if parent.transform == "log10" and positive else "none"
    return axis_over(f"{wanted}, {shown_unit(parent.unit)}" if parent.unit else wanted, *shown, kind=kind)  # type: ignore[arg-type]


def _draw(x: Axis, label: str, adapted: Adapted, values: Floats, colour: str, unit: str) -> str:
    y = Axis(f"{label}, {unit}" if unit else label, x.low, x.high, x.kind)
    error = rms(values - adapted.wanted)
    alt = f"{label} against {x.label} of {len(values)} samples: RMSE {plain(error, 3)} {unit}"
    chart = Chart(x, y, alt, height=400)
    chart.line([x.low, x.high], [x.low, x.high], INK, width=1)
    titles = [
        f"{name}: {number(wanted, 4)}, read {number(value, 4)} {unit}"
        for name, wanted, value in zip(adapted.samples, adapted.wanted.tolist(), values.tolist(), strict=True)
    ]
    chart.points(adapted.wanted, values, colour, titles=titles)
    chart.text(chart.left + 8, 30, f"RMSE {number(error, 3)} {unit}")
    chart.text(chart.left + 8, 47, f"bias {number(float(np.mean(values - adapted.wanted)), 3)} {unit}")
    return chart.svg(adapted.bundle.simulated)
