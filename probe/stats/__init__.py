"""Inference over replicates. The replicate is the network, never the image.

Few networks are trained, often five: a bootstrap interval is then too narrow and Student's t leans on
normality, so a difference counts only where both find it (`Difference.decision`).
"""

from probe.stats.comparisons import Difference, Equivalence, equivalence, paired_difference
from probe.stats.concentration import gini
from probe.stats.estimates import FEWEST, Estimate, count_estimate, mean_estimate, normal_estimate
from probe.stats.intervals import Interval, bootstrap_interval, mean_interval
from probe.stats.updates import UpdatesRatio, ratio_of_updates
from probe.stats.verdict import Agreement, Claim, Decision, Verdict, holm

__all__ = [
    "FEWEST",
    "Agreement",
    "Claim",
    "Decision",
    "Difference",
    "Equivalence",
    "Estimate",
    "Interval",
    "UpdatesRatio",
    "Verdict",
    "bootstrap_interval",
    "count_estimate",
    "equivalence",
    "gini",
    "holm",
    "mean_estimate",
    "mean_interval",
    "normal_estimate",
    "paired_difference",
    "ratio_of_updates",
]
