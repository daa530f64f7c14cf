"""How laboratories write a content: numbers with the marks of their country, bounds, and words in place of a number.

Every reader of assays uses this, whatever the table. Nothing here turns a bound into a number, and a mark that may
be a decimal mark or part thousands is decided from all numbers that stand together, or refused.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Literal

Bound = Literal["", "<", ">"]
"""Nothing for a value, "<" where the true one is below it, ">" where it is above."""

MISSING = ("", "-", "--", "NA", "N/A", "n.a.", "NaN", "null", "none")
"""Fields that mean there is no value, whatever their case."""

DECLARED_DELIMITER = re.compile(r"""\s*"?sep=([,;\t])"?\s*""", re.IGNORECASE)
"""The line that spreadsheets begin a CSV with, and that is none of its rows."""
SIGNS = frozenset("<>≤≥") | {"<=", ">="}
"""What stands in a column of its own where a laboratory keeps bounds apart from their values."""

_WITHHELD = (
    "is ins iss nss ns snr lnr insufficientsample listednotreceived notreceived notanalysed notanalyzed nosample nb"
)
_NOT_DETECTED = (
    "nd bd bdl bld blod bloq blq bql bmdl brl nn nq tr trace belowdetection belowdetectionlimit notdetected nondetect "
    "nondetected undetected <dl <ld <lod <mdl <lld <lloq <loq <lq <rl <lor <idl <pql <det <detectionlimit <bg <ng <lc"
)
_OVER = "over overrange aboverange >uloq >udl >ul >max >range"
_NUMBER = r"[-\u2212]?[\d.,'\u2019 \u00a0\u2009\u202f]*\d[\d.,'\u2019 \u00a0\u2009\u202f]*(?:[eE][-+]?\d+)?"
_VALUE = re.compile(rf"(?P<bound>[<>\u2264\u2265]?)=?\s*(?P<number>{_NUMBER})", re.ASCII)
_SPACES = r"['\u2019 \u00a0\u2009\u202f]"
_PLAIN = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,15})?").fullmatch
"""Most values; a match is cheaper than all that follows."""
LONGEST = 60
"""Characters of a value; a longer field is text."""


@dataclass(frozen=True)
class Content:
    """What a field says.

    Attributes:
        value: the value, or the bound if it is one; NaN for "not detected" without the limit.
        bound: which.
    """

    value: float
    bound: Bound = ""

    @property
    def without_limit(self) -> bool:
        """Whether it is below a limit that the field does not give."""
        return math.isnan(self.value)


class ExactNumber(str):
    """The text of a number that a spreadsheet holds as one: its dot is a decimal mark, in every country."""


def plain_word(text: str) -> str:
    """Return a field without what laboratories write differently: case, spaces, dots, slashes and dashes."""
    return re.sub(r"[\s._/-]+", "", text).casefold()


_WITHHELD_WORDS = frozenset(_WITHHELD.split())
_NOT_DETECTED_WORDS = frozenset(_NOT_DETECTED.split())
_OVER_WORDS = frozenset(_OVER.split())
_MISSING_WORDS = frozenset(word.casefold() for word in MISSING)


def is_withheld(text: str) -> bool:
    """Say whether a laboratory's word gives the reason for a value that is not there, such as IS and LNR."""
    return plain_word(text) in _WITHHELD_WORDS


def is_not_detected(text: str) -> bool:
    """Say whether a laboratory's word says "not detected", such as n.d., bdl and <DL."""
    return plain_word(text) in _NOT_DETECTED_WORDS


@dataclass
class DecimalMarks:
    """What numbers that stand together show of their marks.

    Attributes:
        shown: decimal mark, "." or ",", and the first number that can only be read with it, such as 12.5 or 1,250,000.
        unsure: mark, and the first number such as 1,250 in which it may be either.
    """

    shown: dict[str, str] = field(default_factory=dict)
    unsure: dict[str, str] = field(default_factory=dict)

    def see(self, text: str) -> None:
        """Take one more field into account."""
        commas, dots = text.count(","), text.count(".")
        if commas + dots == 0 or isinstance(text, ExactNumber):
            return
        if commas + dots == 1 and ("," if commas else ".") in self.shown:
            return  # A single mark tells at most that, again.
        found = _VALUE.fullmatch(text.strip()) if len(text) <= LONGEST else None
        if found is None:
            return
        number, _, exponent = found["number"].lower().partition("e")
        last = max(number.rfind(","), number.rfind("."))
        mark, other = number[last], "." if number[last] == "," else ","
        before, after = number[:last].lstrip("-\u2212"), number[last + 1 :]
        sure = {*before} & {",", "."} or exponent or not re.fullmatch(r"[1-9]\d{0,2}", before) or len(after) != 3
        decimal = other if mark in before else mark
        if not sure:
            self.unsure.setdefault(mark, text.strip())
        elif math.isfinite(_number(found["number"], decimal)):
            self.shown.setdefault(decimal, text.strip())

    def decimal(self, others: DecimalMarks, usual: str = "") -> str:
        """Say which the decimal mark of these numbers is.

        Args:
            others: what the table's other numbers show, where these do not.
            usual: the mark that is decimal where nothing shows it; "" for none.

        Raises:
            ValueError: they contradict each other, or may be read in two ways.
        """
        if len(self.shown) == 2:
            dot, comma = self.shown["."], self.shown[","]
            raise ValueError(f"{dot!r} and {comma!r} stand together; write all numbers with one decimal mark")
        known = self.shown or (others.shown if len(others.shown) == 1 else {})
        if known:
            return next(iter(known))
        for mark, text in self.unsure.items():
            if len(self.unsure) == 2 or mark != usual:
                digits = re.sub(r"[<>=\s\u2264\u2265]", "", text)
                split, whole = digits.replace(mark, "."), digits.replace(mark, "")
                raise ValueError(
                    f"{text!r} may be {split} or {whole}, and no other number tells; write {split}0 or {whole}"
                )
        return usual or "."


def parse_content(text: str, decimal: str = ".", percent: bool = False) -> Content | None:
    """Read a field such as 12.3, 1,250.5, <0.02, >4000, n.d., or nothing.

    Args:
        text: the field.
        decimal: its decimal mark; the other one of dot and comma parts thousands.
        percent: whether it may end in "%".

    Returns:
        None where there is no value.

    Raises:
        ValueError: it is none; what is wrong, and what to do.
    """
    text = text.strip()
    if decimal == "." and _PLAIN(text):
        return Content(float(text))
    shown = f"{text[:40]!r}"
    word = plain_word(text)
    if text.casefold() in _MISSING_WORDS or word in _WITHHELD_WORDS:
        return None
    if word in _NOT_DETECTED_WORDS:
        return Content(math.nan, "<")
    if word in _OVER_WORDS:
        raise ValueError(f"{shown} does not say above what; write the upper limit, such as >4000")
    found = _VALUE.fullmatch(text.rstrip("%").rstrip() if percent else text) if len(text) <= LONGEST else None
    number = _number(found["number"], decimal) if found else math.nan
    if found is None or not math.isfinite(number):
        raise ValueError(f"{shown} is no value; write 12.3, <0.02, >4000, or leave it empty")
    bound: Bound = "<" if found["bound"] in ("<", "\u2264") and found["bound"] else ">" if found["bound"] else ""
    if number < 0 or found["number"][0] in "-\u2212":
        raise ValueError(f"{shown} is negative; write a detection limit as <0.02, what is not known as empty")
    if number == 0 and bound == "<":
        raise ValueError("<0 says nothing; give the detection limit")
    return Content(number, bound)


def finite_number(text: str, decimal: str) -> float:
    """Read a number of any sign with the marks of its country, such as a coordinate; NaN where there is none."""
    number = float(text) if decimal == "." and _PLAIN(text) else _number(text, decimal)
    return number if math.isfinite(number) else math.nan


def _number(text: str, decimal: str) -> float:
    group = "," if decimal == "." else "."
    mark = re.escape(decimal)
    found = re.fullmatch(
        rf"(?P<sign>[-\u2212]?)(?P<whole>\d+|[1-9]\d{{0,2}}(?P<by>[{group}]|{_SPACES})\d{{3}}(?:(?P=by)\d{{3}})*|)"
        rf"(?:{mark}(?P<part>\d*))?(?P<exponent>[eE][-+]?\d+)?",
        text.strip(),
        re.ASCII,
    )
    if found is None or not (found["whole"] or found["part"]):
        return math.nan
    whole = re.sub(r"\D", "", found["whole"])
    return float(f"{'-' if found['sign'] else ''}{whole or 0}.{found['part'] or 0}{found['exponent'] or ''}")
