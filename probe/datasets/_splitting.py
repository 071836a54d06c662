"""A fixed, stratified split for data that come without one."""

from __future__ import annotations

import numpy as np

from probe._checks import InputError, IntArray

__all__ = ["last_of_each_class"]


def last_of_each_class(labels: IntArray, *, parts: int) -> tuple[IntArray, IntArray]:
    """Return the samples to train on and to test on: the test set is every class's last share.

    Of a class with n samples the last n // parts are test samples, and at least one if n > 1. The
    last ones and not random ones, because many files hold their test part at the end (the last
    seventh of each class of OpenML's Fashion-MNIST is its official test set) and neighbors
    in a file are often alike (one writer's digits), so that a random choice would leak.

    Parameters
    ----------
    labels : ndarray of shape (n_samples,), integer
        The class of each sample.
    parts : int
        A share of 1/parts becomes the test set.

    Returns
    -------
    train, test : ndarray of int64
        Indices in ascending order; together every sample once.

    Raises
    ------
    InputError
        If no class has two samples, so that no test set can be split off.

    Examples
    --------
    >>> import numpy as np
    >>> train, test = last_of_each_class(np.array([0, 1, 0, 1, 0, 1]), parts=3)
    >>> train, test
    (array([0, 1, 2, 3]), array([4, 5]))
    """
    tails = []
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        n_test = max(len(members) // parts, 1) if len(members) > 1 else 0
        tails.append(members[len(members) - n_test :])
    is_test = np.zeros(len(labels), dtype=np.bool_)
    is_test[np.concatenate(tails)] = True
    if not is_test.any():
        raise InputError("no test set can be split off, because no class has two images; pass a test set too")
    return np.flatnonzero(~is_test), np.flatnonzero(is_test)
