"""A report as a value: sections, each a template that reads results, put together to chapters.

`Report(...).rendered()` draws its pictures and puts everything in words; `.html(origin)` of that is the page. The words
are in `templates`, one for each section; `_words` has what they are written with; `chapters` says what belongs together.
"""

from probe.pages.chapters import CHAPTERS, Chapter
from probe.pages.report import Draft, Rendered, Report
from probe.pages.section import Claim, RenderedSection, Section

__all__ = ["CHAPTERS", "Chapter", "Claim", "Draft", "Rendered", "RenderedSection", "Report", "Section"]
