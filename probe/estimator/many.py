"""Many classifiers fitted to the same inputs as populations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.utils.validation import validate_data

from probe._bars import ShownProgress
from probe._checks import InputError
from probe._signatures import checked
from probe.estimator._fits import ROWS, begun, train
from probe.estimator.classifier import NetworkClassifier

__all__ = ["fit_many"]


@checked
def fit_many(
    estimators: Sequence[NetworkClassifier],
    X: Any,
    y: Any,
    sample_weight: Any = None,
    *,
    progress: ShownProgress = "auto",
) -> list[NetworkClassifier]:
    """Fit many classifiers to the same inputs, as populations: much faster than one after the other.

    Networks are trained together if they have the same layers, `batch_size`, `epochs` and so on, and see the samples in the
    same order. They may differ in `learning_rate`, in `y`, and in their first weights. Others form populations of their
    own. The order follows from `random_state`. It does not matter where one minibatch holds all samples, and those without
    a `random_state` share one.

    Parameters
    ----------
    estimators : sequence of NetworkClassifier
        They stay as they are. Whether they are fitted already does not matter.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Inputs, finite.
    y : array-like of shape (n_samples,) or (n_estimators, n_samples)
        The classes, or those of each estimator.
    sample_weight : array-like of shape (n_samples,), optional
        How much each sample counts, at least 0; all alike without.
    progress : callable, "auto" or None
        Called with a `ProgressEvent` after each epoch. "auto" shows a bar in a terminal or a notebook.

    Returns
    -------
    list of NetworkClassifier
        Fitted copies, in order: the same as each by itself, up to rounding.

    Raises
    ------
    InputError
        If there is no estimator, a parameter of one is outside its range, or the data do not fit.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> X, y = load_digits(return_X_y=True)
    >>> rates = 0.1, 0.3, 1.0
    >>> models = [NetworkClassifier(learning_rate=rate, epochs=5, random_state=0) for rate in rates]
    >>> [model.history_.n_epochs for model in fit_many(models, X / 16, y)]
    [5, 5, 5]
    """
    assert callable(progress)
    if not len(estimators):
        raise InputError("estimators must hold at least one NetworkClassifier, got none")
    try:
        ys = [y] * len(estimators) if np.ndim(y) < 2 else list(np.asarray(y))
        if len(ys) != len(estimators):
            raise InputError(f"y must have a row for each of {len(estimators)} estimators, got {len(ys)}")
        fitted = [clone(estimator) for estimator in estimators]
        x = validate_data(fitted[0], X, ys[0], **ROWS)[0]
        for other in fitted[1:]:
            validate_data(other, X, skip_check_array=True)
        tasks = [begun(estimator, labels, x) for estimator, labels in zip(fitted, ys, strict=True)]
    except (TypeError, ValueError) as error:
        raise InputError(str(error)) from error
    train(tasks, x, sample_weight, progress)
    return fitted
