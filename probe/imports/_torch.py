"""Sequential networks of PyTorch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from typing import Any

from probe._checks import InputError
from probe.imports._torch_layers import BUILDERS, IN_PASSING, Module, activation_of
from probe.layers import ActivationLayer, Conv2D, Dense, Layer
from probe.network import Network

__all__ = ["from_torch"]


def from_torch(module: Any, input_shape: tuple[int, ...], class_names: tuple[str, ...] = ()) -> Network:
    """Return the network of a `torch.nn.Sequential`, as it is in `eval()` mode.

    Images have their channels last: where `module` takes (n, channels, height, width), the network takes
    (n, height, width, channels), and its layers put out the same. Values that are flattened keep the order
    that `module` has. An activation after a linear or convolution layer becomes part of that layer.

    Layers are called as in `module`, where a name that is a number gets the kind of the layer in front:
    `linear_0`; members of a Sequential inside are called `features/conv2d_0`.

    Parameters
    ----------
    module : torch.nn.Sequential
        Of linear, convolution, normalisation, pooling, dropout, flatten and activation modules, and of
        Sequentials of such.
    input_shape : tuple of int
        Shape of one input of the network: (n_in,), (height, width) for images without an axis of
        channels, or (height, width, channels).
    class_names : tuple of str, optional
        One for each output; "0", "1", ... by default.

    Returns
    -------
    Network
        With copies of the weights, which stay float32 or float64; float16 and bfloat16 become float32.

    Raises
    ------
    InputError
        If `module` is no Sequential, something in it cannot be taken over exactly, or shapes do not fit.

    Examples
    --------
    >>> from torch import nn  # doctest: +SKIP
    >>> model = nn.Sequential(nn.Flatten(), nn.Linear(784, 30), nn.Sigmoid(), nn.Linear(30, 10))  # doctest: +SKIP
    >>> from_torch(model, (28, 28)).layer_names  # doctest: +SKIP
    ('flatten_0', 'linear_1', 'linear_3')
    """
    try:
        nn = import_module("torch.nn")
    except ImportError as error:
        raise InputError(
            f"module must be a torch.nn.Sequential, but PyTorch cannot be imported: {error}"
        ) from None
    if type(module) is not nn.Sequential:
        raise InputError(
            f"module must be a torch.nn.Sequential, got {type(module).__name__}; "
            "what any other module computes is in its code, which is not read"
        )
    shape = tuple(input_shape)
    if not 1 <= len(shape) <= 3 or not all(type(size) is int and size > 0 for size in shape):
        raise InputError(
            "input_shape must be (n_in,), (height, width) or (height, width, channels), "
            f"all positive, got {input_shape!r}"
        )
    layers: list[Layer] = []
    for member in _leaves(nn, module, ""):
        for layer in _layers(nn, member, shape):
            previous = layers[-1] if layers else None
            # Part of the layer in front, so that its activations are those that people mean.
            if (
                isinstance(layer, ActivationLayer)
                and isinstance(previous, (Conv2D, Dense))
                and previous.activation_name == "linear"
            ):
                layers[-1] = replace(previous, activation_name=layer.activation_name)
            else:
                layers.append(layer)
            shape = layer.output_shape(shape)
    return Network(tuple(layers), tuple(input_shape), tuple(class_names))


def _leaves(nn: Any, module: Any, prefix: str) -> Iterator[Module]:
    """Yield the modules that are no Sequential, in order; one that is used twice comes twice."""
    if type(module) is not nn.Sequential:
        *parents, own = prefix.rstrip("/").split("/")
        own = f"{type(module).__name__.lower()}_{own}" if own.isdigit() else own
        yield Module(module, "/".join([*parents, own]))
        return
    _check_hooks(module, prefix.rstrip("/"))
    for name, member in module._modules.items():
        yield from _leaves(nn, member, f"{prefix}{name}/")


def _layers(nn: Any, member: Module, shape: tuple[int, ...]) -> list[Layer]:
    layers = None
    # Classes of other modules may have the name of one of PyTorch, and compute something else.
    if type(member.module) is getattr(nn, member.kind, None):
        layers = _known_layers(member, shape)
    if layers is None:
        names = ", ".join(sorted([*BUILDERS, *IN_PASSING]))
        raise InputError(
            f"module '{member.name}' is a {member.kind}, which cannot be taken over: {names} and activations can"
        )
    _check_hooks(member.module, member.name)
    return layers


def _known_layers(member: Module, shape: tuple[int, ...]) -> list[Layer] | None:
    if member.kind in IN_PASSING:
        return []
    if member.kind in BUILDERS:
        return list(BUILDERS[member.kind](member, shape))
    activation = activation_of(member, shape)
    return None if activation is None else [ActivationLayer(member.name, activation)]


def _check_hooks(module: Any, name: str) -> None:
    """Raise if code that is called with the module, or instead of it, could change what it computes."""
    if "forward" in vars(module):
        raise InputError(
            f"module '{name or 'Sequential'}' has a forward of its own, code that is not read; remove it first"
        )
    if module._forward_hooks or module._forward_pre_hooks:
        raise InputError(
            f"module '{name or 'Sequential'}' has hooks, code that is not read; remove them first"
        )
