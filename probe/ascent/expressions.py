"""Objectives as text, for the command line: "class:3 - 0.5*hidden_1:4", "conv2d:4@3,3"."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NoReturn

from probe._checks import InputError
from probe._signatures import checked
from probe.network import Network
from probe.objectives import AnyObjective, Combination, Objective, class_logit, unit

__all__ = ["parse_objective"]

_SIGN = re.compile(r"\s*([+-])\s*")
_FACTOR = re.compile(r"(\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)\s*\*\s*")
_INDEX = re.compile(r"\d{1,18}")
_POSITION = re.compile(r"@\s*(\d+\s*(?:,\s*\d+)*)")
_SHOWN = 12
"""Names that a message lists."""


@checked
def parse_objective(text: str, network: Network) -> AnyObjective:
    """Return the objective that `text` names.

    It is a sum of terms with `+`, `-` and factors as in `2*`. A term is `class:NAME`, the logit of a class by
    its name or else by its number; or `LAYER:UNIT`, a unit or channel by its number, of a layer of feature maps
    with `@ROW,COLUMN` at a position. Names may hold any signs: the longest that fits is taken.

    Parameters
    ----------
    text : str
        Such as "class:3 - class:8".
    network : Network
        Whose classes and layers are meant.

    Raises
    ------
    InputError
        If `text` is no such sum, or the network has no such class, layer, unit or position.

    Examples
    --------
    >>> import numpy as np
    >>> from probe.layers import Dense
    >>> kernel = np.eye(2, dtype=np.float32)
    >>> layers = Dense("hidden", kernel, kernel[0]), Dense("output", kernel, kernel[0])
    >>> network = Network(layers, input_shape=(2,), class_names=("cat", "top-hat"))
    >>> parse_objective("class:top-hat - 0.5*hidden:1", network).name
    'class 1 - 0.5 hidden unit 1'
    """
    found = _Reader(text, network).objective()
    # Says what does not fit in the words of the network: a position, a layer without units.
    network.objective_function([found])
    return found


class _Reader:
    """A text, and how far it has been read."""

    def __init__(self, text: str, network: Network) -> None:
        self._text, self._network = text, network
        self._at = len(text) - len(text.lstrip())
        self._end = len(text.rstrip())

    def objective(self) -> AnyObjective:
        """Read all of the text."""
        if self._at >= self._end:
            self._refuse("is empty")
        terms = [self._term(1.0 if self._sign() in (None, "+") else -1.0)]
        while self._at < self._end:
            before = self._at
            sign = self._sign()
            if sign is None:
                self._at = before
                self._refuse("expected + or -")
            terms.append(self._term(1.0 if sign == "+" else -1.0))
        if len(terms) == 1 and terms[0][0] == 1:
            return terms[0][1]
        try:
            return Combination(tuple(terms))
        except InputError as error:
            raise InputError(f"objective {self._text!r}: {error}") from None

    def _sign(self) -> str | None:
        found = _SIGN.match(self._text, self._at, self._end)
        if found is None:
            return None
        self._at = found.end()
        return found[1]

    def _term(self, sign: float) -> tuple[float, Objective]:
        factor = _FACTOR.match(self._text, self._at, self._end)
        weight = sign
        # A layer's name may begin with a digit.
        layers = (f"{name}:" for name in self._network.layer_names)
        if factor is not None and self._longest(layers, self._at) is None:
            weight *= float(factor[1])
            self._at = factor.end()
        atom = self._class() if self._text.startswith("class:", self._at) else self._unit()
        self._at += len(self._text[self._at : self._end]) - len(self._text[self._at : self._end].lstrip())
        return weight, atom

    def _class(self) -> Objective:
        names = self._network.class_names
        begin = self._at + len("class:")
        name = self._longest(names, begin)
        number = _INDEX.match(self._text, begin, self._end)
        if name is not None and (number is None or len(name) >= len(number[0])):
            self._at = begin + len(name)
            return class_logit(names.index(name))
        if number is not None and int(number[0]) < len(names):
            self._at = number.end()
            return class_logit(int(number[0]))
        if not names:
            self._refuse("this network has no classes: name a unit as LAYER:UNIT")
        self._at = begin
        return self._refuse(f"there is no such class; the classes are {_listed(names)}")

    def _unit(self) -> Objective:
        names = self._network.layer_names
        layer = self._longest((f"{name}:" for name in names), self._at)
        if layer is None:
            self._refuse(
                f"expected class:NAME or LAYER:UNIT, where LAYER is one of {_listed(names)}"
                if ":" in self._text[self._at : self._end]
                else "expected class:NAME or LAYER:UNIT, such as class:3 or hidden_1:4"
            )
        begin, layer = self._at, layer[:-1]
        index = _INDEX.match(self._text, begin + len(layer) + 1, self._end)
        if index is None:
            self._at += len(layer) + 1
            self._refuse(f"expected the number of a unit of '{layer}'")
        n_units = self._network.n_units(layer)
        if int(index[0]) >= n_units:
            self._refuse(f"layer '{layer}' has units 0 to {n_units - 1}")
        self._at = index.end()
        position = _POSITION.match(self._text, self._at, self._end)
        if position is None:
            if self._text.startswith("@", self._at):
                self._refuse("expected a position such as @3,3")
            return unit(layer, int(index[0]))
        self._at = position.end()
        return unit(layer, int(index[0]), position=tuple(int(place) for place in position[1].split(",")))

    def _longest(self, names: Iterable[str], at: int) -> str | None:
        found = [name for name in names if name and self._text.startswith(name, at)]
        return max(found, key=len, default=None)

    def _refuse(self, why: str) -> NoReturn:
        rest = self._text[self._at : self._end]
        place = f" at {rest!r}" if rest and rest != self._text.strip() else ""
        raise InputError(f"objective {self._text!r} cannot be read{place}: {why}")


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
