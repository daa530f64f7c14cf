"""`stibium predict`."""

from __future__ import annotations

import sys

import click

from .options import format_option, load_bundle, log_option, model_option, open_engine


@click.command(epilog="Example:  stibium predict soils/ --average --format csv > estimates.csv")
@click.argument("paths", nargs=-1, required=True, type=click.Path())
@click.option("--average", is_flag=True, help="Estimate from the mean spectrum of each sample's measurements.")
@click.option("--no-gates", is_flag=True, help="Estimate from noisy or uneven spectra too; each answer says so.")
@model_option
@log_option
@format_option
@click.pass_context
def predict(
    ctx: click.Context,
    paths: tuple[str, ...],
    average: bool,
    no_gates: bool,
    model: str | None,
    log: str | None,
    out_format: str,
) -> None:
    """Estimate from files of spectra, or from all files in folders.

    Every format that `stibium convert` reads is taken; the content decides. A file that cannot be used is
    refused with a reason and does not stop the rest, and so is a spectrum that breaks a rule (docs/measuring.md).
    Each result is in the log before it is shown.
    """
    from ..engine import average_samples, in_chunks
    from ..files import iter_spectra
    from ..gates.rules import DEFAULT_RULES
    from ..report import Report

    bundle = load_bundle(model)
    report = Report(out_format, sys.stdout, bundle)  # type: ignore[arg-type]
    progress = sys.stderr.isatty() and not sys.stdout.isatty()
    with open_engine(bundle, log, None if no_gates else DEFAULT_RULES) as engine:
        items = iter_spectra(paths)
        for chunk in in_chunks(average_samples(items) if average else items):
            report.show(engine.take(chunk))
            if progress:
                click.echo(f"\r{report.estimated + report.refused} spectra", nl=False, err=True)
    if progress:
        click.echo(err=True)
    if not report.estimated and not report.refused:
        raise click.UsageError(f"no files in {', '.join(paths)}")
    click.echo(report.summary(), err=True)
    ctx.exit(1 if report.refused else 0)
