"""How confident a network is where there is nothing to be confident of.

`confidence` is one network on kinds of noise, `severity` the way from digits to noise over networks and nulls, `limit` what
is infinitely far away.
"""

from probe.analyses.noise.confidence import noise_confidence
from probe.analyses.noise.limit import ConfidenceLimit, confidence_limit
from probe.analyses.noise.results import (
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
    "GROUPS",
    "KINDS",
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
]
