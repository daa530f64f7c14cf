"""The page around the figures: one HTML file that loads nothing from anywhere, for a screen, a phone and paper."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from ... import edge
from ..errors import ReportError
from .contents import ReportContents

VERDICT_MARKS = {"pass": "✓ pass", "warn": "! warn", "fail": "✕ fail", "not judged": "– not judged"}


@dataclass(frozen=True)
class Section:
    """A part of the page: `identifier` for links to it, HTML in `body`."""

    identifier: str
    title: str
    body: str


def write_report(path: str | os.PathLike[str], contents: ReportContents) -> None:
    """Write a report as one HTML file; a part of it that is None is left out.

    Raises:
        ReportError: the file cannot be written.
    """
    text = render_page(contents)
    target = Path(path)
    partial = target.with_name(f".{target.name}.part")
    try:
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, target)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise ReportError(f"{target}: the report cannot be written: {error.strerror}") from error


def render_page(contents: ReportContents) -> str:
    """Give the page as text."""
    from .sections import make_sections

    sections = make_sections(contents)
    links = "".join(f'<li><a href="#{s.identifier}">{escape(s.title)}</a></li>' for s in sections)
    nav = f'<nav aria-label="Sections"><ol>{links}</ol></nav>' if len(sections) > 1 else ""
    body = "".join(f'<section id="{s.identifier}"><h2>{escape(s.title)}</h2>{s.body}</section>' for s in sections)
    title = f"SIMULATED: {contents.title}" if contents.simulated else contents.title
    banner = (
        '<p class="simulated" role="note"><strong>SIMULATED</strong> Model or data of this report are simulated. Its '
        "figures are about the software and say nothing about real ground.</p>"
        if contents.simulated
        else ""
    )
    notes = "".join(f"<li>{escape(note)}</li>" for note in contents.notes)
    notes = f'<ul class="notes">{notes}</ul>' if notes else ""
    footer = "SIMULATED: no figure on this page says anything about real ground. " if contents.simulated else ""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
        'img-src data:">\n<meta name="color-scheme" content="light">\n'
        f'<link rel="icon" href="data:,">\n<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n'
        f'<header><p class="kind">{escape(contents.kind)} report</p><h1>{escape(contents.title)}</h1>{banner}{notes}'
        f"{definitions(contents.facts)}{nav}</header>\n<main>\n{body}\n</main>\n"
        f"<footer>{footer}Written by stibium {escape(edge.__version__)}.</footer>\n</body>\n</html>\n"
    )


def definitions(facts: Sequence[tuple[str, str]]) -> str:
    """Lay out names and values."""
    if not facts:
        return ""
    rows = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in facts)
    return f'<dl class="facts">{rows}</dl>'


def paragraph(text: str, kind: str = "") -> str:
    """Give a paragraph of plain text."""
    return f'<p class="{kind}">{escape(text)}</p>' if kind else f"<p>{escape(text)}</p>"


def figure(svg: str, caption: str) -> str:
    """Give a figure with what is to be seen in it."""
    return f"<figure>{svg}<figcaption>{escape(caption)}</figcaption></figure>"


def figures(items: Sequence[str]) -> str:
    """Set figures side by side where there is room."""
    return f'<div class="figures">{"".join(items)}</div>' if items else ""


def table(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    caption: str = "",
    left: int = 1,
    text: Sequence[str] = (),
    strong: Sequence[int] = (),
    faint: Sequence[int] = (),
) -> str:
    """Lay out a table of plain text; the first column names the row.

    Args:
        header: of the columns.
        rows: a cell that is a verdict is shown as one.
        caption: above the table.
        left: how many columns are text, set to the left; the others are numbers.
        text: headings of further columns of text.
        strong, faint: rows to set off.
    """
    used = [i for i in range(len(header)) if i == 0 or any(row[i] for row in rows)]

    def kind(i: int) -> str:
        return ' class="text"' if i < left or header[i] in ("note", "verdict", *text) else ""

    head = "".join(f'<th scope="col"{kind(i)}>{escape(header[i])}</th>' for i in used)
    lines = []
    for at, row in enumerate(rows):
        classes = ' class="strong"' if at in strong else ' class="faint"' if at in faint else ""
        cells = "".join(
            f'<th scope="row">{escape(row[i])}</th>' if i == 0 else f"<td{kind(i)}>{_cell(row[i])}</td>" for i in used
        )
        lines.append(f"<tr{classes}>{cells}</tr>")
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(caption or header[0])}"><table>{title}'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table></div>"
    )


def _cell(text: str) -> str:
    if text in VERDICT_MARKS:
        return f'<span class="verdict {text.replace(" ", "-")}">{escape(VERDICT_MARKS[text])}</span>'
    return escape(text)


STYLE = """
:root{--ink:#1f2933;--grey:#5b6774;--faint:#e3e8ee;--wash:#f6f8fa;--accent:#0072b2;--alarm:#b34700}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0 auto;max-width:1080px;padding:28px 24px 48px;background:#fff;color:var(--ink);
font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,"DejaVu Sans",sans-serif}
h1{font-size:1.75rem;line-height:1.2;margin:.1em 0 .5em;overflow-wrap:anywhere}
h2{font-size:1.25rem;margin:0 0 .3em}
.kind{margin:0;color:var(--grey);text-transform:uppercase;letter-spacing:.09em;font-size:.75rem;font-weight:600}
p{margin:.3em 0 .8em;max-width:46em}
.lead{color:var(--grey)}
.simulated{max-width:none;margin:0 0 1em;padding:.7em 1em;border:2px solid var(--alarm);border-radius:6px;
background:#fff4ea}
.simulated strong{color:var(--alarm);letter-spacing:.12em;font-size:1.15em;margin-right:.5em}
.notes{margin:0 0 1em;padding:.6em 1em .6em 2em;background:var(--wash);border-radius:6px;font-size:.9rem;
overflow-wrap:anywhere}
.facts{display:grid;grid-template-columns:repeat(auto-fill,minmax(230px,1fr));gap:.5em 1.5em;margin:0 0 1.2em;
font-size:.88rem}
.facts dt{color:var(--grey);font-size:.78rem}
.facts dd{margin:0;overflow-wrap:anywhere}
nav ol{list-style:none;display:flex;flex-wrap:wrap;gap:.4em;margin:0;padding:0;font-size:.85rem}
nav a{display:block;padding:.25em .8em;border:1px solid var(--faint);border-radius:1em;color:var(--accent);
text-decoration:none}
nav a:hover,nav a:focus{background:var(--wash);border-color:var(--accent)}
section{border-top:1px solid var(--faint);margin-top:1.8em;padding-top:1.4em}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(132px,1fr));gap:.7em;margin:.3em 0 1.1em;padding:0}
.cards div{background:var(--wash);border-radius:8px;padding:.6em .8em}
.cards dt{font-size:.78rem;color:var(--grey)}
.cards dd{margin:0;font-size:1.2rem;font-weight:600;font-variant-numeric:tabular-nums;white-space:nowrap}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,430px),1fr));gap:1.2em 1.6em;
margin:.6em 0 1em;align-items:start}
figure{margin:0;max-width:520px;break-inside:avoid}
figure svg{display:block;width:100%;height:auto;overflow:visible;font-variant-numeric:tabular-nums}
figcaption{font-size:.85rem;color:var(--grey);margin-top:.2em}
.scroll{overflow-x:auto;margin:.4em 0 1.1em;background:linear-gradient(90deg,#fff 40%,#fff0) 0 0/36px 100% local,
linear-gradient(270deg,#fff 40%,#fff0) 100% 0/36px 100% local,linear-gradient(90deg,#1f293326,#fff0) 0 0/10px 100%,
linear-gradient(270deg,#1f293326,#fff0) 100% 0/10px 100%;background-repeat:no-repeat}
table{border-collapse:collapse;font-size:.88rem;font-variant-numeric:tabular-nums}
caption{text-align:left;font-weight:600;padding:.2em 0 .4em}
th,td{padding:.32em .75em;text-align:right;border-bottom:1px solid var(--faint);white-space:nowrap;
vertical-align:top}
thead th{color:var(--grey);font-weight:600;border-bottom:2px solid var(--faint)}
th.text,td.text,tbody th{text-align:left}
tbody th{font-weight:500}
td.text{white-space:normal;min-width:8.5em;max-width:28em}
tr.strong td,tr.strong th{background:#fff4ea;font-weight:600}
tr.faint td,tr.faint th{color:var(--grey)}
.verdict{white-space:nowrap;font-weight:600}
.verdict.pass{color:#00694d}.verdict.warn{color:#8a5a00}.verdict.fail{color:#b34700}
.verdict.not-judged{color:var(--grey);font-weight:400}
.key{font-size:.85rem;color:var(--grey);padding:0;list-style:none;margin:.2em 0 0}
.key.wide{max-width:46em;margin:0 0 1em}.key.wide li{margin:.25em 0}
.figures .scroll{margin-top:0}.figures table{font-size:.82rem}.figures th,.figures td{padding:.32em .55em}
footer{border-top:1px solid var(--faint);margin-top:2em;padding-top:1em;font-size:.82rem;color:var(--grey)}
@media (max-width:520px){body{padding:18px 14px 36px}h1{font-size:1.4rem}
.facts{grid-template-columns:repeat(2,minmax(0,1fr))}.cards{grid-template-columns:repeat(3,1fr)}
.cards div{padding:.5em .6em}.cards dd{font-size:1.1rem}th,td{padding:.3em .5em}
figure svg{font-size:13.5px}}
@media print{@page{margin:14mm}body{max-width:none;padding:0;font-size:10.5pt}nav{display:none}
section{margin-top:1em;padding-top:.8em}h2,.lead{break-after:avoid}.scroll{overflow:visible;background:none}
.figures{grid-template-columns:1fr 1fr}table{font-size:8.5pt}tr,figure{break-inside:avoid}
*{-webkit-print-color-adjust:exact;print-color-adjust:exact}}
"""
