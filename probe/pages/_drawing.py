"""The pictures of a page, drawn by other processes while what else is on the page is still made."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import BrokenExecutor, Future, as_completed, wait
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Self

from probe._parallel import available_workers
from probe._processes import NO_PROCESS, place, submit
from probe._progress import Progress, ProgressEvent, silent
from probe.figures import picture_files
from probe.results import Record

__all__ = ["Drawing", "Drawn", "Easel"]

_SECONDS = 0.35
"""What a picture takes, about."""


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


class Easel:
    """Draws pictures, each once, and the same whoever draws them. In a `with` block: after it no process draws."""

    def __init__(self) -> None:
        self._begun: dict[Drawing, Future[Drawn]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Give up what is not drawn yet, and wait until no process draws."""
        running = [future for future in self._begun.values() if not future.cancel()]
        self._begun.clear()
        wait(running)

    def prepare(self) -> None:
        """Let other processes get ready to draw while the caller does what takes seconds."""
        if available_workers() < 2:
            return
        with suppress(*NO_PROCESS):
            for _ in range(available_workers()):
                submit(_ready)

    def begin(self, drawings: Iterable[Drawing]) -> None:
        """Let other processes draw these while the caller goes on; nothing where there is one core."""
        if available_workers() < 2:
            return
        # Where there is no room for processes, what is missing is drawn in this one.
        with suppress(*NO_PROCESS):
            for drawing in drawings:
                if drawing not in self._begun:
                    self._begun[drawing] = submit(_drawn_there, drawing)

    def drawn(self, drawings: Sequence[Drawing], progress: Progress = silent) -> list[Drawn]:
        """Return the pictures in this order; `progress` is called after each."""
        done = dict[Drawing, Drawn]()

        def keep(drawing: Drawing, drawn: Drawn) -> None:
            done[drawing] = drawn
            progress(ProgressEvent("drawing", len(done), len(drawings)))

        n_left = sum(drawing not in self._begun for drawing in drawings)
        if place(_SECONDS * n_left, None, n_left)[0] == "processes":
            self.begin(drawings)
        begun = {self._begun[drawing]: drawing for drawing in drawings if drawing in self._begun}
        for future in as_completed(begun):
            # Where a process was killed, what is missing is drawn in this one.
            with suppress(BrokenExecutor):
                keep(begun[future], future.result())
        for drawing in drawings:
            if drawing not in done:
                keep(drawing, _drawn(drawing))
        return [done[drawing] for drawing in drawings]


def _drawn(drawing: Drawing) -> Drawn:
    return Drawn(*picture_files(drawing.result, **drawing.view))


def _drawn_there(drawing: Drawing) -> Drawn:
    _ready()
    return _drawn(drawing)


def _ready() -> None:
    """Import what draws, in a worker. It stays: it need not be looked at after each picture."""
    if not gc.get_freeze_count():
        for name in (
            "probe.figures._style",
            "matplotlib.backends.backend_agg",
            "matplotlib.backends.backend_svg",
        ):
            import_module(name)
        gc.collect()
        gc.freeze()
