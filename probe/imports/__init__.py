"""Networks that were trained with other libraries: from memory, and from files of PyTorch and ONNX."""

from probe.imports._open import foreign_kind, read_foreign
from probe.imports._sklearn import from_sklearn
from probe.imports._torch import from_torch
from probe.imports.onnx import is_onnx, onnx_obstacles, read_onnx

__all__ = [
    "foreign_kind",
    "from_sklearn",
    "from_torch",
    "is_onnx",
    "onnx_obstacles",
    "read_foreign",
    "read_onnx",
]
