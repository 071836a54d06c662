"""The cost around and along the way of one network: descent, path and surface.

`descent` compares directions, `activations` trains with steps in place of slopes, `surface` follows gradient descent
and looks around the network, `analysis` puts everything together; `learning` is plain gradient descent for any layers.
"""

from probe.analyses.landscape.activations import StepActivations
from probe.analyses.landscape.analysis import Landscape, landscape
from probe.analyses.landscape.descent import Components, Descent
from probe.analyses.landscape.surface import LossSurface, TrainingPath

__all__ = [
    "Components",
    "Descent",
    "Landscape",
    "LossSurface",
    "StepActivations",
    "TrainingPath",
    "landscape",
]
