"""What a row of an assay table is: a sample, or part of the quality control.

A column `kind` (or `qc_type`) says it; see `KINDS`. Without one, or where it is empty, the name does, upper or lower
case:

- detection limits: MDL, LOD, DL, LLD, LOR, detection, (lower) detection limit;
- blanks: BLK, BLANK, alone or followed by digits or by a space, dash, dot or underscore and anything;
- reference materials: OREAS, CDN, AMIS, GBM, GBMS, GBW, NIST, SRM, BCR, ERM, CRM, STD, STANDARD, followed likewise;
- the same pulp analysed again: REP, RPT, REPEAT or PULP before or after the name of another row (`REP RS090`,
  `RS090-PULP`, a laboratory's `REP RS090 QC`);
- a second sample of the same place: DUP, DUPLICATE or FD before or after it, or D after it (`DUP RS090`, `RS090-D`);
- anything else is a sample, also a name that reads like a duplicate of a row that is not there.

A row without values whose name is a kind's in the plural, such as `Pulp Duplicates`, is a title: rows below it are of
that kind, up to the next title.
"""

from __future__ import annotations

import re
from collections.abc import Container
from typing import Literal, cast

Kind = Literal["sample", "blank", "crm", "pulp", "replicate", "mdl"]
"""pulp: the same pulp analysed again; replicate: a second sample of the same place; crm: certified reference material;
mdl: the method's detection limits."""

_ALIASES: dict[Kind, tuple[str, ...]] = {
    "sample": ("sample", "original"),
    "blank": ("blank", "blk"),
    "crm": ("crm", "srm", "standard", "std", "reference", "reference material", "certified reference material"),
    "pulp": ("pulp", "pulp duplicate", "laboratory duplicate", "lab duplicate", "repeat", "rep"),
    "replicate": ("replicate", "field replicate", "field duplicate", "duplicate", "dup", "field"),
    "mdl": ("mdl", "lod", "dl", "detection limit"),
}
KINDS: dict[str, Kind] = {alias: kind for kind, aliases in _ALIASES.items() for alias in aliases}
"""What may stand in the column `kind`, in lower case, and what it means."""

_TAIL = r"(?:[\d _.-].*)?"
_PLAIN: tuple[tuple[re.Pattern[str], Kind], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), cast(Kind, kind))
    for pattern, kind in (
        (
            r"mdl|lod|dl|lld|lor|(?:lower[ _])?(?:detection|reporting)[ _]limits?|detection|limits?[ _]of[ _]detection",
            "mdl",
        ),
        (rf"(?:(?:field|prep|coarse|pulp|method)[ _.-]?)?(?:blk|blanks?){_TAIL}", "blank"),
        (rf"(?:oreas|cdn|amis|gbms?|gbw|nist|srm|bcr|erm|crm|std|standard){_TAIL}", "crm"),
    )
)
_REPEATS: tuple[tuple[re.Pattern[str], Kind], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), cast(Kind, kind))
    for pattern, kind in (
        (r"(?:rep|rpt|repeat|pulp)[ _.-]+(?P<of>.+?)(?:[ _.-]+qc)?", "pulp"),
        (r"(?P<of>.+?)[ _.-]*(?:rep|rpt|repeat|pulp)\d*", "pulp"),
        (r"(?:dup|duplicate|fd)[ _.-]+(?P<of>.+)", "replicate"),
        (r"(?P<of>.+?)(?:[ _.-]*(?:dup|duplicate)|[ _.-]+f?d)\d*", "replicate"),
    )
)


def parse_kind(field: str) -> Kind | None:
    """Read a field of the column `kind`.

    Returns:
        The kind, or None for an empty field.

    Raises:
        ValueError: it is none of `KINDS`.
    """
    text = " ".join(re.sub("[_-]", " ", field).lower().split())
    if text and text not in KINDS:
        raise ValueError(f"kind {field.strip()[:40]!r} is none of {', '.join(_ALIASES)}")
    return KINDS[text] if text else None


def kind_below(title: str) -> Kind | None:
    """Say of what kind the rows below a row without values are, by its name; None if it is no title of theirs."""
    text = " ".join(re.sub("[_-]", " ", title).lower().split()).rstrip(" :")
    return KINDS.get(text.removesuffix("s")) if text.endswith("s") else None


def recognise(name: str, kind: Kind | None, names: Container[str]) -> tuple[Kind, str]:
    """Say what a row is and which row it repeats.

    Args:
        name: of the row.
        kind: what its column says, or None.
        names: of all rows.

    Returns:
        The kind, and the name of the row it repeats; its own where it repeats none, or one of the same name.
    """
    own = name
    name = name.lstrip("* ")  # which one laboratory puts before all that is no sample
    if kind in (None, "pulp", "replicate"):
        for pattern, meaning in _REPEATS:
            match = pattern.fullmatch(name)
            if match and match["of"] != name and match["of"] in names:
                return kind or meaning, match["of"]
    if kind is not None:
        return kind, own
    return next((meaning for pattern, meaning in _PLAIN if pattern.fullmatch(name)), "sample"), own
