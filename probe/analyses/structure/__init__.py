"""Whether weight images have more structure than chance.

`results` is what is known in the end, `meter` the statistics, `nulls` what they are held against.
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
