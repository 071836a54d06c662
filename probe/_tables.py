"""Small tables in text and in HTML, their first row the head; a row of one cell goes through all columns."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

__all__ = ["html_table", "shortened", "text_table"]

Row = tuple[str, ...]


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
