"""What an activation is, whatever it computes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from probe._checks import Array

__all__ = ["Activation", "Alone", "Pullback"]

Pullback = Callable[[Any], Any]
"""Maps dC/dy to dC/dx: arrays of the shapes of y and of x."""


class Activation(Protocol):
    """What a layer applies to its pre-activations."""

    @property
    def name(self) -> str:
        """The name it has in files and on the command line."""
        ...

    @property
    def settings(self) -> dict[str, Any]:
        """What it takes beside its name, by the names that Keras gives it; {} where the name says it all."""
        ...

    @property
    def axes(self) -> tuple[int, ...]:
        """The axes that it works over, counted with that of the samples; () where every number is alone."""
        ...

    def forward(self, z: Array) -> tuple[Array, Pullback]:
        """Return the activation of `z` (n_samples, ...) and the map from dC/dy to dC/dz."""
        ...


class Alone:
    """What the activations that treat every number alone have in common."""

    __slots__ = ()

    @property
    def axes(self) -> tuple[int, ...]:
        """(): every number is alone."""
        return ()
