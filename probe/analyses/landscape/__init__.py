"""The cost around and along the way of one network: descent, path and surface.

`path` follows gradient descent, `descent` compares directions, `activations` trains with steps in place of slopes, and
`analysis` looks around the network and puts everything together.
"""

from probe.analyses.landscape.activations import StepActivations
from probe.analyses.landscape.analysis import Landscape, LossSurface, landscape
from probe.analyses.landscape.descent import Components, Descent
from probe.analyses.landscape.path import TrainingPath

__all__ = [
    "Components",
    "Descent",
    "Landscape",
    "LossSurface",
    "StepActivations",
    "TrainingPath",
    "landscape",
]
