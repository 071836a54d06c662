"""The pictures of a page, drawn side by side where there are many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from probe._progress import Progress, ProgressEvent, silent
from probe.figures import picture
from probe.results import Record

__all__ = ["Drawing", "Drawn", "draw_all"]


@dataclass(frozen=True, slots=True, eq=False)
class Drawing:
    """A picture that is not drawn yet: of which result, and with which options of `probe.figures.plot`."""

    result: Record
    view: Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """A picture."""

    png: bytes
    svg: bytes


def draw_all(drawings: Sequence[Drawing], progress: Progress = silent) -> list[Drawn]:
    """Return the pictures in this order; `progress` is called after each."""
    done = []
    for drawing in drawings:
        done.append(Drawn(picture(drawing.result, **drawing.view), b""))
        progress(ProgressEvent("drawing", len(done), len(drawings)))
    return done
