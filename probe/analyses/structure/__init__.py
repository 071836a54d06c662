"""Whether weight images have more structure than chance.

`nulls` measures weight images and what they are held against, `results` is what is known in the end.
"""

from probe.analyses.structure.analysis import weight_structure
from probe.analyses.structure.results import (
    LABELS,
    NULLS,
    STATISTICS,
    StructureEffect,
    StructureNull,
    WeightStructure,
)

__all__ = [
    "LABELS",
    "NULLS",
    "STATISTICS",
    "StructureEffect",
    "StructureNull",
    "WeightStructure",
    "weight_structure",
]
