"""`stibium assays`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from ...edge.cli.output import format_option
from ..errors import require_training_side

if TYPE_CHECKING:
    from ..assays.findings import QualityLimits


@click.command(
    epilog="Example:  stibium assays soils.csv --quality-control qc.csv --certified materials.toml\n\n"
    "Example:  stibium assays --published --compare-paper"
)
@click.argument("files", nargs=-1, type=click.Path(), metavar="[FILE]...")
@click.option(
    "--quality-control",
    "controls",
    multiple=True,
    type=click.Path(),
    metavar="CSV",
    help="Blanks, reference materials and duplicates that stand in a file of their own; may be given several times.",
)
@click.option(
    "--certified",
    type=click.Path(),
    metavar="FILE",
    help="Certified values of the reference materials, TOML or CSV; without it only their repeatability is judged.",
)
@click.option(
    "--element", "elements", multiple=True, metavar="NAME", help="Only this element; may be given several times."
)
@click.option(
    "--limit",
    "settings",
    multiple=True,
    metavar="NAME=VALUE",
    help="Set a limit of the quality control, such as pulp_cv_fail_pct=12; may be given several times.",
)
@click.option(
    "--published", is_flag=True, help="The published table A1 and its quality control; the default without FILE."
)
@click.option(
    "--compare-paper", is_flag=True, help="Hold the printed tables 1 and 2 of the paper against its own table A1."
)
@format_option
def assays(
    files: tuple[str, ...],
    controls: tuple[str, ...],
    certified: str | None,
    elements: tuple[str, ...],
    settings: tuple[str, ...],
    published: bool,
    compare_paper: bool,
    out_format: str,
) -> None:
    """Describe assays and judge their quality.

    Descriptive statistics and correlations of the elements, bounds such as <0.02 and >4000 kept as bounds; precision
    of duplicates, recovery of reference materials, blanks against the detection limit, and how much of all that there
    is. FILE is a CSV or .xlsx with columns such as Sb_ppm; blanks, reference materials and duplicates in it are known
    by a column kind, or by their names (BLK, OREAS 45h, DUP, RS090-D, ...). Without FILE: the published table.
    """
    if published and (files or controls):
        raise click.UsageError("--published stands for its own files; leave FILE and --quality-control out")
    if compare_paper and files:
        raise click.UsageError("--compare-paper is about the published table; leave FILE out")
    if controls and not files:
        raise click.UsageError("--quality-control goes with the assays it controls; name them as FILE")
    limits = _limits(settings)

    require_training_side("scipy")
    from ..assays.certified import read_certificates
    from ..assays.paper_tables import compare_with_paper
    from ..assays.published import read_published_table, read_table_a1
    from ..assays.quality import check_quality
    from ..assays.report import AssayReport, render, write_csv, write_jsonl
    from ..assays.statistics import METHODS, correlate, describe
    from ..assays.table import read_assay_table
    from ..simulate.geochemistry import fit_geochemistry

    certificates = read_certificates(certified) if certified is not None else None
    table = read_assay_table(*files, *controls) if files else read_published_table()
    # Which rows are duplicates is told from all elements; which of them are shown comes after.
    quality = check_quality(table, certificates, limits)
    if elements:
        table, quality = (
            table.select(elements),
            quality.select([table.columns[table.index(e)].element for e in elements]),
        )
    samples = bool(table.of_kind("sample"))
    correlations = [correlate(table, method) for method in METHODS] if samples and len(table.columns) > 1 else []
    if correlations and any(a is not None and a.censored for row in table.of_kind("sample") for a in row.values):
        correlations.append(correlate(table, "pearson", "known values only"))
    report = AssayReport(
        table,
        describe(table) if samples else (),
        tuple(correlations),
        quality,
        compare_with_paper(fit_geochemistry(read_table_a1()).correlations) if compare_paper else None,
    )
    if out_format == "table":
        click.echo(render(report), nl=False)
    else:
        (write_jsonl if out_format == "jsonl" else write_csv)(report.to_records(), sys.stdout)


def _limits(settings: Sequence[str]) -> QualityLimits:
    from dataclasses import fields, replace

    from ..assays.findings import QualityLimits

    known = {field.name for field in fields(QualityLimits)}
    limits = QualityLimits()
    for setting in settings:
        name, _, text = setting.partition("=")
        if name not in known:
            raise click.BadParameter(
                f"{name!r} is no limit; there are {', '.join(sorted(known))}", param_hint="--limit"
            )
        try:
            value = float(text)
        except ValueError:
            value = -1.0
        if not 0 <= value < float("inf"):
            raise click.BadParameter(f"{setting!r}: {text!r} is no number from 0 up", param_hint="--limit")
        limits = replace(limits, **{name: value})
    return limits
