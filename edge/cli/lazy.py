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
            return says_what_is_given_twice(getattr(import_module(f"{__package__}.{module}"), name))
        from importlib.metadata import entry_points

        for point in entry_points(group=self._entry_points, name=cmd_name):
            return says_what_is_given_twice(point.load())
        return None


def says_what_is_given_twice(command: click.Command) -> click.Command:
    """Let a command say so where an option that takes one value is given several: the last one counts."""
    if isinstance(command, click.Group) or hasattr(command, "says_twice"):
        return command
    parse = command.parse_args

    def parse_args(ctx: click.Context, args: list[str]) -> list[str]:
        given: dict[str, list[str]] = {}
        one_value = {
            name: one.opts[-1]
            for one in command.params
            if isinstance(one, click.Option) and not (one.is_flag or one.multiple or one.count or one.nargs != 1)
            for name in one.opts
        }
        for before, after in zip(args, [*args[1:], ""], strict=False):
            name, equals, value = before.partition("=")
            if name in one_value:
                given.setdefault(one_value[name], []).append(value if equals else after)
        for name, values in given.items():
            if len(set(values)) > 1:
                from .output import notice

                notice(f"{name} is given {len(values)} times: {values[-1]} counts, not {', '.join(values[:-1])}")
        return parse(ctx, args)

    command.parse_args = parse_args  # type: ignore[method-assign]
    command.says_twice = True  # type: ignore[attr-defined]
    return command
