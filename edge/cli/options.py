"""Options that several commands share, and the engine they ask for."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import click

from ..engine import Engine
from ..gates.rules import DEFAULT_RULES, Rules
from ..log.write import LOG_ENVIRONMENT_VARIABLE, default_log_path
from ..model.bundle import MODEL_ENVIRONMENT_VARIABLE, Bundle, bundle_paths, read_bundle, shipped_bundle_path
from .output import notice as show_notice

F = TypeVar("F", bound=Callable[..., Any])


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
