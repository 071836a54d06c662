"""How many random labels can a network memorize? Bisection over the number of images.

`results` says what is tried and what the searches come to, `study` searches, in memory or in a folder.
"""

from probe.analyses.capacity.results import (
    CAPACITY_CONFIG,
    Capacity,
    CapacityDesign,
    CapacityFit,
    CapacityKey,
    CapacityTrial,
)
from probe.analyses.capacity.study import CapacityStudy, capacity

__all__ = [
    "CAPACITY_CONFIG",
    "Capacity",
    "CapacityDesign",
    "CapacityFit",
    "CapacityKey",
    "CapacityStudy",
    "CapacityTrial",
    "capacity",
]
