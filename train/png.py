"""Pictures as PNG: what `stibium plot` draws as SVG, rendered by resvg."""

from __future__ import annotations

from functools import cache

import resvg_py

from .errors import PictureError

SHOWN_PX = 960
"""Width; twice that of the drawing's own units, so that text is 24 pixels high."""


def render_png(svg: str, width_px: int = SHOWN_PX) -> bytes:
    """Render an SVG on white.

    Args:
        svg: with a viewBox.
        width_px: of the picture; the height follows.

    Raises:
        PictureError: this machine has no font, and a picture without its words would say nothing.
    """
    if not _has_fonts():
        raise PictureError(
            "a PNG needs a font, and none is installed here: apt install fonts-dejavu-core, or end --out in .svg"
        )
    return _render(svg, width_px)


def _render(svg: str, width_px: int) -> bytes:
    return bytes(resvg_py.svg_to_bytes(svg_string=svg, width=width_px, background="#ffffff"))


@cache
def _has_fonts() -> bool:
    nothing = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 20">{}</svg>'
    word = '<text x="2" y="15" font-family="system-ui, sans-serif">Sb</text>'
    return _render(nothing.format(word), 40) != _render(nothing.format(""), 40)
