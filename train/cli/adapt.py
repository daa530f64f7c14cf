"""`stibium adapt`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ...edge.cli.output import Layout, Output, format_option
from ...edge.cli.output import say as say_safely
from ...edge.units import plain, shown_unit
from ..assays.table import read_assay_table
from ..errors import require_training_side
from .common import check_folder_of, say, simulated_note

if TYPE_CHECKING:
    from ...edge.model.bundle import Bundle
    from ...edge.model.target import Transform
    from ..adaptation.adapted import Adapted


FEWEST_TO_NAME, LONE_SHARE = 4, 0.8
"""Samples, and share of the squared error, from which on one of them is named."""


@click.command(
    epilog="Examples:  stibium adapt sb.tflite --spectra trench/ --assays five.csv --out sb_trench.tflite;  "
    "stibium adapt sb.tflite --pairs laboratory/ field/ --out sb_field.tflite"
)
@click.argument("model", type=click.Path())
@click.option(
    "--spectra",
    multiple=True,
    type=click.Path(),
    metavar="PATH",
    help="A few assayed samples, measured at the new site or on the new instrument; may be given several times.",
)
@click.option("--assays", type=click.Path(), metavar="CSV", help="Their laboratory values, one row a sample.")
@click.option(
    "--pairs",
    nargs=2,
    type=click.Path(),
    metavar="PARENT CHILD",
    help="The same samples, under the same names, measured on the instrument of the model and on another one.",
)
@click.option("--out", required=True, type=click.Path(dir_okay=False), metavar="NEW", help="Bundle to write.")
@click.option("--report", type=click.Path(dir_okay=False), metavar="FILE", help="Also write a page, one .html file.")
@format_option
@click.pass_context
def adapt(
    ctx: click.Context,
    model: str,
    spectra: tuple[str, ...],
    assays: str | None,
    pairs: tuple[str, str] | None,
    out: str,
    report: str | None,
    out_format: str,
) -> None:
    """Make a model hold at another site or on another instrument.

    By a few assayed samples its answers are shifted, or shifted and stretched; by pairs the spectra of the other
    instrument are corrected. What is done is chosen by samples left out, and nothing is done that does not help. The
    new bundle's interval, range and limit of detection follow from the left-out errors. Exits with 1 if any spectrum
    was refused.
    """
    require_training_side()
    from ...edge.model.bundle import read_bundle, write_bundle

    if (pairs is None) == (not spectra and assays is None):
        raise click.UsageError("give either --spectra with --assays, or --pairs PARENT CHILD")
    if pairs is None and (not spectra or assays is None):
        raise click.UsageError("--spectra and --assays go together")
    for path, option in ((out, "--out"), (report, "--report")):
        check_folder_of(path, option)
    if Path(out).exists() and Path(model).exists() and Path(out).samefile(model):
        raise click.BadParameter(f"{out} is the model itself; give the new one another name", param_hint="--out")
    parent = read_bundle(model)
    adapted = _by_pairs(parent, pairs) if pairs is not None else _by_assays(parent, spectra, str(assays))
    for line in _words(parent, adapted, pairs is not None):
        say_safely(line, err=out_format != "table")
    Output(out_format, _layout(parent)).write(_rows(adapted))
    sha256 = write_bundle(out, adapted.bundle)
    say([f"{out}: SHA-256 {sha256}"])
    if report is not None:
        from ..report.write import write_adaptation_report

        write_adaptation_report(report, parent, adapted)
        say([f"report: {report}"])
    ctx.exit(1 if adapted.refused else 0)


def _by_assays(parent: Bundle, spectra: tuple[str, ...], assays: str) -> Adapted:
    from ..adaptation.by_assays import adapt_by_assays
    from ..samples import load, refusals_in_words

    table = read_assay_table(assays)
    say(table.notes)
    samples = load(spectra, table.assays_for(parent.element, parent.unit), parent.recipe.range_nm)
    say(samples.notes())
    adapted = adapt_by_assays(parent, samples)
    say(refusals_in_words(adapted.refused[len(samples.refused) :]))
    return adapted


def _by_pairs(parent: Bundle, pairs: tuple[str, str]) -> Adapted:
    from ...edge.files import iter_spectra
    from ..adaptation.by_pairs import adapt_by_pairs
    from ..samples import refusals_in_words

    adapted = adapt_by_pairs(parent, iter_spectra([pairs[0]]), iter_spectra([pairs[1]]))
    say(refusals_in_words(adapted.refused, shown=None))
    if names := adapted.unmatched:
        more = ", ..." if len(names) > 5 else ""
        say([f"measured on one instrument only, not used: {', '.join(names[:5])}{more}"])
    return adapted


def _words(parent: Bundle, adapted: Adapted, by_pairs: bool) -> list[str]:
    did, bundle = adapted.did, adapted.bundle
    space = shown_unit(parent.unit) if parent.transform == "none" else parent.transform
    of = f"{did.samples} {'pairs' if by_pairs else 'assayed samples'}"
    lines = [
        simulated_note(bundle.simulated).rstrip(),
        f"{parent.element}, {of}: {did.what}"
        + (" helps; the answers stay as they are" if did.what == "nothing" else ""),
        f"RMSE {plain(did.before)} before, {plain(did.after)} after ({space}; {did.judged})",
        "tried: " + "; ".join(f"{tried.what} {plain(tried.rmse)}" for tried in did.tried),
        _lone_error(adapted, parent.transform),
        f"applicability domain: {adapted.domain or 'as before'}",
    ]
    return [line for line in lines if line]


def _lone_error(adapted: Adapted, transform: Transform) -> str:
    """Name a sample that makes nearly all of the error that is left; "" if there is none."""
    import numpy as np

    from ...edge.model.target import forward

    squares = np.square(forward(adapted.wanted, transform) - forward(adapted.after, transform))
    worst = int(squares.argmax())
    if squares.size < FEWEST_TO_NAME or squares[worst] <= LONE_SHARE * squares.sum():
        return ""
    share = squares[worst] / squares.sum()
    return (
        f"{adapted.samples[worst]} alone makes {share:.0%} of the squared error: look at its value and its name again"
    )


def _rows(adapted: Adapted) -> list[dict[str, Any]]:
    columns = (adapted.samples, adapted.wanted.tolist(), adapted.before.tolist(), adapted.after.tolist())
    return [
        {"sample": name, "wanted": wanted, "before": before, "after": after}
        for name, wanted, before, after in zip(*columns, strict=True)
    ]


def _layout(parent: Bundle) -> Layout[dict[str, Any]]:
    return Layout(
        lambda row: row,
        names=("sample", "wanted", "before", "after"),
        titles=("sample", f"wanted {shown_unit(parent.unit)}".strip(), "before", "after"),
        cells=lambda row: [(row["sample"], *(plain(row[name]) for name in ("wanted", "before", "after")))],
        right=(1, 2, 3),
    )
