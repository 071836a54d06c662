"""Nonsense in any argument of any public callable is refused with an InputError, or does no harm.

`VALID` has one valid call of each. Hypothesis replaces one argument of it by something that a hurried user, or a
broken program, may pass. PROBE_NONSENSE is the number of examples for each callable: more than in CI, to look for more.
"""

import importlib
import inspect
import numbers
import os
import pkgutil
import re
import shutil
import tempfile
import threading
import warnings
from collections import defaultdict
from contextlib import _GeneratorContextManager
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from recipes_of_tests import quick, quick_controls
from sklearn.neural_network import MLPClassifier

import probe
from probe import (
    MLP,
    Dataset,
    InputError,
    Limits,
    Network,
    Population,
    Split,
    TrainingConfig,
    analyses,
    class_logit,
    costs,
    datasets,
    layers,
    objectives,
    optimizers,
    stats,
    storage,
    sweep,
    training,
    unit,
)
from probe.ascent import Ball, Box, Fourier, Pixels, Shift
from probe.interventions import Flip
from probe.pages import CHAPTERS, Report, Section
from probe.parameters import ParameterSpace
from probe.population import initial_population

EXAMPLES = int(os.environ.get("PROBE_NONSENSE", "12"))

PACKAGES = [
    probe, layers, costs, optimizers, objectives, datasets, stats, training, storage, sweep,
    *map(
        importlib.import_module,
        ["probe.ascent", "probe.controls", "probe.curvature", "probe.figures", "probe.imports", "probe.kerasfile",
         "probe.network", "probe.parameters", "probe.planes", "probe.population", "probe.pages", "probe.sensitivity"],
    ),
    *(importlib.import_module(f"probe.analyses.{found.name}") for found in pkgutil.iter_modules(analyses.__path__)
      if not found.name.startswith("_")),
]  # fmt: skip

RESULTS = {
    "Abilities", "Agreement", "ClaimPair", "Comparison", "ControlsSummary", "LayerPair",
    "ArchitectureSearch", "Artist", "Ascent", "Bounds", "Calibration", "Capacity", "CapacityFit", "CapacityKey",
    "CapacityTrial", "Classification", "Components", "JudgedImages",
    "Concepts", "ConditionConfidence", "ConditionSummary", "ConfidenceLimit", "Connections", "CostPlane", "CriticalSamples",
    "Descent", "Diagnosis", "Drawing", "DrawnImages", "Estimate", "Evaluation", "ExampleDynamics",
    "Examples", "Film", "Foreign", "Frames",
    "ExpandedWeights", "ImageConcepts", "Interval", "NoiseCondition", "Landscape", "LayerConcepts",
    "LayerDescription", "LoopSample", "LoopUnits", "LossSurface", "Maximization", "Memorization", "MemorizationCell",
    "MemorizationScores", "MemorizationTrial", "LayerWeights", "NetworkSummary", "NetworkWeights", "WeightPicture",
    "Minima", "MinimaKey", "MinimaTrial", "ModelFile", "NoiseConfidence", "NoiseSeverity", "Part", "TrialKey",
    "PopulationResult", "PreparedData", "Rendered", "RenderedSection", "Robustness", "RobustnessKey", "RobustnessTrial",
    "ScoredGroup", "ScoresKey", "ScoresTrial",
    "SearchCandidate", "SearchFront", "SearchRung", "ShardOutcome", "ShardRun", "Steepness", "StepActivations",
    "StructureNull", "SweepOutcome", "TopImages", "TrainingHistory", "TrainingPath",
    "TrainingResult",
    "LayerCards", "RankedImages", "Standing", "UnitCard", "UnitCards",
    "VariableDescription", "Verdict",
    "Verification", "VerificationKey", "VerificationTrial", "VerifiedRow", "WeightImages", "WeightStructure", "WidthMinima",
}  # fmt: skip
"""Values that functions return: nobody makes one by hand."""

INNER = {
    "apply_output", "cost_values", "label_positions", "logit_gradient", "logit_gradient_product", "softmax",
    "Condition", "balanced_masks", "Linearized", "PopulationCost", "layers_of", "population_of", "vectors_of", "aligned",
    "connections", "learning_rate_for", "smaller_rates",
    "Backend", "CapacityStudy", "DataSource", "MemorizationStudy", "MinimaStudy", "RobustnessStudy", "ScoresStudy", "Source",
    "StoredImages", "in_unit_range", "levels_of",
    "Draft", "VerificationStudy",
    "run_study_in", "run_trial",
    "Shard", "sampled_test", "check_storable", "encode_provenance", "last_net", "model_in", "naming", "parse_json",
    "archive_of", "write_network", "write_text_attribute",
}  # fmt: skip
"""Parts of loops, of sweeps, of files and of pages: they get what this package made, once for each batch, trial or file."""

ABSTRACT = {
    "Activation", "ImageLayer", "Layer", "Merge", "Optimizer", "Parameterization", "Region", "Result", "Transform",
    "DataFileError", "InputError", "ModelFileError", "ModelFileWarning", "OpenShapeError", "ProbeWarning",
    "NetworkClassifier",
}  # fmt: skip
"""Classes to derive from and protocols, and exceptions; and the one that scikit-learn's own checks try with nonsense."""

LONG = {
    "epochs", "steps", "updates", "restarts", "n_networks", "polish", "n_connected", "n_directions", "n_lines",
    "n_planes", "resolution", "n_null", "n_permutations", "n_rotations", "replicates", "starts", "max_steps", "draws",
    "n_samples", "workers", "shard_size", "hidden", "widths", "depths", "input_shape", "image_shape", "shape",
    "first_epochs", "pixels", "size", "padding", "target_shape", "pilot_replicates", "sigma",
}  # fmt: skip
"""Arguments where a large number is no nonsense: it asks for more work, or memory."""


@cache
def world():
    """Return small valid values of everything."""
    digits = datasets.load_dataset("digits")
    split = Split(digits.train.take(range(60)), digits.test.take(range(120)), "few digits")
    config = TrainingConfig(epochs=1, batch_size=20, learning_rate=0.3)
    trained = probe.train(MLP((6,), "relu"), split, config, seed=0)
    network, images = trained.network, split.test.images[:40]
    convolution = Network(
        (
            layers.Reshape("image", (8, 8, 1)),
            layers.Conv2D("conv", np.ones((3, 3, 1, 2), "f4"), np.zeros(2, "f4"), activation_name="relu"),
            layers.Flatten("flat"),
            layers.Dense("output", np.full((72, 10), 0.01, "f4"), np.zeros(10, "f4"), "softmax"),
        ),
        (8, 8),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        classifier = MLPClassifier((3,), max_iter=2, random_state=0).fit(
            split.train.images.reshape(60, -1), split.train.labels
        )
    population = initial_population(
        MLP((6,), "relu"), (8, 8), split.train.class_names, rngs=[np.random.default_rng(k) for k in range(2)]
    )
    space = ParameterSpace(network)
    return SimpleNamespace(
        split=split, train=split.train, config=config, trained=trained, network=network, images=images,
        labels=split.test.labels[:40], convolution=convolution, classifier=classifier, population=population, space=space,
        controls=quick_controls(network, split, 2, epochs=1), mlp=MLP((6,), "relu"),
        folder=_files(network),
        vectors=np.random.default_rng(0).normal(size=(2, space.n_parameters)).astype("f4"),
        shown=probe.weight_images(network), interval=stats.Interval(0.5, 0.4, 0.6, 0.95, 5),
    )  # fmt: skip


@cache
def _folder():
    return tempfile.TemporaryDirectory()


def _files(network):
    folder = Path(_folder().name)
    storage.save_network(network, folder / "model.h5")
    storage.save_result(probe.weight_images(network), folder / "result.h5")
    (folder / "folder").mkdir()
    (folder / "empty").touch()
    return folder


def few(w, **more):
    return {"network": w.network, "split": w.split, **more}


def rng():
    return np.random.default_rng(0)


def run_trial(task, stop):
    return world().shown


def mean_of_all(*columns, axis):
    return np.mean(columns, axis=0).mean(axis)


def array(*shape):
    return np.full(shape, 0.5, "f4")


ONNX = Path(__file__).parent / "imports" / "fixtures" / "onnx" / "torch_mlp_opset17.onnx"
QUICK = quick(1)
FITTED = TrainingConfig(epochs=2, batch_size=20, stop="fitted")

STEPS = {"strides": (1, 1), "padding": "valid", "data_format": "channels_last"}
POOLING = {"name": "pool", "pool_size": (2, 2), **STEPS}
CONVOLUTION = {"name": "c", **STEPS, "dilation_rate": (1, 1), "activation_name": "relu"}
IMAGES = {"name": "i", "data_format": "channels_last"}
SIGNALS = {"name": "s", "data_format": "channels_last"}
SIGNAL_STEPS = {**SIGNALS, "strides": 1, "padding": "valid"}
SIGNAL_CONVOLUTION = {**SIGNAL_STEPS, "dilation_rate": 1, "activation_name": "relu"}

VALID = {
    # name: world -> arguments of the callable of this name
    "MLP": lambda w: {"hidden": (4, 3), "activation": "relu", "output": "softmax", "initialization": "auto"},
    "Dataset": lambda w: {"images": w.images, "labels": w.labels, "class_names": w.train.class_names},
    "Limits": lambda w: {"file_bytes": 10**6, "depth": 8, "rank": 4, "archive_members": 10},
    "Network": lambda w: {
        "layers": w.network.layers, "input_shape": (8, 8), "class_names": w.train.class_names,
        "wiring": w.network.wiring, "output_names": ("output",), "more_input_shapes": (),
        "input_names": ("input",), "is_regression": False,
    },
    "Network.logits": lambda w: {"self": w.network, "x": w.images},
    "Network.logits_vjp": lambda w: {"self": w.network, "x": w.images},
    "Network.outputs": lambda w: {"self": w.network, "x": w.images},
    "Network.all_outputs": lambda w: {"self": w.network, "x": w.images},
    "Network.predict": lambda w: {"self": w.network, "x": w.images},
    "Network.predict_proba": lambda w: {"self": w.network, "x": w.images},
    "Network.activations": lambda w: {"self": w.network, "x": w.images},
    "Network.pre_activations": lambda w: {"self": w.network, "x": w.images},
    "Network.input_gradient": lambda w: {"self": w.network, "x": w.images, "objective": class_logit(3)},
    "Network.objective_gradient": lambda w: {"self": w.network, "x": w.images[:2], "objectives": [class_logit(3)] * 2},
    "Network.objective_values": lambda w: {"self": w.network, "x": w.images, "objectives": [class_logit(3)]},
    "Network.objective_function": lambda w: {"self": w.network, "objectives": [class_logit(3)]},
    "Network.with_input_shape": lambda w: {"self": w.network, "image_shape": (8, 8, 1)},
    "Network.with_input_range": lambda w: {"self": w.network, "low": -1.0, "high": 1.0},
    "Network.truncate": lambda w: {"self": w.network, "layer": "hidden_1"},
    "Network.layer": lambda w: {"self": w.network, "name": "hidden_1"},
    "Network.n_units": lambda w: {"self": w.network, "layer": "hidden_1"},
    "Network.input_shapes_of": lambda w: {"self": w.network, "layer": "hidden_1"},
    "Dataset.take": lambda w: {"self": w.train, "samples": [0, 2]},
    "Dataset.with_labels": lambda w: {"self": w.split.test.take(range(40)), "labels": w.labels},
    "Dataset.sample": lambda w: {"self": w.train, "n": 3, "rng": rng()},
    "Population.network": lambda w: {"self": w.population, "index": 1},
    "Population.take": lambda w: {"self": w.population, "members": [0, 1]},
    "Population.logits": lambda w: {"self": w.population, "x": w.images},
    "Population.activations": lambda w: {"self": w.population, "x": w.images},
    "Population.evaluate": lambda w: {"self": w.population, "data": w.train, "cost": "quadratic"},
    "Objective.named": lambda w: {"self": class_logit(1), "label": "one"},
    "ParameterSpace.at": lambda w: {"self": w.space, "vector": w.space.vector},
    "Objective": lambda w: {"layer": "hidden_1", "index": 1, "stage": "activation", "position": (1, 2)},
    "Combination": lambda w: {"terms": ((1.0, class_logit(1)), (-1.0, class_logit(2))), "label": "difference"},
    "Population": lambda w: {
        "architecture": w.mlp, "input_shape": (8, 8), "class_names": w.train.class_names,
        "weights": w.population.weights, "biases": w.population.biases,
    },
    "Split": lambda w: {"train": w.train, "test": w.split.test, "name": "digits"},
    "TrainingConfig": lambda w: {
        "epochs": 1, "batch_size": 5, "learning_rate": 0.5, "cost": "quadratic", "optimizer": "adam", "momentum": 0.9,
        "weight_decay": 0.0, "schedule": "cosine", "step_epochs": 10, "step_factor": 0.1, "stop": "never",
        "evaluation": "epoch", "until": 0.9, "dtype": "float32",
    },
    "Controls": lambda w: {
        "untrained": w.controls.untrained, "trained": w.controls.trained, "few_labels": w.controls.few_labels,
        "random_label": w.controls.random_label, "summary": w.controls.summary,
    },
    "capacity": lambda w: {
        "architectures": w.mlp, "split": w.split, "config": FITTED, "rates": (0.1,), "starts": 1, "replicates": 1,
        "updates": 20, "largest": 40, "tolerance": 0.1, "seed": 0, "workers": 1, "progress": ignore,
    },
    "class_logit": lambda w: {"index": 3},
    "concepts": lambda w: few(
        w, layers=["hidden_1"], controls=w.controls, n_images=100, n_permutations=19, n_rotations=19, alpha=0.05, seed=0,
        progress=ignore,
    ),
    "apply_edits": lambda w: {"network": w.network, "edits": [Flip("hidden_1", 0)]},
    "read_edits": lambda w: {"text": '[{"op": "prune", "share": 0.5}]'},
    "cost_plane": lambda w: few(w, film=None, cost="quadratic", resolution=3, n_images=5, seed=0),
    "confidence_limit": lambda w: {"network": w.network, "directions": w.images},
    "critical_samples": lambda w: {
        "network": w.network, "images": w.images, "radius": 0.01, "step": 0.25, "noise": 0.2, "max_steps": 3, "seed": 0,
    },
    "direction": lambda w: {"layer": "hidden_1", "vector": [1.0, -1.0], "stage": "activation", "position": None},
    "drawing": lambda w: few(
        w, controls=w.controls, restarts=1, steps=2, l2=0.1, total_variation=0.1, seed=0, progress=ignore
    ),
    "expanded_weights": lambda w: {
        "network": w.network, "images": w.images, "layer": "last", "controls": None, "n_images": 20, "seed": 0,
    },
    "from_sklearn": lambda w: {"model": w.classifier, "input_shape": (8, 8)},
    "from_torch": lambda w: {"module": _torch_module(), "example_input": (8, 8), "class_names": ("a", "b")},
    "image_concepts": lambda w: {"images": w.images, "regions": 3},
    "landscape": lambda w: few(
        w, cost="quadratic", n_networks=2, n_directions=10, updates=5, resolution=3, n_planes=2, n_lines=3,
        n_images=20, workers=1, seed=0, progress=ignore,
    ),
    "load_dataset": lambda w: {
        "name_or_path": "digits", "pixel_range": (0.0, 1.0), "class_names": tuple("ABCDEFGHIJ"), "image_size": (4, 4),
    },
    "load_film": lambda w: {"path": w.folder / "model.h5", "limits": probe.Limits()},
    "load_network": lambda w: {
        "path": w.folder / "model.h5", "architecture": None, "replace": {}, "input_shape": None, "limits": Limits(),
    },
    "load_result": lambda w: {"path": w.folder / "result.h5", "kind": type(w.shown)},
    "loss_sensitivity": lambda w: {"network": w.network, "images": w.images, "labels": w.labels, "cost": "quadratic"},
    "maximize": lambda w: {
        "network": w.network, "objectives": [class_logit(1)], "restarts": 2, "steps": 3, "l2": 0.1,
        "total_variation": 0.1, "diversity": 0.1, "parameterization": Pixels(), "transform": Shift(1), "region": Box(),
        "images": w.images, "n_top": 2, "frames": 2, "seed": 0, "progress": ignore,
    },
    "memorization": lambda w: {
        "architecture": w.mlp, "split": w.split, "config": w.config, "n_samples": 20, "replicates": 2,
        "corruption": (0.0, 1.0), "label_corruption": "permute", "input_corruption": ("none",), "weight_decay": (0.0,),
        "rates": (), "dynamics": "examples", "n_test": 20, "seed": 0, "workers": 1, "progress": ignore,
    },
    "memorization_scores": lambda w: {
        "architecture": w.mlp, "split": w.split, "config": w.config, "n_samples": 20, "n_networks": 20, "share": 0.7,
        "corruption": 0.1, "label_corruption": "permute", "seed": 0, "workers": 1, "progress": ignore,
    },
    "minima": lambda w: {
        "architectures": w.mlp, "split": w.split, "config": TrainingConfig(epochs=1, weight_decay=0.01),
        "n_networks": 3, "n_samples": 40, "polish": 3, "curvature": "extremes", "margin": 0.02, "n_connected": 2,
        "seed": 0, "workers": 1, "progress": ignore,
    },
    "classification": lambda w: few(w, n_images=20, seed=0),
    "noise_confidence": lambda w: few(w, controls=w.controls, n_images=20, seed=0),
    "noise_severity": lambda w: few(w, controls=w.controls, n_images=20, seed=0, progress=ignore),
    "open_model": lambda w: {
        "path": w.folder / "model.h5", "architecture": None, "replace": {}, "input_shape": None, "limits": Limits(),
    },
    "parse_objective": lambda w: {"text": "class:3 - class:8", "network": w.network},
    "result_from_bytes": lambda w: {"content": storage.result_bytes(w.shown), "kind": type(w.shown), "shown": "a.h5"},
    "network_bytes": lambda w: {"network": w.network},
    "OwnedFolder": lambda w: {"path": Path("owned")},
    "save_network": lambda w: {"network": w.network, "path": "saved.h5", "provenance": {"data": "digits"}},
    "save_result": lambda w: {"result": w.shown, "path": "saved.h5"},
    "search": lambda w: {
        "split": w.split, "widths": (4,), "depths": (1,), "activations": ("relu",), "costs": ("cross-entropy",),
        "rates": (0.3,), "n_networks": 2, "first_epochs": 1, "epochs": 3, "reduction": 3, "batch_size": 20,
        "n_samples": 40, "validation": 0.2, "seed": 0, "progress": ignore,
    },
    "train": lambda w: {
        "architecture": w.mlp, "split": w.split, "config": w.config, "seed": 0, "frames": 2, "progress": ignore,
    },
    "train_population": lambda w: {
        "architecture": w.mlp, "split": w.split, "config": w.config, "n_networks": 2, "seed": 0,
        "labels": np.stack([w.train.labels] * 2), "learning_rates": np.array([0.1, 0.2]),
        "sample_weights": np.ones((2, 60), bool), "start": w.population, "shard_size": 2, "workers": 1, "progress": ignore,
    },
    "control_networks": lambda w: few(w, n_networks=2, recipe=QUICK, minutes=9.0, seed=0, progress=ignore),
    "report": lambda w: few(w, recipe=QUICK, minutes=0.0, seed=0, progress=ignore),
    "unit": lambda w: {"layer": "hidden_1", "index": 2, "stage": "activation", "position": (1, 1)},
    "unit_card": lambda w: few(w, unit="hidden_1:2", controls=w.controls, seed=0, progress=ignore),
    "unit_cards": lambda w: few(
        w, layers=["hidden_1"], most_units=2, controls=w.controls, favorites=(), concepts=None, seed=0, progress=ignore
    ),
    "weight_images": lambda w: {"network": w.network, "layer": "first"},
    "compare_networks": lambda w: {
        "first": w.network, "second": w.network, "split": w.split, "n_images": 20, "n_null": 99, "seed": 0,
        "progress": ignore,
    },
    "weight_structure": lambda w: few(
        w, layer="first", controls=w.controls, n_null=39, alpha=0.05, seed=0, progress=ignore
    ),
    "images_of_layers": lambda w: {"network": w.convolution},
    "NetworkGroup": lambda w: {"members": (w.network, w.network)},
    "loop_sample": lambda w: {"split": w.split, "n_images": 100, "seed": 0},
    "minima_of_kind": lambda w: few(w, n_networks=2, seed=0, progress=ignore),
    "robustness": lambda w: {
        "architectures": w.mlp, "split": w.split, "recipes": ("modern",), "lengths": (0.01,), "datasets": (),
        "replicates": 1, "seed": 0, "workers": 1, "progress": ignore,
    },
    "verify": lambda w: {
        "split": w.split, "rows": ("zhang-theorem",), "size": "small", "n_networks": 3, "seed": 0, "workers": 1,
        "progress": ignore,
    },
    "VerificationDesign": lambda w: {"rows": ("zhang-theorem",), "size": "small", "n_networks": 3, "seed": 0},
    "Row": lambda w: {
        "key": "lesson-x", "source": "lesson", "where": "w", "claim": "c", "setup": "s", "differs": "", "low": 0.5,
        "high": 0.6, "spread": 0.01, "rounding": 0.01, "reason": "r", "known": "digits", "unit": "share", "digits": 1,
        "statistic": "mean", "size": "small", "carries": False, "remark": "",
    },
    "concepts.primary_estimates": lambda w: few(w, images=None, n_images=100, seed=0),
    "drawing.primary_estimates": lambda w: few(w, seed=0),
    "landscape.primary_estimates": lambda w: few(w, cost="quadratic", n_directions=3, n_images=20, seed=0),
    "memorization.primary_estimates": lambda w: {
        "architecture": w.mlp, "split": w.split, "config": w.config, "n_networks": 2, "n_samples": 20, "seed": 0,
    },
    "minima.primary_estimates": lambda w: few(w, n_networks=2, seed=0),
    "noise.primary_estimates": lambda w: few(w, n_images=20, seed=0),
    "robustness.primary_estimates": lambda w: few(w, seed=0),
    "fewer_labels": lambda w: {"n_labels": 100, "n_pixels": 784},
    "gentle_rate": lambda w: {"learning_rate": 0.3, "images": w.images},
    "affordable_looks": lambda w: {"network": w.network, "n_images": 10, "n_directions": 10, "multiplications": 10**9},
    "n_memorizable": lambda w: {"n_parameters": 1_000, "n_samples": 100},
    "structure.primary_estimates": lambda w: few(w, n_null=39, alpha=0.05, seed=0),
    "MemorizationDesign": lambda w: {
        "architectures": (w.mlp,), "n_samples": (20,), "corruption": (0.0, 1.0), "label_corruption": "permute",
        "input_corruption": ("none",), "weight_decay": (0.0,), "replicates": 2, "config": w.config, "rates": (),
        "pilot_replicates": 1, "dynamics": "examples", "critical_radius": 0.1, "n_test": 20, "seed": 0,
    },
    "MinimaDesign": lambda w: {
        "architectures": (w.mlp,), "n_networks": 3, "n_samples": 40, "config": TrainingConfig(weight_decay=0.01),
        "polish": 2, "curvature": "extremes", "margin": 0.1, "n_connected": 2, "seed": 0,
    },
    "RobustnessDesign": lambda w: {
        "architectures": (w.mlp,), "recipes": ("modern",), "lengths": (1.0, 2.0), "datasets": ("digits",), "replicates": 1,
        "seed": 0,
    },
    "ScoresDesign": lambda w: {
        "architecture": w.mlp, "config": w.config, "n_samples": 20, "n_networks": 20, "share": 0.7, "corruption": 0.1,
        "label_corruption": "permute", "seed": 0,
    },
    "CapacityDesign": lambda w: {
        "architectures": (w.mlp,), "config": FITTED, "rates": (0.1,), "starts": 1, "replicates": 1, "updates": 20,
        "largest": 40, "tolerance": 0.1, "seed": 0,
    },
    # Layers.
    "ActivationLayer": lambda w: {"name": "a", "activation_name": "relu"},
    **{name: lambda w: {"name": "m"} for name in (
        "Add", "Average", "Divide", "Maximum", "Minimum", "Multiply", "Subtract",
    )},
    "Concatenate": lambda w: {"name": "m", "axis": -1},
    "AveragePooling2D": lambda w: POOLING,
    "MaxPooling2D": lambda w: {**POOLING, "dilation_rate": (1, 1)},
    "AdaptiveAveragePooling2D": lambda w: {**IMAGES, "output_size": (2, 2)},
    **{name: lambda w: {**SIGNAL_STEPS, "pool_size": 2} for name in ("AveragePooling1D", "MaxPooling1D")},
    "BatchNormalization": lambda w: {
        "name": "n", "gamma": array(4), "beta": array(4), "moving_mean": array(4), "moving_variance": array(4),
        "axis": -1, "epsilon": 0.001,
    },
    "GroupNormalization": lambda w: {
        "name": "n", "gamma": array(4), "beta": array(4), "groups": 2, "axis": -1, "epsilon": 0.001,
    },
    "UnitNormalization": lambda w: {"name": "n", "axis": (-1,), "epsilon": 0.001},
    "LocalResponseNormalization": lambda w: {**IMAGES, "size": 5, "alpha": 0.1, "beta": 0.75, "k": 1.0},
    "LayerNormalization": lambda w: {"name": "n", "gamma": array(4), "beta": array(4), "axis": (-1,), "epsilon": 0.1},
    "Normalization": lambda w: {"name": "n", "mean": array(4), "variance": array(4), "axis": (-1,), "invert": False},
    "Conv2D": lambda w: {**CONVOLUTION, "kernel": array(3, 3, 2, 4), "bias": array(4), "groups": 1},
    "Conv2DTranspose": lambda w: {**CONVOLUTION, "kernel": array(3, 3, 4, 2), "bias": array(4), "output_padding": None},
    "DepthwiseConv2D": lambda w: {**CONVOLUTION, "kernel": array(3, 3, 2, 2), "bias": array(4)},
    "SeparableConv2D": lambda w: {
        **CONVOLUTION, "depthwise_kernel": array(3, 3, 2, 1), "pointwise_kernel": array(1, 1, 2, 4), "bias": array(4),
    },
    "Conv1D": lambda w: {**SIGNAL_CONVOLUTION, "kernel": array(3, 2, 4), "bias": array(4), "groups": 1},
    "Conv1DTranspose": lambda w: {
        **SIGNAL_CONVOLUTION, "kernel": array(3, 4, 2), "bias": array(4), "output_padding": None,
    },
    "DepthwiseConv1D": lambda w: {**SIGNAL_CONVOLUTION, "kernel": array(3, 2, 2), "bias": array(4)},
    "SeparableConv1D": lambda w: {
        **SIGNAL_CONVOLUTION, "depthwise_kernel": array(3, 2, 1), "pointwise_kernel": array(1, 2, 4), "bias": array(4),
    },
    "LocallyConnected2D": lambda w: {
        "name": "c", "kernel": array(4, 18, 3), "bias": array(2, 2, 3), "kernel_size": (3, 3), "strides": (1, 1),
        "activation_name": "relu", "data_format": "channels_last",
    },
    "Cropping2D": lambda w: {**IMAGES, "cropping": ((1, 1), (0, 0))},
    "ZeroPadding2D": lambda w: {**IMAGES, "padding": ((1, 1), (0, 0))},
    "UpSampling2D": lambda w: {**IMAGES, "size": (2, 2), "interpolation": "nearest"},
    "Cropping1D": lambda w: {**SIGNALS, "cropping": (1, 0)},
    "ZeroPadding1D": lambda w: {**SIGNALS, "padding": (1, 0)},
    "UpSampling1D": lambda w: {**SIGNALS, "size": 2},
    "CenterCrop": lambda w: {**IMAGES, "height": 4, "width": 4},
    "Resizing": lambda w: {
        **IMAGES, "height": 4, "width": 4, "interpolation": "bilinear", "coordinates": "half_pixel",
        "crop_to_aspect_ratio": False, "pad_to_aspect_ratio": True, "fill_value": 0.5, "antialias": False,
    },
    "Dense": lambda w: {
        "name": "d", "kernel": array(4, 3), "bias": array(3), "activation_name": "relu",
    },
    "Dropout": lambda w: {"name": "d", "rate": 0.5},
    "Noise": lambda w: {"name": "n", "kind": "GaussianNoise", "rate": 0.1, "l2": 0.0},
    "Augmentation": lambda w: {"name": "a", "kind": "RandomFlip", "settings": '{"mode": "horizontal"}'},
    "Clip": lambda w: {"low": -1.0, "high": 1.0},
    "Power": lambda w: {"exponent": 2.0},
    "GLU": lambda w: {"name": "g", "axis": -1},
    "Elementwise": lambda w: {"name": "e", "value": np.tanh, "slope": np.cos, "curvature": np.sin},
    "Elu": lambda w: {"alpha": 1.0},
    "LeakyRelu": lambda w: {"negative_slope": 0.1},
    "Relu": lambda w: {"max_value": 6.0, "negative_slope": 0.1, "threshold": 0.5},
    "Softmax": lambda w: {"axis": -1},
    "LogSoftmax": lambda w: {"axis": -1},
    "Flatten": lambda w: IMAGES,
    "GlobalAveragePooling2D": lambda w: {**IMAGES, "keepdims": False},
    "GlobalMaxPooling2D": lambda w: {**IMAGES, "keepdims": False},
    "GlobalAveragePooling1D": lambda w: {**SIGNALS, "keepdims": False},
    "GlobalMaxPooling1D": lambda w: {**SIGNALS, "keepdims": False},
    "PReLU": lambda w: {"name": "p", "alpha": array(4), "shared_axes": ()},
    "Permute": lambda w: {"name": "p", "dims": (2, 1)},
    "Affine": lambda w: {"name": "a", "scale": array(4), "shift": array(4)},
    "Rescaling": lambda w: {"name": "r", "scale": 2.0, "offset": -1.0},
    "Broadcast": lambda w: {"name": "b", "shape": (3, 4)},
    "Pad": lambda w: {"name": "p", "margins": ((1, 1), (0, 2)), "mode": "constant", "value": 0.5},
    "Reduce": lambda w: {"name": "r", "kind": "mean", "axes": (1, -1), "keepdims": False},
    "Slice": lambda w: {"name": "s", "starts": (1, None), "stops": (-1, None), "steps": (1, 2)},
    "Reshape": lambda w: {"name": "r", "target_shape": (4, 4)},
    "activation_from": lambda w: {"activation": "relu"},
    "activation_named": lambda w: {"name": "relu"},
    # Optimizers.
    "SGD": lambda w: {},
    "Adam": lambda w: {"beta_1": 0.9, "beta_2": 0.99, "epsilon": 1e-7},
    "Momentum": lambda w: {"momentum": 0.5},
    "Nesterov": lambda w: {"momentum": 0.5},
    # Data.
    "corrupted_inputs": lambda w: {"split": w.split, "kind": "gaussian", "rng": rng()},
    "gaussian_noise": lambda w: {"n_samples": 3, "images_like": w.images, "rng": rng()},
    "is_named": lambda w: {"name_or_path": "mnist"},
    "norm_matched_noise": lambda w: {"images": w.images, "rng": rng()},
    "permuted_labels": lambda w: {"labels": w.labels, "rng": rng(), "fraction": 0.5},
    "pixel_shuffled": lambda w: {"images": w.images, "rng": rng()},
    "redrawn_labels": lambda w: {"labels": w.labels, "n_classes": 10, "rng": rng(), "fraction": 0.5},
    "resized": lambda w: {"split": w.split, "shape": (4, 4)},
    "uniform_noise": lambda w: {"n_samples": 3, "image_shape": (4, 4), "rng": rng()},
    # Statistics.
    "bootstrap_interval": lambda w: {"values": np.arange(5.0), "statistic": mean_of_all, "level": 0.9, "seed": 0},
    "count_estimate": lambda w: {"n_hits": 3, "n": 9, "level": 0.9},
    "gini": lambda w: {"values": np.arange(5.0), "axis": -1},
    "holm": lambda w: {"p_values": np.array([0.01, 0.04, np.nan])},
    "mean_estimate": lambda w: {"values": np.arange(1.0, 9), "scale": "ratio", "level": 0.9, "seed": 0},
    "normal_estimate": lambda w: {"value": 0.9, "standard_error": 0.1, "n": 20, "scale": "share", "level": 0.9},
    "stats.Claim": lambda w: {
        "key": "k", "title": "t", "statistic_name": "s", "unit": "share", "replicate": "units", "null": "n",
        "threshold": 0.5, "reason": "r", "subject": "network", "claims_less": False, "said": "", "minute": "",
    },
    "mean_interval": lambda w: {"values": np.arange(5.0), "level": 0.9},
    # Training.
    "train_shards": lambda w: {
        "shards": [training.Shard(w.population, w.split, rng())], "config": w.config, "workers": 1, "progress": ignore,
        "stage": "training",
    },
    "train_network": lambda w: {
        "start": w.network, "split": w.split, "config": w.config, "rng": rng(), "labels": w.train.labels, "until": 0.5,
        "frames": 2, "workers": 1, "progress": ignore,
    },
    "enough_epochs": lambda w: {"n_samples": 1000},
    "layered_training": lambda w: {"n_samples": 1000},
    "images_worth": lambda w: {"split": w.split, "config": w.config, "frames": 2},
    "seconds_per_image": lambda w: {"network": w.convolution, "split": w.split, "batch_size": 20},
    "training_seconds": lambda w: {"n_weights": 1000, "n_samples": 100, "config": w.config},
    # Files.
    "read_provenance": lambda w: {"path": w.folder / "model.h5"},
    "diagnose": lambda w: {
        "path": w.folder / "model.h5", "architecture": None, "replace": {}, "input_shape": None,
    },
    "foreign_file": lambda w: {"path": w.folder / "model.h5"},
    "foreign_kind": lambda w: {"path": w.folder / "model.h5"},
    "is_onnx": lambda w: {"path": w.folder / "model.h5"},
    "onnx_obstacles": lambda w: {"path": ONNX, "input_shape": (8, 8), "limits": Limits()},
    "read_onnx": lambda w: {
        "path": ONNX, "tensors": None, "input_shape": (8, 8), "limits": Limits(),
    },
    "read_foreign": lambda w: {
        "path": ONNX, "kind": "onnx", "architecture": None, "input_shape": (8, 8), "limits": Limits(),
    },
    "result_bytes": lambda w: {"result": w.shown},
    "write_atomically": lambda w: {"path": "saved"},
    "write_bytes": lambda w: {"path": "saved", "content": b"1"},
    "write_text": lambda w: {"path": "saved", "content": "1"},
    "run_sweep": lambda w: {
        "folder": Path("new"), "configuration": {"seed": 0}, "trials": {"a": w.shown}, "function": run_trial,
        "kind": type(w.shown), "extent": {"trials": 2}, "workers": 1, "backend": "threads", "scheduler": None,
        "progress": ignore, "stage": "trials",
    },
    # Ascent.
    "Ball": lambda w: {"radius": 1.0, "center": 0.0, "box": Box()},
    "Blurred": lambda w: {"sigma": 1.0},
    "Box": lambda w: {"low": 0.0, "high": 1.0},
    "Fourier": lambda w: {"decay": 1.0},
    "Pixels": lambda w: {},
    "Shift": lambda w: {"pixels": 1, "draws": 2},
    "ascend": lambda w: {
        "network": w.network, "objectives": [unit("hidden_1", 0)], "restarts": 2, "steps": 2,
        "parameterization": Fourier(), "transform": Shift(1), "region": Ball(2.0), "l2": 0.1, "total_variation": 0.1,
        "diversity": 0.1, "seed": 0, "progress": ignore, "keep": 2,
    },
    "affordable_ascents": lambda w: {"network": w.network, "n_objectives": 10, "restarts": 8, "steps": 300},
    "certify": lambda w: {"network": w.network, "objectives": [class_logit(0)], "region": Box()},
    # Figures.
    "parts_of": lambda w: {"result": w.shown},
    "picture": lambda w: {"result": w.shown, "scale": "unit"},
    "picture_files": lambda w: {"result": w.shown, "scale": "unit"},
    "plot": lambda w: {"result": w.shown, "part": None, "ax": None, "scale": "shared"},
    # scikit-learn.
    "fit_many": lambda w: {
        "estimators": [probe.NetworkClassifier((3,), epochs=1, random_state=0)] * 2, "X": w.images.reshape(40, -1),
        "y": w.labels, "sample_weight": np.ones(40), "progress": ignore,
    },
    "WeightImagesDisplay.from_network": lambda w: {"network": w.network, "ax": None, "plot_kw": {"cmap": "PuOr"}},
    "NoiseDisplay.from_network": lambda w: few(w, n_images=20, seed=0),
    "LandscapeDisplay.from_network": lambda w: few(w, parts=("descent",), n_networks=2, n_directions=5, n_images=20),
    "MemorizationDisplay.from_network": lambda w: few(w, config=w.config, n_samples=20, replicates=2, n_test=20),
    # Networks as points.
    "initial_population": lambda w: {
        "architecture": w.mlp, "input_shape": (8, 8), "class_names": w.train.class_names, "rngs": [rng(), rng()],
        "dtype": "float32",
    },
    "ParameterSpace": lambda w: {"network": w.network, "cost": "quadratic"},
    "output_of": lambda w: {"network": w.network},
    "architecture_of": lambda w: {"network": w.network},
    "reinitialized": lambda w: {"network": w.network, "rng": rng()},
    "measure_lines": lambda w: {
        "space": w.space, "images": w.images, "labels": w.labels, "directions": w.vectors, "lengths": [0.0, 1.0],
        "workers": 1,
    },
    "measure_plane": lambda w: {
        "space": w.space, "images": w.images, "labels": w.labels, "directions": w.vectors,
        "coordinates": [[0.0, 0.0], [1.0, 1.0]], "origin": w.space.vector, "workers": 1,
    },
    # Pages.
    "pages.Claim": lambda w: {
        "statement": "s", "found": "f", "section": "weights", "verdict": None, "picture": None, "said": "s",
        "minute": "1:00",
    },
    "Report": lambda w: {
        "title": "t", "subtitle": "s", "sections": (Section(key="noise"),), "chapters": CHAPTERS, "kept": "k",
        "warning": "", "live": {"noise": 1},
    },
    "Chapter": lambda w: {
        "key": "noise", "question": "q", "sections": ("noise",), "claims": ("noise",), "answers": {"supported": "a"},
        "stills": ("noise",), "play": "noise",
    },
    "Section": lambda w: {"key": "noise", "results": {}, "facts": {}, "note": "n"},
    "results_bytes": lambda w: {"results": {"weights": w.shown}},
}  # fmt: skip


def ignore(event):
    """Stand for a caller's progress."""


@cache
def _torch_module():
    nn = pytest.importorskip("torch").nn
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 2))


class Unspeakable:
    """What cannot be shown, compared or counted."""

    def __repr__(self):
        raise RuntimeError("no repr")


@st.composite
def nonsense(draw):
    """Return something that an argument may be by mistake."""
    w = world()
    kind = draw(st.sampled_from(["thing", "text", "number", "array", "nested"]))
    if kind == "text":
        return draw(st.text(max_size=6)) + draw(
            st.sampled_from(["", "\0", "\ud800", "<b>", "\x1b[2J", "x" * 300])
        )
    if kind == "number":
        return draw(
            st.one_of(
                st.sampled_from(
                    [True, False, np.True_, 0, -1, 0.0, -1.0, 0.5, float("nan"), float("inf"), 1j, 10**400]
                ),
                st.sampled_from(
                    [np.float32("nan"), np.int8(-3), np.complex64(1), 1e308, -(10**30), 2**63, 1e-320]
                ),
                st.integers(-5, 5),
                st.floats(-5, 5),
            )
        )
    if kind == "array":
        return draw(st.sampled_from(arrays()))
    if kind == "nested":
        return draw(st.sampled_from([list, tuple, set, lambda x: {"a": x[0]}]))(
            [draw(st.sampled_from(plain()))]
        )
    return draw(st.sampled_from([*plain(), *things(w)]))


def plain():
    return [None, 1, -1, 0.5, "abc", "", b"abc", True, float("nan"), (), 10**30]


def things(w):
    return [
        object(), Unspeakable(), int, Network, Dataset, MLP, ignore, len, np, ..., NotImplemented, [], {}, set(), range(3),
        slice(None), iter([1]), Path(w.folder / "folder"), Path(w.folder / "missing.h5"), Path(w.folder / "empty"),
        Path("a\0b"), Path("x" * 300), str(w.folder / "model.h5"), w.network, w.convolution, w.split, w.train, w.config,
        w.mlp, w.population, w.controls, w.shown, w.interval, Limits(), class_logit(1), Shift(1), Box(), rng(),
        threading.Lock(), ["a", 1], ("a", "a"), [None], [[]], [1, [2]],
    ]  # fmt: skip


@cache
def arrays():
    images = np.full((40, 8, 8), 0.5, "f4")
    masked = np.ma.masked_array(images, images > 1)
    nans, infinite = images.copy(), images.copy()
    nans[0, 0, 0], infinite[1, 1, 1] = np.nan, np.inf
    return [
        images, masked, nans, infinite, images * 255, (images * 255).astype("u1"), images.astype("f2"),
        images.astype(complex), images.astype(object), images.astype(str), images[:0], images[:, :, :4], images[0],
        images[..., None], np.asarray(None), np.array([]), np.zeros(40, int), np.full(40, -1), np.full(40, 99),
        np.zeros(40), np.zeros((40, 1), int), np.array(["a"] * 40), np.zeros(40, bool), np.array(3), np.array(0.5),
        np.array([0.1, np.nan]), np.array([np.inf, 1.0]), np.array([1e300, 1e308]), np.zeros((2, 0)), np.zeros((3, 3)),
        np.arange(3), np.array([{}, []], object), np.zeros(3, "M8[s]"), np.zeros(2, "i4,f4"), np.matrix([[1.0, 2.0]]),
    ]  # fmt: skip


CLASSES = {
    one.__name__: one
    for one in (Network, Split, Dataset, MLP, TrainingConfig, Limits, Population, ParameterSpace, str)
}


def must_be_refused(annotation, value):
    """Return whether `value` is plainly none of what an argument is said to be."""
    if annotation in ("int", "float"):
        kind = numbers.Integral if annotation == "int" else numbers.Real
        is_number = isinstance(value, kind) and not isinstance(value, (bool, np.bool_))
        if annotation == "float" and is_number:
            return not -1e400 < value < 1e400
        return not is_number
    if re.fullmatch(r"[A-Za-z]+( \| None)?", annotation) and annotation.split(" ")[0] in CLASSES:
        optional = annotation.endswith("None")
        return not isinstance(value, CLASSES[annotation.split(" ")[0]]) and not (optional and value is None)
    if annotation in ("Array", "Images", "IntArray", "Ints"):
        return not isinstance(value, (np.ndarray, list, tuple)) or isinstance(value, np.ma.MaskedArray)
    if annotation == "Progress":
        return not callable(value)
    return False


def short(package):
    """Return the last part of a package's name."""
    return package.__name__.rpartition(".")[2]


def found(name):
    """Return the callable of a name in VALID: "Class", "Class.method", "function", or "package.name" if many have it."""
    owner, _, method = name.partition(".")
    if method and owner.islower():
        return next(getattr(package, method) for package in PACKAGES if short(package) == owner)
    for package in PACKAGES:
        if owner in package.__all__:
            value = getattr(package, owner)
            return getattr(value, method) if method else value
    raise LookupError(name)


def called(function, arguments):
    """Call a function by name of its arguments; a method gets its object."""
    outcome = function(**arguments)
    if isinstance(outcome, _GeneratorContextManager):
        with outcome as opened:
            if isinstance(opened, Path):
                opened.touch()
    return outcome


def tried(name, argument, value, folder):
    """Call with one argument replaced, and raise AssertionError unless it ends as it may."""
    function, arguments = found(name), dict(VALID[name](world()))
    parameters = inspect.signature(function).parameters
    annotation = str(parameters[argument].annotation) if argument in parameters else ""
    arguments[argument] = value
    before = sorted(folder.iterdir())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", UserWarning)
        try:
            called(function, arguments)
        except InputError as error:
            assert len(str(error)) < 2000, "the message is very long"
            str(error).encode()
            # A study keeps what it has done when a later part of it fails.
            assert name == "run_sweep" or sorted(folder.iterdir()) == before, (
                "a call that was refused left a file"
            )
            return
    assert not must_be_refused(annotation, value), f"accepted without a word; it is said to be {annotation}"


CALLED = {"function", "progress", "statistic", "value", "slope", "curvature"}
"""Arguments that are called: what they raise is the caller's."""


def is_legal(argument, value):
    """Return whether an argument is no nonsense: it asks for more work than a test has, or is code that fails."""
    if argument in CALLED:
        return callable(value)
    if argument not in LONG:
        return False
    values = value if isinstance(value, (list, tuple, set, range)) else [value]
    return any(isinstance(one, numbers.Real) and not -1000 < one < 1000 for one in values)


def public():
    """Return the names of all public callables, with their packages where several have something of this name."""
    known = defaultdict(dict)
    for package in PACKAGES:
        for name in package.__all__:
            value = getattr(package, name)
            # Names of types, such as a union of classes, are no callables.
            if (
                callable(value)
                and getattr(value, "__origin__", None) is None
                and not isinstance(value, type(int | str))
            ):
                known[name].setdefault(value, short(package))
    return {
        name if len(values) == 1 else f"{package}.{name}"
        for name, values in known.items()
        for package in values.values()
    }


@pytest.fixture(autouse=True)
def no_whole_report(monkeypatch):
    """A report has no sections here: each of its analyses has its own turn, and all of them take half a minute."""
    empty = Report(title="Report", subtitle="Empty", sections=())
    monkeypatch.setattr("probe.workflow.notebook.page_of", lambda *arguments, **more: empty)


def test_every_public_callable_has_a_valid_call_or_a_reason():
    names = {name if name[0].islower() else name.partition(".")[0] for name in VALID}
    exempt = RESULTS | INNER | ABSTRACT
    assert sorted(public() - names - exempt) == [], "give VALID one valid call of each of these"
    assert sorted((names | exempt) - public()) == [] and not names & exempt


@pytest.mark.parametrize("name", VALID)
def test_valid_calls_are_valid(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # These networks have learned little.
        warnings.simplefilter("ignore", probe.ProbeWarning)
        called(found(name), VALID[name](world()))


@pytest.mark.parametrize("name", [name for name in VALID if name not in ("SGD", "Pixels")])
def test_nonsense_is_refused_or_harmless(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = [argument for argument in VALID[name](world()) if argument != "self"]

    @settings(
        max_examples=EXAMPLES * len(arguments) // 2, deadline=None, derandomize="PROBE_NONSENSE" not in os.environ,
        database=None, suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(st.sampled_from(arguments), nonsense())
    def attempt(argument, value):
        if is_legal(argument, value):
            return
        folder = tmp_path / "run"
        folder.mkdir(exist_ok=True)
        monkeypatch.chdir(folder)
        for left in folder.iterdir():
            shutil.rmtree(left) if left.is_dir() and not left.is_symlink() else left.unlink()
        tried(name, argument, value, folder)

    attempt()
