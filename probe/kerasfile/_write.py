"""Networks written in Keras' older HDF5 layout, which every Keras reads, and as .keras files; see `docs/kerasfile.md`."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from probe._checks import check_once
from probe._errors import InputError
from probe._text import json_default
from probe._version import __version__
from probe.film import MOST_FRAMES, MOST_VALUES, Film
from probe.kerasfile._archives import CONFIG, METADATA, WEIGHTS
from probe.kerasfile._film import MEASURED, MOST_ARRAYS
from probe.kerasfile._graph import MAX_NAMES
from probe.kerasfile._layers import describe
from probe.kerasfile._models import MAX_LAYERS
from probe.kerasfile._own import ENCODING_VERSION
from probe.kerasfile._weights import numbered_key, snake_case
from probe.layers import Layer, Normalization
from probe.network import Network
from probe.safeh5 import DEFAULT_LIMITS, DamagedError, check_json, listed, printable, shown

if TYPE_CHECKING:
    import h5py

__all__ = ["archive_of", "check_storable", "encode_provenance", "write_network", "write_text_attribute"]

KERAS_VERSION = "3.0.0"
"""The version of Keras whose layout is written; Keras 2 reads it too."""

_RESERVED = (".", "..", "top_level_model_weights")

_MODULES = {"Sequential": "keras", "Functional": "keras.src.models.functional"}
"""Where Keras 3 looks for the class of a model, as it writes it itself."""

_ONLY_OURS = ("step", "hard_sigmoid_v2")
"""Activations that Keras 3 does not have."""


@dataclass(frozen=True, slots=True)
class _Written:
    """A layer of the file: one layer of the network, or all calls of a shared one."""

    name: str
    calls: tuple[Layer, ...]

    def names_in_file(self) -> dict[str, str]:
        """Return what a reader of the file calls each call, by its name in the network."""
        if len(self.calls) == 1:
            return {self.calls[0].name: self.name}
        return {layer.name: f"{self.name}@{k}" for k, layer in enumerate(self.calls)}


def write_network(
    group: h5py.Group, network: Network, provenance: str = "", film: Film | None = None
) -> None:
    """Write `network` into an empty group (or file), in Keras' layout and with what is only ours in `/probe`.

    Parameters
    ----------
    group : h5py.Group
        Of a file that is open for writing, such as the file itself.
    network : Network
        What `check_storable` accepts.
    provenance : str
        Where the network comes from, as `encode_provenance` returns it.
    film : Film, optional
        The network on its way, which ends at `network`.

    Raises
    ------
    InputError
        If Keras' layout has no place for a layer, the description of the model is too long to be read again, or the film
        is of another network or has more values than are read again.
    """
    written = _written(network)
    config = _config(network, written)
    write_text_attribute(group, "model_config", json.dumps(config))
    weights = group.create_group("model_weights")
    for target in (group, weights):
        write_text_attribute(target, "keras_version", KERAS_VERSION)
        # Any of Keras' backends does: none of them changes the layout of the weights.
        write_text_attribute(target, "backend", "tensorflow")
    inputs = [] if config["class_name"] == "Sequential" else _input_names(network, written)
    _write_texts(weights, "layer_names", [*inputs, *(layer.name for layer in written)])
    for name in inputs:
        _write_texts(weights.create_group(name), "weight_names", [])
    for layer in written:
        variables = _variables(layer)
        member = weights.create_group(layer.name)
        _write_texts(member, "weight_names", [f"{layer.name}/{name}" for name in variables])
        for name, values in variables.items():
            member.create_dataset(f"{layer.name}/{name}", data=values)
    _write_own(group, network, written, provenance, film)


def archive_of(network: Network, provenance: str = "", film: Film | None = None) -> bytes:
    """Return the content of a .keras file that Keras 3 opens, with what is only ours in `/probe` of its weights.

    Parameters
    ----------
    network, provenance, film
        As for `write_network`.

    Raises
    ------
    InputError
        As `write_network` does; also if Keras has no such layer or activation, and so could not open the file.
    """
    import h5py

    _check_in_keras(network)
    written = _in_keras_order(network, _written(network))
    # Files hold what differs between layers of a class in the order of the model that Keras makes of the configuration.
    config = _config(network, written)
    config |= {"module": _MODULES[config["class_name"]], "registered_name": config["class_name"]}
    for entry in config["config"]["layers"]:
        entry |= {"module": "keras.layers", "registered_name": None}
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        counts: Counter[str] = Counter()
        layers = file.create_group("layers")
        for layer in written:
            stem = snake_case(layer.calls[0].keras_name)
            member = layers.create_group(numbered_key(stem, counts[stem])).create_group("vars")
            counts[stem] += 1
            for index, values in enumerate(_variables(layer).values()):
                member.create_dataset(str(index), data=values)
        _write_own(file, network, written, provenance, film)
    parts: dict[str, str | bytes] = {
        METADATA: json.dumps({"keras_version": KERAS_VERSION}),
        CONFIG: json.dumps(config),
        WEIGHTS: buffer.getvalue(),
    }
    archived = io.BytesIO()
    with zipfile.ZipFile(archived, "w") as archive:
        for name, content in parts.items():
            # Of this date without another one: the same network gives the same bytes.
            archive.writestr(zipfile.ZipInfo(name), content)
    return archived.getvalue()


def _check_in_keras(network: Network) -> None:
    """Raise unless Keras has all layers and activations."""
    missing = {layer.name: layer.keras_name for layer in network.layers if not layer.is_in_keras}
    for layer in network.layers:
        if layer.activation.name in _ONLY_OURS:
            missing[layer.name] = f"activation {layer.activation.name}"
    if missing:
        told = ", ".join(f"{shown(name)} ({what})" for name, what in list(missing.items())[:4])
        more = f" and {len(missing) - 4} more" if len(missing) > 4 else ""
        raise InputError(
            f"a .keras file can only hold what Keras has, and it has no {told}{more}; write an .h5 file, which probe reads"
        )


def _in_keras_order(network: Network, written: list[_Written]) -> list[_Written]:
    """Return the layers in the order that they have in a model of Keras: by depth, then as met from the outputs.

    Raises
    ------
    InputError
        If some lead to no output: such a model has none of these.
    """
    if _is_chain(network, written):
        return written
    reads = dict(zip(network.layer_names, network.wiring, strict=True))
    layer_of = {call.name: layer.name for layer in written for call in layer.calls}
    met, finished, done = dict[str, int](), list[str](), set[str]()
    for output in network.output_names:
        waiting = [(output, False)]
        while waiting:
            name, is_read = waiting.pop()
            if is_read:
                finished.append(name)
            elif name not in done:
                done.add(name)
                met.setdefault(layer_of[name], len(met))
                waiting.append((name, True))
                waiting += [(source, False) for source in reversed(reads[name]) if isinstance(source, str)]
    lost = [name for name in network.layer_names if name not in done]
    if lost:
        raise InputError(
            f"a .keras file can only hold layers that lead to an output, and {listed(lost, 4)} do not; write an .h5 file"
        )
    depths, of_layer = dict[str, int](), dict[str, int]()
    for name in reversed(finished):
        depth = max(depths.get(name, 0), of_layer.get(layer_of[name], 0))
        depths[name] = of_layer[layer_of[name]] = depth
        for source in reads[name]:
            if isinstance(source, str):
                depths[source] = max(depth + 1, depths.get(source, 0))
    return sorted(written, key=lambda layer: (-of_layer[layer.name], met[layer.name]))


def _config(network: Network, written: list[_Written]) -> dict[str, Any]:
    return _sequential(network, written) if _is_chain(network, written) else _functional(network, written)


def _variables(written: _Written) -> dict[str, Any]:
    """Return the arrays of a layer in Keras' order."""
    layer = written.calls[0]
    variables: dict[str, Any] = dict(layer.variables)
    if isinstance(layer, Normalization):
        variables["count"] = np.int64(0)
    return variables


def _write_own(
    group: h5py.Group, network: Network, written: list[_Written], provenance: str, film: Film | None
) -> None:
    """Write what is only ours into `/probe` of a group."""
    own = group.create_group("probe")
    write_text_attribute(own, "encoding-type", "network")
    write_text_attribute(own, "encoding-version", ENCODING_VERSION)
    write_text_attribute(own, "probe-version", __version__)
    write_text_attribute(own, "class_names", json.dumps(network.class_names))
    if network.is_regression:
        write_text_attribute(own, "outputs", "regression")
    in_file = {name: other for layer in written for name, other in layer.names_in_file().items()}
    if tuple(in_file.items()) != tuple((name, name) for name in network.layer_names):
        # In the order of evaluation, which the list of layers need not give.
        own_names = {in_file[name]: name for name in network.layer_names}
        write_text_attribute(own, "own_names", json.dumps(own_names))
    if provenance:
        write_text_attribute(own, "provenance", provenance)
    if film is not None:
        _write_film(own.create_group("film"), film.of(network))


def _write_film(group: h5py.Group, film: Film) -> None:
    """Write a film into an empty group: the moments before the last, which is the network of the file."""
    arrays = {name: values[:-1] for name, values in film.parameters.items()}
    n_values = sum(values.size for values in film.parameters.values())
    if len(film) > MOST_FRAMES or n_values > MOST_VALUES or len(arrays) > MOST_ARRAYS:
        raise InputError(
            f"a film of {len(film)} moments and {n_values:,} values is not stored, only one of {MOST_FRAMES:,} moments and "
            f"{MOST_VALUES:,} values at most; pass fewer frames"
        )
    named = {**arrays, "cost": film.cost, "test_accuracy": film.test_accuracy}
    bad = next((name for name, values in named.items() if not np.isfinite(values).all()), None)
    if bad is not None:
        raise InputError(f"the film has {bad} that are NaN or infinite, and is not stored")
    scales = {name: float(np.abs(values).max(initial=0)) or 1.0 for name, values in arrays.items()}
    parts = [{"name": name, "scale": scale} for name, scale in scales.items()]
    write_text_attribute(group, "parameters", json.dumps(parts))
    group.create_dataset("updates", data=film.updates.astype(np.int64))
    for name in MEASURED:
        group.create_dataset(name, data=getattr(film, name).astype(np.float64))
    for index, (name, values) in enumerate(arrays.items()):
        # Numbers in place of names: these may hold what no file can.
        halves = (values / scales[name]).astype(np.float16)
        packed = {"compression": "gzip", "compression_opts": 6, "shuffle": True} if halves.size else {}
        group.create_dataset(str(index), data=halves, **packed)


def write_text_attribute(group: h5py.Group, name: str, text: str) -> None:
    """Write `text` as the attribute `name` of `group`, if it is short enough to be read again."""
    if len(text) > DEFAULT_LIMITS.text_bytes:
        raise InputError(
            f"'{name}' takes {len(text)} characters as text, more than the {DEFAULT_LIMITS.text_bytes} that "
            "are read again; store long lists of numbers as arrays"
        )
    import h5py  # reading needs none of it

    group.attrs.create(name, text, dtype=h5py.string_dtype())


def _write_texts(group: h5py.Group, name: str, texts: list[str]) -> None:
    import h5py

    # An empty list has the type that Keras gives it.
    dtype = h5py.string_dtype() if texts else np.dtype(float)
    group.attrs.create(name, np.array(texts, dtype=object if texts else float), dtype=dtype)


def encode_provenance(provenance: Mapping[str, object]) -> str:
    """Return a provenance as the JSON that `write_network` takes.

    Parameters
    ----------
    provenance : mapping
        Strings, numbers, None, lists and mappings of these; arrays become lists.

    Raises
    ------
    InputError
        If it has something that JSON cannot express, or more than is read again.

    Examples
    --------
    >>> encode_provenance({"seed": np.int64(3), "cost": np.array([0.5, 0.25])})
    '{"seed": 3, "cost": [0.5, 0.25]}'
    """
    try:
        text = json.dumps(provenance, default=json_default, allow_nan=False)
        # What could not be read again is not written.
        check_json(text, "provenance", DEFAULT_LIMITS)
        return text
    except DamagedError as error:
        raise InputError(f"{error}; store long lists of numbers as arrays") from None
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(
            "provenance must hold strings, finite numbers, None, lists and mappings of these: "
            f"{printable(error, 120)}"
        ) from None


def check_storable(network: Network) -> None:
    """Raise if Keras' layout has no place for `network`, or it computes nothing.

    Raises
    ------
    InputError
        If a weight is NaN or infinite, the name of a layer or a class is no text to show or too long, a class
        name is there twice, or there are too many layers.
    """
    if len(network.layers) > MAX_LAYERS:
        raise InputError(
            f"network has {len(network.layers)} layers, more than the {MAX_LAYERS} that are stored"
        )
    kinds = {"layer": network.layer_names, "class": network.class_names, "input": network.input_names}
    for what, names in kinds.items():
        bad = [name for name in names if not name or not name.isprintable()]
        if bad:
            raise InputError(f"{what} name {shown(bad[0])} cannot be stored: names must be printable text")
        letters = sum(map(len, names))
        if letters > MAX_NAMES:
            raise InputError(f"{what} names of {letters} letters are not stored, only {MAX_NAMES} in all")
    check_once("class_names", network.class_names)
    for layer in network.layers:
        for name, values in layer.variables.items():
            count = int(values.size - np.count_nonzero(np.isfinite(values)))
            if count:
                raise InputError(
                    f"layer '{layer.name}': {name} has {count} of {values.size} values that are NaN or "
                    "infinite; such a network computes nothing and is not stored"
                )


def _written(network: Network) -> list[_Written]:
    """Return the layers of the file: calls that share their arrays and settings are one."""
    groups: dict[object, list[Layer]] = {}
    for layer in network.layers:
        groups.setdefault(_identity(layer), []).append(layer)
    taken: set[str] = set()
    written = []
    for calls in groups.values():
        name = calls[0].name if len(calls) == 1 else re.sub(r"@0$", "", calls[0].name)
        written.append(_Written(_legal(name, taken), tuple(calls)))
    return written


def _identity(layer: Layer) -> object:
    arrays = tuple(id(values) for values in layer.variables.values())
    return (json.dumps(describe(layer)), arrays) if arrays else layer.name


def _legal(name: str, taken: set[str]) -> str:
    """Return `name` in letters that every Keras takes, different from all in `taken`, and add it there."""
    stem = re.sub(r"[/@]", "_", name)
    stem = f"{stem}_" if not stem or stem in _RESERVED else stem
    legal, number = stem, 1
    while legal in taken:
        number += 1
        legal = f"{stem}_{number}"
    taken.add(legal)
    return legal


def _is_chain(network: Network, written: list[_Written]) -> bool:
    return network.is_chain and len(network.input_shapes) == 1 and len(written) == len(network.layers)


def _input_names(network: Network, written: Iterable[_Written]) -> list[str]:
    taken = {layer.name for layer in written}
    names = []
    for name in (re.sub(r"[/@]", "_", name) for name in network.input_names):
        while name in taken:
            name += "_"
        taken.add(name)
        names.append(name)
    return names


def _sequential(network: Network, written: list[_Written]) -> dict[str, Any]:
    batch_shape = [None, *network.input_shape]
    layers = [_input(network, _input_names(network, written)[0], 0)]
    layers += [_entry(network, layer) for layer in written]
    config = {"name": "network", "layers": layers, "build_input_shape": batch_shape}
    return {"class_name": "Sequential", "config": config}


def _functional(network: Network, written: list[_Written]) -> dict[str, Any]:
    inputs = _input_names(network, written)
    calls = {call.name: [layer.name, k, 0] for layer in written for k, call in enumerate(layer.calls)}
    reads = dict(zip(network.layer_names, network.wiring, strict=True))
    layers = [
        _input(network, name, index) | {"name": name, "inbound_nodes": []}
        for index, name in enumerate(inputs)
    ]
    for layer in written:
        nodes = [
            [
                [*([inputs[source], 0, 0] if isinstance(source, int) else calls[source]), {}]
                for source in reads[call.name]
            ]
            for call in layer.calls
        ]
        layers.append(_entry(network, layer) | {"name": layer.name, "inbound_nodes": nodes})
    config = {
        "name": "network",
        "trainable": True,
        "layers": layers,
        "input_layers": [[name, 0, 0] for name in inputs],
        "output_layers": [calls[name] for name in network.output_names],
    }
    return {"class_name": "Functional", "config": config}


def _input(network: Network, name: str, index: int) -> dict[str, Any]:
    # Keras 3 reads Keras 2's name for the shape, but not the other way round.
    shape = [None, *network.input_shapes[index]]
    config = {"name": name, "batch_input_shape": shape, "dtype": network.dtype.name}
    return {"class_name": "InputLayer", "config": config}


def _entry(network: Network, written: _Written) -> dict[str, Any]:
    layer = written.calls[0]
    class_name, settings = describe(layer)
    # Without a type of its own, Keras would compute the layer in float32.
    types: Mapping[str, Any] = layer.variables
    dtype = next((values.dtype for values in types.values()), network.dtype)
    config = {"name": written.name, "dtype": dtype.name, **settings}
    return {"class_name": class_name, "config": config}
