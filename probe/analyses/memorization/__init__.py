"""Does a network also learn random labels? Designed experiments after Zhang et al., with replicates.

`design` says what is compared, `trial` trains the networks of one replicate, `combine` joins replicates to `results`,
`verdicts` judges the published claims by them, and `study` is all of it, in memory or in a folder.
"""

from probe.analyses.memorization.design import (
    DEFAULT_CONFIG,
    THRESHOLDS,
    Condition,
    ConditionsOf,
    MemorizationDesign,
    TrialKey,
)
from probe.analyses.memorization.results import (
    FORGETTING_BINS,
    ConditionSummary,
    Examples,
    Memorization,
    MemorizationCell,
)
from probe.analyses.memorization.study import MemorizationStudy, memorization, primary_estimates
from probe.analyses.memorization.trial import MemorizationTrial, run_trial, sampled_test

__all__ = [
    "DEFAULT_CONFIG",
    "FORGETTING_BINS",
    "THRESHOLDS",
    "Condition",
    "ConditionSummary",
    "ConditionsOf",
    "Examples",
    "Memorization",
    "MemorizationCell",
    "MemorizationDesign",
    "MemorizationStudy",
    "MemorizationTrial",
    "TrialKey",
    "memorization",
    "primary_estimates",
    "run_trial",
    "sampled_test",
]
