"""`stibium predict`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

import click

from ...converters.spectra.spectrum import Condition
from .options import answer_options, load_bundles, log_option, models_option, open_engine, workers_of, workers_options
from .output import reading_format_option
from .progress import Progress

if TYPE_CHECKING:
    from ..engine import Engine
    from ..jobs import Task
    from ..log.write import Result
    from ..workers import Workers


@click.command(epilog="Example:  stibium predict soils/ --average --format csv > estimates.csv")
@click.argument("paths", nargs=-1, required=True, type=click.Path())
@answer_options
@click.option("--no-log", is_flag=True, help="Keep nothing: for trying things out at the desk.")
@models_option
@workers_options
@log_option
@reading_format_option
@click.pass_context
def predict(
    ctx: click.Context,
    paths: tuple[str, ...],
    average: bool,
    no_gates: bool,
    condition: Condition | None,
    stability: bool,
    no_log: bool,
    models: tuple[str, ...],
    jobs: int,
    scheduler: str,
    log: str | None,
    out_format: str,
) -> None:
    """Estimate from files of spectra, or from all files in folders.

    Every format that `stibium convert` reads is taken; the content decides. A file that cannot be used is
    refused with a reason and does not stop the rest, and so is a spectrum that breaks a rule (docs/measuring.md).
    Each result is in the log before it is shown, unless --no-log is given; a path that is not there is refused and
    leaves nothing in the log.
    """
    if no_log and log is not None:
        raise click.UsageError("--no-log and --log exclude each other")
    from ..files import iter_spectra
    from ..gates.rules import DEFAULT_RULES
    from ..log.write import Result
    from ..model.estimate import Refusal
    from .readings import Readings

    bundles = load_bundles(models)
    shown = Readings(out_format, bundles)
    # A slip of the pen is nothing that was measured.
    there = [path for path in paths if os.path.lexists(path)]
    if len(there) < len(paths):
        mistyped = [path for path in paths if path not in there]
        shown.show([Result(None, item) for item in iter_spectra(mistyped) if isinstance(item, Refusal)])
    if not there:
        click.echo(shown.summary(), err=True)
        ctx.exit(1)
    rules = None if no_gates else DEFAULT_RULES
    with open_engine(bundles, log, rules, no_log, stability) as engine, Progress("spectra", beside=True) as progress:
        if jobs > 1 or scheduler:
            # What spreads work over processes takes a while to load, and a single file does without.
            from ..jobs import Task

            task = Task(tuple(bundle.path for bundle in bundles), average, not no_gates, condition, stability)
            answered = _elsewhere(engine, there, task, workers_of(ctx, jobs, scheduler))
        else:
            answered = _here(engine, there, average, condition)
        for results in answered:
            shown.show(results)
            progress.at(shown.estimated + shown.refused)
    if not shown.estimated and not shown.refused:
        raise click.UsageError(f"no files in {', '.join(paths)}")
    click.echo(shown.summary(), err=True)
    ctx.exit(1 if shown.refused else 0)


def _here(engine: Engine, paths: Sequence[str], average: bool, condition: Condition | None) -> Iterator[list[Result]]:
    """Read, estimate and store in this process."""
    from ..engine import average_files, in_chunks
    from ..files import in_condition, iter_spectra

    items = iter_spectra(paths)
    if condition is not None:
        items = (in_condition(item, condition) for item in items)
    for chunk in in_chunks(average_files(items) if average else items):
        yield engine.take(chunk) if engine.has_log else engine.answer(chunk)


def _elsewhere(engine: Engine, paths: Sequence[str], task: Task, workers: Workers) -> Iterator[list[Result]]:
    """Read and estimate in other processes; what they give is stored by this one, in the same order."""
    from ..jobs import answer, batches, told_from_others
    from ..seen import Seen

    seen = Seen()
    for results in workers(partial(answer, task), batches(paths, task.average)):
        told = [told_from_others(result, seen) for result in results]
        yield engine.log.add(told) if engine.has_log else told
