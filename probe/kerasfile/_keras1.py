"""Layers as Keras 1 described them, in the words of Keras 2: only where there is one meaning.

Keras 1 does not say which backend wrote a file, and those computed different things: Theano turned the kernels of a
convolution around. But TensorFlow's names of arrays end in ":0" and Theano's do not, by which `kernel_order` tells them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from probe._errors import ModelFileError
from probe.kerasfile._config import LayerSpec, Shape
from probe.safeh5 import printable, shown

__all__ = ["KERAS_1", "backend_of", "check_backend", "is_keras_1", "stored_kernel", "translated"]

KERAS_1 = "written by Keras 1.x"

_AGAIN = "load the file with Keras 2.0 to 2.3, which translates it, and save it again"

_SIGNS = re.compile(r'"(W_regularizer|nb_filter|border_mode|dim_ordering|nb_row)" *:')

_NEUTRAL = frozenset(
    [
        "W_constraint",
        "W_learning_rate_multiplier",
        "W_regularizer",
        "activity_regularizer",
        "b_constraint",
        "b_learning_rate_multiplier",
        "b_regularizer",
        "beta_constraint",
        "beta_init",
        "beta_regularizer",
        "cache_enabled",
        "custom_name",
        "gamma_constraint",
        "gamma_init",
        "gamma_regularizer",
        "init",
        "initial_weights",
        "input_dim",
        "input_dtype",
        "input_length",
        "momentum",
        "name",
        "batch_input_shape",
        "batch_input_dtype",
        "trainable",
        "weights",
    ]
)
"""Settings that have no effect at prediction, or that Keras 2 has too."""

Entry = dict[str, Any]


def is_keras_1(keras: int | None, text: str) -> bool:
    """Return whether a configuration is one of Keras 1: by its version, or the settings that only Keras 1 had."""
    return keras == 1 or _SIGNS.search(text) is not None


def backend_of(paths: Iterable[str]) -> str:
    """Return which backend wrote a file, by the names of its arrays; "" where they do not say."""
    names = list(paths)
    if any(name.endswith(":0") for name in names):
        return "tensorflow"
    return "theano" if any(re.search(r"_(W|b|gamma)$", name) for name in names) else ""


def stored_kernel(shape: Shape) -> Shape:
    """Return the shape in which Keras 1 stored a kernel, of this shape in Keras 2, where channels come first."""
    rows, columns, n_in, filters = shape
    return filters, n_in, rows, columns


def check_backend(spec: LayerSpec, backend: str) -> None:
    """Refuse a layer of which the backends made different things, where it is not known which did, or one did other."""
    is_convolution, is_same = spec.class_name == "Conv2D", spec.config.get("padding") == "same"
    if is_convolution and not backend:
        spec.refuse(f"is {KERAS_1}, and the names of its arrays do not say which backend wrote it; {_AGAIN}")
    if (
        spec.class_name in ("Conv2D", "MaxPooling2D", "AveragePooling2D")
        and is_same
        and backend != "tensorflow"
    ):
        sizes = spec.pair("kernel_size", 0, minimum=0) if is_convolution else (0, 0)
        # With these Theano put as many pixels at both ends as TensorFlow does.
        if spec.pair("strides", 1) != (1, 1) or not all(size % 2 for size in sizes):
            spec.refuse(
                f"is {KERAS_1} on Theano, whose padding 'same' is not read with these sizes; {_AGAIN}"
            )


def translated(entry: object) -> object:
    """Return the entry of a layer as Keras 2 writes it.

    Raises
    ------
    ModelFileError
        If its class or a setting has no such meaning.
    """
    if not isinstance(entry, dict) or not isinstance(entry.get("config"), dict):
        return entry
    class_name = entry.get("class_name")
    if not isinstance(class_name, str) or class_name in ("Sequential", "Model", "InputLayer", "Lambda"):
        return entry
    settings = _Settings(class_name, entry["config"])
    name, translate = _LAYERS.get(class_name, ("", _merge))
    if class_name == "Merge":
        name = _MERGES.get(str(settings.get("mode")), "")
    if not name:
        settings.refuse(f"which cannot be read; {_AGAIN}")
    config = translate(settings)
    settings.check_rest()
    kept = {
        key: entry["config"][key]
        for key in ("name", "trainable", "batch_input_shape")
        if key in entry["config"]
    }
    return entry | {"class_name": name, "config": kept | config}


class _Settings:
    """The settings of a layer of Keras 1, which must all be read or known to be neutral."""

    def __init__(self, class_name: str, config: Mapping[str, Any]) -> None:
        self.class_name, self.config = class_name, config
        self.read = set[str]()

    def refuse(self, problem: str) -> Any:
        name = printable(self.config.get("name", ""), 60)
        raise ModelFileError(f"layer '{name}' ({printable(self.class_name, 40)}) is {KERAS_1}, {problem}")

    def get(self, key: str, default: Any = None) -> Any:
        self.read.add(key)
        return self.config.get(key, default)

    def check_rest(self) -> None:
        for key, value in self.config.items():
            if key not in self.read and key not in _NEUTRAL and value not in (None, [], {}):
                self.refuse(f"with {printable(key, 40)} = {shown(value)}, which cannot be read; {_AGAIN}")

    def only(self, key: str, *values: Any) -> None:
        """Refuse a setting that is other than one of `values`, the first of which is the default."""
        value = self.get(key, values[0])
        if value not in values:
            self.refuse(f"with {key} = {shown(value)}, which cannot be read; {_AGAIN}")

    def data_format(self) -> str:
        order = self.get("dim_ordering", "")
        if order not in ("th", "tf"):
            self.refuse(
                f"with dim_ordering = {shown(order)}, which does not say where the channels are; {_AGAIN}"
            )
        return "channels_first" if order == "th" else "channels_last"

    def margins(self) -> Any:
        padding = self.get("padding", [1, 1])
        if isinstance(padding, list) and len(padding) == 4:
            return [padding[:2], padding[2:]]
        return padding


def _dense(settings: _Settings) -> Entry:
    return {
        "units": settings.get("output_dim"),
        "activation": settings.get("activation", "linear"),
        "use_bias": settings.get("bias", True),
    }


def _convolution(settings: _Settings) -> Entry:
    return {
        "filters": settings.get("nb_filter"),
        "kernel_size": [settings.get("nb_row"), settings.get("nb_col")],
        "strides": settings.get("subsample", [1, 1]),
        "dilation_rate": settings.get("atrous_rate", [1, 1]),
        "padding": settings.get("border_mode", "valid"),
        "data_format": settings.data_format(),
        "activation": settings.get("activation", "linear"),
        "use_bias": settings.get("bias", True),
    }


def _pooling(settings: _Settings) -> Entry:
    return {
        "pool_size": settings.get("pool_size", [2, 2]),
        "strides": settings.get("strides"),
        "padding": settings.get("border_mode", "valid"),
        "data_format": settings.data_format(),
    }


def _normalization(settings: _Settings) -> Entry:
    # In the other modes it used the statistics of what it was given.
    settings.only("mode", 0)
    return {"axis": settings.get("axis", -1), "epsilon": settings.get("epsilon", 1e-3)}


def _merge(settings: _Settings) -> Entry:
    settings.only("output_shape", None)
    settings.only("output_mask", None)
    for key in ("mode_type", "dot_axes", "arguments", "output_shape_type", "output_mask_type"):
        settings.get(key)
    if settings.config.get("layers"):
        settings.refuse(f"with branches of its own, which cannot be read; {_AGAIN}")
    axis = settings.get("concat_axis", -1)
    return {"axis": axis} if settings.config.get("mode") == "concat" else {}


def _same(*keys: str, **names: str) -> Callable[[_Settings], Entry]:
    """Return a translation that keeps some settings, and gives others the names that Keras 2 has for them."""

    def translate(settings: _Settings) -> Entry:
        found = {key: settings.get(key) for key in keys} | {
            new: settings.get(old) for new, old in names.items()
        }
        return {key: value for key, value in found.items() if value is not None}

    return translate


def _with_format(translate: Callable[[_Settings], Entry]) -> Callable[[_Settings], Entry]:
    return lambda settings: translate(settings) | {"data_format": settings.data_format()}


_MERGES = {"sum": "Add", "mul": "Multiply", "ave": "Average", "max": "Maximum", "concat": "Concatenate"}
"""What a Merge of each mode is."""

_LAYERS: dict[str, tuple[str, Callable[[_Settings], Entry]]] = {
    "Dense": ("Dense", _dense),
    "Convolution2D": ("Conv2D", _convolution),
    "AtrousConvolution2D": ("Conv2D", _convolution),
    "MaxPooling2D": ("MaxPooling2D", _pooling),
    "AveragePooling2D": ("AveragePooling2D", _pooling),
    "GlobalMaxPooling2D": ("GlobalMaxPooling2D", _with_format(_same())),
    "GlobalAveragePooling2D": ("GlobalAveragePooling2D", _with_format(_same())),
    "ZeroPadding2D": ("ZeroPadding2D", _with_format(lambda settings: {"padding": settings.margins()})),
    "Cropping2D": ("Cropping2D", _with_format(_same("cropping"))),
    "UpSampling2D": ("UpSampling2D", _with_format(_same("size"))),
    "BatchNormalization": ("BatchNormalization", _normalization),
    "Flatten": ("Flatten", _same()),
    "Reshape": ("Reshape", _same("target_shape")),
    "Permute": ("Permute", _same("dims")),
    "Activation": ("Activation", _same("activation")),
    "LeakyReLU": ("LeakyReLU", _same("alpha")),
    "ELU": ("ELU", _same("alpha")),
    "ThresholdedReLU": ("ThresholdedReLU", _same("theta")),
    "PReLU": ("PReLU", _same("shared_axes")),
    "Dropout": ("Dropout", _same(rate="p")),
    "SpatialDropout2D": (
        "SpatialDropout2D",
        lambda settings: {"rate": settings.get("p"), **_order(settings)},
    ),
    "GaussianDropout": ("GaussianDropout", _same(rate="p")),
    "GaussianNoise": ("GaussianNoise", _same(stddev="sigma")),
    "ActivityRegularization": ("ActivityRegularization", _same("l1", "l2")),
}
"""What can be translated: the class of Keras 2 and its settings."""


def _order(settings: _Settings) -> Entry:
    settings.get("dim_ordering")
    return {}
