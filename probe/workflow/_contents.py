"""What is in a model file, as lines for the screen: its layers, its size, what its outputs mean, where it comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice

from probe.kerasfile import ModelFile
from probe.network import Network
from probe.safeh5 import printable

__all__ = ["LINE", "lines_of_file", "lines_of_network"]

LINE = 1000
"""Most characters of a line."""

_CHECKED = 1 << 24
"""Most parameters that are read only to see that they are sound: 64 MiB in float32."""

_FACTS_SHOWN, _DEPTH, _CELL = 40, 4, 60
"""Facts of a file's origin that are shown, and levels of them; most characters of a cell."""

_NAMES_SHOWN = 40
"""Names of classes that are listed; of a model with more, the first."""


def lines_of_file(file: ModelFile) -> list[str]:
    """Return what is in an open file, whose weights are read, to check them, only if they are few."""
    network = file.network() if file.n_parameters <= _CHECKED else None
    lines = [*_table(file), "", f"{_size(file)}, {_outputs(file, network)}"]
    if network is None:
        lines.append("the weights were not read: there are too many to check them here")
    film = None if network is None else file.film()
    provenance = file.provenance
    if provenance:
        lines += ["", "written by probe:"]
        facts = {key: value for key, value in islice(provenance.items(), _FACTS_SHOWN) if key != "history"}
        lines += [f"  {key}: {_brief(value)}" for key, value in facts.items()]
        # Training is loaded only where there was some.
        from probe.workflow.train import recorded_history

        history = recorded_history(provenance)
        if history is not None:
            final = f"cost {history.cost[-1]:.4f}, test accuracy {history.test_accuracy[-1]:.2%}"
            lines.append(f"  after {history.n_epochs} epochs: {final}")
    if film is not None:
        lines.append(f"  film of the training: {len(film)} moments, updates 0 to {film.updates[-1]:,}")
    return lines


def lines_of_network(what: str, network: Network) -> list[str]:
    """Return what is in a network whose file can only be read whole."""
    rows = [("layer", "kind", "output", "parameters", "activation")]
    rows += [("(input)", "", _shape(shape), "", "") for shape in network.input_shapes]
    for layer in network.layers:
        parameters = f"{layer.n_parameters:,}" if layer.n_parameters else ""
        activation = (
            "" if layer.activation.name == "linear" and not layer.n_parameters else layer.activation.name
        )
        name, kind = _cell(layer.name), _cell(layer.keras_name)
        rows.append((name, kind, _shape(network.layer_shapes[layer.name]), parameters, activation))
    shape = network.layer_shapes[network.output_names[0]]
    size = f"{network.n_parameters:,} parameters, {network.dtype}, {_meaning(network, shape)}"
    return [*_aligned(rows), "", what, size]


def _table(file: ModelFile) -> list[str]:
    """Return the layers, one line each, in aligned columns."""
    rows = [("layer", "kind", "output", "parameters", "activation")]
    rows += [("(input)", "", _shape(shape), "", "") for shape in file.input_shapes]
    for layer in file.layers:
        parameters = f"{layer.n_parameters:,}" if layer.n_parameters else ""
        activation = "" if layer.activation == "linear" and not layer.n_parameters else layer.activation
        name, kind, shape = layer.name, layer.class_name, _shape(layer.output_shape)
        rows.append((_cell(name), _cell(kind), _cell(shape), parameters, _cell(activation)))
    return _aligned(rows)


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def _size(file: ModelFile) -> str:
    types = sorted({variable.dtype for layer in file.layers for variable in layer.variables})
    return f"{file.n_parameters:,} parameters" + (f", {' and '.join(types)}" if types else "")


def _outputs(file: ModelFile, network: Network | None) -> str:
    """Return what the outputs stand for: by the network, or where that was not read by their shape."""
    if len(file.output_names) > 1:
        return f"outputs: {', '.join(file.output_names)}"
    shape = next(layer.output_shape for layer in file.layers if layer.name == file.output_names[0])
    said = f"output of shape {_shape(shape)}"
    if network is None:
        names = file.class_names or (
            tuple(map(str, range(shape[0]))) if len(shape) == 1 and shape[0] > 1 else ()
        )
        return f"classes: {_names(names)}" if names else said
    return _meaning(network, shape)


def _meaning(network: Network, shape: Sequence[int]) -> str:
    """Return what the outputs of a network stand for, the first of which have this shape."""
    if len(network.output_names) > 1:
        return f"outputs: {', '.join(network.output_names)}"
    said = f"output of shape {_shape(shape)}"
    if network.is_regression:
        return (
            f"regression: {shape[0]} output{'s' * (shape[0] > 1)}"
            if len(shape) == 1
            else f"regression, {said}"
        )
    if network.is_one_unit:
        unit = "sigmoid unit" if network.output_name == "sigmoid" else "logit"
        names = network.class_names
        return f"classes: 2 (one {unit})" + f": {_names(names)}" * (names != ("0", "1"))
    if network.n_classes:
        return f"classes: {_names(network.class_names)}"
    if tuple(shape) == (1,) and network.output_name == "linear":
        return "one linear output: a regression, or the logit of the second of two classes (then pass --from-logits)"
    return said


def _names(names: tuple[str, ...]) -> str:
    return ", ".join(names[:_NAMES_SHOWN]) + (", ..." if len(names) > _NAMES_SHOWN else "")


def _shape(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))


def _cell(text: str) -> str:
    return printable(text, _CELL)


def _brief(value: object, depth: int = _DEPTH) -> str:
    """Return what can be said of a value in one line; only the first of many entries, and few levels of them."""
    if isinstance(value, Mapping | list | tuple) and not depth:
        return "..."
    if isinstance(value, Mapping):
        items = islice(value.items(), _FACTS_SHOWN)
        return ", ".join(f"{printable(key)} {_brief(item, depth - 1)}" for key, item in items)
    if isinstance(value, list | tuple):
        first = list(islice(value, _FACTS_SHOWN))
        if all(isinstance(item, int) for item in first):
            return _shape(first)
        return " ".join(_brief(item, depth - 1) for item in first)
    return printable(value, LINE)
