"""What the measuring routine asks for and says: steps, prompts, facts, and the commands a person types."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from ..log.write import Result


class Step(Enum):
    """What the routine wants next."""

    DISK = "disk"
    WARM_UP = "warm-up"
    OPTIMISE = "optimise"
    DARK = "dark"
    WHITE = "white"
    PANEL = "panel check"
    WAVELENGTH = "wavelength check"
    POINT = "point"
    DONE = "done"


HANDS = frozenset({Step.OPTIMISE, Step.DARK, Step.WHITE, Step.PANEL, Step.WAVELENGTH})
"""Steps before which something has to be put under the probe."""


@dataclass(frozen=True)
class Prompt:
    """What is asked of the person.

    Attributes:
        step: what Enter will do.
        text: short enough for 40 columns, unless a sample's name is long.
        wait_s: the routine goes on by itself after so many seconds; None if it waits for the person.
    """

    step: Step
    text: str
    wait_s: float | None = None


FactKind = Literal["note", "warning", "refused", "estimate", "control", "failed control"]


@dataclass(frozen=True, eq=False)
class Fact:
    """Something that has happened, and is in the log already.

    Attributes:
        kind: how it is to be shown.
        text: one line, of any length.
        result: of a sample; None for anything else.
    """

    kind: FactKind
    text: str
    result: Result | None = None


LETTERS = {
    "": "do what is asked for",
    "w": "dark and white reference",
    "d": "dark reference",
    "o": "optimise the instrument",
    "p": "check the white panel",
    "v": "check the wavelengths",
    "i": "name the sample: i RS007",
    "n": "note: n wet, roots",
    "r": "repeat the last point or sample",
    "s": "skip this step or sample",
    "q": "quit; --resume goes on",
    "?": "this help",
}
"""Commands of one letter, Enter alone among them."""

_LETTER = re.compile(r"([a-z?])(?:\s+(.*))?", re.DOTALL)
LONGEST_NAME = 200


@dataclass(frozen=True)
class Command:
    """What a person typed: one of `LETTERS`, and what came after it."""

    letter: str
    argument: str = ""


def parse_command(line: str) -> Command | None:
    """Read a line; None if it begins like a command and is none.

    A letter, alone or with something after a space, is a command. Anything else is a sample's name, as a scanner
    types it; a name of one letter is given with `i`. Control characters are left out.
    """
    text = "".join(c for c in line if c.isprintable() or c == "\t").strip()[:LONGEST_NAME]
    match = _LETTER.fullmatch(text)
    if not text:
        return Command("")
    if match is None:
        return Command("i", text)
    letter, argument = match.group(1), (match.group(2) or "").strip()
    if letter not in LETTERS:
        return None
    return Command(letter, argument)
