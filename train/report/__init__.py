"""A report to look at and to send around: one HTML file with everything in it, figures as inline SVG."""

from .contents import ReportContents
from .page import write_report

__all__ = ["ReportContents", "write_report"]
