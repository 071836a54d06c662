"""The cost around and along the way of one network: descent, path and surface.

`results` is what is known in the end; `descent` compares directions, `activations` trains with steps in place of
slopes, `path` follows gradient descent, `surface` looks around; `learning` is plain gradient descent for any layers.
"""

from probe.analyses.landscape.analysis import landscape
from probe.analyses.landscape.results import (
    Components,
    Descent,
    Landscape,
    LossSurface,
    StepActivations,
    TrainingPath,
)

__all__ = [
    "Components",
    "Descent",
    "Landscape",
    "LossSurface",
    "StepActivations",
    "TrainingPath",
    "landscape",
]
