"""What tests of pictures ask: which texts are seen, and which lie over each other or leave the figure."""

from itertools import combinations

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

import probe


def rendered(result, **view):
    figure = probe.plot(result, **view)
    FigureCanvasAgg(figure).figure.draw_without_rendering()
    return figure


def boxes_of(figure, texts):
    """Return the words of texts with the boxes that they fill, without the line that an annotation draws to its point."""
    renderer = figure.canvas.get_renderer()
    shown = [text for text in texts if text.get_visible() and text.get_text().strip()]
    return [(text.get_text(), Text.get_window_extent(text, renderer)) for text in shown]


def clashes(boxes, height=1.5):
    """Return which texts lie over each other, by more than 1.5 pixels and a height."""
    return [
        (first, second)
        for (first, a), (second, b) in combinations(boxes, 2)
        if min(a.x1, b.x1) - max(a.x0, b.x0) > 1.5 and min(a.y1, b.y1) - max(a.y0, b.y0) > height
    ]


def visible_texts(figure):
    """Return the texts of all axes with their boxes; ticks only within the axes."""
    found = []
    for axes in figure.axes:
        found += [*axes.texts, axes.title, axes._left_title, axes._right_title]
        if axes.axison:
            found += [axes.xaxis.label, axes.yaxis.label, *_ticks(axes.xaxis), *_ticks(axes.yaxis)]
    return boxes_of(figure, found)


def _ticks(axis):
    low, high = sorted(axis.get_view_interval())
    slack = 1e-6 * (high - low)
    ticks = [*axis.get_major_ticks(), *axis.get_minor_ticks()]
    return [tick.label1 for tick in ticks if low - slack <= tick.get_loc() <= high + slack]


def overlaps(figure):
    return clashes(visible_texts(figure))


def all_texts(figure):
    """Return all texts that are drawn, also legends and notes, with their boxes; ticks only within the axes."""
    hidden = set()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            shown = set(_ticks(axis)) if axes.axison else set()
            ticks = [*axis.get_major_ticks(), *axis.get_minor_ticks()]
            hidden |= {
                label for tick in ticks if tick.label1 not in shown for label in (tick.label1, tick.label2)
            }
            if not axes.axison:
                hidden |= {axis.label, axis.offsetText}
    return boxes_of(figure, [text for text in figure.findobj(Text) if text not in hidden])


def all_overlaps(figure):
    return clashes(all_texts(figure), height=2.5)


def cut_off(figure):
    """Return texts that leave the figure."""
    box = figure.bbox
    return [
        text
        for text, a in all_texts(figure)
        if a.x0 < box.x0 - 1 or a.x1 > box.x1 + 1 or a.y0 < box.y0 - 1 or a.y1 > box.y1 + 1
    ]


def note(figure):
    """Return the sentences at the foot, in one line."""
    return figure._supxlabel.get_text().replace("\n", " ")
