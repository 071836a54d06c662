"""Activations with settings: rectifiers, powers and clipping."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np

from probe._checks import Array, InputError, check_number
from probe._signatures import checked
from probe.layers.activations import Activation, Line, Pullback

__all__ = ["Clip", "Elu", "LeakyRelu", "Power", "Relu"]

IDENTITY: Line = (1.0, 0.0)


@dataclass(frozen=True, slots=True)
class _Parametric(Activation):
    """An activation whose settings are its arguments."""

    @property
    def settings(self) -> dict[str, Any]:
        """The arguments."""
        return {setting.name: getattr(self, setting.name) for setting in fields(self)}


@dataclass(frozen=True, slots=True)
class _Rectifier(_Parametric):
    """A rectifier with settings."""

    turning_point = 0.0
    initialization = "he"
    minimum: ClassVar[float | None] = None

    def __post_init__(self) -> None:
        for setting, value in self.settings.items():
            if value is not None or setting != "max_value":
                number = check_number(f"{setting} of {self.name}", value, minimum=self.minimum)
                object.__setattr__(self, setting, number)


@checked
@dataclass(frozen=True, slots=True)
class Relu(_Rectifier):
    """Keras' ReLU layer: min(z, max_value) above the threshold and negative_slope * (z - threshold) elsewhere.

    Parameters
    ----------
    max_value : float or None
        The greatest output; None for none.
    negative_slope : float
        Slope at and below the threshold.
    threshold : float
        Where the rectifier opens; at least 0.

    Examples
    --------
    >>> Relu(max_value=6.0, negative_slope=0.1).forward(np.array([-2.0, 3.0, 8.0]))[0]
    array([-0.2,  3. ,  6. ])
    """

    name = "relu"
    turning_point = -math.inf
    minimum = 0

    max_value: float | None = None
    negative_slope: float = 0.0
    threshold: float = 0.0

    @property
    def asymptotes(self) -> tuple[Line, Line]:
        """The line below the threshold, and the greatest output or z itself."""
        above = IDENTITY if self.max_value is None else (0.0, self.max_value)
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
class LeakyRelu(_Rectifier):
    """z above zero and negative_slope * z elsewhere: Keras' LeakyReLU layer, whose own slope is 0.3.

    Examples
    --------
    >>> LeakyRelu(0.25).forward(np.array([-2.0, 3.0]))[0]
    array([-0.5,  3. ])
    """

    name = "leaky_relu"

    negative_slope: float = 0.3

    @property
    def asymptotes(self) -> tuple[Line, Line]:
        """A line of the slope, and z itself."""
        return (self.negative_slope, 0.0), IDENTITY

    def forward(self, z: Array) -> tuple[Array, Pullback]:
        """Return f(z), of the shape of `z`, and the map from dC/dy to dC/dz."""
        slope = np.where(z > 0, 1, self.negative_slope).astype(z.dtype)
        return z * slope, lambda dy: dy * slope


@checked
@dataclass(frozen=True, slots=True)
class Elu(_Rectifier):
    """z above zero and alpha * (exp(z) - 1) elsewhere.

    Examples
    --------
    >>> Elu(0.5).forward(np.array([-50.0, 3.0]))[0]
    array([-0.5,  3. ])
    """

    name = "elu"

    alpha: float = 1.0

    @property
    def asymptotes(self) -> tuple[Line, Line]:
        """-alpha, and z itself."""
        return (0.0, -self.alpha), IDENTITY

    def forward(self, z: Array) -> tuple[Array, Pullback]:
        """Return f(z), of the shape of `z`, and the map from dC/dy to dC/dz."""
        below = np.minimum(z, 0)
        y = np.maximum(z, 0) + self.alpha * np.expm1(below)
        return y, lambda dy: dy * np.where(z > 0, z.dtype.type(1), self.alpha * np.exp(below))


@checked
@dataclass(frozen=True, slots=True)
class Power(_Parametric):
    """z to a power; not a number where z is negative and the exponent no integer.

    Parameters
    ----------
    exponent : float
        The power.

    Examples
    --------
    >>> Power(3.0).forward(np.array([-2.0, 3.0]))[0]
    array([-8., 27.])
    """

    name = "power"

    exponent: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "exponent", check_number(f"exponent of {self.name}", self.exponent))

    @property
    def turning_point(self) -> float | None:  # type: ignore[override]
        """0 for even powers, none for those with a pole."""
        if self.exponent < 0:
            return None
        return 0.0 if self.exponent % 2 == 0 else -math.inf

    @property
    def odd_about(self) -> float | None:  # type: ignore[override]
        """0 for odd powers without a pole."""
        return 0.0 if self.exponent > 0 and self.exponent % 2 == 1 else None

    def forward(self, z: Array) -> tuple[Array, Pullback]:
        """Return f(z), of the shape of `z`, and the map from dC/dy to dC/dz."""
        exponent = z.dtype.type(self.exponent)
        with np.errstate(all="ignore"):
            y = np.power(z, exponent)

        def pullback(dy: Array) -> Array:
            with np.errstate(all="ignore"):
                slope = exponent * np.power(z, exponent - 1) if self.exponent else np.zeros_like(z)
            return dy * slope

        return y, pullback


@checked
@dataclass(frozen=True, slots=True)
class Clip(_Parametric):
    """z, but no less than `low` and no more than `high`.

    Parameters
    ----------
    low, high : float or None
        The least and the greatest output, `low` no more than `high`; None for none.

    Examples
    --------
    >>> Clip(-1.0, None).forward(np.array([-2.0, 3.0]))[0]
    array([-1.,  3.])
    """

    name = "clip"
    turning_point = -math.inf

    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        for setting, value in self.settings.items():
            if value is not None:
                object.__setattr__(self, setting, check_number(f"{setting} of {self.name}", value))
        if self.low is not None and self.high is not None and self.low > self.high:
            raise InputError(f"low of {self.name} must be no more than high {self.high:g}, got {self.low:g}")

    @property
    def odd_about(self) -> float | None:  # type: ignore[override]
        """0 where both ends are as far from it, and where there is none."""
        if self.low is None or self.high is None:
            return 0.0 if self.low is self.high else None
        return 0.0 if self.low == -self.high else None

    @property
    def asymptotes(self) -> tuple[Line, Line]:
        """The ends, and z itself where there is none."""
        low, high = (IDENTITY if end is None else (0.0, end) for end in (self.low, self.high))
        return low, high

    def forward(self, z: Array) -> tuple[Array, Pullback]:
        """Return f(z), of the shape of `z`, and the map from dC/dy to dC/dz."""
        if self.low is None and self.high is None:
            return z, lambda dy: dy
        y: Array = np.clip(z, self.low, self.high).astype(z.dtype, copy=False)
        return y, lambda dy: dy * (y == z)
