"""How many random labels can a network learn by heart? Bisection over the number of images.

`design` says what is tried, `search` searches and joins the searches; a sweep on disk calls `next_number`,
`run_capacity_fit` and `capacity_of` itself.
"""

from probe.analyses.capacity.design import CAPACITY_CONFIG, CapacityDesign, CapacityKey
from probe.analyses.capacity.search import (
    Capacity,
    CapacityFit,
    CapacityTrial,
    capacity,
    capacity_of,
    next_number,
    run_capacity_fit,
    run_capacity_trial,
)

__all__ = [
    "CAPACITY_CONFIG",
    "Capacity",
    "CapacityDesign",
    "CapacityFit",
    "CapacityKey",
    "CapacityTrial",
    "capacity",
    "capacity_of",
    "next_number",
    "run_capacity_fit",
    "run_capacity_trial",
]
