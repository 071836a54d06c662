"""The hardest and the easiest examples of a study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from probe._checks import readonly
from probe.analyses.memorization.trial import MemorizationTrial
from probe.datasets import Dataset

__all__ = ["Examples", "examples_of"]

Ints = npt.NDArray[np.int64]

_EXAMPLES = 16
"""Hardest examples kept of a condition, and as many of the easiest."""


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """The hardest and the easiest examples of one condition, over all of its networks.

    Harder is what was never learned, then what was learned later, forgotten more often, and left with a
    smaller margin. An image that came up in several replicates stands for its hardest (easiest) time.

    Attributes
    ----------
    cell : int
        Which networks: place in `Memorization.cells`, and
    condition : str
        their condition.
    indices : ndarray of shape (n_examples,)
        Places in the training data.
    images : ndarray of shape (n_examples, height, width[, channels]), in [0, 1]
        As in the training data.
    taught, true_labels : ndarray of shape (n_examples,)
        Classes.
    first_learned : ndarray of shape (n_examples,)
        Epoch, or 0 for never.
    forgetting : ndarray of shape (n_examples,)
        Forgetting events.
    n_hardest : int
        The first of them are the hardest, hardest first; the others the easiest, easiest first.
    """

    cell: int
    condition: str
    indices: Ints
    images: npt.NDArray[np.float32]
    taught: Ints
    true_labels: Ints
    first_learned: Ints
    forgetting: Ints
    n_hardest: int

    def __post_init__(self) -> None:
        for name in ("indices", "images", "taught", "true_labels", "first_learned", "forgetting"):
            object.__setattr__(self, name, readonly(getattr(self, name)))


def examples_of(
    trials: Sequence[MemorizationTrial], cell: int, condition: int, name: str, train: Dataset
) -> Examples:
    """Return the hardest and the easiest examples of one condition of a cell over its networks."""
    fields = ("first_learned", "forgetting", "margin", "labels")
    found = {field: np.concatenate([getattr(t, field)[condition] for t in trials]) for field in fields}
    indices = np.concatenate([trial.sample_indices for trial in trials])
    never = found["first_learned"] == 0
    order = np.lexsort((-found["margin"], found["forgetting"], found["first_learned"], never))
    ends = [_distinct(indices, side)[:_EXAMPLES] for side in (order[::-1], order)]
    hardest = ends[0]
    easiest = ends[1][~np.isin(indices[ends[1]], indices[hardest])]
    rows = np.concatenate([hardest, easiest])
    return Examples(
        cell=cell,
        condition=name,
        indices=indices[rows],
        images=train.images[indices[rows]],
        taught=found["labels"][rows].astype(np.int64),
        true_labels=train.labels[indices[rows]],
        first_learned=found["first_learned"][rows].astype(np.int64),
        forgetting=found["forgetting"][rows].astype(np.int64),
        n_hardest=len(hardest),
    )


def _distinct(indices: Ints, order: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """Return `order` with only the first row of every image."""
    return order[np.sort(np.unique(indices[order], return_index=True)[1])]
