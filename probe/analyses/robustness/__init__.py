"""Whether what is said of one network holds for networks of other recipes, lengths of training, widths and data.

`results` says what is tried and what follows from it, `study` trains and judges the networks.
"""

from probe.analyses.robustness.results import (
    CLAIMS,
    FACTORS,
    Robustness,
    RobustnessDesign,
    RobustnessKey,
    RobustnessTrial,
)
from probe.analyses.robustness.study import RobustnessStudy, primary_estimates, robustness

__all__ = [
    "CLAIMS",
    "FACTORS",
    "Robustness",
    "RobustnessDesign",
    "RobustnessKey",
    "RobustnessStudy",
    "RobustnessTrial",
    "primary_estimates",
    "robustness",
]
