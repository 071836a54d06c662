"""What every result is: frozen, keyword-only, short when it is shown, and able to say, keep and plot itself.

A `Record` is a frozen value of named fields. A `Result` is a record that an analysis returns: it can also be
summed up, laid out as a table and plotted. Both become dataclasses by being subclassed:

>>> class Confidence(Result):
...     "How sure a network is of some images."
...     names: tuple[str, ...]
...     confidence: Array
...     @property
...     def mean(self) -> float:
...         return float(self.confidence.mean())
...     def columns(self) -> Columns:
...         return {"image": self.names, "confidence": self.confidence}
>>> result = Confidence(names=("a", "b"), confidence=np.array([0.5, 1.0]))
>>> result
Confidence(names=('a', 'b'), confidence=float64 (2,))
>>> result.to_dict()
{'names': ['a', 'b'], 'confidence': [0.5, 1.0], 'mean': 0.75}
>>> print(result.summary())
Confidence: How sure a network is of some images.
mean: 0.75
"""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping, Sequence
from dataclasses import Field, dataclass, fields, is_dataclass
from html import escape
from importlib import import_module
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any, ClassVar, dataclass_transform

import numpy as np

from probe._checks import InputError, readonly

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["MAX_VALUES", "Columns", "Record", "Result", "plain_of"]

Columns = dict[str, Sequence[Any] | np.ndarray[Any, Any]]
"""Columns of a table by name."""

MAX_VALUES = 250
"""Values of an array that `to_dict` lists; a larger one is described by its shape and range."""

_LINES, _COLUMNS, _LETTERS = 5, 100, 40
"""Lines of a repr at most, letters in each, and letters of a string in it."""


@dataclass_transform(kw_only_default=True, frozen_default=True, eq_default=False)
class _RecordType(type):
    """Makes each subclass of `Record` a frozen, slotted, keyword-only dataclass."""

    def __new__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> Any:
        made = super().__new__(cls, name, bases, namespace)
        if "__slots__" in namespace:  # the second pass of `dataclass(slots=True)`
            return made
        return dataclass(frozen=True, slots=True, eq=False, kw_only=True, repr=False)(made)


class Record(metaclass=_RecordType):
    """A frozen value of named fields, whose arrays are read-only.

    A subclass that has to check its fields does so in `_check`, which is called last.
    """

    if TYPE_CHECKING:
        __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    def __post_init__(self) -> None:
        for field in fields(self):
            object.__setattr__(self, field.name, _frozen(getattr(self, field.name)))
        self._check()

    def _check(self) -> None:
        """Raise if the fields do not fit each other."""

    def __repr__(self) -> str:
        shown = [f"{field.name}={_short(getattr(self, field.name))}" for field in fields(self)]
        lines = wrap(
            f"{type(self).__name__}({', '.join(shown)})",
            _COLUMNS,
            subsequent_indent="    ",
            max_lines=_LINES,
            placeholder=" ...)",
            break_long_words=True,
        )
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return all fields and properties as plain values: numbers, strings, None, lists and dicts.

        Arrays of more than `MAX_VALUES` values, such as images, are described by shape, type and range; `save` keeps
        them whole. This is what results.json holds. Numbers may be NaN.
        """
        named = {field.name: getattr(self, field.name) for field in fields(self)}
        named |= {name: getattr(self, name) for name in _properties(type(self))}
        return {name: plain_of(value) for name, value in named.items()}

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write everything to an HDF5 file, which `probe.load_result(path, type(self))` reads.

        Raises
        ------
        InputError
            If the file cannot be written.
        """
        return Path(_above("storage").save_result(self, path))


class Result(Record):
    """What an analysis returns."""

    def columns(self) -> Columns:
        """Return the columns of `to_frame` by name, all of one length; each result says what its rows are."""
        raise NotImplementedError(type(self).__name__)

    def to_frame(self) -> Any:
        """Return a pandas.DataFrame with the most important numbers, as `columns` describes it.

        Raises
        ------
        InputError
            If pandas is not installed.
        """
        try:
            import pandas as pd  # type: ignore[import-untyped, unused-ignore]
        except ImportError:
            raise InputError(
                "to_frame needs pandas, which is not installed: pip install pandas, or take columns() or to_dict()"
            ) from None
        return pd.DataFrame({name: list(values) for name, values in self.columns().items()})

    def summary(self) -> str:
        """Return what was found, in a few lines of text: the verdicts, or the single numbers where there are none."""
        lines = [f"{type(self).__name__}: {(type(self).__doc__ or '').strip().splitlines()[0]}"]
        verdicts = getattr(self, "verdicts", ())
        lines += [f"{verdict.title}: {verdict.decision}. {verdict.sentence}" for verdict in verdicts]
        if not verdicts:
            numbers = {
                name: value for name, value in self.to_dict().items() if isinstance(value, int | float | str)
            }
            lines += [f"{name}: {_short(value)}" for name, value in numbers.items()]
        return "\n".join(lines)

    def plot(self, *, part: str | None = None, ax: Axes | None = None, **style: Any) -> Figure | Axes:
        """Plot it: `probe.plot(self, part=part, ax=ax, **style)`.

        Parameters
        ----------
        part : str, optional
            Which picture of a result with several, one of `probe.figures.parts_of(self)`; the first without.
        ax : matplotlib Axes, optional
            Where to draw; a new figure without.
        **style
            Options of the picture, and of what it draws where it has one panel, such as `cmap` or `linewidth`.

        Returns
        -------
        Figure or Axes
            The new figure, or `ax`.

        Raises
        ------
        InputError
            If there is no such part or option, or `ax` is no Axes.
        """
        drawn: Figure | Axes = _above("figures").plot(self, part=part, ax=ax, **style)
        return drawn

    def _repr_html_(self) -> str:
        """Return the first picture, where there is one, and the verdicts, as a notebook shows them."""
        figures, name, image = _above("figures"), escape(type(self).__name__), ""
        if name in figures.CATALOGUE:
            png = base64.b64encode(figures.picture(self)).decode("ascii")
            image = f'<img alt="{name}" style="max-width:100%" src="data:image/png;base64,{png}">'
        verdicts = "".join(
            f"<li><b>{escape(verdict.decision)}</b>: {escape(verdict.title)}. {escape(verdict.sentence)}</li>"
            for verdict in getattr(self, "verdicts", ())
        )
        said = f"<ul>{verdicts}</ul>" if verdicts else f"<pre>{escape(repr(self))}</pre>"
        return image + said


def plain_of(value: object) -> Any:
    """Return a value of a result as numbers, strings, None, lists and dicts; see `Record.to_dict`."""
    if isinstance(value, Record):
        return value.to_dict()
    if isinstance(value, np.ndarray):
        return value.tolist() if value.size <= MAX_VALUES else _described(value)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {str(key): plain_of(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain_of(item) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if hasattr(value, "to_dict"):
        return value.to_dict()
    if is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in fields(value) if not field.name.startswith("_")]
        names += ["name"] * ("name" not in names and hasattr(value, "name"))
        return {name: plain_of(getattr(value, name)) for name in names}
    return repr(value)


def _described(values: np.ndarray[Any, Any]) -> dict[str, Any]:
    facts: dict[str, Any] = {"shape": list(values.shape), "dtype": str(values.dtype)}
    finite = values[np.isfinite(values)]
    if finite.size:
        facts |= {
            "min": finite.min().item(),
            "max": finite.max().item(),
            "mean": float(finite.mean(dtype=np.float64)),
        }
    return facts


def _properties(kind: type) -> list[str]:
    """Return the public properties of a class, those of its bases first.

    Not `verdicts`: where that is a property, it gathers the verdicts of the parts, which say them already.
    """
    names = [
        name
        for base in reversed(kind.__mro__)
        for name, value in vars(base).items()
        if isinstance(value, property) and not name.startswith("_") and name != "verdicts"
    ]
    return list(dict.fromkeys(names))


def _frozen(value: Any) -> Any:
    """Return `value` with the arrays in it read-only."""
    if isinstance(value, np.ndarray):
        return readonly(value)
    if isinstance(value, tuple) and any(isinstance(item, np.ndarray) for item in value):
        return tuple(_frozen(item) for item in value)
    if isinstance(value, Mapping) and any(isinstance(item, np.ndarray | tuple) for item in value.values()):
        return {key: _frozen(item) for key, item in value.items()}
    return value


def _short(value: object) -> str:
    """Return `value` in a few letters: of an array the type and shape."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {value.shape}"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, str | int | bool | type(None)):
        shown = repr(value)
        return shown if len(shown) <= _LETTERS else f"{shown[: _LETTERS - 4]}...{shown[-1]}"
    if isinstance(value, Mapping):
        keys = ", ".join(map(str, value))
        return f"{{{keys}}}" if len(keys) <= _LETTERS else f"{{{len(value)} keys}}"
    if isinstance(value, tuple):
        if len(value) <= 4 and all(isinstance(item, str | int | float | bool | None) for item in value):
            shown = f"({', '.join(map(_short, value))}{',' * (len(value) == 1)})"
            if len(shown) <= 2 * _LETTERS:
                return shown
        kinds = {type(item).__name__ for item in value}
        return f"({len(value)} x {kinds.pop() if len(kinds) == 1 else 'values'})"
    return f"{type(value).__name__}(...)"


def _above(package: str) -> Any:
    """Return a package of a floor above, when it is asked for: results are kept and drawn there."""
    return import_module(f"probe.{package}")
