"""HTML pages from templates: one file that loads nothing from anywhere, for a screen, a phone and paper."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from ... import edge
from ...converters.spectra.files import write_whole
from ...edge.chart import fixed, number
from ..errors import ReportError

VERDICT_MARKS = {"pass": "✓ pass", "warn": "! warn", "fail": "✕ fail", "not judged": "– not judged"}
_TEXT_COLUMNS = ("note", "verdict")
T = TypeVar("T")


@dataclass(frozen=True)
class Table:
    """A table of plain text; the first column names the row, columns without any entry are left out.

    Attributes:
        header: of the columns.
        rows: a cell that is a verdict is shown as one.
        caption: above the table.
        left: how many columns are text, set to the left; the others are numbers.
        text: headings of further columns of text.
        strong, faint: rows to set off.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""
    left: int = 1
    text: Sequence[str] = ()
    strong: Collection[int] = ()
    faint: Collection[int] = ()

    @property
    def used(self) -> list[int]:
        """Columns that are shown."""
        return [i for i in range(len(self.header)) if i == 0 or any(row[i] for row in self.rows)]

    def is_text(self, column: int) -> bool:
        """Say whether a column is set to the left."""
        return column < self.left or self.header[column] in (*_TEXT_COLUMNS, *self.text)


def tabulate(items: Iterable[T], columns: Mapping[str, Callable[[T], str]], **more: Any) -> Table:
    """Make a table with a row for each item; each heading brings how its cell is written.

    Args:
        items: what the rows are of.
        columns: heading -> cell.
        more: as of `Table`.
    """
    return Table(tuple(columns), [tuple(write(item) for write in columns.values()) for item in items], **more)


@lru_cache(maxsize=1)
def environment() -> Environment:
    """Give the templates, with everything escaped that is not marked as safe."""
    found = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.globals |= {"VERDICT_MARKS": VERDICT_MARKS, "version": edge.__version__}
    found.filters |= {"number": number, "fixed": fixed, "on_one_line": _on_one_line, "heading": _heading}
    return found


def _on_one_line(text: Markup) -> Markup:
    # Only what a template's layout adds: a thin space between thousands stays.
    return Markup(re.sub("[ \n]+", " ", text).strip())


def _heading(text: str) -> str:
    return text[:1].upper() + text[1:]


def render(
    body: str,
    *,
    title: str,
    kind: str,
    simulated: bool,
    facts: Sequence[tuple[str, str]] = (),
    notes: Sequence[str] = (),
    **context: Any,
) -> str:
    """Give a page as text.

    Args:
        body: file name of the template with the page's sections.
        title: of the page.
        kind: such as "training".
        simulated: True if the page has to say throughout that its figures are of no real ground.
        facts: name and value each, at the top.
        notes: what a reader must know.
        context: what the template of the sections takes.
    """
    sections: list[tuple[str, str]] = []

    def begin(identifier: str, name: str) -> str:
        sections.append((identifier, name))
        return ""

    return environment().get_template("page.html").render(
        body=body, title=title, kind=kind, simulated=simulated, facts=facts, notes=notes, sections=sections,
        begin=begin, **context,
    )  # fmt: skip


def write_page(path: str | os.PathLike[str], text: str) -> None:
    """Write a page, whole or not at all.

    Raises:
        ReportError: the file cannot be written.
    """
    try:
        write_whole(path, text.encode())
    except OSError as error:
        raise ReportError(f"{path}: the report cannot be written: {error.strerror}") from error
