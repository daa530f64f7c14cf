"""What lies in a run directory, and making one; imports nothing heavy, so that a wrong folder is said at once."""

from __future__ import annotations

import os
from pathlib import Path

from ..run_folder import make_folder

RUN, MODELS_FOLDER, TABLES, REPORT, PARTS = "run.json", "models", "tables", "report.html", ".parts"
_OURS = frozenset({RUN, MODELS_FOLDER, TABLES, REPORT, PARTS})


def check_ore_folder(folder: str | os.PathLike[str], force: bool) -> Path:
    """Make a folder for a run before minutes are spent on it; one that was interrupted may go on.

    Raises:
        RunError: it holds other files or a whole run and `force` is not set, or it cannot be made.
    """
    return make_folder(folder, _OURS, _OURS - {RUN}, force)
