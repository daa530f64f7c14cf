"""A report with every part."""

from __future__ import annotations

import pytest
from report_parts import a_full_report
from stibium.train.report.contents import ReportContents


@pytest.fixture
def full() -> ReportContents:
    return a_full_report()
