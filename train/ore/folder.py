"""What lies in a run directory, and making one; imports nothing heavy, so that a wrong folder is said at once."""

from __future__ import annotations

import os
from pathlib import Path

from ...converters.spectra.files import remove_unfinished
from ..errors import RunError

RUN, MODELS_FOLDER, TABLES, REPORT, PARTS = "run.json", "models", "tables", "report.html", ".parts"
_OURS = frozenset({RUN, MODELS_FOLDER, TABLES, REPORT, PARTS})


def check_ore_folder(folder: str | os.PathLike[str], force: bool) -> Path:
    """Make a folder for a run before minutes are spent on it; one that was interrupted may go on.

    Raises:
        RunError: it holds other files or a whole run and `force` is not set, or it cannot be made.
    """
    path = Path(folder)
    try:
        path.mkdir(parents=True, exist_ok=True)
        remove_unfinished(os.fspath(path), _OURS)
        there = {entry.name for entry in path.iterdir()}
    except OSError as error:
        raise RunError(f"{path}: cannot be made a run directory: {error.strerror}") from error
    if there - _OURS:
        raise RunError(f"{path}: holds other files ({sorted(there - _OURS)[0]}); name a new folder")
    if RUN in there and not force:
        raise RunError(f"{path}: holds a run already; name another folder, or overwrite it with --force")
    return path
