"""What is in a model file, as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from probe.layers import ActivationLayer, Dense
from probe.storage import load_network, read_provenance, write_text
from probe.workflow._folder import Written, destination
from probe.workflow.train import recorded_history

__all__ = ["inspect_model", "keep_inspection"]


def inspect_model(model: Path) -> str:
    """Return what is in a model file, as text."""
    network = load_network(model)
    provenance = read_provenance(model)
    rows = [("layer", "kind", "output", "parameters", "activation")]
    rows.append(("(input)", "", _shape(network.input_shape), "", ""))
    for layer in network.layers:
        n = layer.kernel.size + layer.bias.size if isinstance(layer, Dense) else 0
        active = layer.activation.name if isinstance(layer, Dense | ActivationLayer) else ""
        shape = _shape(network.layer_shapes[layer.name])
        rows.append((layer.name, type(layer).__name__, shape, f"{n:,}" if n else "", active))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    lines += [
        "",
        f"{network.n_parameters:,} parameters, {network.dtype}, classes: {', '.join(network.class_names)}",
    ]
    if provenance:
        lines += ["", "written by probe:"]
        lines += [f"  {key}: {_brief(value)}" for key, value in provenance.items() if key != "history"]
        history = recorded_history(provenance)
        if history is not None:
            final = f"cost {history.cost[-1]:.4f}, test accuracy {history.test_accuracy[-1]:.2%}"
            lines.append(f"  after {history.n_epochs} epochs: {final}")
    return "\n".join(lines)


def keep_inspection(model: Path, out: Path) -> Written:
    """Write what `inspect_model` says to inspect.txt."""
    folder = destination(out, model.stem)
    text = inspect_model(model) + "\n"
    return Written((write_text(folder.path / "inspect.txt", text),), "kept as text")


def _shape(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))


def _brief(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_brief(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return _shape(value) if all(isinstance(item, int) for item in value) else " ".join(map(str, value))
    return str(value)
