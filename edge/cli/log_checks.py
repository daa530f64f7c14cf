"""`stibium log checks`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ..units import plain, shown_unit
from .options import log_option
from .output import Layout, Output, format_option

if TYPE_CHECKING:
    from ..log.check_soils import CheckSoil


@click.command(epilog="Example:  stibium log checks")
@log_option
@format_option
@click.pass_context
def checks(ctx: click.Context, log: str | None, out_format: str) -> None:
    """Put each check soil on its control chart, and say whether it drifts.

    A check soil is a sample that was measured as a reference: a jar that is measured each morning. Its limits come from
    its first ten readings by a model, three standard deviations on either side (Shewhart); from the eleventh on the
    Western Electric rules are held against it. Exits with 1 if the last reading of any breaks one.
    """
    from ..gates.control_chart import FIRST
    from ..log.check_soils import KIND, check_soils
    from ..log.read import Chosen, iter_entries, open_for_reading
    from ..log.write import default_log_path
    from .output import say

    given = log if log is not None else (ctx.parent.params.get("log") if ctx.parent is not None else None)
    with open_for_reading(given if given is not None else default_log_path()) as db:
        soils = check_soils(db)
        measured = sorted({e.reading.sample_id for e in iter_entries(db, Chosen(kind=KIND)) if e.reading is not None})
    if bare := [name for name in measured if name not in {soil.sample_id for soil in soils}]:
        say(f"{', '.join(bare)}: no reading has a plain value yet; limits need {FIRST}: take a richer soil", err=True)
    elif not soils:
        say("no check soil is in the log: measure one as a reference (stibium measure --reference-every N)", err=True)
    Output(out_format, LAYOUT).write(soils)
    ctx.exit(1 if any(soil.chart is not None and soil.chart.drifts for soil in soils) else 0)


def _record(soil: CheckSoil) -> dict[str, Any]:
    from ..log.check_soils import chart_data

    return chart_data(soil)


def _cells(soil: CheckSoil) -> list[tuple[str, ...]]:
    chart = soil.chart
    limits = f"{plain(chart.limits[0])} - {plain(chart.limits[1])} {shown_unit(soil.unit)}" if chart else "-"
    score = f"{chart.scores[-1]:+.1f}" if chart else "-"
    return [(soil.sample_id, soil.element, soil.model, str(len(soil.values)), limits, score, soil.said)]


LAYOUT: Layout[CheckSoil] = Layout(
    _record,
    titles=("check soil", "element", "model", "readings", "limits", "last, in sd", "control chart"),
    cells=_cells,
    right=(3, 5),
)
