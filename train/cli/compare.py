"""`stibium compare`."""

from __future__ import annotations

import json

import click

from ...edge.cli.output import format_of
from ..errors import require_training_side
from .common import DataOptions, check_folder_of, data_options, say


@click.command(epilog="Example:  stibium compare old.tflite new.tflite --spectra soils/ --assays assays.csv")
@click.argument("first", type=click.Path())
@click.argument("second", type=click.Path())
@data_options
@format_of("table", "json", about="How the figures are written.")
@click.option("--report", type=click.Path(dir_okay=False), metavar="FILE", help="Also draw both, on one .html page.")
@click.pass_context
def compare(
    ctx: click.Context, first: str, second: str, data: DataOptions, out_format: str, report: str | None
) -> None:
    """Hold two bundles of one element against the same laboratory values.

    Says which is nearer to the laboratory, and whether that may be chance: a paired test on the soils' errors and a
    bootstrap interval of the difference of RMSE. Only soils that both models answer are compared. Exits with 1 if any
    spectrum was refused.
    """
    require_training_side("scipy")
    from ...converters.spectra.files import write_whole
    from ...edge.model.bundle import read_bundle
    from ...edge.plot import as_page
    from ..compare import compare as hold_against
    from ..compare import draw, table

    check_folder_of(report, "--report")
    models = read_bundle(first), read_bundle(second)
    ranges = [model.recipe.range_nm for model in models]
    # A soil that one of them cannot see is refused by it, and named in the count.
    range_nm = max(low for low, _ in ranges), min(high for _, high in ranges)
    samples = data.read().load(models[0].element, range_nm, unit=models[0].unit)
    say(samples.notes())
    found = hold_against(*models, samples, data.replicates)
    click.echo(json.dumps(found.to_dict()) if out_format == "json" else table(found), nl=out_format == "json")
    if report is not None:
        title = f"{found.element}: {found.first.model} and {found.second.model}"
        write_whole(report, as_page(title, draw(found, found.transform), table(found)).encode())
        say([f"report: {report}"])
    ctx.exit(1 if samples.refused or found.first.refused or found.second.refused else 0)
