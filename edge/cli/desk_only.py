"""What only a desk can do, found by name among the entry points of the training side; the device never imports it."""

from __future__ import annotations

from typing import Any


def of_the_desk(kind: str, name: str) -> Any:
    """Find what does something; None where the training side is not installed.

    Args:
        kind: group of entry points behind "stibium.", such as "spectra_writers".
        name: in it.
    """
    from importlib.metadata import entry_points

    for point in entry_points(group=f"stibium.{kind}", name=name):
        try:
            return point.load()
        except ImportError:
            break
    return None
