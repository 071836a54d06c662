"""How confident a network is where there is nothing to be confident of.

`confidence` is one network on kinds of noise, `ladder` the way from digits to noise over networks and nulls, `limit` what
is infinitely far away.
"""

from probe.analyses.noise.confidence import ConditionConfidence, NoiseConfidence, noise_confidence
from probe.analyses.noise.ladder import noise_ladder
from probe.analyses.noise.ladder_results import ARMS, SCORES, THRESHOLDS, LadderRung, NoiseLadder
from probe.analyses.noise.limit import ConfidenceLimit, confidence_limit
from probe.analyses.noise.readers import CALIBRATION_BINS

__all__ = [
    "ARMS",
    "CALIBRATION_BINS",
    "SCORES",
    "THRESHOLDS",
    "ConditionConfidence",
    "ConfidenceLimit",
    "LadderRung",
    "NoiseConfidence",
    "NoiseLadder",
    "confidence_limit",
    "noise_confidence",
    "noise_ladder",
]
