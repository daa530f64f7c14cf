"""SVG by hand: axes, lines, points, for device and desk. A plotting library would weigh more than all the rest.

Written this way a figure is a few kilobytes of real text, every point carries its sample's name, and a device without
the training side can write a report as well. Colours are those of Okabe & Ito 2008 (Color Universal Design), and where
two things must be told apart their shapes differ too.
"""

from __future__ import annotations

import base64
import math
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..converters.spectra.spectrum import Floats
from .model.target import Transform, forward, inverse

Shape = Literal["circle", "ring", "diamond", "square"]
Mark = Literal["circle", "ring", "diamond", "square", "line", "dashes"]
Anchor = Literal["start", "middle", "end"]

BLUE, VERMILLION, GREEN, ORANGE, SKY, PURPLE = "#0072b2", "#d55e00", "#009e73", "#e69f00", "#56b4e9", "#a8558a"
INK, GREY, FAINT, PAPER = "#1f2933", "#6b7785", "#e3e8ee", "#ffffff"
WIDTH = 480
"""Units of a figure's width; a phone shows it at three quarters of that, so text of 12 stays readable."""
MOST_POINTS = 400
"""Of a line; a line of more is thinned so that its peaks stay."""


@dataclass(frozen=True)
class Axis:
    """One axis.

    Attributes:
        label: with the unit.
        low, high: ends, low below high; above 0 for log10, from 0 on for sqrt.
        kind: how values are spaced.
    """

    label: str
    low: float
    high: float
    kind: Transform = "none"

    def place(self, values: ArrayLike) -> Floats:
        """Give where values lie, 0 at `low` and 1 at `high`."""
        low, high = forward(np.array([self.low, self.high]), self.kind)
        return np.asarray((forward(np.asarray(values, dtype=np.float64), self.kind) - low) / (high - low))

    def ticks(self, wanted: int) -> tuple[list[tuple[float, str]], str]:
        """Choose ticks.

        Returns:
            (value, text) each, and what the label has to add, such as " (×10⁻³)".
        """
        decades = math.log10(self.high / self.low) if self.kind == "log10" else 0.0
        if decades > 0.8:
            steps = (1.0,) if decades > 2.5 else (1.0, 3.0) if decades > 1.6 else (1.0, 2.0, 5.0)
            first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
            at = [step * 10.0**k for k in range(first, last + 1) for step in steps]
            every = max(1, math.ceil(decades / (wanted + 1))) if decades > 2.5 else 1
            at = [v for v in at[::every] if self.low * (1 - 1e-9) <= v <= self.high * (1 + 1e-9)]
            return [(v, number(v)) for v in at], ""
        at = (root_steps if self.kind == "sqrt" else nice_steps)(self.low, self.high, wanted)
        largest = max((abs(v) for v in at), default=1.0)
        power = math.floor(math.log10(largest)) if largest > 0 else 0
        if -3 < power < 5:
            return [(v, number(v)) for v in at], ""
        superscript = str(power).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
        return [(v, number(v / 10.0**power)) for v in at], f" (×10{superscript})"


def axis_over(label: str, *values: ArrayLike, kind: Transform = "none", pad: float = 0.05) -> Axis:
    """Make an axis that all the values fit on, with some room at the ends.

    Args:
        label: with the unit.
        values: at least one finite number among them.
        kind: log10 needs all of them above 0, sqrt none below.
        pad: room at each end, as a share of the length.
    """
    flat = np.concatenate([np.ravel(np.asarray(v, dtype=np.float64)) for v in values])
    ends = forward(np.array([np.nanmin(flat), np.nanmax(flat)]), kind)
    length = ends[1] - ends[0]
    room = pad * length if length > 0 else 0.5 * max(abs(ends[0]), 0.1)
    low, high = ends[0] - room, ends[1] + room
    if kind == "sqrt":
        low = max(low, 0.0)
    low, high = inverse(np.array([low, high]), kind)
    return Axis(label, float(low), float(high), kind)


_ROUND = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


def nice_steps(low: float, high: float, wanted: int) -> list[float]:
    """Give about `wanted` round numbers from low to high, at least 3, 1, 2 or 5 times a power of ten apart."""
    raw = (high - low) / max(wanted, 1)
    power = 10.0 ** math.floor(math.log10(raw))
    at = next(i for i, m in enumerate(_ROUND) if i > 2 and m * power >= raw * (1 - 1e-9))
    while True:
        step = _ROUND[at] * power
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        # One or two ticks are no scale.
        if last - first >= 2 or at == 0:
            return [round(k * step, 12) for k in range(first, last + 1)]
        at -= 1


def root_steps(low: float, high: float, wanted: int) -> list[float]:
    """Give about `wanted` round numbers from low to high whose square roots lie evenly, small ones among them."""
    first, last = math.sqrt(max(low, 0.0)), math.sqrt(high)
    found: list[float] = [0.0] if low <= 0 else []
    for root in np.linspace(first, last, wanted + 1)[1:]:
        power = 10.0 ** math.floor(math.log10(root**2))
        near = min((m * power for m in (1, 1.5, 2, 3, 4, 5, 7, 10)), key=lambda v: abs(math.sqrt(v) - float(root)))
        if low <= near <= high:
            found.append(round(near, 12))
    # Where all of the axis is far from zero, none of these may lie on it; roots are nearly even there.
    return sorted(set(found)) if len(set(found)) > 1 else nice_steps(low, high, wanted)


def number(value: float, digits: int = 6) -> str:
    """Write a number for people: a minus sign, thin spaces between thousands, no exponent where avoidable."""
    if not math.isfinite(value):
        return "–"
    text = f"{value:.{digits}g}"
    if "e" in text and 1e-4 <= abs(value) < 1e9:
        text = f"{float(text):.0f}" if abs(value) >= 1 else f"{float(text):f}".rstrip("0")
    whole, dot, rest = text.partition(".")
    if whole.lstrip("-").isdigit() and len(whole.lstrip("-")) > 4:
        whole = f"{int(whole):,}".replace(",", "\u2009")
    return (whole + dot + rest).replace("-", "−")


def fixed(value: float, decimals: int = 2) -> str:
    """Write a number with so many decimals, and a minus sign."""
    return f"{round(value, decimals) + 0.0:.{decimals}f}".replace("-", "−")  # -0.0 + 0.0 is 0.0


def written_percent(value: float, digits: int) -> str:
    """Write a percentage; what is too small to matter is said to be so, not given to many places."""
    return "< 0.01 %" if abs(value) < 0.01 else f"{number(value, digits)} %"


class Chart:
    """A drawing surface with two axes; what is drawn first lies below."""

    def __init__(
        self,
        x: Axis,
        y: Axis,
        alt: str,
        *,
        height: int = 300,
        top: int = 14,
        left: int = 60,
        right: int = 18,
        bottom: int = 44,
        y_ticks: Sequence[tuple[float, str]] | None = None,
        x_grid: bool = True,
    ) -> None:
        self.x, self.y, self.alt, self.height = x, y, alt, height
        self.left, self.right, self.top, self.bottom = left, WIDTH - right, top, height - bottom
        self._parts: list[str] = []
        self._draw_axes(y_ticks, x_grid)

    def px(self, values: ArrayLike) -> Floats:
        """Place x values, in units of the drawing."""
        return np.asarray(self.left + self.x.place(values) * (self.right - self.left))

    def py(self, values: ArrayLike) -> Floats:
        """Place y values."""
        return np.asarray(self.bottom - self.y.place(values) * (self.bottom - self.top))

    def _draw_axes(self, y_ticks: Sequence[tuple[float, str]] | None, x_grid: bool) -> None:
        x_ticks, x_more = self.x.ticks(6)
        ticks, y_more = (y_ticks, "") if y_ticks is not None else self.y.ticks(max(3, (self.bottom - self.top) // 45))
        grid, labels = [], []
        for at, (value, text) in zip(self.px([v for v, _ in x_ticks]), x_ticks, strict=True):
            top = self.top if x_grid else self.bottom
            grid.append(f"M{at:.1f} {top}V{self.bottom + 4}")
            labels.append(f'<text x="{at:.1f}" y="{self.bottom + 17}" text-anchor="middle">{escape(text)}</text>')
            del value
        for at, (_, text) in zip(self.py([v for v, _ in ticks]), ticks, strict=True):
            start = self.left if y_ticks is not None else self.left - 4
            grid.append(f"M{start} {at:.1f}H{self.right}")
            labels.append(f'<text x="{self.left - 7}" y="{at + 4:.1f}" text-anchor="end">{escape(text)}</text>')
        middle = (self.left + self.right) / 2
        if self.x.label:
            labels.append(
                f'<text x="{middle:.0f}" y="{self.height - 8}" text-anchor="middle" fill="{INK}">'
                f"{escape(self.x.label + x_more)}</text>"
            )
        if self.y.label:
            at = (self.top + self.bottom) / 2
            labels.append(
                f'<text transform="translate(13 {at:.0f}) rotate(-90)" text-anchor="middle" fill="{INK}">'
                f"{escape(self.y.label + y_more)}</text>"
            )
        self._parts.append(f'<path d="{"".join(grid)}" stroke="{FAINT}" fill="none"/>')
        self._parts.append(f'<g fill="{GREY}">{"".join(labels)}</g>')

    def line(
        self, x: ArrayLike, y: ArrayLike, colour: str, *, width: float = 1.5, dash: str = "", title: str = ""
    ) -> None:
        """Draw a line through (n,) points, thinned where there are very many."""
        xs, ys = thin(np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64))
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(self.px(xs), self.py(ys), strict=True))
        self._parts.append(
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="{width:g}" '
            f'stroke-linejoin="round"{_dash(dash)}>{_title(title)}</polyline>'
        )

    def points(
        self,
        x: ArrayLike,
        y: ArrayLike,
        colour: str,
        *,
        shape: Shape = "circle",
        size: float = 3.4,
        titles: Sequence[str] = (),
    ) -> None:
        """Draw (n,) points, each with its title (shown where a pointer rests on it)."""
        xs, ys = self.px(x), self.py(y)
        names = titles or [""] * xs.size
        marks = "".join(_mark(shape, a, b, size, name) for a, b, name in zip(xs, ys, names, strict=True))
        style = f'{_style(shape, colour)} fill-opacity="0.85" stroke-opacity="0.9"'
        self._parts.append(f'<g class="points" {style}>{marks}</g>')

    def whiskers(self, x: ArrayLike, low: ArrayLike, high: ArrayLike, colour: str, width: float = 1.2) -> None:
        """Draw upright lines from low to high."""
        d = "".join(
            f"M{a:.1f} {b:.1f}V{c:.1f}" for a, b, c in zip(self.px(x), self.py(low), self.py(high), strict=True)
        )
        self._parts.append(
            f'<path class="whiskers" d="{d}" stroke="{colour}" stroke-width="{width:g}" stroke-opacity="0.3"/>'
        )

    def level_whiskers(self, y: ArrayLike, low: ArrayLike, high: ArrayLike, colour: str, width: float = 2) -> None:
        """Draw level lines from low to high."""
        d = "".join(
            f"M{b:.1f} {a:.1f}H{c:.1f}" for a, b, c in zip(self.py(y), self.px(low), self.px(high), strict=True)
        )
        self._parts.append(f'<path class="whiskers" d="{d}" stroke="{colour}" stroke-width="{width:g}"/>')

    def columns(
        self, first: ArrayLike, last: ArrayLike, heights: ArrayLike, colour: str, titles: Sequence[str] = ()
    ) -> None:
        """Draw columns from first to last on the x axis, standing on the y axis' lower end."""
        x0, x1, tops = self.px(first), self.px(last), self.py(heights)
        names = titles or [""] * x0.size
        gap = 0.4 if np.median(x1 - x0) > 4 else 0.0
        bars = "".join(
            f'<rect x="{a + gap:.2f}" y="{t:.1f}" width="{max(b - a - 2 * gap, 0.6):.2f}" '
            f'height="{max(self.bottom - t, 0):.1f}">{_title(name)}</rect>'
            for a, b, t, name in zip(x0, x1, tops, names, strict=True)
        )
        self._parts.append(f'<g class="columns" fill="{colour}">{bars}</g>')

    def bars(self, y: ArrayLike, start: float, ends: ArrayLike, colours: Sequence[str], thickness: float = 14) -> None:
        """Draw level bars from `start`."""
        zero = float(self.px(start))
        bars = "".join(
            f'<rect x="{min(zero, end):.1f}" y="{at - thickness / 2:.1f}" width="{max(abs(end - zero), 1):.1f}" '
            f'height="{thickness:g}" fill="{colour}"/>'
            for at, end, colour in zip(self.py(y), self.px(ends), colours, strict=True)
        )
        self._parts.append(f'<g class="columns">{bars}</g>')

    def span(self, first: float, last: float) -> None:
        """Shade from first to last on the x axis, as far as it is on it."""
        a, b = self.px(np.clip([first, last], self.x.low, self.x.high))
        if b - a > 0.2:
            self._parts.append(
                f'<rect x="{a:.1f}" y="{self.top}" width="{b - a:.1f}" height="{self.bottom - self.top}" '
                f'fill="#f0e9d8" fill-opacity="0.75"/>'
            )

    def rule(self, *, x: float | None = None, y: float | None = None, colour: str = INK, dash: str = "") -> None:
        """Draw a line right across, if it is on the axis."""
        if x is not None and self.x.low <= x <= self.x.high:
            d = f"M{float(self.px(x)):.1f} {self.top}V{self.bottom}"
        elif y is not None and self.y.low <= y <= self.y.high:
            d = f"M{self.left} {float(self.py(y)):.1f}H{self.right}"
        else:
            return
        self._parts.append(f'<path d="{d}" stroke="{colour}" fill="none"{_dash(dash)}/>')

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        anchor: Anchor = "start",
        colour: str = INK,
        size: float = 12,
        bold: bool = False,
    ) -> None:
        """Write at a place of the drawing, with a light edge so that it can be read over lines."""
        weight = ' font-weight="600"' if bold else ""
        self._parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}" font-size="{size:g}"{weight} '
            f'stroke="{PAPER}" stroke-width="3" stroke-opacity="0.85" paint-order="stroke">{escape(text)}</text>'
        )

    def legend(self, entries: Sequence[tuple[str, str, Mark]], row: int = 0) -> None:
        """Name colours and shapes along the top, from the left."""
        at, y = float(self.left + 6), self.top + 12 + 16 * row
        for text, colour, mark in entries:
            if mark in ("line", "dashes"):
                d = f"M{at - 4:.1f} {y - 4}h14"
                dash = _dash("4 3" if mark == "dashes" else "")
                self._parts.append(f'<path d="{d}" stroke="{colour}" stroke-width="2" fill="none"{dash}/>')
            else:
                self._parts.append(f'<g class="key" {_style(mark, colour)}>{_mark(mark, at + 3, y - 4, 4)}</g>')
            self.text(at + 14, y, text)
            at += 14 + 6.4 * len(text) + 18

    def raw(self, svg: str) -> None:
        """Add SVG as it is."""
        self._parts.append(svg)

    def svg(self, simulated: bool = False) -> str:
        """Give the figure; a simulated one says so itself, wherever it is copied to."""
        return drawing("".join(self._parts), self.height, self.alt, simulated)


def drawing(body: str, height: float, alt: str, simulated: bool = False) -> str:
    """Wrap SVG elements as a figure of `WIDTH` by `height` with a text for those who cannot see it."""
    mark = ""
    if simulated:
        alt = f"SIMULATED. {alt}"
        mark = (
            f'<text x="{WIDTH - 14}" y="{height - 8:g}" text-anchor="end" fill="{VERMILLION}" font-size="10" '
            'font-weight="700" '
            'letter-spacing="1">SIMULATED</text>'
        )
    return (
        f'<svg viewBox="0 0 {WIDTH} {height:g}" role="img" aria-label="{escape(alt)}" font-size="12" '
        f'font-family="system-ui, sans-serif">{body}{mark}</svg>'
    )


def image(pixels: NDArray[np.uint8], x: float, y: float, width: float, height: float) -> str:
    """Place an RGB picture, (rows, columns, 3), in the drawing; it is carried within the file."""
    rows, columns, _ = pixels.shape
    raw = b"".join(b"\0" + row.tobytes() for row in np.ascontiguousarray(pixels))

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", columns, rows, 8, 2, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(raw, 9)) + chunk(b"IEND", b"")
    data = base64.b64encode(png).decode("ascii")
    return (
        f'<image x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" preserveAspectRatio="none" '
        f'style="image-rendering:pixelated" href="data:image/png;base64,{data}"/>'
    )


_VIRIDIS = np.array(
    [[68, 1, 84], [70, 50, 127], [54, 92, 141], [39, 127, 142], [31, 161, 135], [74, 194, 109], [159, 218, 58]], float
)
"""Corners of viridis (Smith & van der Walt 2015), without its palest end, which is lost on white."""


def sequential(share: ArrayLike) -> NDArray[np.uint8]:
    """Colour numbers from 0 (dark) to 1 (light); any shape, with an axis of 3 added."""
    at = np.clip(np.asarray(share, dtype=np.float64), 0, 1) * (len(_VIRIDIS) - 1)
    below = np.minimum(at.astype(int), len(_VIRIDIS) - 2)
    part = (at - below)[..., None]
    return np.asarray(_VIRIDIS[below] * (1 - part) + _VIRIDIS[below + 1] * part).round().astype(np.uint8)


def diverging(value: float) -> str:
    """Colour numbers from -1 (blue) through 0 (nearly white) to 1 (vermillion)."""
    white, end = np.array([246, 246, 246]), np.array([178, 74, 0] if value > 0 else [0, 92, 150])
    return hexadecimal((white + (end - white) * min(abs(value), 1.0) ** 1.3).round())


def hexadecimal(rgb: ArrayLike) -> str:
    """Write a colour for SVG."""
    return "#" + "".join(f"{int(v):02x}" for v in np.asarray(rgb))


def thin(x: Floats, y: Floats, most: int = MOST_POINTS) -> tuple[Floats, Floats]:
    """Keep at most `most` points of a line: of each stretch the lowest and the highest, in their order."""
    if x.size <= most:
        return x, y
    kept: set[int] = {0, x.size - 1}
    for part in np.array_split(np.arange(x.size), most // 2 - 1):
        kept |= {int(part[0] + np.argmin(y[part])), int(part[0] + np.argmax(y[part]))}
    at = np.array(sorted(kept))
    return x[at], y[at]


def _style(shape: Mark, colour: str) -> str:
    return (
        f'fill="{PAPER}" stroke="{colour}" stroke-width="1.4"'
        if shape == "ring"
        else f'fill="{colour}" stroke="{PAPER}"'
    )


def _mark(shape: Mark, x: float, y: float, size: float, title: str = "") -> str:
    """Draw one mark, alike among points and in a legend."""
    if shape in ("circle", "ring"):
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{size:g}">{_title(title)}</circle>'
    r = size * (1.3 if shape == "diamond" else 0.95)
    outline = f"m0-{r:g}l{r:g} {r:g}l-{r:g} {r:g}l-{r:g}-{r:g}z"
    if shape == "square":
        outline = f"m-{r:g}-{r:g}h{2 * r:g}v{2 * r:g}h-{2 * r:g}z"
    return f'<path d="M{x:.1f} {y:.1f}{outline}">{_title(title)}</path>'


def _dash(dash: str) -> str:
    return f' stroke-dasharray="{dash}"' if dash else ""


def _title(text: str) -> str:
    return f"<title>{escape(text)}</title>" if text else ""
