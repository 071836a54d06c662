"""Classifiers that scikit-learn trained."""

from __future__ import annotations

import math
from typing import Any

from probe._checks import InputError, check_finite
from probe.layers import Dense, Flatten, Layer
from probe.network import Network

__all__ = ["from_sklearn"]

ACTIVATION_NAMES = {"identity": "linear", "logistic": "sigmoid", "tanh": "tanh", "relu": "relu"}


def from_sklearn(model: Any, input_shape: tuple[int, ...] | None = None) -> Network:
    """Return the network of a fitted `sklearn.neural_network.MLPClassifier`.

    Its layers are called `hidden_1`, `hidden_2`, ... and `output`; its classes as in `model.classes_`. Its
    outputs are `model.predict_proba`: for two classes, where scikit-learn has one unit of the logit z of the
    second class, the network has two units and a softmax, with the logits -z/2 and z/2.

    Parameters
    ----------
    model : MLPClassifier
        It must be fitted, with one class for each sample.
    input_shape : tuple of int, optional
        Shape of one input, such as (28, 28) for images that were flattened row by row before the fit;
        (n_features,) by default.

    Returns
    -------
    Network
        With copies of the weights, float64 or float32 as they were fitted.

    Raises
    ------
    InputError
        If `model` is no such classifier, is not fitted or has several labels for each sample, a weight is
        not finite, or `input_shape` has another number of values than its features.

    Examples
    --------
    >>> from sklearn.neural_network import MLPClassifier
    >>> x, y = np.eye(4), np.array(["no", "yes", "no", "yes"])
    >>> model = MLPClassifier((3,), solver="lbfgs", random_state=0).fit(x, y)
    >>> network = from_sklearn(model, (2, 2))
    >>> network.layer_names, network.class_names
    (('flatten', 'hidden_1', 'output'), ('no', 'yes'))
    >>> bool(np.allclose(network.outputs(x.reshape(4, 2, 2)), model.predict_proba(x)))
    True
    """
    _check(model)
    n_features = model.coefs_[0].shape[0]
    shape = (n_features,) if input_shape is None else tuple(input_shape)
    if not shape or not all(type(size) is int and size > 0 for size in shape):
        raise InputError(f"input_shape must be a tuple of positive integers, got {input_shape!r}")
    if math.prod(shape) != n_features:
        raise InputError(f"input_shape must have {n_features} values, the features of the model, got {shape}")
    layers: list[Layer] = [Flatten("flatten")] if len(shape) > 1 else []
    activation = ACTIVATION_NAMES[model.activation]
    *hidden, (kernel, bias) = zip(model.coefs_, model.intercepts_, strict=True)
    layers += [Dense(f"hidden_{k}", *weights, activation) for k, weights in enumerate(hidden, start=1)]
    last = "sigmoid" if model.out_activation_ == "logistic" else "softmax"
    layers.append(Dense("output", kernel, bias, last))
    names = tuple(str(name) for name in model.classes_)
    return Network(tuple(layers), shape, names).with_two_logits()


def _check(model: Any) -> None:
    from sklearn.neural_network import MLPClassifier

    name = type(model).__name__
    if not isinstance(model, MLPClassifier):
        hint = "; pass the classifier in it, and inputs as the steps before it make them" * hasattr(
            model, "steps"
        )
        raise InputError(f"model must be a scikit-learn MLPClassifier, got {name}{hint}")
    if not hasattr(model, "coefs_"):
        raise InputError(f"model must be fitted, but this {name} is not: call its fit(x, y) first")
    if model.out_activation_ == "logistic" and model.n_outputs_ > 1:
        raise InputError(f"model must give each sample one class, but this {name} gives each several labels")
    for setting in ("coefs_", "intercepts_"):
        for place, values in enumerate(getattr(model, setting)):
            check_finite(f"{setting}[{place}] of the model", values)
