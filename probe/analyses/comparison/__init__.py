"""Two networks compared: hidden units matched by what they do, abilities, and the primary claims asked of both.

`units` correlates units and layers and says what chance gives, `matching` puts layers and units together, `weights` compares
weights in the terms of one network, `abilities` counts who gets what right, `analysis` is the function, `results` is what
is known in the end.
"""

from probe.analyses.comparison.analysis import compare_networks
from probe.analyses.comparison.results import ALPHA, SAME, Abilities, ClaimPair, Comparison, LayerPair

__all__ = ["ALPHA", "SAME", "Abilities", "ClaimPair", "Comparison", "LayerPair", "compare_networks"]
