"""Which sample comes next: names that are listed, typed or counted up, with blanks, references and duplicates."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from ..log.columns import SampleKind
from ..log.names import Known


@dataclass(frozen=True)
class Planned:
    """A sample that is to be measured.

    Attributes:
        sample_id: its name; a person may type another one.
        kind: a soil, or a control.
        duplicate_of: the soil that a duplicate is a second measurement of.
        again: it was measured before, and takes nobody's turn.
        by_label: the instrument named it; names that are counted up go on without it.
        replaces: reading of the log in whose place this one counts, unless it is refused and that was not; 0 for none.
    """

    sample_id: str
    kind: SampleKind = "sample"
    duplicate_of: str = ""
    again: bool = False
    by_label: bool = False
    replaces: int = 0

    def as_details(self) -> dict[str, Any]:
        """Give it as plain values, for the log."""
        return asdict(self)

    @classmethod
    def from_details(cls, details: dict[str, Any]) -> Planned:
        """Make it of what `as_details` gave, in this version or an earlier one."""
        return cls(**{field.name: details[field.name] for field in fields(cls) if field.name in details})


@dataclass(frozen=True)
class Plan:
    """How a run is made up.

    Attributes:
        names: of the first samples, in order.
        prefix: further names are this and a number that counts up.
        blank_every, reference_every, duplicate_every: soils after which a control is put in; 0 for never.
        reference_id: name of the reference soil.
    """

    names: tuple[str, ...] = ()
    prefix: str = "sample-"
    blank_every: int = 0
    reference_every: int = 0
    duplicate_every: int = 0
    reference_id: str = "reference"


@dataclass(frozen=True)
class NameAsked:
    """A name that is asked about.

    Attributes:
        name: as it was typed or listed.
        known: the last reading of that name, or of one that differs in case and spaces only; None if there is none.
        listed: it stands in the plan, and whatever is measured now takes its turn.
        once: Enter was pressed once.
    """

    name: str
    known: Known | None = None
    listed: bool = False
    once: bool = False

    @property
    def prompt(self) -> str:
        """What is asked; short enough for 40 columns unless the name is long."""
        if self.once:
            return f"Once more Enter: {'a second ' if self._same else ''}{self.name}"
        return f"{self.name}? Enter twice{', or r' if self.known is not None else ''}"

    @property
    def _same(self) -> bool:
        return self.known is not None and self.known.sample_id == self.name


_COUNTED = re.compile(r"(.*?)(\d+)$")


class Run:
    """The samples of a run, one after the other. What it gives depends only on what was done before.

    Args:
        plan: how the run is made up.
        taken: tells whether a name is that of another sample; names that are counted up pass it over.
    """

    def __init__(self, plan: Plan, taken: Callable[[str], bool] = lambda name: False) -> None:
        self._plan, self._taken = plan, taken
        self._names = deque(plan.names)
        self._controls: deque[Planned] = deque()
        self._last = ""
        self.soils = 0
        """Soils that are done."""
        self.blanks = 0

    def next(self) -> Planned:
        """Give what comes next; the same until something is done."""
        if self._controls:
            return self._controls[0]
        if self._names:
            return Planned(self._names[0])
        name = _count_up(self._last, self._plan.prefix)
        while self._taken(name):
            name = _count_up(name, self._plan.prefix)
        return Planned(name)

    @property
    def listed(self) -> str:
        """The name that was listed for what comes next; "" for a control and for one that is counted up."""
        return self._names[0] if self._names and not self._controls else ""

    def named(self, sample_id: str) -> Planned:
        """Give what comes next under a name that a person typed; a control keeps being one."""
        return replace(self.next(), sample_id=sample_id)

    def done(self, planned: Planned, measured: bool = True) -> None:
        """Go on to the next one, after it was measured or, if not `measured`, left out."""
        if planned.again:
            return
        if planned.kind != "sample":
            if self._controls:
                self._controls.popleft()
            return
        if self._names:
            self._names.popleft()
        counts = planned.sample_id.startswith(self._plan.prefix) or self._plan.prefix == Plan.prefix
        if counts and not planned.by_label and _COUNTED.match(planned.sample_id):
            self._last = planned.sample_id
        if not measured:
            return
        self.soils += 1
        plan = self._plan
        if _due(self.soils, plan.blank_every):
            self.blanks += 1
            self._controls.append(Planned(f"blank-{self.blanks}", "blank"))
        if _due(self.soils, plan.reference_every):
            self._controls.append(Planned(plan.reference_id, "reference"))
        if _due(self.soils, plan.duplicate_every):
            self._controls.append(Planned(f"{planned.sample_id}-dup", "duplicate", planned.sample_id))


def _due(done: int, every: int) -> bool:
    return every > 0 and done % every == 0


def _count_up(last: str, prefix: str) -> str:
    """Count on from the last name that ends in a number, with as many digits; from 1 if there is none."""
    counted = _COUNTED.match(last)
    if counted is None:
        return f"{prefix}001"
    head, digits = counted.groups()
    return f"{head}{int(digits) + 1:0{len(digits)}d}"
