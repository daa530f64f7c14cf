"""The folder of a run, of whichever kind; imports nothing heavy, so that a wrong folder is said at once."""

from __future__ import annotations

import os
from collections.abc import Set
from pathlib import Path

from ..converters.spectra.files import remove_unfinished
from .errors import RunError


def make_folder(folder: str | os.PathLike[str], ours: Set[str], may_stay: Set[str], force: bool) -> Path:
    """Make a folder for a run, or see that one that is there may be gone on with.

    Args:
        folder: new, empty, or of a run.
        ours: names of files that such a run has.
        may_stay: those of them that an interrupted run leaves.
        force: a whole run may be there, to be overwritten.

    Raises:
        RunError: it holds other files or a whole run, or it cannot be made.
    """
    path = Path(folder)
    try:
        path.mkdir(parents=True, exist_ok=True)
        remove_unfinished(os.fspath(path), ours)
        there = {entry.name for entry in path.iterdir()}
    except OSError as error:
        raise RunError(f"{path}: cannot be made a run directory: {error.strerror}") from error
    if there - ours:
        raise RunError(f"{path}: holds other files ({sorted(there - ours)[0]}); name a new folder")
    if there - may_stay and not force:
        raise RunError(f"{path}: holds a run already; name another folder, or overwrite it with --force")
    return path
