"""Options that several commands share, and the engine they ask for."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ...converters.spectra.spectrum import CONDITIONS
from ..engine import Engine
from ..gates.rules import DEFAULT_RULES, Rules
from ..log.write import LOG_ENVIRONMENT_VARIABLE, default_log_path
from ..model.bundle import MODEL_ENVIRONMENT_VARIABLE, Bundle, bundle_paths, read_bundle, shipped_bundle_path
from .output import notice as show_notice

if TYPE_CHECKING:
    from ..workers import Workers

F = TypeVar("F", bound=Callable[..., Any])


def jobs_option(command: F) -> F:
    """`--jobs`: how many processes."""
    return click.option(
        "--jobs",
        type=click.IntRange(1, 256),
        default=1,
        show_default=True,
        metavar="N",
        help="Processes on this machine; the result is that of one.",
    )(command)


def workers_options(command: F) -> F:
    """`--jobs`, and `--scheduler` for a cluster; see `workers_of`."""
    return jobs_option(
        click.option(
            "--scheduler",
            default="",
            metavar="ADDRESS",
            help="Of a Dask cluster in place of --jobs, such as tcp://10.0.0.1:8786; its workers see the same files "
            "under the same names.",
        )(command)
    )


def workers_of(ctx: click.Context, jobs: int, scheduler: str = "") -> Workers:
    """Give the way of doing work that the options ask for, until the command ends.

    Raises:
        UsageError: both are asked for, or nothing here knows a cluster.
    """
    if not scheduler:
        from ..workers import workers_for

        return workers_for(jobs)
    if jobs > 1:
        raise click.UsageError("--jobs and --scheduler exclude each other")
    from .desk_only import of_the_desk

    if (connect := of_the_desk("clusters", "dask")) is not None:
        workers: Workers = ctx.with_resource(connect(scheduler))
        return workers
    from ..errors import installing

    raise click.UsageError(f"--scheduler needs the training side and Dask: {installing('train,cluster')}")


def model_option(command: F) -> F:
    """`--model`: the bundle to use."""
    return click.option(
        "--model",
        type=click.Path(),
        metavar="BUNDLE",
        help=f"Model file.  [default: ${MODEL_ENVIRONMENT_VARIABLE}, or the shipped model, which is simulated]",
    )(command)


def models_option(command: F) -> F:
    """`--model`, once for each element."""
    return click.option(
        "--model",
        "models",
        type=click.Path(),
        multiple=True,
        metavar="BUNDLE",
        help="Model file, or a folder of them; may be repeated, for several elements from one spectrum.  [default: "
        f"${MODEL_ENVIRONMENT_VARIABLE}, or the shipped model, which is simulated]",
    )(command)


def log_option(command: F) -> F:
    """`--log`: the database of readings."""
    return click.option(
        "--log",
        type=click.Path(dir_okay=False),
        metavar="FILE",
        help=f"Log that readings are stored in.  [default: ${LOG_ENVIRONMENT_VARIABLE}, or the user's state folder]",
    )(command)


def load_bundle(model: str | None) -> Bundle:
    """Read the bundle that `--model` names, or the default one."""
    return read_bundle(model if model is not None else shipped_bundle_path())


def load_bundles(models: Sequence[str]) -> list[Bundle]:
    """Read the bundles that `--model` names, each for an element of its own, or the default ones.

    Raises:
        BundleError: one cannot be read.
        UsageError: two of them are of one element.
    """
    bundles = [read_bundle(path) for path in bundle_paths(models)]
    for number, bundle in enumerate(bundles):
        for before in bundles[:number]:
            if before.element == bundle.element:
                raise click.UsageError(
                    f"two models of {bundle.element}: {before.path} and {bundle.path}; name one for each element"
                )
    return bundles


def answer_options(command: F) -> F:
    """`--average`, `--no-gates`, `--condition` and `--stability`: how spectra of files are answered."""
    for option in (
        stability_option,
        click.option(
            "--condition",
            type=click.Choice(CONDITIONS),
            help="Of the ground, where neither a file nor its folder says it: a model of dry soils is none for damp "
            "ones.",
        ),
        no_gates_option,
        click.option(
            "--average", is_flag=True, help="Estimate from the mean spectrum of each sample's measurements in a folder."
        ),
    ):
        command = option(command)
    return command


no_gates_option = click.option(
    "--no-gates", is_flag=True, help="Estimate from noisy or uneven spectra too; each answer says so."
)
stability_option = click.option(
    "--stability", is_flag=True, help="Say how far each answer moves with its instrument's faults; flag it if too far."
)


@contextmanager
def open_engine(
    bundles: Sequence[Bundle],
    log: str | os.PathLike[str] | None,
    rules: Rules | None = DEFAULT_RULES,
    no_log: bool = False,
    stability: bool = True,
) -> Iterator[Engine]:
    """Load the models, open the log, say if its disk is nearly full, and close it again at the end.

    `rules` are the limits of the gates; see `Engine`. With `no_log` the engine only answers. What is
    measured now says how stable it is (`stability`); of an archive only who asks for it is told.
    """
    from ..log.write import Log
    from ..model.estimate import Estimator

    estimator, *others = map(Estimator, bundles)
    bundle = bundles[0]
    if no_log:
        yield Engine(estimator, None, rules, others, stability)
        return
    path = log if log is not None else default_log_path()
    with Log(path, bundle.name, bundle.sha256, bundle.calibrated_range) as opened:
        notice = opened.room().notice
        if notice:
            show_notice(notice)
        yield Engine(estimator, opened, rules, others, stability)
