"""The cost around and along the way of one network: descent, path and surface.

`path` follows gradient descent, `steepness` compares slopes, `descent` goes along `directions`, `activations` trains with
steps in place of slopes, `plane` is for the page, and `analysis` looks around the network and puts everything together.
"""

from probe.analyses.landscape.activations import StepActivations
from probe.analyses.landscape.analysis import Landscape, LossSurface, landscape, primary_estimates
from probe.analyses.landscape.descent import Components, Descent, affordable_looks
from probe.analyses.landscape.path import TrainingPath
from probe.analyses.landscape.plane import CostPlane, cost_plane
from probe.analyses.landscape.steepness import Steepness

__all__ = [
    "Components",
    "CostPlane",
    "Descent",
    "Landscape",
    "LossSurface",
    "Steepness",
    "StepActivations",
    "TrainingPath",
    "affordable_looks",
    "cost_plane",
    "landscape",
    "primary_estimates",
]
