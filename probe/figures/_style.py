"""One look for every figure: sizes, fonts, and one meaning for each color.

The colors are Okabe and Ito's, which stay apart for color-blind readers; every curve is also named in
words beside it. Figures have a white ground of their own, so that they read the same on a dark page.
"""

from __future__ import annotations

import gc
import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache, lru_cache
from textwrap import fill
from typing import TYPE_CHECKING, Any
from unicodedata import bidirectional, category

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.backend_bases import FigureCanvasBase
    from matplotlib.figure import Figure, SubFigure

__all__ = [
    "COLORS",
    "DOTS",
    "HEIGHT",
    "INPUT_COLORS",
    "MAX_PIXELS",
    "WIDTH",
    "blend",
    "cut",
    "footnote",
    "fresh",
    "literal",
    "note_inches",
    "png_and_svg_of",
    "png_bytes",
    "png_of",
    "quietly",
    "resize",
    "size_of",
    "styled",
    "text_width",
]

WIDTH = 8.0
"""Width of every figure in inches."""

HEIGHT = 20.0
"""Height of every figure in inches, at most."""

DOTS = 160
"""Dots an inch: no figure is larger than 1280 x 3200 pixels."""

MAX_PIXELS = 4000
"""Height and width of a picture, at most."""

_UNSEEN = 16
"""Difference of a color, of 255, that cannot be seen."""

_MOST_COLORS = 1 << 15
"""No palette is sought for more: it takes seconds, and 256 colors do not stand for so many."""

COLORS = {
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

INPUT_COLORS = {
    "none": COLORS["true"],
    "pixel-permutation": "#56B4E9",
    "pixel-shuffle": "#882255",
    "gaussian": COLORS["noise"],
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
    "axes.titlelocation": "left",
    "legend.frameon": False,
    "legend.fontsize": 9,
}


@contextmanager
def styled() -> Iterator[None]:
    """Apply the style to what is drawn inside."""
    import matplotlib as mpl

    with mpl.rc_context(_STYLE):
        yield


def fresh(height: float) -> Figure:
    """Return an empty figure of the common width and `height` inches, `HEIGHT` at most, independent of pyplot."""
    from probe.figures._picture import Picture

    figure = Picture(figsize=(WIDTH, min(height, HEIGHT)), layout="constrained", dpi=DOTS)
    figure.set_gid(_FRESH)
    return figure


def resize(target: Axes | Figure | SubFigure, height: float) -> None:
    """Give the figure of `target` another height in inches, `HEIGHT` at most; one of the caller keeps its size."""
    from matplotlib.figure import Figure

    figure = target if hasattr(target, "subplots") else target.figure
    if isinstance(figure, Figure) and figure.get_gid() == _FRESH:
        figure.set_size_inches(WIDTH, min(height, HEIGHT))


def size_of(figure: Figure | SubFigure) -> tuple[float, float]:
    """Return the width and the height of a figure in inches."""
    return figure.bbox.width / figure.dpi, figure.bbox.height / figure.dpi


def png_of(figure: Figure) -> bytes:
    """Return a figure as PNG, at most `MAX_PIXELS` high and wide, and free what it holds.

    A figure that is larger at the usual number of dots an inch gets fewer: it is whole, and smaller.
    """
    with quietly():
        png = png_bytes(figure)
    _free(figure)
    return png


def png_and_svg_of(figure: Figure) -> tuple[bytes, bytes]:
    """Return a figure as PNG and as SVG, and free what it holds; the same figure gives the same bytes."""
    with quietly():
        png = png_bytes(figure)
        # All has its place now, in both.
        figure.set_layout_engine("none")
        svg = _svg(figure)
    _free(figure)
    return png, svg


def png_bytes(figure: Figure) -> bytes:
    """Return a figure as PNG, at most `MAX_PIXELS` high and wide."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    dots = min(DOTS, MAX_PIXELS / max(figure.get_size_inches()))
    with _drawn_on(FigureCanvasAgg, figure, dots) as canvas:
        canvas.draw()
        return _packed(np.asarray(canvas.buffer_rgba()))


def _svg(figure: Figure) -> bytes:
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    buffer = io.BytesIO()
    # Letters are drawn, as not every machine has the font that they were measured in.
    settings = mpl.rc_context({"svg.fonttype": "path", "svg.hashsalt": "probe"})
    with settings, _drawn_on(FigureCanvasSVG, figure, DOTS) as canvas:
        canvas.print_svg(buffer, metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


@contextmanager
def _drawn_on(kind: type[FigureCanvasBase], figure: Figure, dots: float) -> Iterator[Any]:
    """Give a canvas of a kind with the figure, which is as it was afterwards.

    `Figure.savefig` draws all twice, the first time for its layout alone, which each drawing makes anyway.
    """
    canvas, dpi = figure.canvas, figure.dpi
    figure.dpi = dots
    try:
        yield kind(figure)
    finally:
        figure.dpi = dpi
        figure.set_canvas(canvas)


def _packed(dots: npt.NDArray[np.uint8]) -> bytes:
    """Return an opaque picture (height, width, 4) as PNG with a palette; with all its colors where that could be seen."""
    from PIL import Image, ImageChops

    image = Image.fromarray(dots).convert("RGB")
    packed = image
    if image.getcolors(_MOST_COLORS) is not None:
        few = image.quantize(256, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
        gap = np.asarray(ImageChops.difference(few.convert("RGB"), image)).max()
        packed = few if gap <= _UNSEEN else image
    buffer = io.BytesIO()
    packed.save(buffer, format="png", compress_level=6)
    return buffer.getvalue()


def _free(figure: Figure) -> None:
    for axes in figure.axes:  # `figure.clear()` would make each of them anew first
        axes.remove()
    # Figures and their axes refer to each other: without this they stay until there is no memory left.
    gc.collect()


@contextmanager
def quietly() -> Iterator[None]:
    """Keep the warnings of NumPy and matplotlib about what is drawn off the user's screen."""
    logger = logging.getLogger("matplotlib")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def blend(first: str, second: str, share: float) -> str:
    """Return the color that is `share` of the way from `first` to `second`."""
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
    text = _filled(sentences, size_of(figure)[0])
    figure.supxlabel(text, x=0.01, ha="left", fontsize=8.5, color="#333333", linespacing=1.25)


def note_inches(sentences: Sequence[str]) -> float:
    """Return the height of a footnote in a figure of the common width."""
    return 0.15 * (_filled(sentences, WIDTH).count("\n") + 1) + 0.1


def _filled(sentences: Sequence[str], inches: float) -> str:
    return fill(" ".join(sentence for sentence in sentences if sentence), max(30, int(inches * 15.5)))
