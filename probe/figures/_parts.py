"""The pictures that a figure module offers, and what makes one of a result.

Each picture of a module is a function with a decorator, and `PARTS` lists them:

    @one_panel(height=3.2)
    def curve(result: Curve, ax: Axes, **style: Any) -> None: ...

    @panels()
    def rows(result: Curve, figure: Figure | SubFigure) -> list[str]:
        resize(figure, 1.25 * len(result.rows))
        ...

    PARTS = (curve, rows)

The class of the result, in the annotation of the first argument, says what it is a picture of. A picture of one panel
draws into axes and hands `**style` on to what it draws; one of several panels gets a figure. Further keyword arguments
are its options. What it returns are sentences for the foot of a figure. A figure of the caller keeps its size.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from probe._checks import InputError, brief
from probe.figures._style import footnote, fresh, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

__all__ = ["Part", "one_panel", "panels"]

Draw = Callable[..., Sequence[str] | None]


@dataclass(frozen=True, slots=True)
class Part:
    """One picture of a result."""

    draw: Draw  # `draw(result, target, **options)`, where the target is an Axes or a Figure
    height: float  # of a figure of its own in inches; `draw` may `resize` it
    is_one_panel: bool  # whether it draws into one Axes
    # Says why there is nothing to show; "" where there is something.
    empty: Callable[[Any], str] = lambda result: ""

    @property
    def name(self) -> str:
        """Name of the function that draws it."""
        return self.draw.__name__

    def shows(self, kind: str) -> bool:
        """Return whether it is a picture of results of the class of this name, as its first annotation says."""
        return kind in next(iter(self.draw.__annotations__.values())).split(" | ")

    def check_options(self, options: dict[str, Any]) -> None:
        """Raise unless the picture has such options."""
        parameters = list(inspect.signature(self.draw).parameters.values())[2:]
        if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
            return
        names = [parameter.name for parameter in parameters]
        for name, value in options.items():
            if name not in names:
                known = f"it takes {', '.join(names)}" if names else "it has no options"
                raise InputError(f"{name} must be left out for '{self.name}', got {brief(value)}: {known}")

    def drawn(self, result: Any, ax: Axes | None, options: dict[str, Any]) -> Figure | Axes:
        """Return a new figure of `result`, or `ax` with it."""
        with styled():
            if ax is not None:
                self._into(result, ax if self.is_one_panel else _in_place_of(ax), options)
                return ax
            figure = fresh(self.height)
            notes = self._into(result, figure.subplots() if self.is_one_panel else figure, options)
            if any(notes := notes or ()):
                footnote(figure, notes)
            return figure

    def _into(self, result: Any, target: Any, options: dict[str, Any]) -> Sequence[str] | None:
        """Draw `result`; what matplotlib says of an option that it does not know is an error of that option."""
        try:
            return self.draw(result, target, **options)
        except InputError:
            raise
        except (AttributeError, TypeError, ValueError) as error:
            for name, value in options.items():
                if name in str(error):
                    raise InputError(
                        f"{name} must be an option of what '{self.name}' draws, got {brief(value)}: {error}"
                    ) from error
            raise


def one_panel(
    height: float = 4.0, *, empty: Callable[[Any], str] = lambda result: ""
) -> Callable[[Draw], Part]:
    """Make a picture of a function `draw(result, ax, **options)`."""
    return lambda draw: Part(draw, height, is_one_panel=True, empty=empty)


def panels(height: float = 4.0, *, empty: Callable[[Any], str] = lambda result: "") -> Callable[[Draw], Part]:
    """Make a picture of a function `draw(result, figure, **options)`, which lays out panels of its own."""
    return lambda draw: Part(draw, height, is_one_panel=False, empty=empty)


def _in_place_of(ax: Axes) -> SubFigure:
    """Return a part of the figure of `ax` that stands where it stands."""
    place = ax.get_subplotspec()
    if place is None:
        raise InputError(
            "ax must be one of a grid for a picture of several panels; make it with figure.subplots()"
        )
    ax.set_axis_off()
    return ax.figure.add_subfigure(place)
