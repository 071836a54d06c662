"""A figure that shows itself in a notebook."""

from __future__ import annotations

from typing import Any

from matplotlib.backend_bases import RendererBase
from matplotlib.figure import Figure

from probe.figures._style import png_bytes, quietly, size_of

__all__ = ["Picture"]

_DOTS_OF_SCREENS = 96
"""Pixels an inch, as browsers count."""


class Picture(Figure):
    """A figure that pyplot does not know of, and a notebook shows."""

    is_seen = False
    """Whether it was drawn since it was made: shown, or written to a file."""

    def draw(self, renderer: RendererBase) -> None:
        """Draw it, and remember that."""
        self.is_seen = True
        super().draw(renderer)

    def _repr_png_(self) -> tuple[bytes, dict[str, Any]]:
        with quietly():
            return png_bytes(self), {"width": round(_DOTS_OF_SCREENS * size_of(self)[0])}
