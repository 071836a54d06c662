"""Which examples are memorized? Each is scored by how much training on it helps to get it right.

`results` says which networks are trained on what, and what they come to; `study` trains them, in memory or in a folder.
"""

from probe.analyses.scores.results import (
    SCORES_CONFIG,
    MemorizationScores,
    ScoredGroup,
    ScoresDesign,
    ScoresKey,
    ScoresTrial,
    balanced_masks,
)
from probe.analyses.scores.study import ScoresStudy, memorization_scores

__all__ = [
    "SCORES_CONFIG",
    "MemorizationScores",
    "ScoredGroup",
    "ScoresDesign",
    "ScoresKey",
    "ScoresStudy",
    "ScoresTrial",
    "balanced_masks",
    "memorization_scores",
]
