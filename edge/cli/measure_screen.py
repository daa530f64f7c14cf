"""What `stibium measure` shows and reads: one line at a time, on a screen of 40 columns if need be."""

from __future__ import annotations

import select
import shutil
import sys
import textwrap
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

import click

from ..log.columns import StoredModel
from ..log.records import record_of
from ..measure.steps import HANDS, LETTERS, Fact, Prompt, Step
from .output import printable, say
from .progress import SignOfLife, clear_line
from .readings import Readings, short_lines

if TYPE_CHECKING:
    from ..log.write import Result
    from ..model.bundle import Bundle

_MOST_COLUMNS = 100
_REDRAW_S = 1.0
_BETWEEN_RINGS_S = 0.4


class Screen:
    """Shows facts and prompts on standard error, results on standard output.

    Args:
        report: shows results as JSON lines or CSV; None for short lines of text.
        bundle: whose estimates are shown.
        bell: ring when a measurement is over, twice where something is to be read.
    """

    def __init__(self, report: Readings | None, bundle: Bundle, bell: bool = False) -> None:
        self._report, self._bundle, self._bell = report, bundle, bell
        self._measured = self._wrong = False

    @contextmanager
    def busy(self, what: str) -> Iterator[None]:
        """Show that the instrument is at work."""
        self._measured = True
        with SignOfLife(what):
            yield

    def ring(self) -> None:
        """Ring, if anything was measured since this was last called, and if that was asked for."""
        if self._bell and self._measured:
            click.echo("\a", nl=False, err=True)
            if self._wrong:
                time.sleep(_BETWEEN_RINGS_S)  # a terminal makes one of two that come at once
                click.echo("\a", nl=False, err=True)
        self._measured = self._wrong = False

    def tell(self, fact: Fact) -> None:
        """Show a fact."""
        self._wrong |= fact.kind in ("warning", "refused", "failed control")
        if fact.result is None:
            mark = {"warning": "! ", "refused": "! ", "failed control": "! "}.get(fact.kind, "")
            self.say(mark + fact.text)
        elif self._report is not None:
            self._report.show([fact.result])
        else:
            for line in result_lines(fact.result, self._bundle, self.columns):
                say(line)
            sys.stdout.flush()

    def say(self, text: str) -> None:
        """Show a line for the person, in as many lines as it takes."""
        clear_line()
        for line in wrapped(text, self.columns):
            click.echo(line, err=True)

    def ask(self, text: str) -> None:
        """Show a question, and leave the cursor behind it."""
        *first, last = wrapped(f"{text}:", self.columns - 1)
        for line in first:
            click.echo(line, err=True)
        click.echo(f"{last} ", nl=False, err=True)

    @property
    def columns(self) -> int:
        """Width of the screen; `COLUMNS` counts if it is set."""
        return min(shutil.get_terminal_size((79, 24)).columns, _MOST_COLUMNS)

    def help(self) -> None:
        """Show the commands."""
        for letter, what in LETTERS.items():
            click.echo(f"{letter or 'Enter':<5} {what}", err=True)
        self.say("Anything else names the sample.")


def wrapped(text: str, columns: int) -> list[str]:
    """Break a line, indenting what follows; at least one line."""
    plain = printable(" ".join(text.split()))
    return textwrap.wrap(plain, max(columns, 10), subsequent_indent="  ", break_long_words=True) or [""]


def result_lines(result: Result, bundle: Bundle, columns: int) -> Iterator[str]:
    """Give a sample's result in short lines."""
    model = StoredModel(bundle.sha256, bundle.name, *bundle.calibrated_range)
    first, *rest = short_lines(record_of(result, model)._replace(measurement=""))
    yield from wrapped(first, columns)
    for text in rest:
        yield from textwrap.wrap(
            text, max(columns, 10), initial_indent="  ", subsequent_indent="  ", break_long_words=True
        )


class Lines(Protocol):
    """Where commands come from."""

    def pause(self) -> None:
        """Let time pass before the next prompt, if that is wanted."""

    def read(self, prompt: Prompt) -> str | None:
        """Give the answer to a prompt; None if there are no more. Waits no longer than the prompt does."""


class Typed:
    """A person, or another program, on standard input."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen

    def pause(self) -> None:
        """See `Lines`."""

    def read(self, prompt: Prompt) -> str | None:
        """See `Lines`."""
        self._screen.ask(prompt.text)
        if prompt.wait_s is not None and not self._ready(prompt.wait_s):
            click.echo(err=True)
            return ""
        line = sys.stdin.readline()
        if not line:
            click.echo(err=True)
            return None
        if not sys.stdin.isatty():
            say(line.rstrip("\n"), err=True)
        return line

    def _ready(self, wait_s: float) -> bool:
        # Once in a while the prompt is shown again, with the time that is left.
        ready, _, _ = select.select([sys.stdin], [], [], min(wait_s, 60.0))
        return bool(ready)


def nobody_there() -> bool:
    """Tell whether standard input is at its end already, as that of a service is."""
    if sys.stdin.isatty() or not select.select([sys.stdin], [], [], 0)[0]:
        return False
    return not sys.stdin.buffer.peek(1)  # type: ignore[union-attr]


class Script:
    """Lines of a file: what a person would type, `pause SECONDS`, and `#` before what is not for the program.

    Args:
        lines: of the script.
        screen: shows prompts with their answers.
    """

    def __init__(self, lines: Iterable[str], screen: Screen) -> None:
        self._lines = [line.rstrip("\r\n") for line in lines if not line.startswith("#")]
        self._screen = screen

    def pause(self) -> None:
        """See `Lines`; what has become due in a pause is asked for after it."""
        while self._lines and self._lines[0].startswith("pause "):
            _sleep(_seconds(self._lines.pop(0)))

    def read(self, prompt: Prompt) -> str | None:
        """See `Lines`; the warm-up is waited for, unless the next line skips it."""
        if prompt.wait_s is not None and not (self._lines and self._lines[0].strip() == "s"):
            self._screen.say(prompt.text)
            _sleep(prompt.wait_s)
            return ""
        if not self._lines:
            return None
        line = self._lines.pop(0)
        self._screen.ask(prompt.text)
        say(line, err=True)
        return line


class Yes:
    """Nobody: everything is in place at the start, and after that only samples are.

    Args:
        begun: whether a point was measured already; nobody puts the probe on the panel then.
        screen: shows prompts if somebody may be looking.
    """

    def __init__(self, begun: Callable[[], bool], screen: Screen) -> None:
        self._begun, self._screen = begun, screen

    def pause(self) -> None:
        """See `Lines`."""

    def read(self, prompt: Prompt) -> str | None:
        """See `Lines`."""
        if prompt.step is Step.DISK:
            self._screen.say(prompt.text)
            return None
        if prompt.wait_s is not None:
            self._screen.say(prompt.text)
            _sleep(prompt.wait_s)
        return "s" if prompt.step in HANDS and self._begun() else ""


def _seconds(line: str) -> float:
    try:
        seconds = float(line.split()[1])
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 86400:
        raise click.UsageError(f"script: {line!r}: write pause SECONDS")
    return seconds


def _sleep(seconds: float) -> None:
    # In short pieces, so that a signal ends it on every system.
    end_s = time.monotonic() + seconds
    while (left_s := end_s - time.monotonic()) > 0:
        time.sleep(min(left_s, _REDRAW_S))
