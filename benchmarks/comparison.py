"""What the comparisons of methods on real soils have in common: names from the command line, and splits that are kept."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

import click
import numpy as np
from stibium.train.crossval.cache import KeptFits, key_of
from stibium.train.crossval.folds import Folds, paper_split
from stibium.train.crossval.validation import FitProgress, Method, Validation, cross_validate, minutes
from stibium.train.samples import Samples


def chosen(text: str, known: Iterable[str], what: str) -> list[str]:
    """Split an option at its commas.

    Raises:
        click.UsageError: a name that is not known, or none.
    """
    names = list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        raise click.UsageError(f"no {what} {', '.join(unknown) or 'named'}; there are {', '.join(known)}")
    return names


def run(
    label: str, data: Samples, methods: list[Method], seeds: tuple[int, ...], fast: bool, kept: KeptFits
) -> Validation:
    """Fit every method to the same two thirds and predict the third, once for each seed; what is kept is not redone."""
    return run_plan(label, data, methods, paper_split(data.names, seeds), fast, kept, seeds)


def run_plan(
    label: str,
    data: Samples,
    methods: list[Method],
    folds: Folds,
    fast: bool,
    kept: KeptFits,
    states: tuple[int, ...] = (0,),
) -> Validation:
    """Fit every method in every fold; what is kept, by the state of each repeat, is not redone."""
    key = key_of(label, data, fast)

    def show(progress: FitProgress) -> None:
        kept.keep(key, states[progress.result.repeat], progress.result)
        if sys.stderr.isatty():
            left = "" if progress.done == progress.total else f", about {progress.remaining_s:.0f} s left"
            print(
                f"\r\033[K{label}: {progress.done} of {progress.total} fits{left}", end="", file=sys.stderr, flush=True
            )

    try:
        return cross_validate(methods, data, folds, progress=show, known=kept.known(key, states))
    finally:
        if sys.stderr.isatty():
            print("\r\033[K", end="", file=sys.stderr, flush=True)


def expected(
    plans: Sequence[tuple[str, Samples, Folds]],
    methods: Sequence[str],
    fast: bool,
    kept: KeptFits,
    states: tuple[int, ...] = (0,),
) -> str:
    """Say in a line how many fits are to be made, and what they will take by those that are kept.

    Args:
        plans: label, data and folds of each comparison.
        methods: their names.
        fast, kept, states: as for `run_plan`.
    """
    left: list[str] = []
    total = 0
    seconds: dict[str, list[float]] = {}
    for label, data, folds in plans:
        known = kept.known(key_of(label, data, fast), states)
        done = {(fit.method, fit.repeat, fit.fold) for fit in known}
        for fit in known:
            seconds.setdefault(fit.method, []).append(fit.seconds)
        for name in methods:
            wanted = [(name, r, i) for r, repeat in enumerate(folds.repeats) for i in range(len(repeat))]
            total += len(wanted)
            left += [name for one in wanted if one not in done]
    line = f"{total} fits, {total - len(left)} of them kept"
    if not left:
        return line
    if not seconds:
        return f"{line}; what they take is known when some are kept (--keep), and shown beside their count"
    usual = float(np.mean([s for taken in seconds.values() for s in taken]))
    needed = sum(float(np.mean(seconds[name])) if name in seconds else usual for name in left)
    return f"{line}; about {minutes(needed)} (minutes:seconds) of one processor to go, by what the kept ones took"
