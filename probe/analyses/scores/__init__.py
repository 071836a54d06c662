"""Which examples are memorized? Each is scored by how much training on it helps to get it right.

`design` says which networks are trained on what, `results` what they come to, `study` trains them, in memory or in
a folder.
"""

from probe.analyses.scores.design import SCORES_CONFIG, ScoresDesign, ScoresKey, balanced_masks
from probe.analyses.scores.results import MemorizationScores, ScoredGroup, ScoresTrial
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
