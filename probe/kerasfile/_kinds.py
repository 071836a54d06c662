"""How one class of Keras layer is read and written: from what the class says of itself, and how activations are."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args, get_origin, get_type_hints

import numpy as np

from probe._checks import Array
from probe._errors import InputError, ModelFileError
from probe.kerasfile._config import MAX_AXES, LayerSpec, Shape, check_origin
from probe.layers import (
    ACTIVATIONS,
    FUNCTIONS,
    LAYERS,
    LEAKY_RELU_SLOPE,
    Activation,
    Clip,
    Elu,
    Layer,
    LeakyRelu,
    Merge,
    Power,
    Relu,
    Softmax,
)
from probe.safeh5 import printable, shown

__all__ = [
    "ACTIVATION_CLASSES",
    "NON_TRAINABLE",
    "UNREAD",
    "LayerKind",
    "Reader",
    "Settings",
    "Variables",
    "activation_class",
    "activation_layer",
    "activation_setting",
    "kind_for",
    "positive",
]

Pair = tuple[int, int]
Settings = dict[str, Any]
Variables = dict[str, Shape]
Reader = Callable[[LayerSpec, Shape], Any]
"""Maps the specification and the shape of one input to the value of one setting."""

UNREAD = frozenset({"count"})
"""Variables that are in files and that no layer needs: how many batches a Normalization has seen."""

NON_TRAINABLE = UNREAD.union(*(layer.measured for layer in LAYERS.values()))
"""Variables that Keras lists behind all others of a model."""

MAX_FLOAT32 = float(np.finfo(np.float32).max)

_SWITCHES = {"bias": "use_bias", "gamma": "scale", "beta": "center"}
"""The settings of Keras that say whether a layer has one of the variables that it can be without."""

_UNREADABLE = ("renorm", "rms_scaling")
"""Settings that change what a layer computes, and that no layer here has."""

_OTHER_NAMES = {
    "swish": "silu",
    "hard_swish": "hard_silu",
    # What TensorFlow before 2.13 called its own functions.
    "softmax_v2": "softmax",
    "log_softmax_v2": "log_softmax",
}

_NAMED = (*ACTIVATIONS, *FUNCTIONS, "softmax", "log_softmax")


@dataclass(frozen=True, slots=True)
class LayerKind:
    """How layers of one class are read and written; `kind_for` makes it.

    Attributes
    ----------
    layer : type of Layer
        The class here.
    settings : mapping
        How to read each argument of `layer` that is no array, by name. Keras' names and these are the same, but for
        `activation_name`.
    write : callable
        Maps a layer, and its `settings` as Keras writes them, to all settings that Keras writes.
    variables : callable, optional
        Maps the specification and the shape of one input to the shapes of all variables that the layer can have,
        by name, in the order in which Keras stores them; for most layers the class knows.
    output_shape : callable, optional
        Maps the specification and the shape of one input to that of one output, without any array; for
        layers without variables the layer itself knows.
    buffer : callable, optional
        Maps the specification and the shape of one input to the number of values in the largest array that the
        layer needs on the way to one output, if that can be more than its input and its output have.
    """

    layer: type[Layer]
    settings: Mapping[str, Reader] = field(default_factory=dict)
    write: Callable[[Any, Settings], Settings] = lambda _layer, settings: settings
    variables: Callable[[LayerSpec, Shape], Variables] | None = None
    output_shape: Callable[[LayerSpec, Shape], Shape] | None = None
    buffer: Callable[[LayerSpec, Shape], int] | None = None

    @property
    def switches(self) -> dict[str, str]:
        """The settings that say whether there is a variable, by its name."""
        names = {argument.name for argument in fields(self.layer)} - self.settings.keys()  # type: ignore[arg-type]
        return {name: switch for name, switch in _SWITCHES.items() if name in names}

    def read(self, spec: LayerSpec, shape: Shape) -> Settings:
        """Return the arguments of `layer` that are no arrays, for inputs of `shape`."""
        for setting in _UNREADABLE:
            if spec.config.get(setting):
                spec.refuse(f"has {setting} = True, which cannot be read")
        return {name: reader(spec, shape) for name, reader in self.settings.items()}

    def read_for(self, spec: LayerSpec, shapes: Sequence[Shape]) -> Settings:
        """Return what `read` does, for inputs of several shapes."""
        return self.read(spec, shapes[0])

    def variable_shapes(self, spec: LayerSpec, shape: Shape) -> Variables:
        """Return the shapes of the variables, for inputs of `shape`, in Keras' order."""
        if self.variables is not None:
            shapes = self.variables(spec, shape)
        else:
            shapes = self.layer.variable_shapes(shape, self.read(spec, shape))
        absent = {name for name, switch in self.switches.items() if not spec.boolean(switch, default=True)}
        return {name: sizes for name, sizes in shapes.items() if name not in absent}

    def written(self, layer: Layer) -> Settings:
        """Return the settings that Keras writes for `layer`, without its name and its type."""
        settings: Settings = {}
        for name in self.settings:
            if name == "activation_name":
                settings["activation"] = _activation_config(layer.activation)
            else:
                # No axes are null in Keras.
                settings[name] = _plain(getattr(layer, name) if getattr(layer, name) != () else None)
        for name, switch in self.switches.items():
            settings[switch] = getattr(layer, name) is not None
        return self.write(layer, settings)

    def prepared(self, variables: Mapping[str, Array]) -> dict[str, Array | None]:
        """Return the arrays that the layer takes, read-only, which calls of one layer can share."""
        # All are widened to the widest, which loses nothing.
        dtype = np.result_type(*variables.values()) if variables else np.dtype(np.float32)
        arrays: dict[str, Array | None] = dict.fromkeys(self.switches)
        for name, values in variables.items():
            arrays[name] = array = values.astype(dtype, copy=False)
            array.flags.writeable = False
        return arrays

    def build(self, spec: LayerSpec, settings: Settings, prepared: Mapping[str, Array | None]) -> Layer:
        """Return the layer that `spec` describes, with its settings and what `prepared` returned."""
        return self.layer(name=spec.name, **prepared, **settings)  # type: ignore[call-arg]

    def output_shape_for(self, spec: LayerSpec, settings: Settings, shapes: Sequence[Shape]) -> Shape:
        """Return the shape of one output, which may be any."""
        if not issubclass(self.layer, Merge) and len(shapes) != 1:
            spec.refuse(f"is called with {len(shapes)} inputs, takes one")
        if self.output_shape is not None:
            return self.output_shape(spec, shapes[0])
        return self.build(spec, settings, {}).output_shape(*shapes)

    def shape_of(self, spec: LayerSpec, settings: Settings, shapes: Sequence[Shape], most: int) -> Shape:
        """Return the shape of one output for inputs of `shapes`, and allocate nothing.

        Outputs and arrays on the way of more than `most` values are refused.
        """
        shape = self.output_shape_for(spec, settings, shapes)
        short = str(shape) if len(shape) <= 4 else f"arrays of {len(shape)} axes"
        if min(shape, default=1) <= 0:
            spec.refuse(f"puts out {short}, which holds no value")
        if len(shape) > MAX_AXES:
            spec.refuse(f"puts out {short}, more than the {MAX_AXES} that are computed with")
        if math.prod(shape) > most:
            spec.refuse(f"puts out {short}, more than {most} values")
        self.check_buffer(spec, shapes[0], most)
        return shape

    def check_buffer(self, spec: LayerSpec, shape: Shape, most: int) -> None:
        """Refuse a layer that needs an array of more than `most` values on the way to one output."""
        needed = self.buffer(spec, shape) if self.buffer is not None else 0
        if needed > most:
            spec.refuse(f"needs an array of {needed} values for one input, more than {most}")


def _plain(value: Any) -> Any:
    """Return a setting as JSON holds it: tuples as lists, numbers as Python's own."""
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value.item() if isinstance(value, np.generic) else value


def kind_for(layer: type[Layer], settings: Mapping[str, Reader] | None = None, **parts: Any) -> LayerKind:
    """Return how to read and write a class of layers, from what it says of itself.

    Its arguments that are no arrays are settings: they have the names that Keras gives them, and are read as their
    types say, unless `settings` says how. The shapes of its arrays are those of `Layer.variable_shapes`.
    """
    types = get_type_hints(layer)
    readers = dict(settings or {})
    for argument in fields(layer):  # type: ignore[arg-type]
        kind = types[argument.name]
        if kind in (Array, Array | None):
            if not layer.is_elementwise and "output_shape" not in parts:
                raise TypeError(f"{layer.__name__} has arrays: KINDS must say what shape it puts out")
            parts.setdefault("output_shape", lambda _spec, shape: shape)
        elif argument.name not in ("name", *readers):
            readers[argument.name] = _reader(argument.name, kind, argument.default)
    return LayerKind(layer, readers, **parts)


def _reader(name: str, kind: Any, default: Any) -> Reader:
    """Return how to read the argument `name` of a layer, by its name or its type."""
    if name in _BY_NAME:
        return _BY_NAME[name]
    if get_origin(kind) is Literal:
        return lambda spec, _shape: spec.choice(name, get_args(kind))
    readers: dict[Any, Reader] = {
        bool: lambda spec, _shape: spec.boolean(name, default),
        int: lambda spec, shape: spec.axis(len(shape), default, name),
        float: lambda spec, _shape: spec.number(name, default),
        tuple[int, ...]: lambda spec, shape: spec.axes(len(shape), list(default), name),
        Pair: lambda spec, _shape: spec.pair(name, default),
        Pair | None: lambda spec, _shape: spec.pair(name) if spec.has(name) else None,
        tuple[Pair, Pair]: lambda spec, _shape: spec.margins(name),
    }
    if kind not in readers:
        raise TypeError(f"setting {name} of type {kind} cannot be read by its type: KINDS must say how")
    return readers[kind]


def positive(spec: LayerSpec, key: str, default: float, maximum: float | None = None) -> float:
    """Return the setting `key`, a number from 0 to `maximum`."""
    value = spec.number(key, default)
    if value < 0 or (maximum is not None and value > maximum):
        limit = "from 0" if maximum is None else f"from 0 to {maximum:g}"
        spec.refuse(f"has {key} = {value:g}, expected a number {limit}")
    return value


def _dims(spec: LayerSpec, shape: Shape) -> Shape:
    dims = spec.sizes("dims")
    if sorted(dims) != list(range(1, len(shape) + 1)):
        spec.refuse(f"has dims = {list(dims)}, expected each of 1 to {len(shape)} once")
    return dims


def activation_setting(spec: LayerSpec, _shape: Shape = ()) -> str | Activation:
    """Return the setting "activation": a name, a function, or a layer inside the layer."""
    value: Any = spec.config.get("activation")
    if not isinstance(value, dict):
        # Keras takes null for "linear".
        return "linear" if value is None else _known(spec, value)
    class_name, config = value.get("class_name"), value.get("config")
    if class_name == "function" and isinstance(config, str):
        named = {} if value.get("registered_name") == "function" else {"class_name": config}
        check_origin(spec, value | named)
        return _known(spec, config)
    if class_name not in tuple(ACTIVATION_CLASSES) or not isinstance(config, dict):
        spec.refuse(
            f"has an activation of class {shown(class_name)}, which cannot be read; "
            f"supported are {', '.join(ACTIVATION_CLASSES)}"
        )
    check_origin(spec, value)
    return activation_class(LayerSpec(class_name, spec.name, config, spec.keras))


_BY_NAME: dict[str, Reader] = {
    "activation_name": activation_setting,
    "dims": _dims,
    "epsilon": lambda spec, _shape: positive(spec, "epsilon", 1e-3),
    "offset": lambda spec, _shape: spec.numbers("offset", 0),
    "output_padding": lambda spec, _shape: (
        spec.pair("output_padding", minimum=0) if spec.has("output_padding") else None
    ),
    "rate": lambda spec, _shape: positive(spec, "rate", 0.5, 1),
    "scale": lambda spec, _shape: spec.numbers("scale", 1),
    "target_shape": lambda spec, _shape: spec.sizes("target_shape"),
}
"""How to read the settings that must be more than their types say."""


def _known(spec: LayerSpec, value: object) -> str:
    name = _OTHER_NAMES.get(value, value) if isinstance(value, str) else value
    if name == "glu":
        spec.refuse("has the activation 'glu', which halves its outputs; call keras.ops.glu in its place")
    if not isinstance(name, str) or name not in _NAMED:
        named = (one for one in (*_NAMED, *_OTHER_NAMES) if one not in FUNCTIONS)
        spec.refuse(
            f"has the activation {shown(value)}, which cannot be read; supported are {', '.join(named)}"
        )
    # The two versions mean different functions by this name.
    return "hard_sigmoid_v2" if name == "hard_sigmoid" and spec.keras < 3 else name


def activation_class(spec: LayerSpec, _shape: Shape = ()) -> str | Activation:
    """Return the activation that a layer of one of `ACTIVATION_CLASSES` is."""
    try:
        return ACTIVATION_CLASSES[spec.class_name](spec)
    except ModelFileError:
        raise
    except InputError as error:
        spec.refuse(f"has settings that cannot be read: {printable(error, 200)}")


def _relu(spec: LayerSpec) -> str | Activation:
    # It only cuts off, so that the largest of all is none.
    top = spec.number("max_value", 0, MAX_FLOAT32) if spec.has("max_value") else None
    # Null stands for the default: Keras 2 writes it so.
    slope = spec.number("negative_slope", 0) if spec.has("negative_slope") else 0.0
    threshold = spec.number("threshold", 0) if spec.has("threshold") else 0.0
    return "relu" if (top, slope, threshold) == (None, 0, 0) else Relu(top, slope, threshold)


def _leaky_relu(spec: LayerSpec) -> str | Activation:
    # Keras 2 calls it alpha, and rounds it to float32.
    slope = spec.number("negative_slope" if "negative_slope" in spec.config else "alpha", 0.3)
    return "leaky_relu" if abs(slope - LEAKY_RELU_SLOPE) < 1e-8 else LeakyRelu(slope)


def _elu(spec: LayerSpec) -> str | Activation:
    alpha = spec.number("alpha", 1)
    return "elu" if alpha == 1 else Elu(alpha)


def _softmax(spec: LayerSpec) -> str | Activation:
    axis: Any = spec.config.get("axis", -1)
    axes = axis if isinstance(axis, list) else [axis]
    fits = 0 < len(axes) <= MAX_AXES and all(type(one) is int and one != 0 for one in axes)
    if not fits or len(set(axes)) != len(axes):
        spec.refuse(f"has axis = {shown(axis)}, expected axes other than that of the samples")
    return "softmax" if axes == [-1] else Softmax(tuple(axes) if len(axes) > 1 else axes[0])


ACTIVATION_CLASSES: dict[str, Callable[[LayerSpec], str | Activation]] = {
    "ReLU": _relu,
    "LeakyReLU": _leaky_relu,
    "ELU": _elu,
    "Softmax": _softmax,
    "ThresholdedReLU": lambda spec: Relu(threshold=spec.number("theta", 1)),
    "probe>Clip": lambda spec: Clip(
        *(spec.number(end, 0) if spec.has(end) else None for end in ("low", "high"))
    ),
    "probe>Power": lambda spec: Power(spec.number("exponent", 1)),
}
"""How to read the layers that are an activation, by Keras' name for the class."""


def _as_layer(activation: Activation) -> tuple[str, Settings] | None:
    """Return Keras' class and settings for an activation that takes settings; None for one with a name."""
    match activation:
        case Relu():
            return "ReLU", dict(activation.settings)
        case LeakyRelu():
            # Keras 3 takes Keras 2's name for the slope, but not the other way round.
            return "LeakyReLU", {"alpha": activation.negative_slope}
        case Elu():
            return "ELU", {"alpha": activation.alpha}
        case Clip() | Power():
            return f"probe>{type(activation).__name__}", dict(activation.settings)
        case Softmax() if activation.axis != -1:
            return "Softmax", {"axis": _plain(activation.axis)}
    if activation.name not in _NAMED or activation.settings:
        raise InputError(f"activation {activation.name} has no place in Keras' layout and is not stored")
    return None


def _activation_config(activation: Activation) -> str | Settings:
    """Return what Keras writes for `activation` in the settings of the layer that has it.

    Examples
    --------
    >>> _activation_config(LeakyRelu(0.1))
    {'module': 'keras.layers', 'class_name': 'LeakyReLU', 'config': {'name': 'activation', 'alpha': 0.1},
     'registered_name': None}
    """
    as_layer = _as_layer(activation)
    if as_layer is None:
        return activation.name
    class_name, settings = as_layer
    # Keras 3 looks classes up by their module.
    module = None if class_name.startswith("probe>") else "keras.layers"
    config = {"name": "activation", **settings}
    return {"module": module, "class_name": class_name, "config": config, "registered_name": None}


def activation_layer(activation: Activation) -> tuple[str, Settings]:
    """Return Keras' class name and settings for a layer that is an activation.

    Examples
    --------
    >>> activation_layer(ACTIVATIONS["relu"])
    ('Activation', {'activation': 'relu'})
    """
    return _as_layer(activation) or ("Activation", {"activation": activation.name})
