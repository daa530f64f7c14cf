"""What the commands of `stibium ore` share on the training side."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from ..errors import NEEDS_TRAIN, MissingTrainingSideError

F = TypeVar("F", bound=Callable[..., Any])


def require_training_side() -> None:
    """Stop in one line where only the device's part is installed.

    Raises:
        MissingTrainingSideError: scikit-learn, SciPy or XGBoost is absent.
    """
    from importlib.util import find_spec

    if any(find_spec(name) is None for name in ("sklearn", "scipy", "xgboost")):
        raise MissingTrainingSideError(NEEDS_TRAIN)


def columns_option(command: F) -> F:
    """`--columns`: what the table's columns are."""
    return click.option(
        "--columns",
        type=click.Path(),
        metavar="TOML",
        help="What the table's columns are.  [default: $STIBIUM_ORE_COLUMNS, or the study's variables]",
    )(command)


def cost_options(command: F) -> F:
    """`--cost-lost-ore` and `--cost-hauled-gangue`."""
    cost = click.FloatRange(min=0, min_open=True)
    for name, default, text in (
        ("--cost-hauled-gangue", 1.0, "What a block of gangue costs that is hauled as ore, in the same unit."),
        ("--cost-lost-ore", 5.0, "What a block of ore costs that is thrown away, in any unit; sets the threshold."),
    ):
        command = click.option(name, type=cost, default=default, show_default=True, metavar="COST", help=text)(command)
    return command
