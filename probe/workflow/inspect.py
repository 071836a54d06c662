"""What is in a model file, as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path

from probe._checks import InputError
from probe.kerasfile import ModelFile, open_model
from probe.network import Network
from probe.safeh5 import printable
from probe.storage import OwnedFolder
from probe.workflow._folder import Written
from probe.workflow._owner import check_out, path_from

__all__ = ["inspect_model", "keep_inspection"]

_CHECKED = 1 << 24
"""Most parameters that are read only to see that they are sound: 64 MiB in float32."""

_FACTS_SHOWN, _DEPTH, _CELL, _LINE = 40, 4, 60, 1000
"""Facts of a file's origin that are shown, and levels of them; most characters of a cell and of a line."""

_KEPT, _MOST_KEPT = "inspect.txt", 1 << 26
"""Where an inspection is kept, and most bytes of it that are read."""

_NAMES_SHOWN = 40
"""Names of classes that are listed; of a model with more, the first."""


def inspect_model(model: Path, *, architecture: Path | None = None) -> str:
    """Return what is in a model file, as text. Weights are read, to check them, only if they are few."""
    with open_model(model, architecture=architecture) as file:
        network = file.network() if file.n_parameters <= _CHECKED else None
        lines = [*_table(file), "", f"{_size(file)}, {_outputs(file, network)}"]
        if network is None:
            lines.append("the weights were not read: there are too many to check them here")
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
    return "\n".join(printable(line, _LINE) for line in lines)


def keep_inspection(model: Path, out: Path, *, architecture: Path | None = None) -> Written:
    """Write what `inspect_model` says to inspect.txt, which begins with where the model file is.

    Raises
    ------
    InputError
        If the model cannot be read, `out` is no folder that can be written to, or its inspect.txt is of another model.
    """
    folder = OwnedFolder(check_out(out))
    head = f"file: {printable(path_from(folder, model), 1000)}\n"
    if folder.kind(_KEPT) is not None:
        try:
            found = folder.read(_KEPT, _MOST_KEPT).decode(errors="replace")
        except OSError:
            found = ""
        if not found.startswith(head):
            raise InputError(f"{folder.path / _KEPT} is of another model. Pass another --out, or remove it")
    text = inspect_model(model, architecture=architecture)
    return Written((folder.write_text(_KEPT, f"{head}\n{text}\n"),), "kept as text")


def _table(file: ModelFile) -> list[str]:
    """Return the layers, one line each, in aligned columns."""
    rows = [("layer", "kind", "output", "parameters", "activation")]
    rows += [("(input)", "", _shape(shape), "", "") for shape in file.input_shapes]
    for layer in file.layers:
        parameters = f"{layer.n_parameters:,}" if layer.n_parameters else ""
        activation = "" if layer.activation == "linear" and not layer.n_parameters else layer.activation
        name, kind, shape = layer.name, layer.class_name, _shape(layer.output_shape)
        rows.append((_cell(name), _cell(kind), _cell(shape), parameters, _cell(activation)))
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
    if shape == (1,) and network.output_name == "linear":
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
    return printable(value, _LINE)
