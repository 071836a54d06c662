"""From files to files: each function does what one command does, and returns what it wrote.

Here seeds, storage, analyses and the report meet; everything below is pure or does one of these only.
"""

from __future__ import annotations

import io
import math
import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from probe._checks import DivergedError, InputError, check_folder, check_integer
from probe._progress import Progress, ProgressEvent, silent
from probe._version import __version__
from probe.analyses.maximize import Maximization, maximize
from probe.analyses.memorization import Memorization, memorization
from probe.analyses.noise import noise_confidence
from probe.analyses.weights import WeightImages, weight_images
from probe.datasets import Split, load_dataset
from probe.figures import draw
from probe.layers import ACTIVATIONS, ActivationLayer, Dense
from probe.network import Network
from probe.objectives import Objective, class_logit, unit
from probe.population import MLP
from probe.storage import load_network, read_provenance, save_network, write_bytes, write_text
from probe.training import TrainingConfig, TrainingHistory, TrainingResult, train

__all__ = [
    "DEFAULT_ARCHITECTURE",
    "DEFAULT_TRAINING",
    "Written",
    "inspect_model",
    "keep_inspection",
    "maximize_model",
    "memorize",
    "noise_model",
    "report",
    "train_model",
    "weights_model",
]

DEFAULT_ARCHITECTURE = MLP(hidden=(16, 16), activation="sigmoid", output="softmax")
"""The network of the video."""

DEFAULT_TRAINING = TrainingConfig(epochs=20, batch_size=100, learning_rate=1.0, schedule="cosine")
"""How it is trained on MNIST: 95.2% to 96.0% of the test digits over eight seeds."""

_UPDATES = 12_000
"""Minibatches that `DEFAULT_TRAINING` takes on MNIST; smaller data get more epochs to make them up."""

_MOST_EPOCHS = 400

_MEMORIZATION_EPOCHS = 600
"""Enough for the video's network to fit 1,000 random labels of MNIST in all replicates that were tried."""

_RATES_TRIED = 3
"""Learning rates of a report's memorisation experiment, each a tenth of the one before, until none diverges."""

_UNITS_SHOWN = 160
"""Hidden units that a report maximises: the first of all."""


@dataclass(frozen=True, slots=True)
class Written:
    """What a command wrote.

    Attributes
    ----------
    files : tuple of Path
        The files, the one to look at first.
    summary : str
        One line: what was found.
    interrupted : bool
        Whether Ctrl-C ended the work early and what was done until then was kept.
    """

    files: tuple[Path, ...]
    summary: str
    interrupted: bool = False


class _Folder:
    """A destination: pictures, numbers and pages go in, each whole or not at all."""

    def __init__(self, path: Path) -> None:
        self.path = check_folder("--out", path)
        self.files: list[Path] = []

    def picture(self, name: str, png: bytes) -> None:
        """Write figures/`name`.png."""
        self.files.append(write_bytes(self.path / "figures" / f"{name}.png", png))

    def numbers(self, numbers: Mapping[str, object]) -> None:
        """Write results.json."""
        import json

        text = json.dumps(_plain(numbers), indent=2, allow_nan=False, ensure_ascii=False)
        self.files.append(write_text(self.path / "results.json", text + "\n"))

    def page(self, html: str) -> None:
        """Write index.html and put it first."""
        self.files.insert(0, write_text(self.path / "index.html", html))


def _drawn(result: object) -> bytes:
    """Return the figure of `result` as PNG. Everything is drawn before anything is written."""
    buffer = io.BytesIO()
    figure = draw(result)
    figure.savefig(buffer, format="png", metadata={"Software": None})  # type: ignore[union-attr]
    return buffer.getvalue()


def _plain(value: object) -> object:
    """Return `value` as JSON can hold it: no arrays, and null for what is not finite."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _run_facts(command: str, seed: int, split: Split | None) -> dict[str, object]:
    """Return what every results.json begins with."""
    packages = ("numpy", "scipy", "scikit-learn", "h5py", "matplotlib")
    facts: dict[str, object] = {
        "command": command,
        "seed": seed,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {"probe": __version__, "python": platform.python_version()}
        | {name: _version(name) for name in packages},
    }
    if split is not None:
        facts["data"] = {
            "name": split.name,
            "fingerprint": split.fingerprint,
            "n_train": len(split.train),
            "n_test": len(split.test),
            "image_shape": list(split.train.image_shape),
            "class_names": list(split.train.class_names),
        }
    return facts


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"


def _provenance(
    command: str, seed: int, split: Split, architecture: MLP, config: TrainingConfig, result: TrainingResult
) -> dict[str, object]:
    """Return what a model file says of its origin."""
    history = {name: getattr(result.history, name).tolist() for name in TrainingHistory.__slots__}
    facts = _run_facts(command, seed, split) | {
        "architecture": asdict(architecture),
        "config": asdict(config),
        "history": history,
        "interrupted": result.interrupted,
    }
    plain = _plain(facts)
    assert isinstance(plain, dict)
    return plain


def _recorded_history(provenance: Mapping[str, object]) -> TrainingHistory | None:
    """Return the training history that a model file of ours holds, or None."""
    found = provenance.get("history")
    if not isinstance(found, dict) or set(found) != set(TrainingHistory.__slots__):
        return None
    columns = {
        name: np.array([np.nan if v is None else v for v in values], dtype=np.float64)
        for name, values in found.items()
        if isinstance(values, list) and all(v is None or isinstance(v, int | float) for v in values)
    }
    lengths = {len(values) for values in columns.values()}
    if len(columns) != len(found) or len(lengths) != 1 or 0 in lengths:
        return None
    return TrainingHistory(**columns)


def _fitted(network: Network, split: Split) -> Network:
    """Return `network` for the data's images, or raise if shapes or classes do not fit."""
    network = network.for_images(split.train.image_shape)
    if network.n_classes == 1:
        raise InputError("the network has one output; networks with an output for each class are supported")
    if split.train.n_classes != network.n_classes:
        raise InputError(
            f"the network has {network.n_classes} classes, but '{split.name}' has {split.train.n_classes}; "
            f"pass --data with the data it was trained on"
        )
    ours, theirs = network.class_names, split.train.class_names
    if ours != theirs and not all(name.isdigit() for name in ours):
        raise InputError(
            f"the network's classes are {', '.join(ours)}, but those of '{split.name}' {', '.join(theirs)}"
        )
    return replace(network, class_names=theirs)


def _for_shape(network: Network, image_shape: tuple[int, ...] | None) -> Network:
    """Return `network` for images of the shape that the caller named, if any."""
    if image_shape is not None:
        return network.for_images(image_shape)
    if len(network.input_shape) == 1:
        raise InputError(
            f"the network takes {network.input_shape[0]} values; pass --image-shape HEIGHT,WIDTH to say what image "
            f"they are, row by row"
        )
    return network


def _destination(out: Path | None, name: str) -> _Folder:
    return _Folder(Path("reports") / name if out is None else out)


def _data_stem(data: str) -> str:
    name = data.removeprefix("openml:")
    return Path(name).resolve().stem or "data"


def train_model(
    architecture: MLP,
    config: TrainingConfig,
    *,
    data: str = "mnist",
    out: Path | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> Written:
    """Train one network and write model.h5, results.json and a picture of the training."""
    split = load_dataset(data)
    folder = _destination(out, f"train-{_data_stem(data)}")
    result = train(architecture, split, config, seed=seed, progress=progress)
    if result.diverged_epoch:
        raise InputError(
            f"training diverged in epoch {result.diverged_epoch} at --learning-rate {config.learning_rate:g}; "
            f"pass a smaller one"
        )
    provenance = _provenance("probe train", seed, split, architecture, config, result)
    png = _drawn(result)
    folder.files.append(save_network(result.network, folder.path / "model.h5", provenance=provenance))
    folder.picture("training", png)
    folder.numbers({**provenance, "verdicts": []})
    accuracy = float(result.history.test_accuracy[-1])
    return Written(
        tuple(folder.files),
        f"{accuracy:.2%} of the test images right; epochs trained: {result.history.n_epochs}",
        result.interrupted,
    )


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
        history = _recorded_history(provenance)
        if history is not None:
            final = f"cost {history.cost[-1]:.4f}, test accuracy {history.test_accuracy[-1]:.2%}"
            lines.append(f"  after {history.n_epochs} epochs: {final}")
    return "\n".join(lines)


def keep_inspection(model: Path, out: Path) -> Written:
    """Write what `inspect_model` says to inspect.txt."""
    folder = _destination(out, model.stem)
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


def weights_model(
    model: Path,
    *,
    layer: str | None = None,
    image_shape: tuple[int, ...] | None = None,
    out: Path | None = None,
    seed: int = 0,
) -> Written:
    """Write the weight images of one layer, or of every dense layer."""
    network = _for_shape(load_network(model), image_shape)
    folder = _destination(out, f"weights-{model.stem}")
    names = [dense.name for dense in network.dense_layers] if layer is None else [layer]
    results = [weight_images(network, name) for name in names]
    for place, png in enumerate([_drawn(result) for result in results]):
        folder.picture(f"weights_{place + 1}", png)
    layers = {
        r.layer: {"n_units": len(r.images), "kind": r.kind, "scale": r.scale, "shape": r.images.shape}
        for r in results
    }
    folder.numbers(
        _run_facts("probe weights", seed, None) | {"model": str(model), "layers": layers, "verdicts": []}
    )
    return Written(tuple(folder.files), f"weights of {', '.join(repr(r.layer) for r in results)}")


def maximize_model(
    model: Path,
    *,
    layer: str | None = None,
    image_shape: tuple[int, ...] | None = None,
    restarts: int = 4,
    steps: int = 200,
    l2: float = 0.0,
    total_variation: float = 0.0,
    out: Path | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> Written:
    """Write the inputs that maximise every class, or every unit of a layer."""
    network = _for_shape(load_network(model), image_shape)
    folder = _destination(out, f"maximize-{model.stem}")
    objectives = _class_objectives(network) if layer is None else _unit_objectives(network, [layer])
    result = maximize(
        network,
        objectives,
        restarts=restarts,
        steps=steps,
        l2=l2,
        total_variation=total_variation,
        seed=seed,
        progress=progress,
    )
    folder.picture("maximize_classes" if layer is None else "maximize_units", _drawn(result))
    folder.numbers(
        _run_facts("probe maximize", seed, None)
        | {
            "model": str(model),
            "objectives": list(result.names),
            "values": result.values,
            "start_values": result.start_values,
            "confidences": result.confidences,
            "predictions": result.predictions,
            "l2": l2,
            "total_variation": total_variation,
            "steps": steps,
            "verdicts": [],
        }
    )
    lowest, highest = result.best_values.min(), result.best_values.max()
    return Written(tuple(folder.files), f"{len(objectives)} objectives, values {lowest:.3g} to {highest:.3g}")


def _class_objectives(network: Network) -> list[Objective]:
    return [class_logit(k) for k in range(network.n_classes)]


def _unit_objectives(network: Network, layers: Sequence[str], most: int | None = None) -> list[Objective]:
    found = []
    for layer in layers:
        network.layer(layer)
        shape = network.layer_shapes[layer]
        if len(shape) != 1:
            raise InputError(f"layer '{layer}' has outputs of shape {shape}; pass a layer of units")
        found += [unit(layer, k) for k in range(shape[0])]
    return found if most is None else found[:most]


def noise_model(
    model: Path, *, data: str = "mnist", out: Path | None = None, seed: int = 0, n_images: int | None = None
) -> Written:
    """Write how confident a network is on noise."""
    from probe.report.sections import noise_section

    split = load_dataset(data)
    network = _fitted(load_network(model), split)
    folder = _destination(out, f"noise-{model.stem}")
    result = noise_confidence(network, split, seed=seed, n_images=n_images)
    folder.picture("noise", _drawn(result))
    section, claim = noise_section(result)
    folder.numbers(
        _run_facts("probe noise", seed, split)
        | {"model": str(model), "noise": section.numbers, "verdicts": []}
    )
    return Written(tuple(folder.files), claim.found)


def memorize(
    architecture: MLP,
    config: TrainingConfig,
    *,
    data: str = "mnist",
    n_samples: int = 1000,
    replicates: int = 5,
    out: Path | None = None,
    seed: int = 0,
    workers: int | None = None,
    progress: Progress = silent,
) -> Written:
    """Run the paired experiment on true and random labels; write its numbers, result file and picture."""
    from probe.report.sections import memorization_section
    from probe.storage import save_result

    split = load_dataset(data)
    folder = _destination(out, f"memorize-{_data_stem(data)}")
    result = memorization(
        architecture,
        split,
        config,
        n_samples=n_samples,
        replicates=replicates,
        seed=seed,
        workers=workers,
        progress=progress,
    )
    folder.picture("memorization", _drawn(result))
    section, claim = memorization_section(result, "")
    folder.files.append(save_result(result, folder.path / "results.h5"))
    folder.numbers(
        _run_facts("probe memorize", seed, split)
        | {"config": asdict(config), "memorization": section.numbers, "verdicts": []}
    )
    return Written(tuple(folder.files), claim.found, result.interrupted)


def report(
    model: Path | None = None,
    *,
    data: str = "mnist",
    out: Path | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> Written:
    """Write the whole report on a model file, or on a network of the video's shape trained first.

    Parameters
    ----------
    model : Path, optional
        A model file that `probe.load_network` reads; a network is trained without.
    data : str
        What `probe.load_dataset` takes: the data that the network was or will be trained on.
    out : Path, optional
        Folder for index.html, results.json, model.h5 and figures; reports/<name> by default.
    seed : int
        Everything random follows from it.
    progress : callable
        Called with progress events of every stage.

    Raises
    ------
    InputError
        If the model or the data cannot be read or do not fit each other, or `out` cannot be written to.
    """
    from probe.report import Page, render
    from probe.report.sections import (
        maximization_section,
        memorization_section,
        noise_section,
        training_section,
        weights_section,
    )

    check_integer("--seed", seed, minimum=0)
    began = time.perf_counter()
    split = load_dataset(data)
    name = _data_stem(data) if model is None else model.stem
    if model is None:
        folder = _destination(out, name)
        subject, interrupted = _trained(split, seed, progress)
        if interrupted:
            kept = save_network(subject.network, folder.path / "model.h5", provenance=subject.provenance)
            return Written((kept,), "the network as it was; no report was made of it", interrupted=True)
    else:
        subject = _loaded(model, split)
        folder = _destination(out, name)
    network = subject.network
    accuracy = float((network.predict(split.test.images) == split.test.labels).mean())
    try:
        plain, smooth, units = _maximizations(network, seed, progress)
        noise = noise_confidence(network, split, seed=seed)
        memory, note = _memorization_for(network, split, seed, progress)
    except KeyboardInterrupt:
        if model is not None:
            raise
        kept = save_network(network, folder.path / "model.h5", provenance=subject.provenance)
        return Written((kept,), "the trained network; no report was made of it", interrupted=True)
    parts = [
        training_section(network, subject.history, accuracy, split.name),
        weights_section(tuple(_all_weight_images(network))),
        maximization_section(network, plain, smooth, units),
        noise_section(noise),
        memorization_section(memory, note),
    ]
    sections = tuple(section for section, _ in parts)
    all_pictures = [picture for section in sections for picture in section.pictures]
    pictures = {}
    for place, picture in enumerate(all_pictures):
        pictures[picture.name] = _drawn(picture.result)
        progress(ProgressEvent("drawing", place + 1, len(all_pictures)))
    for name, png in pictures.items():
        folder.picture(name, png)
    kept = folder.path / "model.h5"
    if model is None or not (kept.exists() and kept.samefile(model)):
        folder.files.append(save_network(network, kept, provenance=subject.provenance))
    seconds = time.perf_counter() - began
    facts = _run_facts("probe report", seed, split) | {"model": subject.origin, "seconds": round(seconds, 1)}
    folder.numbers(
        facts
        | {
            "claims": [asdict(claim) for _, claim in parts],
            "sections": {section.key: section.numbers for section in sections},
            "verdicts": [],
        }
    )
    page = Page(
        "What did the hidden layers learn?",
        f"{subject.origin}; data: {split.name}, {len(split.test):,} test images",
        tuple(claim for _, claim in parts),
        sections,
        _origin(facts, split),
    )
    folder.page(render(page, pictures))
    return Written(
        tuple(folder.files), f"{accuracy:.2%} of the test images right; {seconds:.0f} s", memory.interrupted
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Subject:
    """The network that a report is about, and where it comes from."""

    network: Network
    history: TrainingHistory | None
    provenance: dict[str, object]
    origin: str


def _trained(split: Split, seed: int, progress: Progress) -> tuple[_Subject, bool]:
    """Return a network of the video's shape, and whether Ctrl-C cut its training short."""
    per_epoch = math.ceil(len(split.train) / DEFAULT_TRAINING.batch_size)
    epochs = min(max(DEFAULT_TRAINING.epochs, math.ceil(_UPDATES / per_epoch)), _MOST_EPOCHS)
    config = replace(DEFAULT_TRAINING, epochs=epochs)
    result = train(DEFAULT_ARCHITECTURE, split, config, seed=seed, progress=progress)
    provenance = _provenance("probe report", seed, split, DEFAULT_ARCHITECTURE, config, result)
    sizes = DEFAULT_ARCHITECTURE.layer_sizes(math.prod(split.train.image_shape), split.train.n_classes)
    origin = f"A {'-'.join(map(str, sizes))} network, trained with seed {seed}"
    return _Subject(result.network, result.history, provenance, origin), result.interrupted


def _loaded(model: Path, split: Split) -> _Subject:
    network = _fitted(load_network(model), split)
    provenance = read_provenance(model)
    data = provenance.get("data")
    trained_on = data.get("fingerprint") if isinstance(data, dict) else None
    elsewhere = trained_on is not None and trained_on != split.fingerprint
    origin = f"The network in {model.name}" + (
        ", which was trained on other data than these" if elsewhere else ""
    )
    history = None if elsewhere else _recorded_history(provenance)
    return _Subject(network, history, provenance, origin)


def _maximizations(
    network: Network, seed: int, progress: Progress
) -> tuple[Maximization, Maximization, Maximization | None]:
    """Return the maximising images of the classes, plain and smoothed, and of the hidden units."""
    classes = _class_objectives(network)
    plain = maximize(network, classes, restarts=8, steps=300, seed=seed, progress=progress)
    smooth = maximize(
        network, classes, restarts=8, steps=300, l2=0.02, total_variation=0.05, seed=seed, progress=progress
    )
    hidden = [d.name for d in network.dense_layers[:-1] if len(network.layer_shapes[d.name]) == 1]
    objectives = _unit_objectives(network, hidden, _UNITS_SHOWN)
    if not objectives:
        return plain, smooth, None
    units = maximize(network, objectives, restarts=4, steps=200, seed=seed, progress=progress)
    return plain, smooth, units


def _memorization_for(
    network: Network, split: Split, seed: int, progress: Progress
) -> tuple[Memorization, str]:
    """Return the experiment on networks of the same shape, and a sentence on that."""
    architecture, note = _architecture_of(network)
    n_samples = min(1000, len(split.train))
    run = partial(
        memorization, architecture, split, n_samples=n_samples, replicates=5, n_test=1000, seed=seed
    )
    rate = 0.5 if architecture.activation == "sigmoid" else 0.1
    for attempt in range(_RATES_TRIED):
        config = TrainingConfig(
            epochs=_MEMORIZATION_EPOCHS, batch_size=20, learning_rate=rate / 10**attempt, stop="fitted"
        )
        try:
            return run(config, progress=progress), note
        except DivergedError as error:
            diverged = error
    raise diverged


def _architecture_of(network: Network) -> tuple[MLP, str]:
    """Return the shape of a chain of dense layers, or the video's where it has none to copy."""
    hidden = network.dense_layers[:-1]
    kinds = {_activation_after(network, layer) for layer in hidden}
    if len(kinds) == 1 and kinds <= ACTIVATIONS.keys() - {"step"}:
        (kind,) = kinds
        note = f"They have the widths of the network on this page, {kind} units and softmax outputs."
        return MLP(hidden=[layer.n_units for layer in hidden], activation=kind), note
    widths = "-".join(map(str, DEFAULT_ARCHITECTURE.hidden))
    why = "has no hidden layers of one kind of activation that gradient descent can train"
    note = f"They have hidden layers of {widths} sigmoid units: the network on this page {why}."
    return DEFAULT_ARCHITECTURE, note


def _activation_after(network: Network, dense: Dense) -> str:
    """Return the name of a dense layer's activation, which may be the layer after it."""
    if dense.activation_name != "linear":
        return dense.activation_name
    for layer in network.layers[network.layers.index(dense) + 1 :]:
        if isinstance(layer, Dense):
            break
        if isinstance(layer, ActivationLayer):
            return layer.activation_name
    return "linear"


def _all_weight_images(network: Network) -> Iterator[WeightImages]:
    """Return the weight images of every dense layer whose weights can be laid out as images."""
    for dense in network.dense_layers:
        with suppress(InputError):
            yield weight_images(network, dense.name)


def _origin(facts: Mapping[str, object], split: Split) -> dict[str, str]:
    """Return what the foot of the page says."""
    versions = facts["versions"]
    assert isinstance(versions, dict)
    return {
        "Made": f"{facts['created']} by probe {__version__} in {facts['seconds']} s",
        "Command": str(facts["command"]),
        "Seed": str(facts["seed"]),
        "Data": f"{split.name}: {len(split.train):,} training and {len(split.test):,} test images",
        "Data fingerprint": f"SHA-256 {split.fingerprint}",
        "Versions": ", ".join(f"{name} {found}" for name, found in versions.items()),
    }
