"""What every convolution layer has: a kernel, a bias, steps, padding and an activation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from probe._checks import Array, InputError, check_choice
from probe.layers._base import Pair, keep_activation, keep_arrays, keep_pair
from probe.layers._correlation import reach
from probe.layers._images import PADDINGS, ImageLayer, Padding, windows_of
from probe.layers.activations import Activation

__all__ = ["Convolution"]


class Convolution(ImageLayer):
    """What the convolution layers have in common."""

    is_affine = True
    initial_values: ClassVar[Mapping[str, float]] = {"bias": 0.0}

    __slots__ = ()

    bias: Array
    strides: Pair
    padding: Padding
    dilation_rate: Pair
    activation_name: str | Activation
    use_bias: bool
    _activation: Activation

    @property
    def activation(self) -> Activation:
        """The activation that `activation_name` names, or is."""
        return self._activation

    @property
    def _kernels(self) -> dict[str, Array]:
        raise NotImplementedError

    @property
    def variables(self) -> dict[str, Array]:
        """The kernel or kernels, and the bias if it is used."""
        return self._kernels | ({"bias": self.bias} if self.use_bias else {})

    def _keep(self) -> None:
        """Check and keep what every convolution has."""
        for name, kernel in self._kernels.items():
            if kernel.ndim != 4 or 0 in kernel.shape:
                raise InputError(f"layer '{self.name}': {name} must have four axes, got shape {kernel.shape}")
        keep_arrays(self, self._kernels | {"bias": self.bias})
        self._check_format()
        keep_pair(self, "strides", self.strides, minimum=1)
        keep_pair(self, "dilation_rate", self.dilation_rate, minimum=1)
        check_choice(f"padding of layer '{self.name}'", self.padding, PADDINGS)
        object.__setattr__(self, "_activation", keep_activation(self, self.activation_name))

    def _with_bias(self, gradients: dict[str, Array], dz: Array) -> dict[str, Array]:
        """Return the gradients of the kernels, and that of the bias if it is used."""
        if not self.use_bias:
            return gradients
        return gradients | {"bias": dz.reshape(-1, dz.shape[-1]).sum(axis=0)}

    def _windows(
        self, shape: tuple[int, ...], kernel: Array, channels: int
    ) -> tuple[Pair, tuple[Pair, Pair]]:
        """Return the numbers of windows in images of `shape` (height, width, channels), and the padding."""
        if shape[2] != channels:
            raise InputError(
                f"layer '{self.name}' takes images of {channels} channels, but gets {shape[2]} channels "
                f"({shape[0]} x {shape[1]} pixels)"
            )
        return windows_of(self, shape, reach(kernel.shape, self.dilation_rate), self.strides, self.padding)
