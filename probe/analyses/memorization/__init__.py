"""Does a network also learn random labels? Designed experiments after Zhang et al., with replicates.

`design` says what is compared, `trial` trains the networks of one replicate, `combine` joins replicates to `results`,
`verdicts` judges the published claims by them, and `study` runs it all in memory. A sweep on disk calls
`run_trial` and `memorization_of` itself.
"""

from probe.analyses.memorization.combine import memorization_of
from probe.analyses.memorization.design import (
    DEFAULT_CONFIG,
    DEFAULT_RATES,
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
from probe.analyses.memorization.study import (
    chosen_conditions,
    conditions_at,
    memorization,
    run_study,
    trial_medians,
)
from probe.analyses.memorization.trial import MemorizationTrial, run_trial, sampled_test

__all__ = [
    "DEFAULT_CONFIG",
    "DEFAULT_RATES",
    "FORGETTING_BINS",
    "THRESHOLDS",
    "Condition",
    "ConditionSummary",
    "ConditionsOf",
    "Examples",
    "Memorization",
    "MemorizationCell",
    "MemorizationDesign",
    "MemorizationTrial",
    "TrialKey",
    "chosen_conditions",
    "conditions_at",
    "memorization",
    "memorization_of",
    "run_study",
    "run_trial",
    "sampled_test",
    "trial_medians",
]
