"""A copy of a module of PyTorch in eval mode, so that the module itself is not touched: not even for a moment."""

from __future__ import annotations

from importlib import import_module
from types import MethodType
from typing import Any

from probe._checks import InputError

__all__ = ["twin_of"]

_OF_TORCH = "torch.nn.utils."
"""Where hooks come from that compute weights."""

_GROUPS = ("_parameters", "_buffers", "_modules")

_DEEPEST = 100
"""Modules inside each other; PyTorch itself gives up after some hundreds."""


def twin_of(torch: Any, module: Any, dtype: Any = None) -> Any:
    """Return a module that computes the same in eval mode, with its own tensors on the CPU.

    Parameters
    ----------
    torch : module
        PyTorch.
    module : torch.nn.Module
        The module.
    dtype : torch.dtype, optional
        Type of the tensors; by default their own, and float32 for half precision.

    Raises
    ------
    InputError
        If the module has hooks that do not compute weights, or tensors without values.
    """
    registry = vars(import_module("torch.nn.modules.module"))
    if registry["_global_forward_hooks"] or registry["_global_forward_pre_hooks"]:
        raise InputError(
            "module must be called without hooks, but PyTorch has global forward hooks, code that is not read; "
            "remove them first"
        )
    if isinstance(module, torch.jit.ScriptModule):
        raise InputError("module is a ScriptModule, which cannot be exported; pass the module it was made of")
    twin = _Copying(torch, dtype).module(module, "", 0)
    with torch.no_grad():
        for each in list(twin.modules()):
            _fold_hooks(torch, each)
            _fold_parametrizations(torch, each)
    return twin


class _Copying:
    """What was copied so far, so that what is shared stays shared."""

    def __init__(self, torch: Any, dtype: Any) -> None:
        self._torch = torch
        self._dtype = dtype
        self._known: dict[int, Any] = {}

    def module(self, module: Any, path: str, depth: int) -> Any:
        if id(module) in self._known:
            return self._known[id(module)]
        if depth > _DEEPEST:
            raise InputError(f"module must have at most {_DEEPEST} modules inside each other")
        twin = self._known[id(module)] = object.__new__(type(module))
        own = vars(twin)
        for name, value in vars(module).items():
            if name not in _GROUPS:
                own[name] = self._copy(value, f"{path}.{name}".lstrip("."), depth)
        for group in _GROUPS:
            members = vars(module).get(group, {})
            own[group] = {
                name: self._copy(value, f"{path}.{name}".lstrip("."), depth)
                for name, value in members.items()
            }
        _check_hooks(module, path)
        own["training"] = False
        own["_compiled_call_impl"] = None
        return twin

    def _copy(self, value: Any, path: str, depth: int) -> Any:
        torch = self._torch
        if isinstance(value, torch.Tensor):
            return self._tensor(value, path)
        if isinstance(value, torch.nn.Module):
            return self.module(value, path, depth + 1)
        if isinstance(value, MethodType) and isinstance(value.__self__, torch.nn.Module):
            return MethodType(value.__func__, self.module(value.__self__, path, depth + 1))
        if type(value) in (list, tuple):
            return type(value)(self._copy(one, path, depth) for one in value)
        if type(value) is dict:
            return {key: self._copy(one, path, depth) for key, one in value.items()}
        return value

    def _tensor(self, tensor: Any, path: str) -> Any:
        torch = self._torch
        if id(tensor) not in self._known:
            if isinstance(tensor, torch.nn.parameter.UninitializedTensorMixin) or tensor.is_meta:
                raise InputError(
                    f"module has no values in '{path}': load them, or run it once on an input, first"
                )
            if tensor.layout != torch.strided:
                raise InputError(
                    f"module has '{path}' of layout {tensor.layout}; call .to_dense() on it first"
                )
            dtype = tensor.dtype
            if tensor.is_complex() or tensor.is_quantized or str(dtype).startswith("torch.float8"):
                raise InputError(
                    f"module has '{path}' of type {str(dtype).removeprefix('torch.')}; float16, bfloat16, float32 and "
                    "float64 are taken over"
                )
            if tensor.is_floating_point():
                half = dtype in (torch.float16, torch.bfloat16)
                dtype = self._dtype or (torch.float32 if half else dtype)
            copy = tensor.detach().to(device="cpu", dtype=dtype, copy=True)
            is_learned = isinstance(tensor, torch.nn.Parameter)
            self._known[id(tensor)] = torch.nn.Parameter(copy, requires_grad=False) if is_learned else copy
            # The original is kept, so that no other tensor gets its identity.
            self._known[-id(tensor)] = tensor
        return self._known[id(tensor)]


def _check_hooks(module: Any, path: str) -> None:
    """Raise if code that is called with a module could change what it computes."""
    hooks = [
        *vars(module).get("_forward_hooks", {}).values(),
        *vars(module).get("_forward_pre_hooks", {}).values(),
    ]
    if any(not type(hook).__module__.startswith(_OF_TORCH) for hook in hooks):
        where = f"module '{path}'" if path else "module"
        raise InputError(f"{where} has hooks, code that is not read; remove them first")


def _fold_hooks(torch: Any, module: Any) -> None:
    """Compute the weights that hooks of torch.nn.utils (weight_norm, spectral_norm, pruning) compute in each call."""
    hooks = list(vars(module).get("_forward_pre_hooks", {}).values())
    vars(module)["_forward_pre_hooks"] = type(module._forward_hooks)() if hooks else module._forward_pre_hooks
    for hook in hooks:
        hook(module, ())
        for name in (getattr(hook, "name", None), getattr(hook, "_tensor_name", None)):
            if name is not None and isinstance(vars(module).get(name), torch.Tensor):
                weight = vars(module).pop(name).detach().clone()
                module._parameters[name] = torch.nn.Parameter(weight, requires_grad=False)


def _fold_parametrizations(torch: Any, module: Any) -> None:
    """Compute the weights that torch.nn.utils.parametrize computes in each call, and give the module its own class back."""
    if "parametrizations" not in vars(module).get("_modules", {}):
        return
    names = list(module.parametrizations)
    weights = {name: getattr(module, name).detach().clone() for name in names}
    del module._modules["parametrizations"]
    module.__class__ = type(module).__mro__[1]
    for name, weight in weights.items():
        module._parameters[name] = torch.nn.Parameter(weight, requires_grad=False)
