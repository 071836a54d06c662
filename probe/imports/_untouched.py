"""Whether what another library made still runs that library's own code, and computes what was taken over."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from types import FunctionType
from typing import Any

import numpy as np

from probe._checks import Array, InputError
from probe.network import Network

__all__ = ["changed_method", "check_same_outputs", "comparison_type"]

_MOST_DOUBLES = 20_000_000
"""Parameters up to which the comparison is in float64: it holds two copies of them, of 160 MB each."""

_TOLERANCES = {np.dtype(np.float64): 1e-7, np.dtype(np.float32): 1e-3}
"""Largest difference, as a share of the largest output of the batch."""

_MOST_VALUES = 1 << 14
"""Values of a batch of inputs, which has at least one and at most 16 samples: the comparison takes seconds at most."""


def changed_method(value: Any, methods: tuple[str, ...]) -> str | None:
    """Return the first of `methods` that is not the library's own for `value`, or one that `value` itself has; or None."""
    kind = type(value)
    for name in vars(value):
        if callable(getattr(kind, name, None)):
            return str(name)
    for name in methods:
        owner = next((one for one in kind.__mro__ if name in vars(one)), object)
        if owner is object:
            continue
        method, home = vars(owner)[name], sys.modules.get(owner.__module__)
        own = (
            isinstance(method, FunctionType)
            and home is not None
            and method.__globals__ is vars(home)
            and method.__code__.co_qualname.startswith(f"{owner.__qualname__}.")
        )
        if not own:
            return name
    return None


def comparison_type(network: Network) -> np.dtype[np.floating]:
    """Return the type that a network and its original are compared in: float64 unless that takes much memory."""
    # A network without parameters computes in float32, whatever it gets.
    return np.dtype(np.float64) if 0 < network.n_parameters <= _MOST_DOUBLES else network.dtype


def check_same_outputs(
    network: Network,
    original: Callable[..., Array | Sequence[Array]],
    name: str,
    dtype: np.dtype[np.floating],
) -> None:
    """Run a network and what it was made from on the same random inputs of a type, or raise if they do not agree.

    `original` takes an array for each input of `network`, and gives one for each output, or the only one; errors call it
    `name`.
    """
    for words, arrays in _batches(network.input_shapes, dtype):
        found = network.all_outputs(arrays)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                expected = original(*arrays)
        except Exception as error:  # code of another library, on objects that anybody may have changed
            shapes = network.input_shapes
            raise InputError(
                f"{name} does not run on {words} of shape {shapes[0] if len(shapes) == 1 else shapes}: {str(error)[:200]}"
            ) from None
        expected = [expected] if isinstance(expected, np.ndarray) else list(expected)
        if len(expected) != len(found):
            raise InputError(f"{name} has {len(expected)} outputs, but what was taken over {len(found)}")
        for one, ours in zip(expected, found, strict=True):
            _check_same(one, ours, name, words, _TOLERANCES[dtype])


def _check_same(expected: Array, found: Array, name: str, words: str, tolerance: float) -> None:
    if expected.shape != found.shape:
        raise InputError(
            f"{name} puts out shape {expected.shape[1:]}, but what was taken over {found.shape[1:]}"
        )
    finite = np.isfinite(expected)
    scale = float(np.abs(expected[finite]).max(initial=0.0))
    with np.errstate(invalid="ignore"):
        difference = np.abs(found - expected)
    difference[(found == expected) | (np.isnan(found) & np.isnan(expected))] = 0
    difference[np.isnan(difference)] = np.inf
    largest = float(difference.max())
    if largest > tolerance * scale:
        place = tuple(int(i) for i in np.unravel_index(int(difference.argmax()), difference.shape))
        raise InputError(
            f"{name} and what was taken over differ by up to {largest:.3g} for {words}, at output "
            f"{place[1:]} of input {place[0]}: {expected[place]:.6g} and {found[place]:.6g}, where "
            f"{tolerance * scale:.1g} is allowed. Something in it, or in the library, was changed, and "
            "computes another thing than its class says"
        )


def _batches(
    shapes: Sequence[tuple[int, ...]], dtype: np.dtype[np.floating]
) -> Iterator[tuple[str, tuple[Array, ...]]]:
    """Yield random inputs of several sizes, the same at every call, each with words for them."""
    rng = np.random.default_rng(0)
    n_values = sum(int(np.prod(shape, dtype=float)) for shape in shapes)
    n_samples = int(np.clip(_MOST_VALUES // max(1, n_values), 1, 16))
    sizes = [(n_samples, *shape) for shape in shapes]
    yield "inputs from 0 to 1", tuple(rng.uniform(size=size).astype(dtype) for size in sizes)
    yield "normal inputs", tuple(rng.normal(size=size).astype(dtype) for size in sizes)
    yield "large inputs", tuple((30 * rng.normal(size=size)).astype(dtype) for size in sizes)
