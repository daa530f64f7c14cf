"""Known absorption bands of soils between 350 and 2500 nm, to be marked in figures."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Band:
    """A band: where it is, what it is of, and in which of two rows its label stands so that labels do not meet."""

    first_nm: float
    last_nm: float
    label: str
    meaning: str
    row: int = 0
    only_of: str = ""


BANDS: tuple[Band, ...] = (
    Band(300, 800, "stibnite edge", "absorption edge of stibnite, Sb₂S₃, 300–800 nm", 1, "Sb"),
    Band(480, 550, "Fe³⁺", "Fe³⁺ of haematite and goethite, 480–550 nm"),
    Band(850, 900, "Fe³⁺", "Fe³⁺ of haematite and goethite, 850–900 nm"),
    Band(1385, 1430, "OH, H₂O", "OH and water, about 1400 nm"),
    Band(1880, 1940, "H₂O", "water, about 1910 nm", 1),
    Band(2180, 2225, "Al–OH", "Al–OH of clay minerals and white mica, about 2200 nm"),
    Band(2310, 2360, "CO₃, Mg–OH", "carbonate and Mg–OH, about 2340 nm", 1),
)
"""Clark 1999, Manual of Remote Sensing vol. 3 ch. 1; Viscarra Rossel & Behrens 2010, Geoderma 158:46."""


def known_bands(element: str, first_nm: float, last_nm: float) -> tuple[Band, ...]:
    """Give the bands that reach into a range and may have to do with an element."""
    return tuple(b for b in BANDS if b.last_nm > first_nm and b.first_nm < last_nm and b.only_of in ("", element))
