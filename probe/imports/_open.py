"""Files of other libraries than Keras, told by their content: .pt2, .onnx and .safetensors."""

from __future__ import annotations

import os
from typing import Literal, get_args

from probe._checks import check_choice
from probe._errors import ModelFileError, printable
from probe._signatures import checked
from probe.imports._safetensors import is_safetensors, read_tensors
from probe.imports.exported import is_exported, read_exported
from probe.imports.onnx import is_onnx, read_onnx
from probe.network import Network
from probe.safeh5 import DEFAULT_LIMITS, Limits

__all__ = ["foreign_kind", "read_foreign"]

Kind = Literal["exported", "onnx", "safetensors"]


@checked
def foreign_kind(path: str | os.PathLike[str]) -> Kind | None:
    """Return which kind of file this is; None for one of Keras, or one that is not known or cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile() as file:
    ...     _ = file.write(bytes([2, 0, 0, 0, 0, 0, 0, 0]) + b"{}")
    ...     file.flush()
    ...     foreign_kind(file.name)
    'safetensors'
    """
    if is_exported(path):
        return "exported"
    if is_safetensors(path):
        return "safetensors"
    return "onnx" if is_onnx(path) else None


@checked
def read_foreign(
    path: str | os.PathLike[str],
    kind: Kind,
    *,
    architecture: str | os.PathLike[str] | None = None,
    input_shape: tuple[int, ...] | None = None,
    limits: Limits | None = DEFAULT_LIMITS,
) -> Network:
    """Read the network of a file of a kind that `foreign_kind` gave.

    Parameters
    ----------
    path, kind
        The file, and which kind it is of.
    architecture : path, optional
        For .safetensors, which holds weights only: a .pt2 or .onnx file with the graph that they belong to.
    input_shape : tuple of int, optional
        Shape of one input with the channels last, for a file that leaves sizes open.
    limits : Limits or None
        What is read at most.

    Raises
    ------
    ModelFileError
        If the file cannot be read, has no architecture or one that is its own and another one is given.
    """
    check_choice("kind", kind, get_args(Kind))
    shown_path = printable(os.fspath(path), 200)
    if kind == "safetensors":
        if architecture is None:
            raise ModelFileError(
                f"{shown_path} holds weights only; pass the graph that they belong to as well: --architecture MODEL.pt2, "
                "which torch.export.save(torch.export.export(module.eval(), (example,)), 'MODEL.pt2') writes"
            )
        return _with_tensors(shown_path, path, architecture, input_shape, limits)
    if architecture is not None:
        raise ModelFileError(f"{shown_path} has its own architecture; leave out --architecture")
    if kind == "exported":
        return read_exported(path, input_shape=input_shape, limits=limits)
    return read_onnx(path, input_shape=input_shape, limits=limits)


def _with_tensors(
    shown_path: str,
    path: str | os.PathLike[str],
    architecture: str | os.PathLike[str],
    input_shape: tuple[int, ...] | None,
    limits: Limits | None,
) -> Network:
    kind = foreign_kind(architecture)
    if kind not in ("exported", "onnx"):
        raise ModelFileError(
            f"{printable(os.fspath(architecture), 200)} is no architecture for {shown_path}; pass a .pt2 or .onnx file, "
            "whose graph calls weights by the names that they have there; axes of other libraries would have to be guessed"
        )
    tensors = read_tensors(path, limits=limits)
    try:
        read = read_exported if kind == "exported" else read_onnx
        return read(architecture, tensors=tensors, input_shape=input_shape, limits=limits)
    except ModelFileError as error:
        raise ModelFileError(f"{shown_path}, with {error}") from None
