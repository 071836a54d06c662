"""Values as text: as JSON holds them, and small tables.

The first row of a table is its head; a row of one cell goes through all columns.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

__all__ = ["html_table", "json_default", "plain", "shortened", "text_table"]

Row = tuple[str, ...]


def json_default(value: object) -> object:
    """Return arrays, numbers of NumPy and mappings as JSON holds them: what `json.dumps` takes as `default`."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def plain(value: object) -> object:
    """Return `value` as JSON can hold it: no arrays, and null for what is not finite.

    Examples
    --------
    >>> plain({"costs": np.array([0.5, np.nan])})
    {'costs': [0.5, None]}
    """
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def shortened(rows: Sequence[Row], most: int) -> list[Row]:
    """Return at most `most` rows, one for each layer: of more the ones in the middle are counted."""
    n_hidden = len(rows) - (most - 1)
    if n_hidden <= 1:
        return list(rows)
    first = most // 2
    return [*rows[:first], (f"... {n_hidden} more layers",), *rows[first + n_hidden :]]


def text_table(rows: Sequence[Row], *, to_right: Sequence[int] = ()) -> list[str]:
    """Return the lines of a table whose columns are as wide as their longest cell.

    Examples
    --------
    >>> text_table([("layer", "units"), ("output", "10")], to_right=[1])
    ['layer   units', 'output     10']
    """
    widths = [max(map(len, column)) for column in zip(*(row for row in rows if len(row) > 1), strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if index in to_right else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=False))
        ).rstrip()
        for row in rows
    ]


def html_table(caption: str, rows: Sequence[Row], *, to_right: Sequence[int] = ()) -> str:
    """Return the same as an HTML table with a caption."""

    def line(tag: str, row: Row) -> str:
        span = f' colspan="{len(rows[0])}"' * (len(row) == 1)
        cells = (
            f'<{tag}{span} style="text-align: {"right" if index in to_right else "left"}">{escape(cell)}</{tag}>'
            for index, cell in enumerate(row)
        )
        return f"<tr>{''.join(cells)}</tr>"

    body = "".join(line("td", row) for row in rows[1:])
    title = f'<caption style="white-space: nowrap; text-align: left">{escape(caption)}</caption>'
    return f"<table>{title}{line('th', rows[0])}{body}</table>"
