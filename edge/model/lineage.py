"""Where a model comes from: the instruments it was made for, and what was done to it since it was trained."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ...converters.spectra.spectrum import Spectrum

_SERIAL = re.compile(r"(?:(?<=SN)|(?<![\w.-]))\d{3,}(?![\w.])")
"""A number that stands alone: those of models are written PSR-3500 or AS7265x, of versions 2.14."""


class Tried(NamedTuple):
    """One way that was tried: its left-out root mean square error, in the transform's space."""

    what: str
    rmse: float


class Adaptation(NamedTuple):
    """What was done to a parent model by `stibium adapt`.

    Attributes:
        parent_sha256: of the parent's file.
        what: was done, such as "bias"; "nothing" where nothing helped.
        samples: number of assayed samples, or of pairs.
        judged: how, in words.
        before, after: root mean square error on samples left out, in the transform's space.
        tried: all that was tried.
    """

    parent_sha256: str
    what: str
    samples: int
    judged: str
    before: float
    after: float
    tried: tuple[Tried, ...]


class Lineage(NamedTuple):
    """Where a model comes from.

    Attributes:
        instruments: that it was made for, as their files name them; () if these do not say.
        adaptations: from the oldest to the newest.
    """

    instruments: tuple[str, ...] = ()
    adaptations: tuple[Adaptation, ...] = ()


UNKNOWN_LINEAGE = Lineage()


def pack_lineage(lineage: Lineage) -> dict[str, Any]:
    """Give a lineage as JSON values."""
    steps = [{**a._asdict(), "tried": [t._asdict() for t in a.tried]} for a in lineage.adaptations]
    return {"instruments": list(lineage.instruments), "adaptations": steps}


def unpack_lineage(values: Mapping[str, Any]) -> Lineage:
    """Read what `pack_lineage` gave."""
    steps = [
        Adaptation(**{**step, "tried": tuple(Tried(**tried) for tried in step["tried"])})
        for step in values["adaptations"]
    ]
    return Lineage(tuple(values["instruments"]), tuple(steps))


def instruments_of(spectra: Iterable[Spectrum]) -> tuple[str, ...]:
    """Name the instruments that spectra come from; () where some do not say, or all are simulated."""
    found = {spectrum.instrument for spectrum in spectra if not spectrum.simulated}
    return () if "" in found else tuple(sorted(found))


def same_instrument(one: str, other: str) -> bool:
    """Tell whether two descriptions may be of one instrument: one says no more than the other, or they share a serial
    number. A driver and a file write the rest in their own ways.
    """
    a, b = (" ".join(text.casefold().split()) for text in (one, other))
    if a in b or b in a:
        return True
    numbers = [set(_SERIAL.findall(text)) for text in (one, other)]
    return bool(numbers[0] & numbers[1])


def other_instrument(lineage: Lineage, instrument: str) -> str:
    """Remark that another instrument measures than the model was made for; "" if not, or if that cannot be told."""
    made_for: Sequence[str] = lineage.instruments
    if not instrument or not made_for or any(same_instrument(instrument, known) for known in made_for):
        return ""
    return f"measured with {instrument}; the model was made for {', '.join(made_for[:3])}: see stibium adapt"
