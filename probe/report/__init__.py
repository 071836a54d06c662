"""A report as a value: sections, each a template that reads results.

`Report(...).rendered()` draws its pictures and puts everything in words; `.html(origin)` of that is the page. The words
are in `templates`, one for each section; `_words` has what they are written with.
"""

from probe.report.report import Claim, Rendered, RenderedSection, Report, Section

__all__ = ["Claim", "Rendered", "RenderedSection", "Report", "Section"]
