"""What a command wrote."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["PAGE", "Written"]

PAGE = "index.html"
"""What the page of every command is called."""


@dataclass(frozen=True, slots=True)
class Written:
    """What a command wrote.

    Attributes
    ----------
    files : tuple of Path
        The files, the one to look at first.
    summary : str
        One line: what was found.
    interrupted : bool
        Whether Ctrl-C ended the work early and what was done until then was kept.
    """

    files: tuple[Path, ...]
    summary: str
    interrupted: bool = False

    @property
    def page(self) -> Path | None:
        """The page among the files; None if there is none."""
        return next((file for file in self.files if file.name == PAGE), None)
