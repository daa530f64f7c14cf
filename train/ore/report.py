"""The page of a run: one HTML file that loads nothing from anywhere, in the look of the other reports."""

from __future__ import annotations

import os
from collections.abc import Sequence
from html import escape
from pathlib import Path

from ... import edge
from ..errors import ReportError
from ..report.page import STYLE, Section, definitions
from .report_sections import make_ore_sections
from .training import OreResult

_MORE_STYLE = (
    "h3{font-size:1.05rem;margin:1.2em 0 .3em}details{margin:.6em 0 1.2em}"
    "summary{cursor:pointer;color:var(--accent)}@media print{details>*{display:block}}"
)


def write_ore_report(path: Path, result: OreResult, notes: Sequence[str]) -> None:
    """Write a run's report; raises ReportError if the file cannot be written."""
    comparison = result.comparison
    facts = [
        ("table", Path(result.data.source).name),
        ("SHA-256 of the table", result.data.sha256[:16]),
        ("blocks", str(len(result.data.ore))),
        ("training rows", str(len(comparison.split(comparison.honest).training))),
        ("test rows", str(len(comparison.split(comparison.honest).test))),
        ("outer folds", str(comparison.settings.folds) + (", --fast" if comparison.settings.fast else "")),
        ("seed", str(comparison.settings.seed)),
        ("processor time of all fits", f"{comparison.processor_s / 60:.1f} min"),
    ]
    write_page(path, "training", "Ore or gangue", result.data.simulated, facts, notes, make_ore_sections(result))


def write_page(
    path: Path,
    kind: str,
    title: str,
    simulated: bool,
    facts: Sequence[tuple[str, str]],
    notes: Sequence[str],
    sections: Sequence[Section],
) -> None:
    """Write a page of sections; raises ReportError if the file cannot be written."""
    links = "".join(f'<li><a href="#{s.identifier}">{escape(s.title)}</a></li>' for s in sections)
    body = "".join(f'<section id="{s.identifier}"><h2>{escape(s.title)}</h2>{s.body}</section>' for s in sections)
    whole = f"SIMULATED: {title}" if simulated else title
    banner = (
        '<p class="simulated" role="note"><strong>SIMULATED</strong> The blocks of this report are simulated. Its '
        "figures are about the software and say nothing about real ground.</p>"
        if simulated
        else ""
    )
    footer = "SIMULATED: no figure on this page says anything about real ground. " if simulated else ""
    items = "".join(f"<li>{escape(note)}</li>" for note in notes)
    text = (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
        'img-src data:">\n<meta name="color-scheme" content="light">\n'
        f'<link rel="icon" href="data:,">\n<title>{escape(whole)}</title>\n<style>{STYLE}{_MORE_STYLE}</style>\n'
        f'</head>\n<body>\n<header><p class="kind">{escape(kind)} report</p><h1>{escape(title)}</h1>{banner}'
        + (f'<ul class="notes">{items}</ul>' if items else "")
        + f'{definitions(facts)}<nav aria-label="Sections"><ol>{links}</ol></nav></header>\n<main>\n{body}\n</main>\n'
        f"<footer>{footer}Written by stibium {escape(edge.__version__)}.</footer>\n</body>\n</html>\n"
    )
    partial = path.with_name(f".{path.name}.part")
    try:
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise ReportError(f"{path}: the report cannot be written: {error.strerror}") from error
