"""One look for every figure: sizes, fonts, and one meaning for each color.

The colors are Okabe and Ito's, which stay apart for color-blind readers; every curve is also named in
words beside it. Figures have a white ground of their own, so that they read the same on a dark page.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache, lru_cache
from math import ceil, floor, log10
from typing import TYPE_CHECKING, Any, Literal
from unicodedata import bidirectional, category

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colorbar import Colorbar
    from matplotlib.figure import Figure, SubFigure

__all__ = [
    "COLOURS",
    "DOTS",
    "HEIGHT",
    "INPUT_COLOURS",
    "WIDTH",
    "band",
    "blend",
    "cut",
    "footnote",
    "fresh",
    "literal",
    "log_axis",
    "log_bar",
    "log_ticks",
    "note_inches",
    "replicates",
    "resize",
    "spread",
    "styled",
    "text_width",
]

WIDTH = 8.0
"""Width of every figure in inches."""

HEIGHT = 20.0
"""Height of every figure in inches, at most."""

DOTS = 160
"""Dots an inch: no figure is larger than 1280 x 3200 pixels."""

COLOURS = {
    "true": "#0072B2",
    "real": "#0072B2",
    "train": "#0072B2",
    "random": "#D55E00",
    "noise": "#CC79A7",
    "test": "#009E73",
    "untrained": "#999999",
    "optimum": "#E69F00",
    "reference": "#444444",
}

INPUT_COLOURS = {
    "none": COLOURS["true"],
    "pixel-permutation": "#56B4E9",
    "pixel-shuffle": "#882255",
    "gaussian": COLOURS["noise"],
}
"""Of what was done to the images; apart from each other in gray too."""

_FRESH = "probe"
"""Name of figures that `fresh` made."""

_MARK = "\N{LEFT-TO-RIGHT MARK}"

_STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.labelsize": 10,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#444444",
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "axes.axisbelow": True,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "savefig.dpi": DOTS,
    "figure.dpi": 110,
    # Names of classes and layers are text, whatever signs they hold.
    "text.parse_math": False,
}


@contextmanager
def styled() -> Iterator[None]:
    """Apply the style to what is drawn inside."""
    import matplotlib as mpl

    with mpl.rc_context(_STYLE):
        yield


def fresh(height: float) -> Figure:
    """Return an empty figure of the common width and `height` inches, `HEIGHT` at most, independent of pyplot."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, min(height, HEIGHT)), layout="constrained", dpi=DOTS)
    figure.set_gid(_FRESH)
    return figure


def resize(target: Axes | Figure | SubFigure, height: float) -> None:
    """Give the figure of `target` another height in inches, `HEIGHT` at most; one of the caller keeps its size."""
    from matplotlib.figure import Figure

    figure = target if hasattr(target, "subplots") else target.figure
    if isinstance(figure, Figure) and figure.get_gid() == _FRESH:
        figure.set_size_inches(WIDTH, min(height, HEIGHT))


def band(axes: Axes, x: npt.NDArray[Any], values: npt.NDArray[Any], colour: str) -> None:
    """Draw replicates (n_replicates, n_points): the median, and the range or members around it.

    With fewer than ten replicates each is a thin line; with ten or more a band spans the middle 90%, and a
    note in the axes says so. Points at which all replicates are NaN are left out.
    """
    replicates(axes, x, values, colour)
    if len(values) >= 10 and not any(text.get_gid() == "band" for text in axes.texts):
        note = "band: middle 90%"
        axes.text(0.98, 0.5, note, transform=axes.transAxes, ha="right", va="top", fontsize=9, gid="band")


def replicates(
    axes: Axes, x: npt.NDArray[Any], values: npt.NDArray[Any], colour: str, marker: str = "none"
) -> None:
    """Draw replicates as `band` does, without the note; `marker` stands at a few places of the median."""
    known = ~np.isnan(values).all(axis=0)
    x, values = x[known], values[:, known]
    if 1 < len(values) < 10:
        axes.plot(x, values.T, color=colour, linewidth=0.6, alpha=0.45)
    elif len(values) > 1:
        low, high = np.nanquantile(values, [0.05, 0.95], axis=0)
        axes.fill_between(x, low, high, color=colour, alpha=0.2, linewidth=0)
    # A curve of one point is seen only by its marker.
    shape = "o" if len(x) == 1 and marker == "none" else marker
    axes.plot(
        x,
        np.nanmedian(values, axis=0),
        color=colour,
        linewidth=2,
        marker=shape,
        markersize=5,
        markeredgecolor="white",
        markeredgewidth=0.6,
        markevery=_on_log_scale(x),
    )


def _on_log_scale(x: npt.NDArray[Any]) -> list[int]:
    """Return the places of about seven of the points `x`, evenly apart on a logarithmic scale."""
    if not len(x):
        return []
    if x[0] <= 0:
        return list(range(len(x)))
    wanted = np.geomspace(x[0], x[-1], 7)
    return sorted({int(np.abs(x - place).argmin()) for place in wanted})


def spread(n: int, most: int) -> list[int]:
    """Return all of `n` places, or `most` of them, evenly apart, with the first and the last.

    Examples
    --------
    >>> spread(3, 5), spread(9, 5)
    ([0, 1, 2], [0, 2, 4, 6, 8])
    """
    if n <= most:
        return list(range(n))
    return [round(k * (n - 1) / (most - 1)) for k in range(most)] if most > 1 else [n - 1]


def blend(first: str, second: str, share: float) -> str:
    """Return the colour that is `share` of the way from `first` to `second`."""
    from matplotlib.colors import to_hex, to_rgb

    mixed = (1 - share) * np.array(to_rgb(first)) + share * np.array(to_rgb(second))
    return to_hex((mixed[0], mixed[1], mixed[2]))


def literal(name: str, letters: int = 40) -> str:
    r"""Return a name of a layer, unit or class as it can be drawn: in one line, cut, a box for what the font has not.

    Examples
    --------
    >>> literal("conv\n1"), literal("0123456789", letters=6)
    ('conv 1', '01234…')
    """
    cut = name if len(name) <= letters else name[: letters - 1] + "…"
    shown = "".join(_drawable(letter) for letter in cut)
    # Words that are read from the right do not turn the sentence around them.
    turned = any(bidirectional(letter) in ("R", "AL", "AN") for letter in shown)
    return f"{_MARK}{shown.strip(_MARK)}{_MARK}" if turned else shown


def _drawable(letter: str) -> str:
    if letter.isspace():
        return " "
    return letter if ord(letter) in _letters() else "□"


@cache
def _letters() -> frozenset[int]:
    """Return the characters that the font has, without those that turn the order of what follows."""
    from matplotlib.font_manager import findfont, get_font

    known = get_font(findfont("DejaVu Sans")).get_charmap()
    return frozenset(code for code in known if category(chr(code))[0] != "C" or chr(code) == _MARK)


def cut(text: str, size: float, inches: float, weight: str = "normal") -> str:
    """Return one line of `text`, or its beginning and an ellipsis, no wider than `inches`."""
    # The narrowest letters are about a quarter as wide as the font is high.
    text = literal(text, max(2, int(inches * 72 / size * 4)))
    # No letter is wider than one and a half times the height of the font.
    if len(text) * 1.5 * size / 72 <= inches or text_width(text, size, weight) <= inches:
        return text
    fitting, too_many = 1, len(text)
    while too_many - fitting > 1:
        middle = (fitting + too_many) // 2
        fits = text_width(text[:middle] + "…", size, weight) <= inches
        fitting, too_many = (middle, too_many) if fits else (fitting, middle)
    return text[:fitting].rstrip() + "…"


@lru_cache(4096)
def text_width(text: str, size: float, weight: str = "normal") -> float:
    """Return the width of one line of text in inches."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextToPath

    font = FontProperties(family="DejaVu Sans", size=size, weight=weight)
    return float(TextToPath().get_text_width_height_descent(text, font, ismath=False)[0]) / 72


def footnote(figure: Figure | SubFigure, sentences: Sequence[str]) -> None:
    """Write below all axes what the marks mean, in as many lines as the width asks for."""
    text = _filled(sentences, figure.bbox.width / figure.dpi)
    figure.supxlabel(text, x=0.01, ha="left", fontsize=8.5, color="#333333", linespacing=1.25)


def note_inches(sentences: Sequence[str]) -> float:
    """Return the height of a footnote in a figure of the common width."""
    return 0.15 * (_filled(sentences, WIDTH).count("\n") + 1) + 0.1


def _filled(sentences: Sequence[str], inches: float) -> str:
    from textwrap import fill

    return fill(" ".join(sentence for sentence in sentences if sentence), max(30, int(inches * 15.5)))


def log_ticks(low: float, high: float, fewest: int = 2) -> list[float]:
    """Return ticks of a logarithmic axis: 1, 10, 100, ... or as many between as make `fewest`; evenly apart if none do."""
    from matplotlib.ticker import MaxNLocator

    decades = range(floor(log10(low)) - 1, ceil(log10(high)) + 1)
    for steps in ((1,), (1, 3), (1, 2, 5), (1, 2, 3, 5, 7), range(1, 10)):
        ticks = [step * 10.0**decade for decade in decades for step in steps]
        ticks = [tick for tick in ticks if low <= tick <= high]
        if len(ticks) >= fewest:
            return ticks
    ticks = [float(tick) for tick in MaxNLocator(5).tick_values(low, high) if low <= tick <= high]
    return ticks or [low, high]


def log_bar(bar: Colorbar, low: float, high: float) -> None:
    """Give a logarithmic colour bar from `low` to `high` few ticks with plain numbers."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    bar.ax.yaxis.set_major_locator(FixedLocator(log_ticks(low, high, 3)))
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
    bar.ax.yaxis.set_minor_locator(NullLocator())


def log_axis(axes: Axes, which: Literal["x", "y"], low: float, high: float, fewest: int = 2) -> None:
    """Make an axis logarithmic from `low` to `high`, with ticks that have room: 1, 10, 100, 1k, 10k, ..."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter

    decades = range(floor(log10(low)) - 1, ceil(log10(high)) + 1)
    ticks = log_ticks(low, high, fewest)
    minor = [step * 10.0**decade for decade in decades for step in range(2, 10)]
    axes.set(**{f"{which}scale": "log", f"{which}lim": (low, high)})
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_major_formatter(FuncFormatter(lambda value, _: _compact(value)))
    axis.set_minor_locator(FixedLocator([tick for tick in minor if low <= tick <= high]))
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
