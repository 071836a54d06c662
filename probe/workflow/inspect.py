"""What is in a model file, as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from probe.network import Network
from probe.storage import ModelFile, open_model, write_text
from probe.workflow._folder import Written, destination

__all__ = ["inspect_model", "keep_inspection"]

_CHECKED = 1 << 24
"""Most parameters that are read only to see that they are sound: 64 MiB in float32."""

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
        lines += [f"  {key}: {_brief(value)}" for key, value in provenance.items() if key != "history"]
        # Training is loaded only where there was some.
        from probe.workflow.train import recorded_history

        history = recorded_history(provenance)
        if history is not None:
            final = f"cost {history.cost[-1]:.4f}, test accuracy {history.test_accuracy[-1]:.2%}"
            lines.append(f"  after {history.n_epochs} epochs: {final}")
    return "\n".join(lines)


def keep_inspection(model: Path, out: Path, *, architecture: Path | None = None) -> Written:
    """Write what `inspect_model` says to inspect.txt."""
    folder = destination(out, model.stem)
    text = inspect_model(model, architecture=architecture) + "\n"
    return Written((write_text(folder.path / "inspect.txt", text),), "kept as text")


def _table(file: ModelFile) -> list[str]:
    """Return the layers, one line each, in aligned columns."""
    rows = [("layer", "kind", "output", "parameters", "activation")]
    rows += [("(input)", "", _shape(shape), "", "") for shape in file.input_shapes]
    for layer in file.layers:
        parameters = f"{layer.n_parameters:,}" if layer.n_parameters else ""
        activation = "" if layer.activation == "linear" and not layer.n_parameters else layer.activation
        rows.append((layer.name, layer.class_name, _shape(layer.output_shape), parameters, activation))
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


def _brief(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_brief(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return _shape(value) if all(isinstance(item, int) for item in value) else " ".join(map(str, value))
    return str(value)
