"""Labels made wrong on purpose, to see whether a network can learn them by heart."""

from __future__ import annotations

import numpy as np

from probe._checks import InputError, IntArray, check_number, check_rng

__all__ = ["permuted_labels"]


def permuted_labels(labels: IntArray, *, rng: np.random.Generator, fraction: float = 1.0) -> IntArray:
    """Return labels of which a random part has been permuted among its samples.

    A permutation keeps the number of samples in each class, so that a network gains nothing from
    the class frequencies that it would not gain from the true labels. By chance some samples keep
    their label: about one in ten with ten equally frequent classes.

    Parameters
    ----------
    labels : ndarray of shape (n_samples,), integer
        The true labels.
    rng : numpy.random.Generator
        Source of randomness: which samples take part, and their permutation.
    fraction : float in [0, 1], default 1
        Share of the samples that take part; ``round(fraction * n_samples)`` of them.

    Returns
    -------
    ndarray of shape (n_samples,), int64
        A new array, with the class counts of `labels`.

    Raises
    ------
    InputError
        If `labels` is not a row of integers, or `fraction` lies outside [0, 1].

    References
    ----------
    Zhang, Bengio, Hardt, Recht, Vinyals: Understanding deep learning requires rethinking
    generalization. ICLR 2017. There labels are drawn anew; here they are permuted.

    Examples
    --------
    >>> import numpy as np
    >>> labels = np.array([0, 0, 1, 1, 2, 2])
    >>> permuted = permuted_labels(labels, rng=np.random.default_rng(0))
    >>> np.bincount(permuted)
    array([2, 2, 2])
    """
    check_rng(rng)
    share = check_number("fraction", fraction, minimum=0.0, maximum=1.0)
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise InputError(
            f"labels must be integers of shape (n_samples,), got {labels.dtype} of shape {labels.shape}"
        )
    chosen = rng.choice(len(labels), size=round(share * len(labels)), replace=False)
    permuted = labels.astype(np.int64)
    permuted[chosen] = permuted[rng.permutation(chosen)]
    return permuted
