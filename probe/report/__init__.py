"""A report as values: a page of sections, which hold paragraphs, pictures and tables.

`probe.report.sections` turns results into sections, `render` turns a page into one HTML file. A new
analysis adds a function there and its call in `probe.workflow._report`.
"""

from probe.report.page import Page, Picture, Section, Table, render
from probe.report.report import Claim, Rendered, Report

__all__ = ["Claim", "Page", "Picture", "Rendered", "Report", "Section", "Table", "render"]
