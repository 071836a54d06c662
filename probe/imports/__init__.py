"""Networks that were trained with other libraries, taken from memory: scikit-learn and PyTorch."""

from probe.imports._sklearn import from_sklearn
from probe.imports._torch import from_torch

__all__ = ["from_sklearn", "from_torch"]
