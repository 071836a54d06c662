"""Figures: one module for each analysis, each with `draw(result, *, figure=None)`.

A figure draws what the result holds. It is a `matplotlib.figure.Figure` that pyplot does not know of, so
drawing needs no display and many can be drawn side by side; a `SubFigure` may be passed to draw into.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from probe._checks import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure

__all__ = ["CATALOGUE", "draw"]

CATALOGUE = {
    "WeightImages": "weights",
    "Maximization": "maximize",
    "NoiseConfidence": "noise",
    "Memorization": "memorization",
    "TrainingHistory": "training",
    "TrainingResult": "training",
    "PopulationResult": "training",
}
"""Which module draws which result."""


def draw(result: object, *, figure: Figure | SubFigure | None = None) -> Figure | SubFigure:
    """Draw a result of any analysis, or of training.

    Parameters
    ----------
    result : object
        What `probe.weight_images`, `probe.maximize`, `probe.noise_confidence`, `probe.memorization`,
        `probe.train` or `probe.train_population` returned.
    figure : Figure or SubFigure, optional
        Where to draw; a new figure of the common size without.

    Returns
    -------
    Figure or SubFigure
        With `savefig` as usual.

    Raises
    ------
    InputError
        If there is no figure for such an object.

    Examples
    --------
    >>> import probe
    >>> split = probe.load_dataset("digits")
    >>> trained = probe.train(probe.MLP(hidden=(4,)), split, probe.TrainingConfig(epochs=2))
    >>> type(draw(probe.weight_images(trained.network))).__name__
    'Figure'
    """
    name = type(result).__name__
    if name not in CATALOGUE:
        raise InputError(f"result must be one of {', '.join(CATALOGUE)}, got {name}")
    drawn: Figure | SubFigure = import_module(f"probe.figures.{CATALOGUE[name]}").draw(result, figure=figure)
    return drawn
