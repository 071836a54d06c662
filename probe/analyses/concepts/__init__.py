"""Which concepts, computed from pixels, hidden layers hold within classes, and whether in single units.

`pixels` computes the concepts, `units` says what layers are on images, `within` compares images of one class,
`selectivity` holds units against chance and random directions, `loops` and `claims` decide, and `results` is what is known
in the end.
"""

from probe.analyses.concepts.analysis import concepts
from probe.analyses.concepts.claims import LOOPS
from probe.analyses.concepts.loops import LoopSample, loop_sample, primary_estimates
from probe.analyses.concepts.pixels import ImageConcepts, image_concepts
from probe.analyses.concepts.results import Concepts, LayerConcepts, LoopUnits

__all__ = [
    "PRIMARY_CLAIMS",
    "Concepts",
    "ImageConcepts",
    "LayerConcepts",
    "LoopSample",
    "LoopUnits",
    "concepts",
    "image_concepts",
    "loop_sample",
    "primary_estimates",
]

PRIMARY_CLAIMS = (LOOPS,)
"""What `primary_estimates` decides."""
