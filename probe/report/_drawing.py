"""The pictures of a page, drawn by several processes where there are many."""

from __future__ import annotations

import gc
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import BrokenExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from probe._parallel import available_workers
from probe._progress import Progress, ProgressEvent, silent
from probe.figures import picture_files
from probe.results import Record

__all__ = ["Drawing", "Drawn", "draw_all"]

_MANY = 8
"""Pictures that are worth the start of other processes."""

_MOST_PROCESSES = 4
"""Each takes its memory, and two seconds to start."""


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
    """Return the pictures in this order; `progress` is called after each.

    They are the same whoever draws them. However this ends, no process goes on drawing.
    """
    done = dict[int, Drawn]()

    def keep(index: int, drawn: Drawn) -> None:
        done[index] = drawn
        progress(ProgressEvent("drawing", len(done), len(drawings)))

    if len(drawings) >= _MANY:
        try:
            with closing(_in_processes(drawings)) as others:
                for index, drawn in others:
                    keep(index, drawn)
        except (BrokenExecutor, OSError):
            pass  # no room for processes, or one was killed: what is missing is drawn here
    for index, drawing in enumerate(drawings):
        if index not in done:
            keep(index, _drawn(drawing))
    return [done[index] for index in range(len(drawings))]


def _drawn(drawing: Drawing) -> Drawn:
    return Drawn(*picture_files(drawing.result, **drawing.view))


def _in_processes(drawings: Sequence[Drawing]) -> Generator[tuple[int, Drawn], None, None]:
    """Draw in other processes, and give index and picture as they come; nothing where there is one core."""
    from joblib import Parallel, delayed

    workers = available_workers(min(_MOST_PROCESSES, len(drawings)))
    if workers < 2:
        return
    parallel = Parallel(
        workers, backend="loky", return_as="generator_unordered", batch_size=1, max_nbytes=None
    )
    yield from parallel(delayed(_drawn_there)(*each) for each in enumerate(drawings))


def _drawn_there(index: int, drawing: Drawing) -> tuple[int, Drawn]:
    # What was imported stays: it need not be looked at after each picture.
    if not gc.get_freeze_count():
        gc.freeze()
    return index, _drawn(drawing)
