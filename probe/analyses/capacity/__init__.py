"""How many random labels can a network memorize? Bisection over the number of images.

`design` says what is tried, `results` what the searches come to, `study` searches, in memory or in a folder.
"""

from probe.analyses.capacity.design import CAPACITY_CONFIG, CapacityDesign, CapacityKey
from probe.analyses.capacity.results import Capacity, CapacityFit, CapacityTrial
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
