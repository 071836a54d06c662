"""Inference: numbers over replicates with intervals that cover, claims that they decide, and verdicts.

What the replicates are, units, images or networks, says the claim.
"""

from probe.stats.concentration import gini
from probe.stats.estimates import FEWEST, Estimate, count_estimate, mean_estimate, normal_estimate
from probe.stats.intervals import Interval, bootstrap_interval, mean_interval
from probe.stats.verdict import Agreement, Claim, Decision, Verdict, holm

__all__ = [
    "FEWEST",
    "Agreement",
    "Claim",
    "Decision",
    "Estimate",
    "Interval",
    "Verdict",
    "bootstrap_interval",
    "count_estimate",
    "gini",
    "holm",
    "mean_estimate",
    "mean_interval",
    "normal_estimate",
]
