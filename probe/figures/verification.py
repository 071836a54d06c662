"""Figure of `probe.analyses.verification`: ours beside what was published, each row on its own scale."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes

from probe.analyses.verification import Verification, VerifiedRow
from probe.figures._parts import one_panel
from probe.figures._style import COLORS, cut, resize

__all__ = ["PARTS"]

_LOOKS = {
    "supported": (COLORS["test"], "o", "within"),
    "refuted": (COLORS["random"], "X", "outside"),
    "inconclusive": ("#8a8a8a", "d", "undecided"),
}
"""Color, marker and name of each decision."""

_ROW, _FOOT = 0.19, 1.0
"""Inches of a row, and of the axis and the legend."""

_REACH = 3.0
"""Half of the axis, in half widths of the tolerance; what lies beyond is drawn at its end as an arrow."""

_LETTERS, _SIZE = 4.1, 7.5
"""Inches of a claim, and size of its letters."""


@one_panel(height=6.0)
def verification(result: Verification, ax: Axes) -> None:
    """Draw ours with its interval against the published figure and the tolerance, a row for each."""
    rows = list[VerifiedRow | str]()
    for source in result.sources:
        rows += [source, *result.of_source(source)]
    resize(ax, _FOOT + _ROW * len(rows))
    labels = []
    for y, row in enumerate(rows):
        if isinstance(row, str):
            labels.append(row)
            continue
        labels.append(cut(row.claim, _SIZE, _LETTERS))
        _draw(ax, y, row)
    for color, marker, name in _LOOKS.values():
        ax.plot([], [], marker, color=color, linestyle="", markersize=5, label=name)
    ax.set_yticks(range(len(rows)), labels, fontsize=_SIZE)
    for label, row in zip(ax.get_yticklabels(), rows, strict=True):
        label.set_fontweight("bold" if isinstance(row, str) else "normal")
    ax.tick_params(axis="y", length=0)
    ax.set(xlim=(-_REACH, _REACH), ylim=(len(rows) - 0.4, -0.6))
    ax.set_xticks([-1, 0, 1], ["tolerance", "published", "tolerance"], fontsize=8)
    ax.grid(visible=False)
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, borderpad=0.1, handletextpad=0.2)


def _draw(ax: Axes, y: int, row: VerifiedRow) -> None:
    color, marker, _ = _LOOKS[row.decision]
    left = -_REACH if math.isinf(row.low) else -1.0
    right = _REACH if math.isinf(row.high) else 1.0
    ax.fill_between([left, right], y - 0.38, y + 0.38, color="#e9eef3", linewidth=0, zorder=0)
    if left == -right:  # a number, or a range, has a middle
        ax.vlines(0, y - 0.38, y + 0.38, color=COLORS["reference"], linewidth=1, zorder=1)
    estimate, low, high = row.relative
    if math.isfinite(low) and math.isfinite(high):
        ends = np.clip([low, high], -_REACH, _REACH)
        ax.plot(ends, [y, y], color=color, linewidth=1.6, solid_capstyle="butt")
    if abs(estimate) > _REACH:
        marker = "<" if estimate < 0 else ">"
    ax.plot(
        np.clip(estimate, -_REACH, _REACH),
        y,
        marker,
        color=color,
        markersize=5,
        markeredgewidth=0,
        clip_on=False,
        zorder=3,
    )


PARTS = (verification,)
