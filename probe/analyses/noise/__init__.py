"""How confident a network is where there is nothing to be confident of.

`confidence` is one network on kinds of noise, `severity` the way from digits to noise over networks and nulls, `limit` what
is infinitely far away.
"""

from probe.analyses.noise.confidence import ConditionConfidence, NoiseConfidence, noise_confidence
from probe.analyses.noise.limit import ConfidenceLimit, confidence_limit
from probe.analyses.noise.readers import KINDS, SCORES, THRESHOLDS
from probe.analyses.noise.severity import noise_severity
from probe.analyses.noise.severity_results import GROUPS, NoiseCondition, NoiseSeverity

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
