"""What is in front of a virtual instrument that is asked for counts: the white panel, a soil, the cover, Mylar.

An instrument measures whatever it is put on; a program has to be told. Either a person or a test says so, or the
rule does: the white panel until the instrument has optimised or closed its shutter, after each of these what
`after_dark` lists, then the spectra in their order, one for each measurement.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...converters.spectra.spectrum import Floats, Spectrum
from ..errors import UnsuitableSpectrumError
from .spectra import reflectance_on

GRID_NM = np.arange(350.0, 2501.0)
THINGS = ("white", "mylar", "cover", "sample")

# Bands of polyethylene terephthalate (Mylar) beside the two that a wavelength check uses; depths are made up.
_MYLAR = ((1129.0, 9.0, 0.10), (1413.0, 12.0, 0.12), (1661.0, 10.0, 0.35), (1953.0, 14.0, 0.15), (2131.1, 12.0, 0.4))


@dataclass(frozen=True, eq=False)
class Thing:
    """Something in front of the probe: its name, its reflectance on `GRID_NM`, and whether no instrument saw it."""

    name: str
    reflectance: Floats
    simulated: bool = True


def white_panel() -> Thing:
    """A panel that reflects everything."""
    return Thing("white", np.ones_like(GRID_NM))


def mylar_sheet() -> Thing:
    """A made-up sheet of Mylar on the panel."""
    reflectance = np.full_like(GRID_NM, 0.85)
    for centre_nm, width_nm, depth in _MYLAR:
        reflectance *= 1.0 - depth * np.exp(-0.5 * ((GRID_NM - centre_nm) / width_nm) ** 2)
    return Thing("mylar", reflectance)


def things_from(spectra: Sequence[Spectrum]) -> list[Thing]:
    """Make soils of spectra.

    Raises:
        UnsuitableSpectrumError: none, or one that is no reflectance or does not reach over 350-2500 nm.
    """
    if not spectra:
        raise UnsuitableSpectrumError("no spectra to play")
    return [Thing(s.sample_id, reflectance_on(GRID_NM, s), s.simulated) for s in spectra]


class InFront:
    """What is in front of the probe, and what comes next.

    Args:
        soils: in the order in which they are measured; after the last one it stays.
        after_dark: names of what is measured after each dark or optimising, before the soils go on.
        loop: begin again after the last soil.
    """

    def __init__(self, soils: Sequence[Thing], after_dark: Sequence[str] = ("white",), loop: bool = False) -> None:
        self._soils = list(soils)
        self._after_dark = tuple(after_dark)
        self._loop = loop
        self._next = 0
        self._queue: list[str] = []
        self._begun = False
        self._pinned: Thing | None = None
        self._before: tuple[int, list[str]] | None = None
        self._white, self._mylar = white_panel(), mylar_sheet()
        self._cover = Thing("cover", np.zeros_like(GRID_NM))

    def put(self, what: str, sample: str = "") -> str:
        """Put something in front until something else is put there, or the rule is given back with "auto".

        Args:
            what: white, mylar, cover, sample or auto.
            sample: a sample's name; its spectra are measured one after the other. "" for the next one in order.

        Returns:
            What is there now.

        Raises:
            ValueError: there is no such thing, or no such sample.
        """
        self.delivered()
        fixed = {"white": self._white, "mylar": self._mylar, "cover": self._cover}
        if what == "auto":
            self._pinned = None
        elif what in fixed:
            self._pinned = fixed[what]
        elif what == "sample":
            if sample:
                names = [soil.name for soil in self._soils]
                if sample not in names:
                    raise ValueError(f"no sample {sample!r}; there are {', '.join(dict.fromkeys(names))}")
                self._next = names.index(sample)
            self._pinned, self._queue, self._begun = None, [], True
        else:
            raise ValueError(f"{what!r} cannot be put in front; {', '.join(THINGS)}, or auto")
        return self.now.name

    @property
    def now(self) -> Thing:
        """What is there now."""
        if self._pinned is not None:
            return self._pinned
        if not self._begun:
            return self._white
        if self._queue:
            return {"white": self._white, "mylar": self._mylar, "cover": self._cover}.get(
                self._queue[0], self._soils[self._place]
            )
        return self._soils[self._place]

    @property
    def _place(self) -> int:
        return self._next % len(self._soils) if self._loop else min(self._next, len(self._soils) - 1)

    def optimising(self) -> None:
        """The instrument is about to optimise, for which everybody puts it on the white panel."""
        if self._pinned is None:
            self._begun, self._queue = False, []

    def referenced(self) -> None:
        """The instrument has optimised, or measured with its shutter closed."""
        self._begun = True
        self._queue = list(self._after_dark)

    def measured(self) -> None:
        """A measurement with the shutter open is on its way: the next one is of what comes next."""
        self._before = self._next, list(self._queue)
        if self._pinned is not None or not self._begun:
            return
        if self._queue and self._queue.pop(0) != "sample":
            return
        self._next += 1

    def delivered(self) -> None:
        """The last measurement has arrived, or nobody will ask for it again."""
        self._before = None

    def not_delivered(self) -> None:
        """The last measurement was lost on its way: what it was of is still there."""
        if self._before is not None:
            self._next, self._queue = self._before
            self._before = None
