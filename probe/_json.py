"""Values as JSON holds them."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

__all__ = ["json_default", "plain"]


def json_default(value: object) -> object:
    """Return arrays, numbers of NumPy and mappings as JSON holds them: what `json.dumps` takes as `default`."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def plain(value: object) -> object:
    """Return `value` as JSON can hold it: no arrays, and null for what is not finite.

    Examples
    --------
    >>> plain({"costs": np.array([0.5, np.nan])})
    {'costs': [0.5, None]}
    """
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
