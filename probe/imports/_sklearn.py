"""Networks from classifiers of scikit-learn."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from probe._checks import Array, InputError, brief, check_choice, check_finite, check_sizes
from probe.imports._untouched import changed_method, check_same_outputs
from probe.layers import Dense, Flatten, Layer
from probe.network import Network

__all__ = ["from_sklearn"]

ACTIVATION_NAMES = {"identity": "linear", "logistic": "sigmoid", "tanh": "tanh", "relu": "relu"}

METHODS = ("__getattr__", "__getattribute__", "_forward_pass_fast", "_predict", "predict", "predict_proba")
"""The methods that run when a classifier is asked for probabilities and classes."""

FITTED = ("coefs_", "intercepts_", "classes_", "n_outputs_", "n_layers_", "out_activation_")

CLEAR = 1e-3
"""How much more probable the first class must be than the second for the two to be told apart."""


def from_sklearn(model: Any, input_shape: tuple[int, ...] | None = None) -> Network:
    """Return the network of a fitted `sklearn.neural_network.MLPClassifier`.

    Its layers are called `hidden_1`, `hidden_2`, ... and `output`. Its classes are those of `model.classes_`, its
    outputs those of `model.predict_proba`. For two classes scikit-learn has one unit, with the logit z of the second
    class. The network has two units with the logits -z/2 and z/2, and a softmax.

    Parameters
    ----------
    model : MLPClassifier
        A fitted classifier, with one class for each sample.
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
        If `model` is no such classifier or of a subclass, is not fitted or has several labels for each sample,
        a weight is not finite, `input_shape` has another number of values than its features, or the outputs are
        not those of `model`.

    Notes
    -----
    At the end the network and `model` run on the same random inputs. No probability may differ by more than
    1e-7 in float64 and 1e-3 in float32, and both must predict the same class.

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
    n_features = len(model.coefs_[0])
    shape: tuple[int, ...] = (n_features,)
    if input_shape is not None:
        shape = check_sizes("input_shape", input_shape, "(n_features,) or the shape of as many values")
    if math.prod(shape) != n_features:
        raise InputError(f"input_shape must have {n_features} values, the features of the model, got {shape}")
    layers: list[Layer] = [Flatten("flatten")] if len(shape) > 1 else []
    activation = ACTIVATION_NAMES[model.activation]
    *hidden, (kernel, bias) = zip(model.coefs_, model.intercepts_, strict=True)
    layers += [Dense(f"hidden_{k}", *weights, activation) for k, weights in enumerate(hidden, start=1)]
    last = "sigmoid" if model.out_activation_ == "logistic" else "softmax"
    layers.append(Dense("output", kernel, bias, last))
    names = tuple(str(name) for name in model.classes_)
    network = Network(tuple(layers), shape, names).with_two_logits()
    # In the type of the fit: scikit-learn computes with the weights as they are.
    check_same_outputs(network, lambda x: _outputs(model, network, x), "model", network.dtype)
    return network


def _check(model: Any) -> None:
    from sklearn.neural_network import MLPClassifier

    name = type(model).__name__
    if type(model) is not MLPClassifier:
        hint = ""
        if hasattr(model, "steps"):
            hint = "; pass the classifier in it, and inputs as the steps before it make them"
        elif isinstance(model, MLPClassifier):
            hint = ", a subclass of it; what a subclass computes is in its code, which is not read"
        raise InputError(f"model must be a scikit-learn MLPClassifier, got {name}{hint}")
    method = changed_method(model, METHODS)
    if method is not None:
        raise InputError(f"model has a {method} of its own, code that is not read; remove it first")
    missing = [fitted for fitted in FITTED if not hasattr(model, fitted)]
    if missing:
        raise InputError(
            f"model must be fitted, but this {name} has no {missing[0]}: call its fit(x, y) first"
        )
    check_choice("activation of the model", model.activation, ACTIVATION_NAMES)
    if model.out_activation_ == "logistic" and model.n_outputs_ != 1:
        raise InputError(f"model must give each sample one class, but this {name} gives each several labels")
    wanted = "logistic" if model.n_outputs_ == 1 else "softmax"
    if model.out_activation_ != wanted:
        raise InputError(
            f"model must have {wanted!r} as its out_activation_ for {brief(model.n_outputs_)} outputs, "
            f"got {brief(model.out_activation_)}"
        )
    _check_weights(model.coefs_, model.intercepts_)


def _check_weights(coefs: object, intercepts: object) -> None:
    for setting, arrays, n_axes in (("coefs_", coefs, 2), ("intercepts_", intercepts, 1)):
        if not isinstance(arrays, (list, tuple)) or not arrays:
            raise InputError(f"{setting} of the model must be a list of arrays, got {brief(arrays)}")
        for place, values in enumerate(arrays):
            name = f"{setting}[{place}] of the model"
            if type(values) is not np.ndarray or values.dtype not in (np.float32, np.float64):
                kind = getattr(values, "dtype", "")
                raise InputError(
                    f"{name} must be an array of float32 or float64, got {type(values).__name__} {kind}".rstrip()
                )
            if values.ndim != n_axes:
                raise InputError(f"{name} must have {n_axes} axes, got shape {values.shape}")
            check_finite(name, values)
    if len(coefs) != len(intercepts):  # type: ignore[arg-type]
        raise InputError(
            f"coefs_ and intercepts_ of the model must be as many, got {len(coefs)} and {len(intercepts)}"  # type: ignore[arg-type]
        )


def _outputs(model: Any, network: Network, x: Array) -> Array:
    """Return the probabilities of the model, or raise if it does not call the most probable class by its name."""
    rows = x.reshape(len(x), -1)
    probabilities: Array = model.predict_proba(rows)
    predicted = [str(name) for name in model.predict(rows)]
    ordered = np.sort(probabilities, axis=1)
    for margin, place, name in zip(
        ordered[:, -1] - ordered[:, -2], probabilities.argmax(axis=1), predicted, strict=True
    ):
        if margin > CLEAR and network.class_names[place] != name:
            raise ValueError(f"its predict says {name!r} where classes_ says {network.class_names[place]!r}")
    return probabilities
