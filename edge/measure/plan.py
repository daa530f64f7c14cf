"""Which sample comes next: names that are listed, typed or counted up, with blanks, references and duplicates."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from ..log.columns import SampleKind


@dataclass(frozen=True)
class Planned:
    """A sample that is to be measured.

    Attributes:
        sample_id: its name; a person may type another one.
        kind: a soil, or a control.
        duplicate_of: the soil that a duplicate is a second measurement of.
        again: it was measured before, and takes nobody's turn.
        by_label: the instrument named it; names that are counted up go on without it.
    """

    sample_id: str
    kind: SampleKind = "sample"
    duplicate_of: str = ""
    again: bool = False
    by_label: bool = False

    def as_details(self) -> dict[str, Any]:
        """Give it as plain values, for the log."""
        return asdict(self)

    @classmethod
    def from_details(cls, details: dict[str, Any]) -> Planned:
        """Make it of what `as_details` gave."""
        return cls(**{field.name: details[field.name] for field in fields(cls)})


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


_COUNTED = re.compile(r"(.*?)(\d+)$")


class Run:
    """The samples of a run, one after the other. What it gives depends only on what was done before."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
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
        return Planned(_count_up(self._last, self._plan.prefix))

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
