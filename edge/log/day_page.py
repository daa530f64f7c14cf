"""A day as one page of HTML that prints: no script, nothing from elsewhere."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape

from ..record import SOFTWARE, EstimateRecord, ReadingRecord, in_figures, told
from ..units import shown_unit
from .day import Day, clock

_STYLE = """
body{font:16px/1.4 system-ui,sans-serif;color:#000;background:#fff;max-width:60rem;margin:1rem auto;padding:0 1rem}
h1{font-size:1.5rem;margin:0 0 .3rem}h2{font-size:1.15rem;margin:1.6rem 0 .4rem;border-bottom:2px solid #000}
table{border-collapse:collapse;width:100%;font-size:.9rem}th,td{text-align:left;vertical-align:top;padding:.25rem .5rem;
border-bottom:1px solid #999}td.long{overflow-wrap:anywhere}th{border-bottom:2px solid #000}td.n,th.n{text-align:right;
white-space:nowrap}tr.said td{padding-top:0}tr.more td{border-bottom:0;padding-bottom:0}
.warn{border:3px solid #000;padding:.4rem .7rem;font-weight:bold}.wide{overflow-x:auto}
svg{max-width:100%;height:auto;border:1px solid #999}tr{break-inside:avoid}
@media(max-width:40rem){td.n,th.n{white-space:normal}th,td{padding:.25rem .2rem}}
@media print{body{margin:0;max-width:none;font-size:11pt}h2{break-after:avoid}}
"""

_LONGEST_WORD = 20


def day_page(day: Day) -> str:
    """Write a day as a page."""
    title = f"Measured on {day.date:%d %B %Y}"
    parts = [f"<h1>{title}</h1>", _paragraph(_summary(day))]
    if day.simulated:
        parts.append('<p class="warn">SIMULATED: a model or a spectrum of this day says nothing about real ground.</p>')
    parts += [_sessions(day), _samples(day), _controls(day), _refusals(day), _void(day), _references(day), _map(day)]
    parts += [_exported(day), _models(day), _paragraph(f"Made by {SOFTWARE}.")]
    body = "\n".join(filter(None, parts))
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{title}</title><style>{_STYLE}</style></head><body><main>\n{body}\n</main></body></html>\n"
    )


def _summary(day: Day) -> str:
    passed, failed, open_ = (len(day.judged(said)) for said in (True, False, None))
    return (
        f"{len(day.estimated)} estimated, {len(day.refused)} refused, {len(day.void)} do not count; controls: {passed} "
        f"passed, {failed} FAILED, {open_} open; {len(day.whites)} white references; {len(day.placed)} of "
        f"{len(day.readings)} with a position; {len(day.exported)} exported, {len(day.not_exported)} not."
    )


def _sessions(day: Day) -> str:
    rows = [
        (str(one.id), clock(one.started_at), clock(one.ended_at) if one.ended_at else "not ended", one.operator)
        for one in day.sessions
    ]
    below = ["; ".join(filter(None, (one.instrument or one.port, one.profile_name))) for one in day.sessions]
    return _section("Sessions", ("no.", "began", "ended", "operator"), rows, below)


def _samples(day: Day) -> str:
    titles = ["no.", "time", "sample", ">estimate", ">interval"]
    rows, below = [], []
    for record in day.estimated:
        for one in record.estimates:
            interval = f"{one.interval_shown} {shown_unit(one.unit)}" if one.interval_shown else ""
            rows.append(
                (
                    str(record.reading),
                    clock(record.corrected_at or record.stored_at or ""),
                    _name(record),
                    told(one),
                    interval,
                )
            )
            below.append(_words(record, one) + (f"; notes: {record.notes}" if record.notes else ""))
    return _section("Samples and controls", titles, rows, below)


def _name(record: ReadingRecord) -> str:
    kind = f" ({record.sample_kind})" if record.sample_kind not in ("", "sample") else ""
    return f"{record.sample_id or record.source}{kind}"


def _words(record: ReadingRecord, one: EstimateRecord) -> str:
    calibration = {"inside": "inside the calibration", "outside": "outside the calibration"}
    verdict = calibration.get(one.verdict, "verdict unknown")
    level = (
        f"critical level {in_figures(one.critical_level)} {shown_unit(one.unit)}"
        if one.bound == "< LOD" and one.critical_level
        else ""
    )
    corrections = [one.text for one in record.corrections]
    said = [verdict, one.reason, level]
    return "; ".join(dict.fromkeys(filter(None, (*said, *one.flags, *record.flags, *corrections))))


def _controls(day: Day) -> str:
    words = {True: "passed", False: "FAILED", None: "open"}
    rows = [
        (clock(e.at), str(e.details.get("sample_id", "")), words.get(e.details.get("passed"), "open"))
        for e in day.controls
    ]
    return _section("Controls", ("time", "control", "judgement"), rows, [e.text for e in day.controls])


def _refusals(day: Day) -> str:
    rows = [(clock(one.corrected_at or one.stored_at or ""), _name(one), one.reason) for one in day.refused]
    return _section("Refused, and why", ("time", "sample", "reason"), rows)


def _void(day: Day) -> str:
    rows = [(str(one.reading), _name(one), one.void) for one in day.void]
    below = ["; ".join(said.text for said in one.corrections) for one in day.void]
    return _section("Measured, and does not count", ("no.", "sample", "why"), rows, below)


def _references(day: Day) -> str:
    rows = [(clock(one.at), str(one.session_id or ""), one.text) for one in day.references]
    return _section("White references and checks", ("time", "session", "what"), rows)


def _exported(day: Day) -> str:
    listed = ", ".join(f"{_name(one)} ({one.reading})" for one in day.not_exported)
    return f"<h2>In no file yet, as it is now</h2>{_paragraph(listed)}" if listed else ""


def _models(day: Day) -> str:
    known = {(one.element, one.model, one.model_sha256) for record in day.readings for one in record.estimates}
    return _section("Models", ("element", "model", "SHA-256"), sorted(known))


def _map(day: Day) -> str:
    """Draw the day's places to scale, north up; on a day's distances the Earth is flat enough."""
    placed = [(one.longitude_deg or 0.0, one.latitude_deg or 0.0, one) for one in day.placed]
    placed = [one for one in placed if abs(one[0]) <= 180 and abs(one[1]) <= 90]
    if not placed:
        return ""
    east, north = [one[0] for one in placed], [one[1] for one in placed]
    middle = (min(east) + max(east)) / 2, (min(north) + max(north)) / 2
    metres = 111_320.0
    flat = [
        ((x - middle[0]) * metres * math.cos(math.radians(middle[1])), (y - middle[1]) * metres) for x, y, _ in placed
    ]
    half = max(10.0, *(abs(value) for point in flat for value in point)) * 1.2
    scale = 300 / half
    bar = 10 ** math.floor(math.log10(half))
    dots: list[str] = []
    names: list[tuple[float, float, float]] = []
    for (x, y), (_, _, record) in zip(flat, placed, strict=True):
        left, top = 300 + x * scale, 300 - y * scale
        shown = f"{record.sample_id}: {'; '.join(map(told, record.estimates)) or 'refused'}"
        fill = "#000" if record.estimates else "#fff"
        dots.append(
            f'<circle cx="{left:.1f}" cy="{top:.1f}" r="5" fill="{fill}" stroke="#000"><title>{escape(shown)}</title>'
            "</circle>"
        )
        # Names that would lie over each other are left to the pointer.
        ends = left + 8 + 8 * len(record.sample_id)
        if not any(abs(top - y0) < 13 and left < end and begin < ends for y0, begin, end in names):
            names.append((top, left, ends))
            dots.append(f'<text x="{left + 8:.1f}" y="{top + 4:.1f}" font-size="12">{escape(record.sample_id)}</text>')
    drawn = (
        f'<svg viewBox="0 0 600 600" width="600" height="600" role="img" aria-label="Places of the day">{"".join(dots)}'
        f'<path d="M20 580h{bar * scale:.1f}" stroke="#000" stroke-width="3"/><text x="20" y="572" font-size="14">'
        f'{bar:g} m</text><path d="M575 50V15m-6 10l6-10 6 10" fill="none" stroke="#000" stroke-width="2"/>'
        '<text x="570" y="66" font-size="14">N</text></svg>'
    )
    where = f"Middle {middle[1]:.6f}, {middle[0]:.6f} (WGS 84). Filled: estimated; empty: refused."
    return f"<h2>Places</h2>{_paragraph(where)}{drawn}"


def _section(title: str, titles: Sequence[str], rows: Iterable[Sequence[str]], below: Sequence[str] = ()) -> str:
    """Write a table under a heading; "" without rows. A title that begins with ">" is that of numbers.

    `below` has for each row what stands under it, over the whole width, so that a phone and a sheet of paper show it.
    """
    listed = list(rows)
    if not listed:
        return ""
    of = [' class="n"' if one.startswith(">") else "" for one in titles]
    head = "".join(f"<th{c}>{escape(one.lstrip('>'))}</th>" for c, one in zip(of, titles, strict=True))
    body, more = "", '<tr class="more">' if below else "<tr>"
    for number, row in enumerate(listed):
        cells = "".join(f"<td{c or _breaks(cell)}>{escape(cell)}</td>" for c, cell in zip(of, row, strict=True))
        body += f"{more}{cells}</tr>\n"
        if below:
            said = below[number]
            body += (
                f'<tr class="said"><td></td><td{_breaks(said)} colspan="{len(titles) - 1}">{escape(said)}</td></tr>\n'
            )
    return f'<h2>{title}</h2><div class="wide" tabindex="0"><table><tr>{head}</tr>\n{body}</table></div>'


def _breaks(cell: str) -> str:
    """A word that is longer than a column may be is broken; no other one is."""
    return ' class="long"' if max(map(len, cell.split()), default=0) > _LONGEST_WORD else ""


def _paragraph(text: str) -> str:
    return f"<p>{escape(text)}</p>"
