"""Every method that there is: what commands, reports and benchmarks know comes from here. A new one is one line."""

from __future__ import annotations

from collections.abc import Callable

from ...edge.model.presets import Preprocessing
from ..crossval.decision import DecideBy
from ..crossval.validation import Method
from .baselines import BASELINE_METHODS
from .common import with_recipe
from .further_baselines import FURTHER_BASELINES, has_cubist
from .linear import Plsr
from .method import DeviceMethod
from .mobilenetv2 import MobileNetV2
from .published import PublishedNetwork
from .stack import Stack
from .support_vectors import Svr
from .teachers import deciding_by

_FOR_DEVICES: tuple[type[DeviceMethod], ...] = (MobileNetV2, Stack, Plsr, Svr, PublishedNetwork)
"""The first one is what `stibium train` takes where it is not told otherwise."""

BASELINES = tuple(BASELINE_METHODS)
"""What another method must be at least as good as."""

ALL_BASELINES = (*BASELINES, *(name for name in FURTHER_BASELINES if name != "Cubist" or has_cubist()))
"""What reports and `validate` show, as far as it is installed here."""

METHODS: dict[str, Callable[[bool], Method]] = {
    **BASELINE_METHODS,
    **FURTHER_BASELINES,
    **{method.name: method for method in _FOR_DEVICES},
}
"""Name in tables -> what makes the method; its argument says whether it is to be fast (fewer settings and epochs)."""

DEVICE_METHODS: dict[str, type[DeviceMethod]] = {method.key: method for method in _FOR_DEVICES}
"""Name on the command line and in a run -> method whose model a device can run."""

FORMER_NAMES = {"default": Stack.key}
"""What a method was called on the command line and in runs of earlier versions -> what it is called now."""

PUBLISHED = PublishedNetwork.name


def find_method(name: str) -> str | None:
    """Find a method's name in tables by that name, or by the one that it has on the command line; None if unknown."""
    known = DEVICE_METHODS.get(FORMER_NAMES.get(name, name))
    return known.name if known else name if name in METHODS else None


def baselines(fast: bool, decide_by: DecideBy = "both") -> list[Method]:
    """Make the methods that another one is held against; for a first look the best known of them."""
    return [make_method(name, fast, decide_by) for name in (BASELINES if fast else ALL_BASELINES)]


def make_method(name: str, fast: bool, decide_by: DecideBy = "both", recipe: Preprocessing | None = None) -> Method:
    """Make a method of `METHODS` that chooses by what the user decides by, with preprocessing of one's own or not.

    Raises:
        TrainingDataError: it cannot take this preprocessing.
    """
    return with_recipe(deciding_by(METHODS[name](fast), decide_by), recipe)
