"""The site that `make docs` builds of these pages; each of them reads well on its own, as plain Markdown, too."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from sphinx.util import logging
from stibium.edge import __version__

project = "stibium"
author = copyright = "the stibium authors"
release = version = __version__
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_click"]
root_doc = "index"
html_theme = "furo"
html_title = f"stibium {__version__}"
html_show_sphinx = False
html_static_path = ["site.css"]
html_css_files = ["site.css"]
exclude_patterns = ["build"]
nb_execution_mode = "force"
nb_execution_timeout = 600
nb_execution_raise_on_error = True
myst_heading_anchors = 4
# A table of commas has no lexer.
suppress_warnings = ["misc.highlighting_failure"]
autodoc_typehints = "description"
autodoc_member_order = "bysource"
LINK = re.compile(r"\]\((?!\w+:|#)([^)#\s]+\.(?:md|ipynb))(?:#[^)]*)?\)")
OUT = re.compile(r"\[([^\]]*)\]\(\.\./[^)]*\)")
RAW = re.compile(r"^\.\. [\w-]+::", re.MULTILINE)
"""A directive that was not carried out but printed."""


def setup(app: Any) -> None:
    """Let Sphinx read the index as the order of the pages."""
    app.connect("source-read", prepare)
    app.connect("doctree-resolved", look)
    for part in ("description", "options", "epilog"):
        app.connect(f"sphinx-click-process-{part}", escape)


def prepare(app: Any, name: str, source: list[str]) -> None:
    """Add the order of the pages to the index, and take links that lead out of the documentation for plain text."""
    text = source[0]
    if name == root_doc:
        text += contents(text)
    source[0] = OUT.sub(r"\1", text)


def escape(app: Any, context: Any, lines: list[str]) -> None:
    """Keep an asterisk of the program's help, as in T*, from being taken for emphasis."""
    lines[:] = [line.replace("*", r"\*") for line in lines]


def look(app: Any, tree: Any, name: str) -> None:
    """Warn, which fails a strict build, of a directive that stands on the page as text."""
    if found := RAW.search(tree.astext()):
        logging.getLogger(__name__).warning("%s: printed and not carried out", found[0], location=name)


def contents(index: str) -> str:
    """Give the table of contents that the index's headings and links are."""
    parts = []
    for section in re.split(r"^## ", index, flags=re.MULTILINE)[1:]:
        heading, _, body = section.partition("\n")
        pages = dict.fromkeys(Path(link).stem for link in LINK.findall(body))
        parts.append(f"\n```{{toctree}}\n:hidden:\n:caption: {heading.strip()}\n\n" + "\n".join(pages) + "\n```\n")
    return "".join(parts)
