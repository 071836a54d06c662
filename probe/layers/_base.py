"""What every layer is: a linear part and an activation, each with its way back."""

from __future__ import annotations

from abc import ABC, abstractmethod

from probe._checks import Array
from probe.layers.activations import ACTIVATIONS, Activation, Pullback

__all__ = ["Layer"]


class Layer(ABC):
    """One step of a network: `activation(linear(x))`.

    Subclasses are frozen dataclasses with a `name`. The two parts are apart so that a network can look at
    pre-activations (its logits are those of the last layer) and start a gradient at either.
    """

    __slots__ = ()

    name: str

    @property
    def activation(self) -> Activation:
        """The activation after the linear part; the identity unless a layer says otherwise."""
        return ACTIVATIONS["linear"]

    @abstractmethod
    def linear(self, x: Array) -> tuple[Array, Pullback]:
        """Return the pre-activation of `x` (n_samples, ...) and the map from dC/dz to dC/dx."""

    @abstractmethod
    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of one output for inputs of `input_shape`, both without n_samples.

        Raises
        ------
        InputError
            If the layer cannot take inputs of this shape.
        """

    def forward(self, x: Array) -> tuple[Array, Pullback]:
        """Return the output for `x` (n_samples, ...) and the map from dC/dy to dC/dx."""
        z, linear_pullback = self.linear(x)
        y, activation_pullback = self.activation.forward(z)
        return y, lambda dy: linear_pullback(activation_pullback(dy))
