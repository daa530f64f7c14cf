"""What the spectra of a run have in common that they should not: two samples' names for one soil."""

from __future__ import annotations

from typing import TypeVar

from ..converters.spectra.names import plain_name
from ..converters.spectra.spectrum import Spectrum, with_remarks

SAME_SPECTRUM, OTHER_SPELLING = "the same spectrum as sample", "an earlier sample is called"
"""How the remark on a spectrum begins that an earlier one of another sample is the same as; and that on its name."""
REMEMBERED = 100_000

Key = TypeVar("Key", int, str)


class Seen:
    """Remembers of the last `REMEMBERED` spectra what they hold, as a short hash, and what their samples are called."""

    def __init__(self) -> None:
        self._spectra: dict[int, str] = {}
        self._names: dict[str, str] = {}

    def told(self, spectrum: Spectrum) -> Spectrum:
        """Remember a spectrum; give it with a remark if an earlier one makes its sample's name doubtful."""
        name = spectrum.sample_id
        remarks = []
        if (first := _first(self._spectra, hash(spectrum.values.tobytes()), name)) != name:
            remarks.append(f"{SAME_SPECTRUM} {first}, so one of the two names is wrong")
        if (plain := plain_name(name)) and (first := _first(self._names, plain, name)) != name:
            remarks.append(f"{OTHER_SPELLING} {first}: if it is the same soil, write both alike")
        return with_remarks(spectrum, remarks) if remarks else spectrum


def _first(of: dict[Key, str], key: Key, name: str) -> str:
    first = of.setdefault(key, name)
    if len(of) > REMEMBERED:
        del of[next(iter(of))]
    return first
