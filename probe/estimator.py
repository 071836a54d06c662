"""A classifier of scikit-learn on the engine of training, and many of them fitted as one population."""

from __future__ import annotations

import copy
import warnings
from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import assert_all_finite, check_consistent_length, check_random_state, column_or_1d
from sklearn.utils.multiclass import _check_partial_fit_first_call, check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from probe._bars import ShownProgress
from probe._checks import (
    Array,
    InputError,
    brief,
    check_class_names,
    check_floats,
    check_number,
    check_shape,
    chunks,
)
from probe._progress import Progress, silent
from probe._signatures import checked
from probe.costs import CostName, OutputName
from probe.network import Network
from probe.optimizers import OptimizerName
from probe.population import MLP, InitializationName, Population, initial_population
from probe.training import (
    PopulationResult,
    PreparedData,
    Shard,
    TrainingConfig,
    TrainingHistory,
    train_shards,
)

__all__ = ["NetworkClassifier", "fit_many"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_SHARD_SIZE = 16
"""Networks that share minibatches at a time."""

_LARGE = 10.0
"""Inputs beyond this may be what a network learns nothing of."""

_ROWS = {"accept_sparse": "csr", "dtype": (np.float64, np.float32)}
"""How scikit-learn checks the inputs: float32 stays what it is, all else becomes float64."""


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
        x = validate_data(self, X, y, reset=is_new, **_ROWS)[0]
        _train([_begin(self, y, x, is_new=is_new)], x, sample_weight)
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
        x = validate_data(self, X, y, reset=is_new, **_ROWS)[0]
        task = _begin(self, y, x, is_new=is_new, classes=self.classes_)
        _train([replace(task, config=replace(task.config, epochs=1))], x, sample_weight)
        return self

    def decision_function(self, X: Any) -> Array:
        """Return the logits.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        ndarray of shape (n_samples, n_classes), or (n_samples,) of two classes
            For two classes the logit of the second less that of the first.
        """
        logits = self._logits(X)
        return logits if len(self.classes_) > 2 else logits[:, 1] - logits[:, 0]

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
        logits = self._logits(X)
        if self.network_.output_name == "sigmoid":
            logits = -np.logaddexp(0, -logits)
        return np.asarray(softmax(logits, axis=1))

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

    def _logits(self, X: Any) -> Array:
        check_is_fitted(self)
        network: Network = self.network_
        return network.logits(_dense(validate_data(self, X, reset=False, **_ROWS)))


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
        x = validate_data(fitted[0], X, ys[0], **_ROWS)[0]
        for other in fitted[1:]:
            validate_data(other, X, skip_check_array=True)
        tasks = [_begin(estimator, labels, x) for estimator, labels in zip(fitted, ys, strict=True)]
    except (TypeError, ValueError) as error:
        raise InputError(str(error)) from error
    _train(tasks, x, sample_weight, progress)
    return fitted


@dataclass(frozen=True, slots=True, eq=False)
class _Task:
    """An estimator, and what is to be done for it; `order` says whose minibatches are the same."""

    estimator: NetworkClassifier
    labels: Ints
    start: Population
    config: TrainingConfig
    order: Hashable
    before: TrainingHistory | None


def _begin(
    estimator: NetworkClassifier, y: Any, x: Any, *, is_new: bool = True, classes: Any = None
) -> _Task:
    """Check the labels and the parameters, and return what is to be trained."""
    y = column_or_1d(y, warn=True)
    assert_all_finite(y, input_name="y")
    check_consistent_length(x, y)
    check_classification_targets(y)
    architecture = MLP(estimator.hidden, estimator.activation, estimator.output, estimator.initialization)
    names = [field.name for field in fields(TrainingConfig) if field.name != "dtype"]
    settings = {name: getattr(estimator, name) for name in names}
    config = TrainingConfig(**settings, dtype="float32" if x.dtype == np.float32 else "float64")
    if is_new:
        estimator.classes_ = np.unique(y) if classes is None else classes
        seed = int(check_random_state(estimator.random_state).randint(2**31))
        start_rng, estimator._order_rng = np.random.default_rng(seed).spawn(2)
        start = _start(estimator.classes_, x.shape[1], architecture, start_rng, config)
        order: Hashable = "any" if estimator.random_state is None else seed
    else:
        start, order = _continued(estimator, architecture, config), id(estimator)
    unknown = np.setdiff1d(y, estimator.classes_)
    if len(unknown):
        raise InputError(
            f"y must hold the classes that came before, {brief(list(map(str, estimator.classes_)))}, "
            f"got {unknown[0]}"
        )
    labels = np.searchsorted(estimator.classes_, y)
    return _Task(estimator, labels, start, config, order, None if is_new else estimator.history_)


def _start(
    classes: npt.NDArray[Any],
    n_features: int,
    architecture: MLP,
    rng: np.random.Generator,
    config: TrainingConfig,
) -> Population:
    """Return one network before training."""
    if len(classes) < 2:
        raise InputError(f"y must hold at least 2 classes, got one class: {classes[0]}")
    names = check_class_names("classes in y", tuple(str(name) for name in classes))
    return initial_population(architecture, (n_features,), names, rngs=[rng], dtype=config.dtype)


def _continued(estimator: NetworkClassifier, architecture: MLP, config: TrainingConfig) -> Population:
    """Return the network that an estimator has, as a population of one."""
    layers = estimator.network_.dense_layers
    *hidden, last = ((layer.n_units, layer.activation.name) for layer in layers)
    wanted = [(width, architecture.activation) for width in architecture.hidden]
    if hidden != wanted or last[1] != architecture.output:
        raise InputError(
            "hidden, activation and output must be those of the network that is there, to go on with it; clone the "
            "estimator to train another one"
        )
    return Population(
        architecture,
        estimator.network_.input_shape,
        estimator.network_.class_names,
        tuple(layer.kernel.T[None].astype(config.dtype) for layer in layers),
        tuple(layer.variables["bias"][None].astype(config.dtype) for layer in layers),
    )


def _train(tasks: Sequence[_Task], x: Any, sample_weight: Any, progress: Progress = silent) -> None:
    """Train what belongs together as one population, and give the estimators what came out."""
    x = _dense(x)
    if sample_weight is not None:
        x, tasks, sample_weight = _weighted(x, tasks, sample_weight)
    alike: defaultdict[TrainingConfig, list[_Task]] = defaultdict(list)
    for task in tasks:
        alike[replace(task.config, learning_rate=1.0)].append(task)
    for n_done, (config, members) in enumerate(alike.items()):
        stage = "fitting" if len(alike) == 1 else f"fitting, part {n_done + 1} of {len(alike)}"
        config = replace(config, learning_rate=members[0].config.learning_rate)
        with np.errstate(over="ignore"):
            data = PreparedData.of_rows((x, members[0].labels), (x[:0], members[0].labels[:0]), config)
        parts = list(_sharing(members, is_whole=config.batch_size >= len(x)))
        shards = [_shard(part, data, config, sample_weight) for part in parts]
        results = train_shards(shards, config, progress=progress, stage=stage)
        if any(result.interrupted for result in results):
            raise KeyboardInterrupt
        for part, shard, result in zip(parts, shards, results, strict=True):
            for k, task in enumerate(part):
                _finish(task, shard, result, k)
                _warn_of_range(task, x, sample_weight, int(result.diverged_epoch[k]))


def _weighted(
    x: Array, tasks: Sequence[_Task], sample_weight: Any
) -> tuple[Array, list[_Task], Floats | None]:
    """Return all without the samples that do not count, and the weights, None if they are equal."""
    weights = check_floats("sample_weight", sample_weight)
    check_shape("sample_weight", weights.shape, (len(x),))
    check_number("the smallest sample_weight", weights.min(), minimum=0)
    counts = weights > 0
    if not counts.any():
        raise InputError("sample_weight must have a weight above zero, got zeros only")
    weights = weights[counts]
    tasks = [replace(task, labels=task.labels[counts]) for task in tasks]
    return x[counts], tasks, None if np.ptp(weights) == 0 else weights


def _sharing(members: Sequence[_Task], *, is_whole: bool) -> Iterator[list[_Task]]:
    """Go through what can share minibatches, so many at a time; of whole data the order does not matter."""
    groups: defaultdict[Hashable, list[_Task]] = defaultdict(list)
    for task in members:
        start = task.start
        groups[start.architecture, start.class_names, None if is_whole else task.order].append(task)
    for group in groups.values():
        yield from (group[part] for part in chunks(len(group), _SHARD_SIZE))


def _shard(
    part: Sequence[_Task], data: PreparedData, config: TrainingConfig, weights: Floats | None
) -> Shard:
    starts = [task.start for task in part]
    kernels, biases = (
        tuple(np.concatenate(layer) for layer in zip(*arrays, strict=True))
        for arrays in ([start.weights for start in starts], [start.biases for start in starts])
    )
    labels = np.stack([task.labels for task in part])
    rates = np.array([task.config.learning_rate for task in part])
    return Shard(
        replace(starts[0], weights=kernels, biases=biases),
        data,
        copy.deepcopy(part[0].estimator._order_rng),
        labels if (labels != labels[0]).any() else labels[:1],
        None if (rates == config.learning_rate).all() else rates,
        None if weights is None else np.broadcast_to(weights, labels.shape),
    )


def _finish(task: _Task, shard: Shard, result: PopulationResult, k: int) -> None:
    """Give an estimator its network and history."""
    estimator = task.estimator
    diverged, fitted = int(result.diverged_epoch[k]), int(result.fitted_epoch[k])
    history = result.history.member(k).first(diverged or fitted or result.history.n_epochs)
    if task.before is not None:
        pairs = zip(task.before.arrays().items(), history.arrays().values(), strict=True)
        history = TrainingHistory(**{name: np.concatenate([old, new]) for (name, old), new in pairs})
    estimator.network_ = result.population.network(k)
    estimator.history_ = history
    estimator.n_iter_ = history.n_epochs
    estimator._order_rng = copy.deepcopy(shard.order_rng)


def _warn_of_range(task: _Task, x: Array, weights: Floats | None, diverged: int) -> None:
    """Warn of a network that diverged, or that learned nothing of inputs that are large."""
    estimator, problem = task.estimator, ""
    counts = np.bincount(task.labels, weights)
    share = counts.max() / counts.sum()
    learned_nothing = share < 1 and estimator.history_.train_accuracy[-1] <= share + 1e-9
    if diverged:
        problem = f"training diverged in epoch {diverged}, and network_ is from the epoch before"
    elif learned_nothing and np.abs(x).max() > _LARGE:
        problem = (
            f"always naming the commonest class is right as often, and inputs reach {np.abs(x).max():.3g}"
        )
    if problem:
        rule = f"scale the inputs, as StandardScaler does, or make learning_rate={estimator.learning_rate:g} smaller"
        warnings.warn(f"{problem}; {rule}", ConvergenceWarning, stacklevel=4)


def _dense(x: Any) -> Array:
    """Return checked inputs as an array."""
    return np.asarray(x.toarray() if hasattr(x, "toarray") else x)
