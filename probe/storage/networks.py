"""Networks in Keras' own HDF5 layout, so that Keras opens what is written here, and the other way round.

::

    /                attributes model_config (JSON), keras_version, backend
    /model_weights   attributes layer_names, keras_version, backend
      /<layer>       attribute weight_names
        /<layer>/kernel, /<layer>/bias
    /probe           attributes encoding-type, encoding-version, probe-version, class_names, provenance

Keras has no place for what is in `/probe`, and ignores it; files without the group are read as well.
The activation `step` does not exist in Keras: a network that has it is written with that name, and is
read here, but `keras.models.load_model` refuses the file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from probe._checks import Array, InputError, ModelFileError
from probe._version import __version__
from probe.layers import Dense, Layer
from probe.network import Network
from probe.storage._atomic import write_atomically
from probe.storage._guard import MAX_TEXT_BYTES, GuardedFile, open_guarded, printable
from probe.storage._keras_config import MAX_LAYERS, MAX_VALUES, LayerSpec, ModelSpec, parse_model_config
from probe.storage._keras_layers import describe, kind_of, weights_of

__all__ = [
    "load_network",
    "read_network",
    "read_provenance",
    "save_network",
    "write_network",
    "write_text_attribute",
]

KERAS_VERSION = "3.0.0"
"""The version of Keras whose layout is written; Keras 2 reads it too."""

ENCODING_VERSION = "1"
"""Version of the group `/probe`; a higher one is refused."""

MAX_VARIABLES = 16
"""Most variables of one layer that are looked at, before the number is compared with the expected one."""


def save_network(
    network: Network, path: str | os.PathLike[str], *, provenance: Mapping[str, object] | None = None
) -> Path:
    """Write `network` to an HDF5 file that Keras opens too.

    The file appears at once and whole, or not at all. The same network and provenance give the same
    bytes.

    Parameters
    ----------
    network : Network
        The network.
    path : path
        The file; it is replaced if it exists, and its folder is created if need be.
    provenance : mapping, optional
        Where the network comes from: training history, configuration, seed, fingerprint of the data,
        versions. Strings, numbers, None, lists and mappings of these; arrays are stored as lists.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    InputError
        If the file cannot be written, a weight is NaN or infinite, a layer has a name that HDF5 or
        Keras cannot store, or the provenance has something that JSON cannot express.

    Examples
    --------
    >>> import tempfile
    >>> layer = Dense("output", np.ones((3, 2), np.float32), np.zeros(2, np.float32), "softmax")
    >>> folder = Path(tempfile.mkdtemp())
    >>> path = save_network(Network((layer,), (3,), ("cat", "dog")), folder / "pets.h5")
    >>> load_network(path).class_names
    ('cat', 'dog')
    """
    described = _to_json(provenance or {}, "provenance")
    _check_storable(network)
    with write_atomically(path) as part, h5py.File(part, "w") as file:
        write_network(file, network)
        write_text_attribute(file["probe"], "provenance", described)
    return Path(path)


def load_network(path: str | os.PathLike[str]) -> Network:
    """Read a network from an HDF5 file that Keras 2, Keras 3 or `save_network` wrote.

    Half-precision weights are widened to float32; float32 and float64 are kept.

    Parameters
    ----------
    path : path
        The file: a whole Sequential model, as `model.save("model.h5")` writes it.

    Returns
    -------
    Network
        With the class names of the file, or "0", "1", ... if it has none.

    Raises
    ------
    ModelFileError
        If the file is missing, damaged, unsafe to read or no such model. The message names the file,
        the place in it, what was expected and what was found.
    """
    with open_guarded(path) as file:
        return read_network(file, file.root)


def read_provenance(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the provenance that `save_network` stored in the file; empty if it has none.

    Raises
    ------
    ModelFileError
        If the file is missing, damaged or unsafe to read.
    """
    with open_guarded(path) as file:
        group = _probe_group(file, file.root)
        if group is None or not file.has_attribute(group, "provenance"):
            return {}
        found = file.json(group, "provenance")
        if not isinstance(found, dict):
            file.refuse("/probe", "has a provenance that is no JSON object")
        return found


def write_network(group: h5py.Group, network: Network) -> None:
    """Write `network` into an empty group (or file), in the layout that this module describes."""
    write_text_attribute(group, "model_config", json.dumps(_model_config(network)))
    weights = group.create_group("model_weights")
    for place in (group, weights):
        write_text_attribute(place, "keras_version", KERAS_VERSION)
        # Any of Keras' backends does: none of them changes the layout of the weights.
        write_text_attribute(place, "backend", "tensorflow")
    _write_texts(weights, "layer_names", list(network.layer_names))
    for layer in network.layers:
        variables = weights_of(layer)
        member = weights.create_group(layer.name)
        _write_texts(member, "weight_names", [f"{layer.name}/{name}" for name in variables])
        for name, values in variables.items():
            member.create_dataset(f"{layer.name}/{name}", data=values)
    own = group.create_group("probe")
    write_text_attribute(own, "encoding-type", "network")
    write_text_attribute(own, "encoding-version", ENCODING_VERSION)
    write_text_attribute(own, "probe-version", __version__)
    write_text_attribute(own, "class_names", json.dumps(network.class_names))


def write_text_attribute(group: h5py.Group, name: str, text: str) -> None:
    """Write `text` as the attribute `name` of `group`, if it is short enough to be read again."""
    if len(text) > MAX_TEXT_BYTES:
        raise InputError(
            f"'{name}' takes {len(text)} characters as text, more than the {MAX_TEXT_BYTES} that are read "
            "again; store long lists of numbers as arrays"
        )
    group.attrs.create(name, text, dtype=h5py.string_dtype())


def read_network(file: GuardedFile, group: h5py.Group) -> Network:
    """Read the network that a group (or file) holds in the layout that this module describes.

    Raises
    ------
    InputError
        If there is none. It is the error of `file`.
    """
    if not file.has_attribute(group, "model_config"):
        place = "the file" if group.name == "/" else str(group.name)
        file.refuse(place, _no_model(file, group))
    config = file.text(group, "model_config")
    if file.has_attribute(group, "keras_version"):
        # Nothing depends on it yet, but a file in which it is damaged is not to be trusted.
        file.text(group, "keras_version")
    with _named(file):
        spec = parse_model_config(config)
        # Before any weight is read, so that the first complaint is about what matters most.
        kinds = [kind_of(layer) for layer in spec.layers]
    stored = _StoredWeights(file, group, spec)
    layers: list[Layer] = []
    shape = spec.input_shape
    for layer_spec, kind in zip(spec.layers, kinds, strict=True):
        with _named(file):
            expected = kind.variables(layer_spec, shape)
            layer = kind.build(layer_spec, shape, stored.variables(layer_spec, expected))
            shape = _next_shape(layer, shape)
        layers.append(layer)
    with _named(file):
        return Network(tuple(layers), spec.input_shape, _class_names(file, group))


class _StoredWeights:
    """The group `model_weights`, read layer by layer and compared with the model's configuration."""

    def __init__(self, file: GuardedFile, group: h5py.Group, spec: ModelSpec) -> None:
        self._file = file
        self._group = file.group(group, "model_weights")
        names = {layer.name: None for layer in spec.layers}
        listed = file.strings(self._group, "layer_names", at_most=MAX_LAYERS + 1)
        self._listed = [name for name in listed if name != spec.input_name]
        unknown = [name for name in self._listed if name not in names]
        if unknown:
            file.refuse(
                "layer_names", f"lists {_quoted(unknown)}, unknown to model_config: {_quoted([*names])}"
            )
        found = set(self._listed)
        if self._listed != [name for name in names if name in found]:
            file.refuse(
                "layer_names",
                f"lists {_quoted(listed)}, not in the order of model_config: {_quoted([*names])}",
            )

    def variables(self, layer: LayerSpec, expected: Mapping[str, tuple[int, ...]]) -> dict[str, Array]:
        """Return the variables of `layer` by name; `expected` has their shapes, in order."""
        if layer.name not in self._listed:
            if expected:
                layer.refuse("has no weights in the file: layer_names does not list it")
            return {}
        group = self._file.group(self._group, layer.name)
        paths = self._file.strings(group, "weight_names", at_most=MAX_VARIABLES)
        if len(paths) != len(expected):
            layer.refuse(
                f"has {len(paths)} arrays in the file, expected {len(expected)} ({', '.join(expected) or 'none'})"
            )
        return {
            name: self._variable(group, path, layer, name, expected[name])
            for path, name in zip(paths, expected, strict=True)
        }

    def _variable(
        self, group: h5py.Group, path: str, layer: LayerSpec, name: str, shape: tuple[int, ...]
    ) -> Array:
        # Keras trusts the position alone; a name that says otherwise means a damaged file.
        last = path.rsplit("/", 1)[-1].removesuffix(":0")
        if last != name and last in ("kernel", "bias"):
            layer.refuse(f"lists its {last} where its {name} is expected")
        place = f"layer '{layer.name}': {name}"
        values = self._file.array(group, path, shape=shape, place=place)
        finite = np.isfinite(values)
        if not finite.all():
            count = int(values.size - np.count_nonzero(finite))
            self._file.refuse(place, f"has {count} of {values.size} values that are NaN or infinite")
        return values.astype(np.float32) if values.dtype == np.float16 else values


@contextmanager
def _named(file: GuardedFile) -> Iterator[None]:
    """Put the name of the file in front of errors that do not know it."""
    try:
        yield
    except InputError as error:
        if str(error).startswith(file.shown_path):
            raise
        raise file.error(f"{file.shown_path}: {printable(error, 500)}") from None


def _next_shape(layer: Layer, shape: tuple[int, ...]) -> tuple[int, ...]:
    found = layer.output_shape(shape)
    if int(np.prod(found, dtype=object)) > MAX_VALUES:
        raise ModelFileError(f"layer '{layer.name}' puts out {found}, more than {MAX_VALUES} values")
    return found


def _no_model(file: GuardedFile, group: h5py.Group) -> str:
    weights_only = any(file.has(group, name) for name in ("layers", "_layer_checkpoint_dependencies"))
    if weights_only or file.has_attribute(group, "layer_names"):
        return (
            "holds only weights, without the model they belong to; save the whole model: model.save('x.h5')"
        )
    return (
        f"holds no model: it has {file.names(group)}, expected the attribute 'model_config' "
        "and the group 'model_weights', as model.save('x.h5') writes them"
    )


def _probe_group(file: GuardedFile, parent: h5py.Group) -> h5py.Group | None:
    if not file.has(parent, "probe"):
        return None
    group = file.group(parent, "probe")
    version = file.text(group, "encoding-version")
    if version != ENCODING_VERSION:
        file.refuse(
            str(group.name),
            f"has encoding-version {printable(version, 20)}, expected {ENCODING_VERSION}; "
            "read it with the version of probe that wrote it",
        )
    return group


def _class_names(file: GuardedFile, parent: h5py.Group) -> tuple[str, ...]:
    group = _probe_group(file, parent)
    if group is None or not file.has_attribute(group, "class_names"):
        return ()
    names = file.json(group, "class_names")
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        file.refuse(str(group.name), "has class_names that are no list of strings")
    return tuple(names)


def _model_config(network: Network) -> dict[str, object]:
    batch_shape = [None, *network.input_shape]
    dtype = network.dtype
    # Keras 3 reads Keras 2's name for the shape, but not the other way round.
    first = {"name": _input_name(network), "batch_input_shape": batch_shape, "dtype": dtype.name}
    layers: list[dict[str, object]] = [{"class_name": "InputLayer", "config": first}]
    for layer in network.layers:
        class_name, settings = describe(layer)
        # Without a type of its own, Keras would compute the layer in float32.
        dtype = layer.kernel.dtype if isinstance(layer, Dense) else dtype
        config = {"name": layer.name, "trainable": True, "dtype": dtype.name, **settings}
        layers.append({"class_name": class_name, "config": config})
    config = {"name": "network", "layers": layers, "build_input_shape": batch_shape}
    return {"class_name": "Sequential", "config": config}


def _input_name(network: Network) -> str:
    name = "input"
    while name in network.layer_names:
        name += "_"
    return name


def _check_storable(network: Network) -> None:
    if len(network.layers) > MAX_LAYERS:
        raise InputError(
            f"network has {len(network.layers)} layers, more than the {MAX_LAYERS} that are stored"
        )
    for layer in network.layers:
        name = layer.name
        if (
            not name
            or not name.isprintable()
            or "/" in name
            or name in (".", "..", "top_level_model_weights")
        ):
            raise InputError(
                f"layer name {printable(repr(name))} cannot be stored: Keras takes printable names without '/'"
            )
        for variable, values in weights_of(layer).items():
            count = int(values.size - np.count_nonzero(np.isfinite(values)))
            if count:
                raise InputError(
                    f"layer '{name}': {variable} has {count} of {values.size} values that are NaN or "
                    "infinite; such a network computes nothing and is not stored"
                )


def _to_json(value: object, name: str) -> str:
    try:
        return json.dumps(value, default=_plain, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(
            f"{name} must hold strings, finite numbers, None, lists and mappings of these: "
            f"{printable(error, 120)}"
        ) from None


def _plain(value: object) -> object:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} has no place in JSON")


def _write_texts(group: h5py.Group, name: str, texts: list[str]) -> None:
    # An empty list has the type that Keras gives it.
    dtype = h5py.string_dtype() if texts else np.dtype(float)
    group.attrs.create(name, np.array(texts, dtype=object if texts else float), dtype=dtype)


def _quoted(names: list[str] | tuple[str, ...]) -> str:
    return ", ".join(f"'{printable(name, 40)}'" for name in names[:8]) + (", ..." if len(names) > 8 else "")
