"""Whether weight images have more structure than chance, and whether units are edge detectors.

`meter` measures weight images, `edges` fits Gabor functions, `nulls` draws what they are held against, `measuring` does
all of it for one network, `analysis` says what follows, and `results` is what is known in the end.
"""

from probe.analyses.structure.analysis import EDGES, RANDOM, primary_estimates, weight_structure
from probe.analyses.structure.edges import EDGE_SHARE
from probe.analyses.structure.results import LABELS, NULLS, STATISTICS, StructureNull, WeightStructure

__all__ = [
    "EDGE_SHARE",
    "LABELS",
    "NULLS",
    "PRIMARY_CLAIMS",
    "STATISTICS",
    "StructureNull",
    "WeightStructure",
    "primary_estimates",
    "weight_structure",
]

PRIMARY_CLAIMS = (RANDOM, EDGES)
"""What `primary_estimates` decides."""
