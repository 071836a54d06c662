"""A multilayer perceptron as a classifier of scikit-learn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import _check_partial_fit_first_call
from sklearn.utils.validation import check_is_fitted, validate_data

from probe._checks import Array
from probe.costs import CostName, OutputName
from probe.estimator._fits import ROWS, begun, dense, train
from probe.network import Network
from probe.optimizers import OptimizerName
from probe.population import InitializationName

__all__ = ["NetworkClassifier"]


class NetworkClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A multilayer perceptron as a classifier of scikit-learn, with the network to look into.

    It can stand wherever scikit-learn takes a classifier. `network_` is a `probe.Network`, on which every analysis works.

    Parameters
    ----------
    hidden : sequence of int
        Units of each hidden layer; empty for none.
    activation : str
        Activation of the hidden layers, as in `probe.MLP`.
    output : {"softmax", "sigmoid"}
        Activation of the last layer.
    initialization : {"auto", "normal", "scaled-normal", "glorot", "he"}
        How the first weights are drawn, as in `probe.MLP`.
    epochs : int
        Passes over the data of `fit`, at least 1.
    batch_size : int
        Samples in each minibatch, at least 1. If it is as large as the data, every step sees all of them.
    learning_rate : float
        Step size, above 0.
    cost : {"cross-entropy", "quadratic"}
        Cost to minimize.
    optimizer : {"sgd", "momentum", "nesterov", "adam"}
        Rule that makes steps of gradients. What momentum and Adam keep starts anew at each call of `fit` and `partial_fit`.
    momentum : float
        Momentum of "momentum" and "nesterov", in [0, 1].
    weight_decay : float
        Weight decay, at least 0.
    schedule : {"constant", "step", "cosine"}
        How the learning rate changes over the epochs of `fit`, as in `probe.TrainingConfig`.
    step_epochs : int
        Epochs between two steps of the schedule "step", at least 1.
    step_factor : float
        Factor of each step of the schedule "step", in (0, 1].
    stop : {"never", "fitted"}
        "fitted" ends after the first epoch in which the share `until` of the samples is right.
    until : float
        See `stop`; in (0, 1].
    evaluation : {"epoch", "end"}
        When cost and accuracy are measured: after each epoch, or, which is faster, only after the last.
    random_state : int, RandomState instance or None
        Draws the first weights and the order of the samples. Pass an int for the same network in every call.
    warm_start : bool
        Whether `fit` goes on from the network that is there.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes, sorted.
    network_ : Network
        What was trained, with inputs (n_features,). For images that were flattened row by row:
        `network_.with_input_shape((28, 28))`.
    history_ : TrainingHistory
        Cost and accuracy on the training data after each epoch, weighted if the samples are. `test_accuracy` is NaN, for
        there are no test data.
    n_iter_ : int
        Epochs in `history_`.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, if the inputs had names that are strings.

    Notes
    -----
    Inputs may be of any range, and nothing is scaled in secret. Features of very different size train badly: put a
    `StandardScaler` in front, and divide pixels by their largest value. Sparse inputs become dense. Inputs in float32 train
    in float32, which is faster; all others in float64.

    A sample of weight 0 is left out. The others count in the mean of their minibatch by their weight. So a weight of 2 is
    exactly the same as the sample twice where one minibatch holds all samples, and nearly so where it does not.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.model_selection import cross_val_score
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> model = make_pipeline(StandardScaler(), NetworkClassifier(random_state=0))
    >>> bool(cross_val_score(model, *load_iris(return_X_y=True)).mean() > 0.9)
    True
    """

    def __init__(
        self,
        hidden: Sequence[int] = (16, 16),
        *,
        activation: str = "sigmoid",
        output: OutputName = "softmax",
        initialization: InitializationName = "auto",
        epochs: int = 100,
        batch_size: int = 100,
        learning_rate: float = 1.0,
        cost: CostName = "cross-entropy",
        optimizer: OptimizerName = "sgd",
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        schedule: str = "cosine",
        step_epochs: int = 10,
        step_factor: float = 0.1,
        stop: str = "never",
        until: float = 1.0,
        evaluation: str = "epoch",
        random_state: Any = None,
        warm_start: bool = False,
    ) -> None:
        self.hidden = hidden
        self.activation = activation
        self.output = output
        self.initialization = initialization
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.cost = cost
        self.optimizer = optimizer
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.schedule = schedule
        self.step_epochs = step_epochs
        self.step_factor = step_factor
        self.stop = stop
        self.until = until
        self.evaluation = evaluation
        self.random_state = random_state
        self.warm_start = warm_start

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train a network; with `warm_start`, the one that is there.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Inputs, finite.
        y : array-like of shape (n_samples,)
            Their classes: numbers or strings, at least two of them.
        sample_weight : array-like of shape (n_samples,), optional
            How much each sample counts, at least 0; all alike without.

        Returns
        -------
        NetworkClassifier
            The estimator itself.

        Raises
        ------
        ValueError
            If a parameter is outside its range, or the data cannot be learned from.
        """
        is_new = not (self.warm_start and hasattr(self, "network_"))
        x = validate_data(self, X, y, reset=is_new, **ROWS)[0]
        train([begun(self, y, x, is_new=is_new)], x, sample_weight)
        return self

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Go once over some more data, at the constant learning rate.

        Parameters
        ----------
        X, y, sample_weight
            As for `fit`.
        classes : array-like of shape (n_classes,), optional
            All classes that will come. The first call needs them, unless `fit` came before.

        Returns
        -------
        NetworkClassifier
            The estimator itself.

        Raises
        ------
        ValueError
            If a parameter is outside its range, or the data cannot be learned from.
        """
        is_new = not hasattr(self, "network_")
        if is_new or classes is not None:
            _check_partial_fit_first_call(self, classes)
        x = validate_data(self, X, y, reset=is_new, **ROWS)[0]
        task = begun(self, y, x, is_new=is_new, classes=self.classes_)
        train([replace(task, config=replace(task.config, epochs=1))], x, sample_weight)
        return self

    def decision_function(self, X: Any) -> Array:
        """Return the logits; of sigmoid outputs their logarithms, so that `predict_proba` is the softmax of either.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        ndarray of shape (n_samples, n_classes), or (n_samples,) of two classes
            For two classes the score of the second less that of the first: the logit of its probability.
        """
        scores = self._scores(X)
        return scores if len(self.classes_) > 2 else scores[:, 1] - scores[:, 0]

    def predict_proba(self, X: Any) -> Array:
        """Return the probability of each class; what sigmoid outputs say is divided by its sum.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        ndarray of shape (n_samples, n_classes), in [0, 1]
            In the order of `classes_`; rows sum to one.
        """
        return np.asarray(softmax(self._scores(X), axis=1))

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """Return the class with the largest logit.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        ndarray of shape (n_samples,)
            Out of `classes_`.
        """
        best = self._logits(X).argmax(axis=1)
        return np.asarray(self.classes_[best])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def _scores(self, X: Any) -> Array:
        """Return what `predict_proba` is the softmax of, of shape (n_samples, n_classes)."""
        logits = self._logits(X)
        is_sigmoid = self.network_.output_name == "sigmoid"
        return np.asarray(-np.logaddexp(0, -logits)) if is_sigmoid else logits

    def _logits(self, X: Any) -> Array:
        check_is_fitted(self)
        network: Network = self.network_
        return network.logits(dense(validate_data(self, X, reset=False, **ROWS)))
