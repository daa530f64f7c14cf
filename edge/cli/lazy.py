"""A group of commands that are imported when they are used."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click


class LazyGroup(click.Group):
    """A group whose commands are imported when used, so that one starts as fast as what it needs.

    Args:
        device: command -> module under `stibium.edge.cli` and name of the click command in it.
        entry_points: group of the commands of the training side, which is read only for a name that is not the
            device's own, and for `--help`.
    """

    def __init__(self, *args: Any, device: dict[str, str], entry_points: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._device, self._entry_points = device, entry_points

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the device's commands in their order, then the training side's."""
        from importlib.metadata import entry_points

        return [*self._device, *(point.name for point in entry_points(group=self._entry_points))]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        target = self._device.get(cmd_name)
        if target is not None:
            module, name = target.split(":")
            return getattr(import_module(f"{__package__}.{module}"), name)  # type: ignore[no-any-return]
        from importlib.metadata import entry_points

        for point in entry_points(group=self._entry_points, name=cmd_name):
            return point.load()  # type: ignore[no-any-return]
        return None
