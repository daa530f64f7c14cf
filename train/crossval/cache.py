"""Fits that a long comparison keeps in a file, one JSON line each, so that it goes on where it was interrupted."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import MISSING, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

from ...edge.workers import Workers
from ..errors import KeptFitsError
from ..samples import Samples
from .decision import DecideBy
from .folds import Folds
from .validation import FitProgress, FoldResult, Method, Spoil, Validation, cross_validate

_BEGINS = b'{"of": "'
"""How every line does, be it ever so short."""


class KeptFits:
    """Fits by what they were of; see `key_of`.

    Args:
        path: the file, which need not be there yet; None to keep nothing.

    Raises:
        KeptFitsError: a line that is none of ours; the file is left as it is.
    """

    def __init__(self, path: str | os.PathLike[str] | None) -> None:
        self._path = Path(path) if path else None
        self._known: dict[tuple[str, int], list[FoldResult]] = {}
        if self._path is None or not self._path.exists():
            return
        lines = self._path.read_bytes().split(b"\n")
        # A line that was being written when the run was killed lacks its end.
        unfinished = lines.pop()
        for number, line in enumerate(lines, 1):
            try:
                kept = json.loads(line)
                result = FoldResult.from_dict(kept["fit"])
                self._known.setdefault((kept["of"], kept["random_state"]), []).append(result)
            except (ValueError, KeyError, TypeError) as error:
                raise KeptFitsError(f"{path}: line {number} is no kept fit; name another file") from error
        if unfinished:
            # Only now is it certain that the file is one of ours, and may be touched.
            if unfinished[: len(_BEGINS)] != _BEGINS[: len(unfinished)]:
                raise KeptFitsError(f"{path}: line {len(lines) + 1} is no kept fit; name another file")
            self._path.write_bytes(b"".join(line + b"\n" for line in lines))

    def known(self, key: str, seeds: tuple[int, ...]) -> list[FoldResult]:
        """Give the fits of these splits, numbered as in this run."""
        return [
            replace(result, repeat=repeat)
            for repeat, seed in enumerate(seeds)
            for result in self._known.get((key, seed), [])
        ]

    def keep(self, key: str, seed: int, result: FoldResult) -> None:
        """Write a fit down."""
        if self._path is not None:
            line = json.dumps({"of": key, "random_state": seed, "fit": result.to_dict()}) + "\n"
            # In one piece, as several processes may keep their fits in one file.
            with self._path.open("ab", buffering=0) as file:
                file.write(line.encode())


def key_of(label: str, data: Samples, fast: bool) -> str:
    """Name what a fit was of, so that it is never taken for one of other data.

    Args:
        label: of the data, and of the way they are divided where seeds do not tell it.
        data: what is fitted to.
        fast: whether the methods are.
    """
    digest = hashlib.sha256()
    for array in (data.reflectance, data.wavelengths_nm, data.measured):
        digest.update(array.tobytes())
    return f"{label}{' fast' if fast else ''} {digest.hexdigest()[:16]}"


def plan_digest(plan: Folds, data_sha256: str) -> str:
    """Name a way of dividing certain data, for `key_of`."""
    return hashlib.sha256(repr((plan.description, plan.keys, data_sha256)).encode()).hexdigest()[:16]


def asked_otherwise(method: Method) -> str:
    """Tell a method from what it is where nobody asks for anything, for `key_of`; "" if it is that."""
    asked: Any = method
    if not is_dataclass(asked):
        return ""
    if all(own.default is not MISSING or own.default_factory is not MISSING for own in fields(asked)):
        usual: Any = type(asked)
        fast = getattr(asked, "fast", None)
        if asked == (usual() if fast is None else usual(fast=fast)):
            return ""
    # A repr says all of a frozen dataclass but arrays; data have hashes of their own.
    return f" {hashlib.sha256(repr(method).encode()).hexdigest()[:16]}"


def cross_validate_kept(
    methods: Sequence[Method],
    data: Samples,
    plan: Folds,
    fast: bool,
    kept: KeptFits,
    progress: Callable[[FitProgress], None] = lambda progress: None,
    known: Sequence[FoldResult] = (),
    of_training: bool = False,
    decide_by: DecideBy = "both",
    spoil: Spoil | None = None,
    workers: Workers | None = None,
) -> Validation:
    """Cross-validate, taking the fits that are kept as they are, and keeping each further one as soon as it is done.

    Args:
        methods, data, progress: as `cross_validate` takes them.
        plan: of the folds.
        fast: whether the methods are.
        kept: where the fits are.
        known: further results.
        of_training, decide_by, spoil, workers: see `cross_validate`.
    """
    key = key_of(f"{data.element} {plan_digest(plan, data.sha256)}", data, fast)
    keys = {method.name: key + asked_otherwise(method) for method in methods}

    def keep(done: FitProgress) -> None:
        kept.keep(keys[done.result.method], done.result.repeat, done.result)
        progress(done)

    repeats = tuple(range(len(plan.repeats)))
    earlier = [result for name, own in keys.items() for result in kept.known(own, repeats) if result.method == name]
    return cross_validate(
        methods,
        data,
        plan,
        progress=keep,
        known=[*known, *earlier],
        of_training=of_training,
        decide_by=decide_by,
        spoil=spoil,
        workers=workers,
    )
