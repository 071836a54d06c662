"""Optimizers: how a gradient becomes a change of the weights.

Each is a frozen value with `init(parameter) -> state` and
`update(gradient, state, learning_rate, step) -> change`, which `apply` adds to the parameter.
A change is written into the memory of the gradient or of the state, which belongs to the caller's training
loop, because allocating it anew in every step would cost as much as computing it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.linalg import blas

from probe._checks import Array, check_number
from probe._signatures import checked

__all__ = ["OPTIMIZERS", "SGD", "Adam", "Momentum", "Nesterov", "Optimizer", "OptimizerName"]

OptimizerName = Literal["sgd", "momentum", "nesterov", "adam"]
State = tuple[Array, ...]


class Optimizer(ABC):
    """What every optimizer can do."""

    __slots__ = ()

    @abstractmethod
    def init(self, parameter: Array) -> State:
        """Return the arrays that it keeps for `parameter`, at their start."""

    @abstractmethod
    def update(self, gradient: Array, state: State, learning_rate: float | Array, step: int) -> Array:
        """Return what to add to the parameter.

        Parameters
        ----------
        gradient : ndarray of the parameter's shape
            Overwritten.
        state : tuple of ndarray
            From `init`; overwritten with their next values.
        learning_rate : float or ndarray that broadcasts against the parameter
            At least 0.
        step : int
            Number of this update, from 1.
        """

    def apply(
        self, parameter: Array, gradient: Array, state: State, learning_rate: float | Array, step: int
    ) -> None:
        """Add the change to `parameter`, a contiguous array, in place."""
        parameter += self.update(gradient, state, learning_rate, step)


_AXPY: dict[str, Callable[..., Array]] = {"f": blas.saxpy, "d": blas.daxpy}
"""BLAS' y + a x by type; it writes the sum to y. Imported here, and not when first used, because a limit on
BLAS' threads reaches only libraries that are loaded already."""


@dataclass(frozen=True, slots=True)
class SGD(Optimizer):
    """Plain gradient descent: -learning_rate * gradient."""

    def init(self, parameter: Array) -> State:
        """Return no arrays."""
        return ()

    def update(self, gradient: Array, state: State, learning_rate: float | Array, step: int) -> Array:
        """Return -learning_rate * gradient."""
        gradient *= -learning_rate
        return gradient

    def apply(
        self, parameter: Array, gradient: Array, state: State, learning_rate: float | Array, step: int
    ) -> None:
        """Add the change to `parameter`, with one rate for all in a single pass over memory."""
        if isinstance(learning_rate, float):
            _AXPY[parameter.dtype.char](gradient, parameter, a=-learning_rate)
        else:
            Optimizer.apply(self, parameter, gradient, state, learning_rate, step)


@checked
@dataclass(frozen=True, slots=True)
class Momentum(Optimizer):
    """Heavy-ball momentum: velocity = momentum * velocity - learning_rate * gradient.

    References
    ----------
    .. [1] B. T. Polyak, "Some methods of speeding up the convergence of iteration methods", 1964.
    """

    momentum: float = 0.9

    def __post_init__(self) -> None:
        check_number("momentum", self.momentum, minimum=0, maximum=1)

    def init(self, parameter: Array) -> State:
        """Return a velocity of zero."""
        return (np.zeros_like(parameter),)

    def update(self, gradient: Array, state: State, learning_rate: float | Array, step: int) -> Array:
        """Return the new velocity."""
        (velocity,) = state
        velocity *= self.momentum
        gradient *= learning_rate
        velocity -= gradient
        return velocity


@checked
@dataclass(frozen=True, slots=True)
class Nesterov(Momentum):
    """Nesterov momentum as in Keras and PyTorch: momentum * velocity - learning_rate * gradient.

    References
    ----------
    .. [1] I. Sutskever et al., "On the importance of initialization and momentum in deep learning",
       ICML 2013.
    """

    def update(self, gradient: Array, state: State, learning_rate: float | Array, step: int) -> Array:
        """Return momentum times the new velocity, less the learning rate times the gradient."""
        velocity = Momentum.update(self, gradient, state, learning_rate, step)
        # By now `gradient` holds the learning rate times the gradient.
        np.subtract(self.momentum * velocity, gradient, out=gradient)
        return gradient


@checked
@dataclass(frozen=True, slots=True)
class Adam(Optimizer):
    """Adam: steps scaled by running moments of the gradient.

    References
    ----------
    .. [1] D. P. Kingma, J. Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015.
    """

    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-7

    def __post_init__(self) -> None:
        check_number("beta_1", self.beta_1, minimum=0, below=1)
        check_number("beta_2", self.beta_2, minimum=0, below=1)
        check_number("epsilon", self.epsilon, minimum=0)

    def init(self, parameter: Array) -> State:
        """Return a mean and a mean square of zero."""
        return np.zeros_like(parameter), np.zeros_like(parameter)

    def update(self, gradient: Array, state: State, learning_rate: float | Array, step: int) -> Array:
        """Return -learning_rate * mean / (sqrt(mean square) + epsilon), both corrected for their start."""
        mean, square = state
        mean *= self.beta_1
        mean += (1 - self.beta_1) * gradient
        gradient *= gradient
        gradient *= 1 - self.beta_2
        square *= self.beta_2
        square += gradient
        np.multiply(square, 1 / (1 - self.beta_2**step), out=gradient)
        np.sqrt(gradient, out=gradient)
        gradient += self.epsilon
        np.divide(mean, gradient, out=gradient)
        gradient *= -learning_rate / (1 - self.beta_1**step)
        return gradient


OPTIMIZERS: dict[str, type[SGD] | type[Momentum] | type[Nesterov] | type[Adam]] = {
    "sgd": SGD,
    "momentum": Momentum,
    "nesterov": Nesterov,
    "adam": Adam,
}
"""The optimizers by name."""
