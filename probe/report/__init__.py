"""A report as values: a page of sections, which hold paragraphs, pictures and tables.

`probe.report.sections` turns results into sections, `render` turns a page into one HTML file. A new
analysis adds a function there and its call in `probe.workflow._report`.
"""

from probe.report.page import Claim, Page, Picture, Section, Table, render

__all__ = ["Claim", "Page", "Picture", "Section", "Table", "render"]
