"""A report as values: a page of sections, each worded by a template, and the page as HTML."""

from probe.report.page import Page, Picture, Section, Table, render
from probe.report.report import Claim, Rendered, Report

__all__ = ["Claim", "Page", "Picture", "Rendered", "Report", "Section", "Table", "render"]
