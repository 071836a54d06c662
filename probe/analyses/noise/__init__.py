"""How confident a network is where there is nothing to be confident of.

`confidence` is one network on kinds of noise, `severity` the way from images to noise beside control networks, `limit` what
is infinitely far away.
"""

from probe.analyses.noise.confidence import SURE, noise_confidence, primary_estimates
from probe.analyses.noise.limit import ConfidenceLimit, confidence_limit
from probe.analyses.noise.results import (
    CONFIDENT,
    GROUPS,
    KINDS,
    SCORES,
    THRESHOLDS,
    ConditionConfidence,
    NoiseCondition,
    NoiseConfidence,
    NoiseSeverity,
)
from probe.analyses.noise.severity import noise_severity

__all__ = [
    "CONFIDENT",
    "GROUPS",
    "KINDS",
    "PRIMARY_CLAIMS",
    "SCORES",
    "THRESHOLDS",
    "ConditionConfidence",
    "ConfidenceLimit",
    "NoiseCondition",
    "NoiseConfidence",
    "NoiseSeverity",
    "confidence_limit",
    "noise_confidence",
    "noise_severity",
    "primary_estimates",
]

PRIMARY_CLAIMS = (SURE,)
"""What `primary_estimates` decides."""
