"""Networks from sequential modules of PyTorch."""

from __future__ import annotations

import math
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import numpy as np

from probe._checks import Array, InputError, check_sizes
from probe.imports._torch_layers import BUILDERS, IN_PASSING, Module, activation_of
from probe.imports._untouched import changed_method, check_same_outputs, comparison_type
from probe.layers import ActivationLayer, BatchNormalization, Conv2D, Layer, PReLU, Reshape
from probe.network import Network

__all__ = ["from_torch"]

METHODS = (
    "__call__",
    "__getattr__",
    "__getattribute__",
    "__iter__",
    "_call_impl",
    "_check_input_dim",
    "_conv_forward",
    "_slow_forward",
    "_wrapped_call_impl",
    "forward",
)
"""The methods that run when a module that can be taken over is called."""

KNOWING_CHANNELS = (BatchNormalization, Conv2D, PReLU, Reshape)
"""Layers of images that have a number of channels, or make it."""

DEEPEST = 100
"""Sequentials inside each other; PyTorch itself gives up after some hundreds."""


def from_torch(module: Any, input_shape: tuple[int, ...], class_names: tuple[str, ...] = ()) -> Network:
    """Return the network of a `torch.nn.Sequential`, as it is in `eval()` mode.

    Images have their channels last: where `module` takes (n, channels, height, width), the network takes
    (n, height, width, channels), and its layers put out the same. Values that are flattened keep the order
    that `module` has. An activation after a linear or convolution layer becomes part of that layer.

    Layers have the names of `module`. A name that is a number gets the kind of the layer in front, as in `linear_0`.
    Members of a Sequential inside are called `features/conv2d_0`.

    Parameters
    ----------
    module : torch.nn.Sequential
        Of linear, convolution, normalization, pooling, dropout, flatten and activation modules, and of
        Sequentials of such.
    input_shape : tuple of int
        Shape of one input of the network: (n_in,), (height, width) for images without an axis of
        channels, or (height, width, channels). Where nothing in front of a Flatten has a number of channels,
        a shape that may have them first, such as (1, 28, 28), is refused.
    class_names : tuple of str, optional
        One for each output; "0", "1", ... by default.

    Returns
    -------
    Network
        With copies of the weights, which stay float32 or float64; float16 and bfloat16 become float32.

    Raises
    ------
    InputError
        If `module` is no Sequential, something in it cannot be taken over exactly, shapes do not fit, or
        the outputs are not those of `module`.

    Notes
    -----
    Only PyTorch's own classes are taken, with their own methods and without hooks. At the end the network and
    a copy of `module` in eval mode run on the same random inputs, in float64. No output may differ by more than
    1e-7 of the largest one; networks of more than 20 million parameters are compared as they are, and 1e-3 is
    allowed in float32.

    Examples
    --------
    >>> from torch import nn  # doctest: +SKIP
    >>> model = nn.Sequential(nn.Flatten(), nn.Linear(784, 30), nn.Sigmoid(), nn.Linear(30, 10))  # doctest: +SKIP
    >>> from_torch(model, (28, 28)).layer_names  # doctest: +SKIP
    ('flatten_0', 'linear_1', 'linear_3')
    """
    try:
        torch = import_module("torch")
        nn = import_module("torch.nn")
    except ImportError as error:
        raise InputError(
            f"module must be a torch.nn.Sequential, but PyTorch cannot be imported: {error}"
        ) from None
    if type(module) is not nn.Sequential:
        raise InputError(
            f"module must be a torch.nn.Sequential, got {type(module).__name__}; what any other module computes "
            "is in its code, which is not read. Pass its parts in the order in which they are called, such as "
            "nn.Sequential(net.features, nn.Flatten(), net.classifier)"
        )
    _check_global_hooks()
    rule = "(n_in,), (height, width) or (height, width, channels)"
    input_shape = shape = check_sizes("input_shape", input_shape, rule, max_axes=3)
    layers: list[Layer] = []
    for member in _leaves(nn, module, ""):
        built = _layers(nn, member, shape)
        if member.kind == "Flatten" and not any(isinstance(layer, KNOWING_CHANNELS) for layer in layers):
            _check_channels_last(member, input_shape)
        for layer in built:
            previous = layers[-1] if layers else None
            # Part of the layer in front, so that its activations are those that people mean.
            if (
                isinstance(layer, ActivationLayer)
                and previous is not None
                and previous.has_kernels
                and previous.activation.name == "linear"
            ):
                layers[-1] = previous.with_activation(layer.activation_name)
            else:
                layers.append(layer)
            shape = layer.output_shape(shape)
    names = tuple(class_names) if isinstance(class_names, list) else class_names
    network = Network(tuple(layers), input_shape, names)
    dtype = comparison_type(network)
    twin = _twin(torch, module, dtype)
    check_same_outputs(network.astype(dtype), lambda x: _outputs(torch, twin, x), "module", dtype)
    return network


def _leaves(nn: Any, module: Any, prefix: str, depth: int = 0) -> Iterator[Module]:
    """Yield the modules that are no Sequential, in order; one that is used twice comes twice."""
    if type(module) is not nn.Sequential:
        *parents, own = prefix.rstrip("/").split("/")
        own = f"{type(module).__name__.lower()}_{own}" if own.isdigit() else own
        yield Module(module, "/".join([*parents, own]))
        return
    if depth > DEEPEST:
        raise InputError(f"module must have at most {DEEPEST} Sequentials inside each other")
    _check_code(module, prefix.rstrip("/") or "Sequential")
    for name, member in module._modules.items():
        yield from _leaves(nn, member, f"{prefix}{name}/", depth + 1)


def _layers(nn: Any, member: Module, shape: tuple[int, ...]) -> list[Layer]:
    layers = None
    # Classes of other modules may have the name of one of PyTorch, and compute something else.
    kind = type(member.module)
    if kind is getattr(nn, member.kind, None) and kind.__module__.startswith("torch.nn.modules."):
        try:
            layers = _known_layers(member, shape)
        except InputError:
            raise
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            member.refuse(f"has settings that cannot be read: {error}")
    if layers is None:
        names = ", ".join(sorted([*BUILDERS, *IN_PASSING]))
        hint = ". Call torch.nn.utils.parametrize.remove_parametrizations first" * hasattr(
            member.module, "parametrizations"
        )
        raise InputError(
            f"module '{member.name}' is a {member.kind}, which cannot be taken over: {names} and activations "
            f"can{hint}"
        )
    _check_code(member.module, member.name)
    return layers


def _known_layers(member: Module, shape: tuple[int, ...]) -> list[Layer] | None:
    if member.kind in IN_PASSING:
        return []
    if member.kind in BUILDERS:
        return list(BUILDERS[member.kind](member, shape))
    activation = activation_of(member, shape)
    return None if activation is None else [ActivationLayer(member.name, activation)]


def _check_channels_last(flatten: Module, shape: tuple[int, ...]) -> None:
    """Raise if nothing in front of a Flatten says how many channels there are, and they may come first."""
    # Of one channel the order is the same wherever its axis is.
    if len(shape) < 3 or shape[2] == 1 or shape[0] == shape[1] != shape[2]:
        return
    if shape[2] in (3, 4) and min(shape[:2]) > 4:
        return
    channels, height, width = shape
    wanted = f"{(height, width)} or {(height, width, 1)}" if channels == 1 else str((height, width, channels))
    flatten.refuse(
        f"flattens images of shape {shape}, which may have their channels first; input_shape has them last: "
        f"pass {wanted}. If these are {channels} x {height} pixels of {width} channels, pass "
        f"({math.prod(shape)},) and inputs flattened as PyTorch does"
    )


def _check_code(module: Any, name: str) -> None:
    """Raise if code that is called with the module, or instead of it, could change what it computes."""
    if vars(module).get("_forward_hooks") or vars(module).get("_forward_pre_hooks"):
        raise InputError(f"module '{name}' has hooks, code that is not read; remove them first")
    if getattr(module, "_compiled_call_impl", None) is not None:
        raise InputError(f"module '{name}' was compiled, by code that is not read; pass it as it was before")
    method = changed_method(module, METHODS)
    if method is not None:
        raise InputError(f"module '{name}' has a {method} of its own, code that is not read; remove it first")


def _check_global_hooks() -> None:
    registry = vars(import_module("torch.nn.modules.module"))
    if registry["_global_forward_hooks"] or registry["_global_forward_pre_hooks"]:
        raise InputError(
            "module must be called without hooks, but PyTorch has global forward hooks, code that is not read; "
            "remove them first"
        )


def _twin(torch: Any, module: Any, dtype: np.dtype[np.floating]) -> Any:
    """Return a module of the same settings in eval mode, with its tensors in `dtype` on the CPU.

    The module itself is not touched: not even for a moment is it in another mode.
    """

    def cast(value: Any) -> Any:
        if not isinstance(value, torch.Tensor) or value.is_meta or not value.is_floating_point():
            return value
        return value.detach().to(device="cpu", dtype=getattr(torch, dtype.name))

    twin = object.__new__(type(module))
    own = vars(twin)
    own.update({name: cast(value) for name, value in vars(module).items()})
    for group in ("_parameters", "_buffers"):
        own[group] = {name: cast(value) for name, value in own[group].items()}
    own["_modules"] = {name: _twin(torch, member, dtype) for name, member in module._modules.items()}
    own["training"] = False
    return twin


def _outputs(torch: Any, module: Any, x: Array) -> Array:
    """Return what a module computes, with the channels of images last on both sides."""
    inputs = torch.from_numpy(np.moveaxis(x, -1, 1).copy() if x.ndim == 4 else x)
    with torch.inference_mode(), torch.autocast("cpu", enabled=False):
        y: Array = module(inputs).numpy()
    return np.moveaxis(y, 1, -1) if y.ndim == 4 else y
