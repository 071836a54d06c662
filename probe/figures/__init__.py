"""Figures: one module for each analysis, each with `draw(result, *, figure=None)`.

A figure draws what the result holds. It is a `matplotlib.figure.Figure` that pyplot does not know of, so
drawing needs no display and many can be drawn side by side; a `SubFigure` may be passed to draw into.

A module with several figures of one result has them in `PARTS`, takes `part` as well, and says with
`parts_of(result)` which of them have something to show.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

from probe._checks import InputError, brief, check_choice

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure

__all__ = ["CATALOGUE", "draw", "parts_of"]

CATALOGUE = {
    "WeightImages": "weights",
    "ExpandedWeights": "paths",
    "WeightStructure": "structure",
    "Concepts": "concepts",
    "Landscape": "landscape",
    "Minima": "minima",
    "ArchitectureSearch": "search",
    "Maximization": "maximize",
    "Drawing": "drawing",
    "NoiseConfidence": "noise",
    "NoiseSeverity": "severity",
    "Memorization": "memorization",
    "MemorizationScores": "scores",
    "Capacity": "capacity",
    "TrainingHistory": "training",
    "TrainingResult": "training",
    "PopulationResult": "training",
}
"""Which module draws which result."""


def draw(
    result: object,
    *,
    figure: Figure | SubFigure | None = None,
    part: str | None = None,
    cell: int | None = None,
    scale: str | None = None,
) -> Figure | SubFigure:
    """Draw a result of any analysis, or of training.

    Parameters
    ----------
    result : object
        What any analysis returned, such as `probe.weight_images` or `probe.maximize`, or `probe.train` or
        `probe.train_population`.
    figure : Figure or SubFigure, optional
        Where to draw; a new figure of the common size without.
    part : str, optional
        Which figure of a result with several, one of `parts_of(result)`; the first without.
    cell : int, optional
        Which cell of a result with cells, from 0; the first without.
    scale : {"shared", "robust", "unit"}, optional
        Colours of weight images: one limit for all units; one that leaves outliers out; one for each unit. Without,
        "shared", but "robust" where that would leave more than half of them blank.

    Returns
    -------
    Figure or SubFigure
        With `savefig` as usual; at most 8 x 20 inches, whatever the network, unless you passed one.

    Raises
    ------
    InputError
        If there is no figure for such an object, or no such part, cell or scale.

    Examples
    --------
    >>> import probe
    >>> split = probe.load_dataset("digits")
    >>> trained = probe.train(probe.MLP(hidden=(4,)), split, probe.TrainingConfig(epochs=2))
    >>> type(draw(probe.weight_images(trained.network))).__name__
    'Figure'
    """
    from matplotlib.figure import FigureBase

    module, name = _module_of(result), type(result).__name__
    if figure is not None and not isinstance(figure, FigureBase):
        raise InputError(f"figure must be a matplotlib Figure or SubFigure, got {brief(figure)}")
    view: dict[str, object] = {}
    if part is not None:
        if not hasattr(module, "PARTS"):
            raise InputError(f"part must be left out for {name}, which has one figure; got {brief(part)}")
        view["part"] = check_choice("part", part, module.PARTS)
    if cell is not None:
        if not hasattr(result, "cells"):
            raise InputError(f"cell must be left out for {name}, which has no cells; got {brief(cell)}")
        view["cell"] = cell
    if scale is not None:
        if not hasattr(module, "SCALES"):
            raise InputError(f"scale must be left out for {name}, which has one scale; got {scale!r}")
        view["scale"] = check_choice("scale", scale, module.SCALES)
    drawn: Figure | SubFigure = module.draw(result, figure=figure, **view)
    return drawn


def parts_of(result: object) -> tuple[str, ...]:
    """Return the parts that `draw` can draw of a result; none for a result with a single figure.

    Parts that would have nothing to show are left out, such as forgetting where no label was corrupted.

    Raises
    ------
    InputError
        If there is no figure for such an object.

    Examples
    --------
    >>> import probe
    >>> parts_of(probe.train(probe.MLP(), probe.load_dataset("digits"), probe.TrainingConfig(epochs=1)))
    ()
    """
    module = _module_of(result)
    if hasattr(module, "parts_of"):
        return tuple(module.parts_of(result))
    return tuple(getattr(module, "PARTS", ()))


def _module_of(result: object) -> ModuleType:
    name = type(result).__name__
    if name not in CATALOGUE:
        raise InputError(f"result must be one of {', '.join(CATALOGUE)}, got {name}")
    return import_module(f"probe.figures.{CATALOGUE[name]}")
