"""What the measuring routine asks for and says: steps, prompts, facts, and the commands a person types."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Literal

from ...converters.spectra.spectrum import CONDITIONS
from ..log.typed import is_kind

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
    NAME = "name"
    GROUND = "ground"
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
    "g": "ground: g dry, g damp or g wet",
    "n": "note: n roots, near the vein",
    "r": "repeat the last point or sample",
    "s": "skip this step or sample",
    "e": "edit: e rename RS007, e void, ...",
    "u": "undo the last edit",
    "q": "quit; --resume goes on",
    "?": "this help",
}
"""Commands of one letter, Enter alone among them; case does not matter."""

WORDS = {
    "white": "w",
    "dark": "d",
    "optimise": "o",
    "optimize": "o",
    "panel": "p",
    "wavelength": "v",
    "wavelengths": "v",
    "name": "i",
    "ground": "g",
    "note": "n",
    "repeat": "r",
    "again": "r",
    "skip": "s",
    "edit": "e",
    "undo": "u",
    "quit": "q",
    "exit": "q",
    "stop": "q",
    "end": "q",
    "help": "?",
}
"""The same commands as words."""

_TAKE_MORE = ("i", "g", "n", "e")
LONGEST_NAME = 200
_USUAL_NAME = 60


@dataclass(frozen=True)
class Command:
    """What a person typed: one of `LETTERS`, and what came after it.

    Attributes:
        letter: of the command.
        argument: what came after it.
        doubt: why it is asked whether a name is meant; "" where that is clear.
    """

    letter: str
    argument: str = ""
    doubt: str = ""


def parse_command(line: str) -> Command | None:
    """Read a line; None if it is a lone letter and no command.

    A letter or a word of the commands, alone or with what it takes after a space, is a command and never a name, in
    upper or lower case; dry, damp or wet alone says the condition of the ground. Anything else is a sample's name, as a
    scanner types it; without a digit in it, or where it reads like an edit, it is one in doubt.
    A name that looks like a command is given with `i`. Control characters are left out.
    """
    text = "".join(c for c in line if c.isprintable() or c == "\t").strip()[:LONGEST_NAME]
    first, _, rest = text.replace("\t", " ").partition(" ")
    word, rest = first.lower(), rest.strip()
    if text.lower() in CONDITIONS:
        return Command("g", text.lower())
    letter = word if word in LETTERS else WORDS.get(word)
    if letter is not None and (not rest or letter in _TAKE_MORE):
        return Command(letter, rest)
    if letter is not None:
        return Command("i", text, f"{first} takes nothing after it")
    if len(text) == 1 and not text.isdigit():
        return None
    return Command("i", text, "edits begin with e: e RS005 void wrong pit" if is_kind(first) else _doubt(text))


def doubt_of(name: str) -> str:
    """Say why a text that was given as a name may be none; "" if there is no doubt."""
    command = parse_command(name)
    return "a command" if command is None or command.letter != "i" else command.doubt


def _doubt(text: str) -> str:
    if not any(letter.isdigit() for letter in text):
        return "no command, and no number in it"
    return "long for a name" if len(text) > _USUAL_NAME else ""
