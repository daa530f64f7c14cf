"""What the comparisons of methods on real soils have in common: names from the command line, and splits that are kept."""

from __future__ import annotations

import sys
from collections.abc import Iterable

import click
from stibium.train.crossval.cache import KeptFits, key_of
from stibium.train.crossval.folds import paper_split
from stibium.train.crossval.validation import FitProgress, Method, Validation, cross_validate
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
    key = key_of(label, data, fast)

    def show(progress: FitProgress) -> None:
        kept.keep(key, seeds[progress.result.repeat], progress.result)
        if sys.stderr.isatty():
            left = "" if progress.done == progress.total else f", about {progress.remaining_s:.0f} s left"
            print(
                f"\r\033[K{label}: {progress.done} of {progress.total} fits{left}", end="", file=sys.stderr, flush=True
            )

    try:
        return cross_validate(
            methods, data, paper_split(data.names, seeds), progress=show, known=kept.known(key, seeds)
        )
    finally:
        if sys.stderr.isatty():
            print("\r\033[K", end="", file=sys.stderr, flush=True)
