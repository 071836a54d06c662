"""What an activation is, whatever it computes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Literal

from probe._checks import Array

__all__ = ["Activation", "Line", "Pullback"]

Pullback = Callable[[Any], Any]
"""Maps dC/dy to dC/dx: arrays of the shapes of y and of x."""


Line = tuple[float, float]
"""Slope and constant of a straight line."""


class Activation(ABC):
    """What a layer applies to its pre-activations. Subclasses are frozen dataclasses and say what they are.

    Attributes
    ----------
    name : str
        The name it has in files and on the command line.
    """

    __slots__ = ()

    name: str

    @property
    def settings(self) -> dict[str, Any]:
        """What it takes beside its name, by the names that Keras gives it; {} where the name says it all."""
        return {}

    @property
    def axes(self) -> tuple[int, ...]:
        """The axes that it works over, counted with that of the samples; () for an elementwise activation."""
        return ()

    @property
    def turning_point(self) -> float | None:
        """It is monotone up to here and never falls after it; -inf if it never falls, None if neither is so."""
        return None

    @property
    def odd_about(self) -> float | None:
        """The value m for which f(-z) = 2 m - f(z), such as 0.5 for sigmoid; None if there is none."""
        return None

    @property
    def asymptotes(self) -> tuple[Line, Line] | None:
        """The straight lines that it approaches far below and far above zero; None if there are none."""
        return None

    @property
    def initialization(self) -> Literal["glorot", "he"]:
        """How kernels in front of it start by default."""
        return "glorot"

    @abstractmethod
    def forward(self, z: Array) -> tuple[Array, Pullback]:
        """Return the activation of `z` (n_samples, ...) and the map from dC/dy to dC/dz."""
