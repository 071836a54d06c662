"""Look inside the hidden layers of trained networks, and test what they learned.

The names below are loaded when they are first used, so that `import probe` costs little.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from probe._version import __version__

_MODULES = {
    "DataFileError": "probe._checks",
    "Dataset": "probe.datasets",
    "InputError": "probe._checks",
    "Limits": "probe.safeh5",
    "MLP": "probe.population",
    "ModelFileError": "probe._checks",
    "ModelFileWarning": "probe._checks",
    "Network": "probe.network",
    "Objective": "probe.objectives",
    "Population": "probe.population",
    "PopulationResult": "probe.training",
    "ProbeWarning": "probe._checks",
    "Split": "probe.datasets",
    "TrainingConfig": "probe.training",
    "TrainingResult": "probe.training",
    "Twins": "probe.controls",
    "Verdict": "probe.stats",
    "capacity": "probe.analyses.capacity",
    "class_logit": "probe.objectives",
    "concepts": "probe.analyses.concepts",
    "confidence_limit": "probe.analyses.noise",
    "critical_samples": "probe.sensitivity",
    "direction": "probe.objectives",
    "draw": "probe.figures",
    "drawing": "probe.analyses.drawing",
    "expanded_weights": "probe.analyses.paths",
    "from_sklearn": "probe.imports",
    "from_torch": "probe.imports",
    "image_concepts": "probe.analyses.concepts",
    "landscape": "probe.analyses.landscape",
    "load_dataset": "probe.datasets",
    "load_network": "probe.storage",
    "load_result": "probe.storage",
    "loss_sensitivity": "probe.sensitivity",
    "maximize": "probe.analyses.maximize",
    "memorization": "probe.analyses.memorization",
    "memorization_scores": "probe.analyses.scores",
    "minima": "probe.analyses.minima",
    "noise_confidence": "probe.analyses.noise",
    "noise_ladder": "probe.analyses.noise",
    "open_model": "probe.kerasfile",
    "parse_objective": "probe.ascent",
    "save_network": "probe.storage",
    "save_result": "probe.storage",
    "search": "probe.analyses.search",
    "train": "probe.training",
    "train_population": "probe.training",
    "twins": "probe.controls",
    "unit": "probe.objectives",
    "weight_images": "probe.analyses.weights",
    "weight_structure": "probe.analyses.structure",
}

__all__ = [
    "MLP",
    "DataFileError",
    "Dataset",
    "InputError",
    "Limits",
    "ModelFileError",
    "ModelFileWarning",
    "Network",
    "Objective",
    "Population",
    "PopulationResult",
    "ProbeWarning",
    "Split",
    "TrainingConfig",
    "TrainingResult",
    "Twins",
    "Verdict",
    "__version__",
    "capacity",
    "class_logit",
    "concepts",
    "confidence_limit",
    "critical_samples",
    "direction",
    "draw",
    "drawing",
    "expanded_weights",
    "from_sklearn",
    "from_torch",
    "image_concepts",
    "landscape",
    "load_dataset",
    "load_network",
    "load_result",
    "loss_sensitivity",
    "maximize",
    "memorization",
    "memorization_scores",
    "minima",
    "noise_confidence",
    "noise_ladder",
    "open_model",
    "parse_objective",
    "save_network",
    "save_result",
    "search",
    "train",
    "train_population",
    "twins",
    "unit",
    "weight_images",
    "weight_structure",
]

if TYPE_CHECKING:
    from probe._checks import DataFileError, InputError, ModelFileError, ModelFileWarning, ProbeWarning
    from probe.analyses.capacity import capacity
    from probe.analyses.concepts import concepts, image_concepts
    from probe.analyses.drawing import drawing
    from probe.analyses.landscape import landscape
    from probe.analyses.maximize import maximize
    from probe.analyses.memorization import memorization
    from probe.analyses.minima import minima
    from probe.analyses.noise import confidence_limit, noise_confidence, noise_ladder
    from probe.analyses.paths import expanded_weights
    from probe.analyses.scores import memorization_scores
    from probe.analyses.search import search
    from probe.analyses.structure import weight_structure
    from probe.analyses.weights import weight_images
    from probe.ascent import parse_objective
    from probe.controls import Twins, twins
    from probe.datasets import Dataset, Split, load_dataset
    from probe.figures import draw
    from probe.imports import from_sklearn, from_torch
    from probe.kerasfile import open_model
    from probe.network import Network
    from probe.objectives import Objective, class_logit, direction, unit
    from probe.population import MLP, Population
    from probe.safeh5 import Limits
    from probe.sensitivity import critical_samples, loss_sensitivity
    from probe.stats import Verdict
    from probe.storage import load_network, load_result, save_network, save_result
    from probe.training import PopulationResult, TrainingConfig, TrainingResult, train, train_population


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module 'probe' has no attribute {name!r}")
    value = getattr(import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
