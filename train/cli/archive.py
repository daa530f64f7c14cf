"""`stibium archive`."""

from __future__ import annotations

import click

from ...converters.spectra.spectrum import Condition
from ...edge.cli.options import answer_options, load_bundles, models_option, workers_of, workers_options
from ..errors import require_training_side
from ..terminal import ProgressLine
from .common import say


@click.command(epilog="Example:  stibium archive spectra/ --model clay.tflite --out estimates/ --jobs 4")
@click.argument("paths", nargs=-1, required=True, type=click.Path())
@click.option("--out", required=True, type=click.Path(file_okay=False), metavar="DIR", help="Folder of the archive.")
@answer_options
@models_option
@workers_options
@click.pass_context
def archive(
    ctx: click.Context,
    paths: tuple[str, ...],
    out: str,
    average: bool,
    no_gates: bool,
    condition: Condition | None,
    stability: bool,
    models: tuple[str, ...],
    jobs: int,
    scheduler: str,
) -> None:
    """Estimate an archive of spectra into partitioned Parquet, on many processors.

    The answers are those of `stibium predict`, one row an estimate; what is refused has a row with its reason. DuckDB,
    pandas, Polars and Dask read the folder as one table. Stopped, the same command does only what is missing. Exits
    with 1 if any spectrum was refused.
    """
    require_training_side("pyarrow")
    from ...edge.jobs import Task
    from ..archive import archive as run

    bundles = load_bundles(models)
    task = Task(tuple(bundle.path for bundle in bundles), average, not no_gates, condition, stability)
    with ProgressLine("archive") as line:
        found = run(
            paths, out, task, workers_of(ctx, jobs, scheduler), lambda done, of: line.show(f"{done} of {of} parts")
        )
    if not found.parts:
        raise click.UsageError(f"no files in {', '.join(paths)}")
    before = f", {found.done_before} of them were there" if found.done_before else ""
    say([f"{found.estimated} estimated, {found.refused} refused: {out} ({found.parts} parts{before})"])
    ctx.exit(1 if found.refused else 0)
