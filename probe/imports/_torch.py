"""Networks from modules of PyTorch, by the graph that torch.export makes of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from probe._checks import Array, InputError, brief, check_sizes
from probe.imports._torch_twin import twin_of
from probe.imports._untouched import check_same_outputs, comparison_type
from probe.imports.exported import Node, Program, Reference, shown_line, translated
from probe.network import Network

__all__ = ["from_torch"]

_SAMPLES = 2
"""Samples of the batch that a module is exported with: more than one, so that no axis of length 1 is theirs."""

_RESHAPES = ("flatten", "reshape", "view")

_KNOWING_CHANNELS = ("conv", "norm", "prelu")
"""Parts of the names of operations that have a number of channels."""


class _Input(NamedTuple):
    """One input: the shape that the module takes without the samples, and that of the network's images if it differs."""

    shape: tuple[int, ...]
    given: tuple[int, ...] | None = None


def from_torch(module: Any, example_input: Any, class_names: tuple[str, ...] = ()) -> Network:
    """Return the network of a `torch.nn.Module`, as it is in `eval()` mode.

    Any module whose `forward` is a graph of known operations, whatever its Python code looks like: torch.export writes
    down what it does. Where `module` takes images (n, channels, height, width), the network takes
    (n, height, width, channels); a layer in front moves the axis, and all others keep PyTorch's order. An activation
    behind a linear or convolution layer becomes part of that layer. Weights that are computed of others (weight_norm,
    spectral_norm, other parametrizations, pruning) are taken as they come out.

    Layers have the names of the modules: `features.0.conv` is called "features/0/conv". A name that is a number gets
    the kind of the layer in front, as in `features/conv2d_0`. Operations of a `forward` have their own names, such
    as `layer1/0/add`.

    Parameters
    ----------
    module : torch.nn.Module
        It is not touched: its mode, hooks and parameters stay as they are.
    example_input : tuple of int, or array or tensor of shape (n_samples, ...), or a tuple of such
        What the module takes. As a shape it is that of one input of the network: (n_in,), (height, width) for images
        without an axis of channels, or (height, width, channels). As an array or tensor it has PyTorch's order, with
        samples and channels first; of its values nothing is used. A module with several inputs takes a tuple.
    class_names : tuple of str, optional
        One for each output; "0", "1", ... by default.

    Returns
    -------
    Network
        With copies of the weights, which stay float32 or float64; float16 and bfloat16 become float32.

    Raises
    ------
    InputError
        If `module` cannot be exported, has hooks, an operation is not known (the message names it and its line),
        shapes do not fit, or the outputs are not those of `module`.

    Notes
    -----
    At the end the network and a copy of `module` in eval mode run on the same random inputs, in float64 where the module
    can. No output may differ by more than 1e-7 of the largest one; networks of more than 20 million parameters are
    compared as they are, and 1e-3 is allowed in float32.

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
            f"module must be a torch.nn.Module, but PyTorch cannot be imported: {error}"
        ) from None
    if not isinstance(module, nn.Module):
        raise InputError(f"module must be a torch.nn.Module, got {brief(module)}")
    module = getattr(module, "_orig_mod", module)
    inputs = _inputs(torch, example_input)
    names = tuple(class_names) if isinstance(class_names, list) else class_names
    twin = twin_of(torch, module)
    program, inputs = _exported(torch, twin, inputs)
    for name, one in zip(program.inputs, inputs, strict=True):
        if one.given is not None:
            _check_channels_last(program, name, one.given)
    given = {
        name: one.given for name, one in zip(program.inputs, inputs, strict=True) if one.given is not None
    }
    network = translated(program, "module", names, given)
    _compare(torch, module, twin, network, inputs)
    return network


def _inputs(torch: Any, example: Any) -> list[_Input]:
    """Return what each input is, or raise."""
    if isinstance(example, tuple | list) and example and not isinstance(example[0], int | np.integer):
        return [one for each in example for one in _inputs(torch, each)]
    if isinstance(example, torch.Tensor | np.ndarray):
        shape = tuple(int(size) for size in example.shape)
        is_float = (
            example.dtype.kind == "f" if isinstance(example, np.ndarray) else example.is_floating_point()
        )
        if len(shape) < 2 or not is_float or 0 in shape:
            raise InputError(
                f"example_input must be a float array or tensor with samples first, (n_samples, ...), got {example.dtype} "
                f"of shape {shape}"
            )
        return [_Input(shape[1:])]
    rule = "(n_in,), (height, width) or (height, width, channels), or an example tensor"
    shape = check_sizes("example_input", example, rule, max_axes=3)
    return [_Input((shape[2], *shape[:2]) if len(shape) == 3 else shape, shape)]


def _exported(torch: Any, twin: Any, inputs: list[_Input]) -> tuple[Program, list[_Input]]:
    """Return the graph of a module; images without an axis of channels get one where it does not run without."""
    try:
        return _export(torch, twin, inputs), inputs
    except InputError:
        wider = [_Input((1, *one.shape), one.given) if len(one.shape) == 2 else one for one in inputs]
        if wider == inputs:
            raise
        try:
            return _export(torch, twin, wider), wider
        except InputError:
            pass
        raise


def _export(torch: Any, twin: Any, inputs: Sequence[_Input]) -> Program:
    dtype = next((p.dtype for p in twin.parameters() if p.is_floating_point()), torch.float32)
    arrays = _random(torch, inputs, _SAMPLES, dtype)
    plain = torch.autocast("cpu", enabled=False)
    try:
        with torch.no_grad(), plain:
            twin(*arrays)
    except Exception as error:  # code of the user
        shapes = [tuple(array.shape) for array in arrays]
        shown = shapes[0] if len(shapes) == 1 else shapes
        hint = ""
        if any(one.given is not None and len(one.given) == 3 for one in inputs):
            hint = "; shapes have the channels last, (height, width, channels), and example tensors have them first"
        raise InputError(
            f"module does not run on inputs of shape {shown}: {_first_line(error)}{hint}"
        ) from None
    try:
        with torch.no_grad(), plain:
            exported = torch.export.export(twin, arrays, strict=False)
    except Exception as error:
        raise InputError(
            f"module cannot be exported, so its graph is not known: {_first_line(error)}; what forward does must not "
            "depend on values of the input: pass the part of the module that does not"
        ) from None
    return _program(exported)


def _random(torch: Any, inputs: Sequence[_Input], n_samples: int, dtype: Any) -> tuple[Any, ...]:
    """Return inputs of PyTorch, without a touch of its random generator."""
    rng = np.random.default_rng(0)
    return tuple(torch.from_numpy(rng.uniform(size=(n_samples, *one.shape))).to(dtype) for one in inputs)


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:300]


def _program(exported: Any) -> Program:
    """Return an exported program as one of this package."""
    inputs, constants = dict[str, tuple[int, ...]](), dict[str, npt.NDArray[np.generic]]()
    tensors = {
        node.name: node.meta["val"] for node in exported.graph.nodes if hasattr(node.meta.get("val"), "shape")
    }
    shapes = {
        name: tuple(size if isinstance(size, int) else None for size in tensor.shape)
        for name, tensor in tensors.items()
    }
    types = {name: _type(tensor) for name, tensor in tensors.items()}
    for spec in exported.graph_signature.input_specs:
        kind, name = spec.kind.name, spec.arg.name
        if kind == "USER_INPUT":
            if name in shapes:
                inputs[name] = tuple(int(size or 0) for size in shapes[name])
            continue
        tensor = exported.state_dict.get(spec.target)
        tensor = exported.constants.get(spec.target) if tensor is None else tensor
        if not hasattr(tensor, "numpy"):
            raise InputError(
                f"module uses '{spec.target}', a {type(tensor).__name__}; only tensors are taken over"
            )
        constants[name] = array_of(tensor, spec.target)
    nodes = tuple(_node(node) for node in exported.graph.nodes if node.op == "call_function")
    outputs = tuple(
        spec.arg.name for spec in exported.graph_signature.output_specs
        if spec.kind.name == "USER_OUTPUT" and getattr(spec.arg, "name", None) in shapes
    )  # fmt: skip
    return Program(inputs, constants, nodes, outputs, shapes, _SAMPLES, types)


def array_of(tensor: Any, name: str) -> npt.NDArray[np.generic]:
    """Return a tensor as an array; half precision becomes float32."""
    kind = _type(tensor)
    if kind in ("float16", "bfloat16"):
        tensor = tensor.float()
    elif kind not in ("float32", "float64", "int64", "int32", "int16", "int8", "uint8", "bool"):
        raise InputError(
            f"module has a tensor '{name}' of type {kind}; float16, bfloat16, float32 and float64 are taken over"
        )
    values: npt.NDArray[np.generic] = np.array(tensor.numpy(force=True))
    return values


def _type(tensor: Any) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _node(node: Any) -> Node:
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    path, kind = stack[-1] if stack else ("", "")
    kind = kind if isinstance(kind, str) else f"{kind.__module__}.{kind.__qualname__}"
    return Node(
        node.name,
        _target(node.target),
        _arguments(node),
        path.removeprefix("L['self']").lstrip("."),
        kind,
        shown_line(node.meta.get("stack_trace") or ""),
    )


def _target(target: Any) -> str:
    if hasattr(target, "_schema"):
        return str(target)
    return f"operator.{target.__name__}" if target.__module__ == "_operator" else f"torch.{target}"


def _arguments(node: Any) -> Mapping[str, object]:
    schema = getattr(node.target, "_schema", None)
    names = map(str, range(len(node.args))) if schema is None else [one.name for one in schema.arguments]
    named = dict(zip(names, node.args, strict=False)) | node.kwargs
    return {name: _argument(value) for name, value in named.items()}


def _argument(value: Any) -> object:
    if isinstance(value, list | tuple):
        return [_argument(one) for one in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return Reference(value.name) if hasattr(value, "op") else str(value)


def _check_channels_last(program: Program, name: str, shape: tuple[int, ...]) -> None:
    """Raise if nothing says how many channels there are, and a shape may have them first."""
    if len(shape) < 3 or not _flattens(program, name):
        return
    # Of one channel the order is the same wherever its axis is.
    if shape[2] == 1 or shape[0] == shape[1] != shape[2] or (shape[2] in (3, 4) and min(shape[:2]) > 4):
        return
    channels, height, width = shape
    wanted = f"{(height, width)} or {(height, width, 1)}" if channels == 1 else str((height, width, channels))
    raise InputError(
        f"module flattens images of shape {shape}, which may have their channels first; a shape has them last: "
        f"pass {wanted}, or an example tensor. If these are {channels} x {height} pixels of {width} channels, pass "
        f"({math.prod(shape)},) and inputs flattened as PyTorch does"
    )


def _flattens(program: Program, name: str) -> bool:
    """Return whether an input is flattened before anything that has a number of channels reads it."""
    open_ = {name}
    for node in program.nodes:
        operation = node.target.split(".")[1]
        if not any(Reference(one) in node.arguments.values() for one in open_):
            continue
        if operation in _RESHAPES:
            return True
        if not any(part in operation for part in _KNOWING_CHANNELS):
            open_.add(node.name)
    return False


def _compare(torch: Any, module: Any, twin: Any, network: Network, inputs: Sequence[_Input]) -> None:
    """Raise if a network does not compute what the module does."""
    dtype = comparison_type(network)
    kind = getattr(torch, dtype.name)
    exact = twin if dtype == network.dtype else twin_of(torch, module, kind)
    try:
        _outputs(torch, exact, _random(torch, inputs, 1, kind))
    except Exception:  # code of the user that makes tensors of one type
        dtype, exact = network.dtype, twin

    def original(*arrays: Array) -> list[Array]:
        tensors = [
            torch.from_numpy(_in_order(x, one)).reshape(len(x), *one.shape)
            for x, one in zip(arrays, inputs, strict=True)
        ]
        return _outputs(torch, exact, tensors)

    check_same_outputs(network.astype(dtype), original, "module", dtype)


def _in_order(x: Array, one: _Input) -> Array:
    """Return images in PyTorch's order."""
    moves = len(one.shape) == 3 and x.ndim == 4
    return np.moveaxis(x, -1, 1).copy() if moves else x


def _outputs(torch: Any, module: Any, tensors: Sequence[Any]) -> list[Array]:
    leaves = import_module("torch.utils._pytree").tree_leaves
    with torch.inference_mode(), torch.autocast("cpu", enabled=False):
        values = module(*tensors)
    return [value.numpy() for value in leaves(values) if isinstance(value, torch.Tensor)]
