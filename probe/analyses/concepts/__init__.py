"""Which concepts, computed from pixels, hidden layers hold, and whether in single units.

`pixels` computes the concepts, `units` measures, `analysis` holds measurements against their nulls, and `results` is what is
known in the end.
"""

from probe.analyses.concepts.analysis import concepts
from probe.analyses.concepts.pixels import ImageConcepts, image_concepts
from probe.analyses.concepts.results import Concepts, LayerConcepts

__all__ = ["Concepts", "ImageConcepts", "LayerConcepts", "concepts", "image_concepts"]
