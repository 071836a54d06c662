"""Figures: modules whose `PARTS` are pictures of the results of one or more analyses; see `probe.figures._parts`.

A figure draws what the result holds and computes nothing. It is a `matplotlib.figure.Figure` that pyplot does
not know of, so drawing needs no display and many can be drawn side by side; or it is drawn into axes of the caller.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from probe._checks import InputError, brief, check_choice
from probe._notebook import shown_at_the_end
from probe.catalogue import ANALYSES
from probe.figures._parts import Part

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["CATALOGUE", "parts_of", "picture", "picture_files", "plot"]

CATALOGUE = {entry.result: entry.figures for entry in ANALYSES} | dict.fromkeys(
    ("TrainingHistory", "TrainingResult", "PopulationResult"), "training"
)
"""Which module draws which result."""


def plot(result: object, *, part: str | None = None, ax: Axes | None = None, **style: Any) -> Figure | Axes:
    """Plot a result of any analysis, or of training.

    Parameters
    ----------
    result : Result
        What any analysis returned, such as `probe.weight_images` or `probe.maximize`, or `probe.train` or
        `probe.train_population`.
    part : str, optional
        Which picture of a result with several, one of `probe.figures.parts_of(result)`; the first without.
    ax : matplotlib Axes, optional
        Where to draw; a picture of several panels divides its place. A new figure of the common size without.
    **style
        Options of the picture: `cell` of a result with several, from 0; `scale` of weight images ("shared": one limit for
        all units; "robust": one that leaves outliers out; "unit": one for each unit). Where it has one panel also the
        keyword arguments of what it draws, such as `cmap` of images and `color` or `linewidth` of lines.

    Returns
    -------
    Figure or Axes
        `ax`, or the new figure, with `savefig` as usual and at most 8 x 20 inches, whatever the network. A notebook shows
        it as the last line of a cell, and at the end of the cell where it was made in a loop.

    Raises
    ------
    InputError
        If there is no picture of such an object, no such part or option, or `ax` is no Axes.

    Examples
    --------
    >>> import probe
    >>> split = probe.load_dataset("digits")
    >>> trained = probe.train(probe.MLP(hidden=(4,)), split, probe.TrainingConfig(epochs=2))
    >>> plot(probe.weight_images(trained.network), cmap="PuOr").savefig("weights.png")  # doctest: +SKIP
    """
    figure = _plotted(result, part, ax, style)
    if ax is None:
        shown_at_the_end(figure)  # type: ignore[arg-type]
    return figure


def _plotted(result: object, part: str | None, ax: Axes | None, style: dict[str, Any]) -> Figure | Axes:
    from matplotlib.axes import Axes

    parts = _parts(result)
    if ax is not None and not isinstance(ax, Axes):
        raise InputError(f"ax must be a matplotlib Axes, got {brief(ax)}")
    if part is not None and len(parts) == 1:
        raise InputError(
            f"part must be left out for {type(result).__name__}, which has one picture; got {brief(part)}"
        )
    chosen = next(iter(parts.values())) if part is None else parts[check_choice("part", part, parts)]
    reason = chosen.empty(result)
    if reason:
        raise InputError(
            f"part {chosen.name!r} has nothing to show: {reason}; plot one of {', '.join(parts_of(result))}"
        )
    chosen.check_options(style)
    return chosen.drawn(result, ax, style)


def parts_of(result: object) -> tuple[str, ...]:
    """Return the parts of a result that `plot` can draw; none of a result with a single picture.

    Parts that would have nothing to show are left out, such as forgetting where no label was corrupted.

    Raises
    ------
    InputError
        If there is no picture of such an object.

    Examples
    --------
    >>> import probe
    >>> parts_of(probe.train(probe.MLP(), probe.load_dataset("digits"), probe.TrainingConfig(epochs=1)))
    ()
    """
    parts = _parts(result)
    return tuple(name for name, part in parts.items() if not part.empty(result)) if len(parts) > 1 else ()


def picture(result: object, **view: Any) -> bytes:
    """Return `plot(result, **view)` as PNG, of bounded size."""
    from probe.figures._style import png_of, quietly

    with quietly():
        figure = _plotted(result, view.pop("part", None), None, view)
    return png_of(figure)  # type: ignore[arg-type]


def picture_files(result: object, **view: Any) -> tuple[bytes, bytes]:
    """Return `plot(result, **view)` as PNG and as SVG, of bounded size."""
    from probe.figures._style import png_and_svg_of, quietly

    with quietly():
        figure = _plotted(result, view.pop("part", None), None, view)
    return png_and_svg_of(figure)  # type: ignore[arg-type]


def _parts(result: object) -> dict[str, Part]:
    name = type(result).__name__
    if name not in CATALOGUE:
        raise InputError(f"result must be one of {', '.join(CATALOGUE)}, got {name}")
    module = import_module(f"probe.figures.{CATALOGUE[name]}")
    return {part.name: part for part in module.PARTS if part.shows(name)}
