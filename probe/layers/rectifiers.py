"""Rectifiers with settings: those of Keras' ReLU, LeakyReLU and ELU layers."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np

from probe._checks import Array, check_number
from probe._signatures import checked
from probe.layers._activation import Activation, Line, Pullback

__all__ = ["Elu", "LeakyRelu", "Relu"]


@checked
@dataclass(frozen=True, slots=True)
class Relu(Activation):
    """A rectifier with the three settings of Keras' ReLU layer.

    f(z) = min(z, max_value) above the threshold and negative_slope * (z - threshold) elsewhere.

    Parameters
    ----------
    max_value : float or None
        The greatest output; None for none.
    negative_slope : float
        Slope at and below the threshold.
    threshold : float
        Where the rectifier opens; at least 0.

    Raises
    ------
    InputError
        If a setting is no finite number, or below 0.

    Examples
    --------
    >>> Relu(max_value=6.0, negative_slope=0.1).forward(np.array([-2.0, 3.0, 8.0]))[0]
    array([-0.2,  3. ,  6. ])
    """

    name: str = field(default="relu", init=False, repr=False)
    turning_point: ClassVar[float | None] = -math.inf
    initialization: ClassVar[Literal["glorot", "he"]] = "he"

    max_value: float | None = None
    negative_slope: float = 0.0
    threshold: float = 0.0

    def __post_init__(self) -> None:
        for setting, value in self.settings.items():
            if value is not None or setting != "max_value":
                kept = check_number(f"{setting} of relu", value, minimum=0)
                object.__setattr__(self, setting, kept)

    @property
    def settings(self) -> dict[str, Any]:
        """The three settings."""
        return {
            "max_value": self.max_value,
            "negative_slope": self.negative_slope,
            "threshold": self.threshold,
        }

    @property
    def asymptotes(self) -> tuple[Line, Line]:
        """The line below the threshold, and the greatest output or z itself."""
        above = (1.0, 0.0) if self.max_value is None else (0.0, self.max_value)
        return (self.negative_slope, -self.negative_slope * self.threshold), above

    def forward(self, z: Array) -> tuple[Array, Pullback]:
        """Return f(z), of the shape of `z`, and the map from dC/dy to dC/dz."""
        above = z > self.threshold
        open_ = above if self.max_value is None else above & (z < self.max_value)
        top = z if self.max_value is None else np.minimum(z, self.max_value)
        y = np.where(above, top, self.negative_slope * (z - self.threshold))
        return y, lambda dy: dy * np.where(open_, 1, np.where(above, 0, self.negative_slope)).astype(z.dtype)


@checked
@dataclass(frozen=True, slots=True)
class LeakyRelu(Activation):
    """z above zero and negative_slope * z elsewhere: Keras' LeakyReLU layer, whose own slope is 0.3.

    Raises
    ------
    InputError
        If the slope is no finite number.

    Examples
    --------
    >>> LeakyRelu(0.25).forward(np.array([-2.0, 3.0]))[0]
    array([-0.5,  3. ])
    """

    name: str = field(default="leaky_relu", init=False, repr=False)
    turning_point: ClassVar[float | None] = 0.0
    initialization: ClassVar[Literal["glorot", "he"]] = "he"

    negative_slope: float = 0.3

    def __post_init__(self) -> None:
        slope = check_number("negative_slope of leaky_relu", self.negative_slope)
        object.__setattr__(self, "negative_slope", slope)

    @property
    def settings(self) -> dict[str, Any]:
        """The slope."""
        return {"negative_slope": self.negative_slope}

    @property
    def asymptotes(self) -> tuple[Line, Line]:
        """A line of the slope, and z itself."""
        return (self.negative_slope, 0.0), (1.0, 0.0)

    def forward(self, z: Array) -> tuple[Array, Pullback]:
        """Return f(z), of the shape of `z`, and the map from dC/dy to dC/dz."""
        slope = np.where(z > 0, 1, self.negative_slope).astype(z.dtype)
        return z * slope, lambda dy: dy * slope


@checked
@dataclass(frozen=True, slots=True)
class Elu(Activation):
    """z above zero and alpha * (exp(z) - 1) elsewhere.

    Raises
    ------
    InputError
        If alpha is no finite number.

    Examples
    --------
    >>> Elu(0.5).forward(np.array([-50.0, 3.0]))[0]
    array([-0.5,  3. ])
    """

    name: str = field(default="elu", init=False, repr=False)
    turning_point: ClassVar[float | None] = 0.0
    initialization: ClassVar[Literal["glorot", "he"]] = "he"

    alpha: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "alpha", check_number("alpha of elu", self.alpha))

    @property
    def settings(self) -> dict[str, Any]:
        """The alpha."""
        return {"alpha": self.alpha}

    @property
    def asymptotes(self) -> tuple[Line, Line]:
        """-alpha, and z itself."""
        return (0.0, -self.alpha), (1.0, 0.0)

    def forward(self, z: Array) -> tuple[Array, Pullback]:
        """Return f(z), of the shape of `z`, and the map from dC/dy to dC/dz."""
        bow = np.minimum(z, 0)
        y = np.maximum(z, 0) + self.alpha * np.expm1(bow)
        return y, lambda dy: dy * np.where(z > 0, z.dtype.type(1), self.alpha * np.exp(bow))
