"""`stibium predict`."""

from __future__ import annotations

import click

from ...converters.spectra.spectrum import CONDITIONS, Condition
from .options import load_bundles, log_option, models_option, open_engine
from .output import reading_format_option
from .progress import Progress


@click.command(epilog="Example:  stibium predict soils/ --average --format csv > estimates.csv")
@click.argument("paths", nargs=-1, required=True, type=click.Path())
@click.option("--average", is_flag=True, help="Estimate from the mean spectrum of each sample's measurements.")
@click.option("--no-gates", is_flag=True, help="Estimate from noisy or uneven spectra too; each answer says so.")
@click.option(
    "--condition",
    type=click.Choice(CONDITIONS),
    help="Of the ground, where neither a file nor its folder says it: a model of dry soils is none for damp ones.",
)
@models_option
@log_option
@reading_format_option
@click.pass_context
def predict(
    ctx: click.Context,
    paths: tuple[str, ...],
    average: bool,
    no_gates: bool,
    condition: Condition | None,
    models: tuple[str, ...],
    log: str | None,
    out_format: str,
) -> None:
    """Estimate from files of spectra, or from all files in folders.

    Every format that `stibium convert` reads is taken; the content decides. A file that cannot be used is
    refused with a reason and does not stop the rest, and so is a spectrum that breaks a rule (docs/measuring.md).
    Each result is in the log before it is shown.
    """
    from ..engine import average_samples, in_chunks
    from ..files import in_condition, iter_spectra
    from ..gates.rules import DEFAULT_RULES
    from .readings import Readings

    bundles = load_bundles(models)
    shown = Readings(out_format, bundles)
    with (
        open_engine(bundles, log, None if no_gates else DEFAULT_RULES) as engine,
        Progress("spectra", beside=True) as progress,
    ):
        items = iter_spectra(paths)
        if condition is not None:
            items = (in_condition(item, condition) for item in items)
        for chunk in in_chunks(average_samples(items) if average else items):
            shown.show(engine.take(chunk))
            progress.at(shown.estimated + shown.refused)
    if not shown.estimated and not shown.refused:
        raise click.UsageError(f"no files in {', '.join(paths)}")
    click.echo(shown.summary(), err=True)
    ctx.exit(1 if shown.refused else 0)
