"""Pictures as PNG: what `stibium plot` draws as SVG, rendered by resvg."""

from __future__ import annotations

from functools import cache

import resvg_py

from .errors import PictureError

SHOWN_PX = 960
"""Width; twice that of the drawing's own units, so that text is 24 pixels high."""
FAMILIES = (
    "Arial",
    "Helvetica",
    "DejaVu Sans",
    "Liberation Sans",
    "Noto Sans",
    "FreeSans",
    "Ubuntu",
    "Roboto",
    "Segoe UI",
)
"""Fonts that write a picture's words, the first that is installed."""


def render_png(svg: str, width_px: int = SHOWN_PX) -> bytes:
    """Render an SVG on white.

    Args:
        svg: with a viewBox.
        width_px: of the picture; the height follows.

    Raises:
        PictureError: this machine has no font, and a picture without its words would say nothing.
    """
    family = _family()
    if not family:
        raise PictureError(
            "a PNG needs a font, and none is installed here: apt install fonts-dejavu-core, or end --out in .svg"
        )
    return _render(svg, width_px, family)


def _render(svg: str, width_px: int, family: str) -> bytes:
    found = resvg_py.svg_to_bytes(svg_string=svg, width=width_px, background="#ffffff", sans_serif_family=family)
    return bytes(found)


@cache
def _family() -> str:
    """Name a font that is here; "" if none is. resvg takes sans-serif for Arial, which few Linux machines have."""
    nothing = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 20">{}</svg>'
    word = '<text x="2" y="15" font-family="sans-serif">Sb</text>'
    empty = _render(nothing.format(""), 40, FAMILIES[0])
    return next((family for family in FAMILIES if _render(nothing.format(word), 40, family) != empty), "")
