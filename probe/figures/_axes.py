"""What many figures draw into axes: curves over replicates, logarithmic axes, texts; and which of very many are shown."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor, log10
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colorbar import Colorbar
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullFormatter, NullLocator

__all__ = [
    "Look",
    "around",
    "band",
    "beside",
    "half_ticks",
    "log_axis",
    "log_bar",
    "middle_90",
    "replicates",
    "shown_of",
    "spread",
    "write",
]

Look = dict[str, Any]
"""Keyword arguments of what is drawn."""


def spread(n: int, most: int) -> list[int]:
    """Return all of `n` indices, or `most` of them, evenly apart, with the first and the last.

    Examples
    --------
    >>> spread(3, 5), spread(9, 5)
    ([0, 1, 2], [0, 2, 4, 6, 8])
    """
    if n <= most:
        return list(range(n))
    return [round(k * (n - 1) / (most - 1)) for k in range(most)] if most > 1 else [n - 1]


def shown_of(n_shown: int, n: int, what: str) -> str:
    """Return how many of `n` are shown, in a sentence; empty if all are."""
    return f"Shown: {n_shown} of {n} {what}, evenly apart." if n_shown < n else ""


def middle_90(values: npt.NDArray[Any], axis: int | None = None) -> npt.NDArray[Any]:
    """Return the 5% quantile, the median and the 95% quantile of what is a number."""
    return np.asarray(np.nanquantile(values, [0.05, 0.5, 0.95], axis=axis))


def band(axes: Axes, x: npt.NDArray[Any], values: npt.NDArray[Any], color: str) -> None:
    """Draw replicates as `replicates` does, with a note in the axes if there is a band."""
    replicates(axes, x, values, color)
    if len(values) >= 10 and not any(text.get_gid() == "band" for text in axes.texts):
        write(axes, 0.98, 0.5, "band: middle 90%", ha="right", va="top", gid="band")


def replicates(
    axes: Axes, x: npt.NDArray[Any], values: npt.NDArray[Any], color: str, marker: str = "none"
) -> None:
    """Draw replicates (n_replicates, n_points): the median, and the range or members around it.

    With fewer than ten replicates each is a thin line; with ten or more a band spans the middle 90%. `marker` stands at
    a few points of the median. Points at which all replicates are NaN are left out.
    """
    known = ~np.isnan(values).all(axis=0)
    x, values = x[known], values[:, known]
    low, middle, high = middle_90(values, axis=0) if len(x) else (x, x, x)
    if 1 < len(values) < 10:
        axes.plot(x, values.T, color=color, linewidth=0.6, alpha=0.45)
    elif len(values) > 1:
        axes.fill_between(x, low, high, color=color, alpha=0.2, linewidth=0)
    # A curve of one point is seen only by its marker.
    shape = "o" if len(x) == 1 and marker == "none" else marker
    look: dict[str, Any] = {"markersize": 5, "markeredgecolor": "white", "markeredgewidth": 0.6}
    axes.plot(x, middle, color=color, linewidth=2, marker=shape, markevery=_on_log_scale(x), **look)


def _on_log_scale(x: npt.NDArray[Any]) -> list[int]:
    """Return the indices of about seven of the points `x`, evenly apart on a logarithmic scale."""
    if not len(x):
        return []
    if x[0] <= 0:
        return list(range(len(x)))
    wanted = np.geomspace(x[0], x[-1], 7)
    return sorted({int(np.abs(x - point).argmin()) for point in wanted})


def write(axes: Axes, x: float, y: float, text: str, **style: Any) -> None:
    """Write a text at a point in shares of the axes."""
    axes.text(x, y, text, transform=axes.transAxes, **{"fontsize": 9} | style)


def beside(
    axes: Axes, text: str, point: tuple[float, float], offset: tuple[float, float], **style: Any
) -> None:
    """Write a text so many points away from a point of the data."""
    axes.annotate(text, point, xytext=offset, textcoords="offset points", **style)


def half_ticks(axes: Axes) -> None:
    """Name 0, a half and 1 on the horizontal axis."""
    axes.set_xticks([0, 0.5, 1], ["0", "½", "1"])


def around(low: float, high: float, share: float, *, apart: float, times: float = 1.0) -> tuple[float, float]:
    """Return limits of a logarithmic axis with room for marks and labels, at least a factor of `apart` apart."""
    room = max(times * (high / low) ** share, (apart * low / high) ** 0.5, 1.1)
    return low / room, high * room


def _log_ticks(low: float, high: float, fewest: int) -> list[float]:
    """Return ticks of a logarithmic axis: 1, 10, 100, ... or as many between as make `fewest`; evenly apart if none do."""
    for steps in ((1,), (1, 3), (1, 2, 5), (1, 2, 3, 5, 7), range(1, 10)):
        ticks = _multiples(low, high, steps)
        if len(ticks) >= fewest:
            return ticks
    ticks = [float(tick) for tick in MaxNLocator(5).tick_values(low, high) if low <= tick <= high]
    return ticks or [low, high]


def _multiples(low: float, high: float, steps: Sequence[int]) -> list[float]:
    """Return these multiples of the powers of ten from `low` to `high`."""
    decades = range(floor(log10(low)) - 1, ceil(log10(high)) + 1)
    return [tick for decade in decades for step in steps if low <= (tick := step * 10.0**decade) <= high]


def log_bar(bar: Colorbar, low: float, high: float) -> None:
    """Give a logarithmic color bar from `low` to `high` few ticks with plain numbers."""
    bar.ax.yaxis.set_major_locator(FixedLocator(_log_ticks(low, high, 3)))
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
    bar.ax.yaxis.set_minor_locator(NullLocator())


def log_axis(axes: Axes, which: Literal["x", "y"], low: float, high: float, fewest: int = 2) -> None:
    """Make an axis logarithmic from `low` to `high`, with ticks that have room: 1, 10, 100, 1k, 10k, ..."""
    axes.set(**{f"{which}scale": "log", f"{which}lim": (low, high)})
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_locator(FixedLocator(_log_ticks(low, high, fewest)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: _compact(value)))
    axis.set_minor_locator(FixedLocator(_multiples(low, high, range(2, 10))))
    axis.set_minor_formatter(NullFormatter())


def _compact(value: float) -> str:
    """Return a number in few letters.

    Examples
    --------
    >>> _compact(200), _compact(1500), _compact(1e6)
    ('200', '1.5k', '1M')
    """
    for unit, letter in ((1e6, "M"), (1e3, "k")):
        if value >= unit:
            return f"{value / unit:g}{letter}"
    return f"{value:g}"
