"""A report on paper: a browser prints it without leaving half a page blank."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from browser import browsing
from report_parts import PARTS
from stibium.train.report.contents import ReportContents
from stibium.train.report.write import write_report


def test_figures_that_need_more_than_the_rest_of_a_page_begin_on_it(tmp_path: Path, full: ReportContents) -> None:
    assert full.spectra is not None
    # Half a page of the domain, and of spectra more than is left of it: together they need two pages, not three.
    steps = replace(full.spectra, steps=full.spectra.steps * 3, spectrogram=None)
    page = tmp_path / "report.html"
    write_report(
        page, replace(full, **(dict.fromkeys((*PARTS, "printed")) | {"domain": full.domain, "spectra": steps}))
    )  # type: ignore[arg-type]
    with browsing() as browser:
        tab = browser.new_page()
        tab.goto(page.as_uri())
        printed = tab.pdf(format="A4", prefer_css_page_size=True)
    assert printed.count(b"/Type /Page\n") == 2
