"""The layers of a network as a table, in text and in HTML; never their arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from probe._graph import Shape
from probe.layers import Layer

__all__ = ["html_table", "text_table"]

_COLUMNS = ("layer", "kind", "output shape", "parameters", "activation")

_MOST_LINES = 20

_LONGEST_NAME = 40


def text_table(title: str, layers: Sequence[Layer], shapes: Mapping[str, Shape]) -> str:
    """Return a title, a head and a line for each layer, 20 lines at most: those in the middle are counted.

    Parameters
    ----------
    title : str
        The first line.
    layers : sequence of Layer
        In the order of evaluation.
    shapes : mapping of str to tuple of int
        Shape of one output of each layer, by name.
    """
    rows = [_row(layer, shapes) for layer in layers]
    first, last = _shown(len(rows), _MOST_LINES - 2)
    shown = [_COLUMNS, *rows[:first], *rows[last:]]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    lines = [
        "  ".join(
            cell.rjust(width) if name == "parameters" else cell.ljust(width)
            for name, cell, width in zip(_COLUMNS, row, widths, strict=True)
        )
        for row in shown
    ]
    if first < last:
        lines.insert(1 + first, f"... {last - first} more layers")
    return "\n".join([title, *(f"  {line.rstrip()}" for line in lines)])


def html_table(title: str, layers: Sequence[Layer], shapes: Mapping[str, Shape]) -> str:
    """Return the same as an HTML table with the title as its caption."""
    rows = [_row(layer, shapes) for layer in layers]
    first, last = _shown(len(rows), _MOST_LINES - 2)

    def line(tag: str, cells: Sequence[str]) -> str:
        sides = ("right" if name == "parameters" else "left" for name in _COLUMNS)
        shown = (
            f'<{tag} style="text-align: {side}">{escape(cell)}</{tag}>'
            for side, cell in zip(sides, cells, strict=True)
        )
        return f"<tr>{''.join(shown)}</tr>"

    body = [line("td", row) for row in rows]
    left_out = [f'<tr><td colspan="{len(_COLUMNS)}">... {last - first} more layers</td></tr>']
    body[first:last] = left_out if first < last else []
    caption = f'<caption style="white-space: nowrap; text-align: left">{escape(title)}</caption>'
    return f"<table>{caption}{line('th', _COLUMNS)}{''.join(body)}</table>"


def _shown(n_rows: int, most: int) -> tuple[int, int]:
    """Return up to which row and from which row on rows are shown: all, or so many that a line is left."""
    if n_rows <= most:
        return n_rows, n_rows
    first = most // 2
    return first, n_rows - (most - 1 - first)


def _row(layer: Layer, shapes: Mapping[str, Shape]) -> tuple[str, ...]:
    activation = layer.activation.name
    return (
        _printable(layer.name),
        layer.keras_name,
        str(shapes[layer.name]),
        f"{layer.n_parameters:,}" if layer.variables else "",
        "" if activation == "linear" else activation,
    )


def _printable(name: str) -> str:
    """Return a name in one line, cut where it is very long: names may come from files of strangers."""
    plain = "".join(letter if letter.isprintable() else "?" for letter in name)
    return plain if len(plain) <= _LONGEST_NAME else f"{plain[: _LONGEST_NAME - 3]}..."
