"""Look inside the hidden layers of trained networks, and test what they learned.

The names below are loaded when they are first used, so that `import probe` costs little. Those of analyses come from
`probe.catalogue`; what type checkers and editors see of all of them is `__init__.pyi`, which
`python tests/test_public_names.py` writes.
"""

from __future__ import annotations

from importlib import import_module

from probe._version import __version__ as __version__
from probe.catalogue import ANALYSES

_NAMES = {
    "probe._checks": ("DataFileError", "InputError", "ModelFileError", "ModelFileWarning", "ProbeWarning"),
    "probe.analyses.concepts": ("image_concepts",),
    "probe.analyses.landscape": ("cost_plane",),
    "probe.analyses.noise": ("confidence_limit",),
    "probe.analyses.unit": ("unit_cards",),
    "probe.ascent": ("parse_objective",),
    "probe.controls": ("Controls", "control_networks"),
    "probe.datasets": ("Dataset", "Split", "load_dataset"),
    "probe.figures": ("plot",),
    "probe.displays": ("LandscapeDisplay", "MemorizationDisplay", "NoiseDisplay", "WeightImagesDisplay"),
    "probe.estimator": ("NetworkClassifier", "fit_many"),
    "probe.film": ("Film",),
    "probe.imports": ("from_sklearn", "from_torch"),
    "probe.interventions": ("apply_edits", "read_edits"),
    "probe.kerasfile": ("open_model",),
    "probe.network": ("Network",),
    "probe.objectives": ("Objective", "class_logit", "direction", "unit"),
    "probe.population": ("MLP", "Population"),
    "probe.results": ("Result",),
    "probe.safeh5": ("Limits",),
    "probe.sensitivity": ("critical_samples", "loss_sensitivity"),
    "probe.stats": ("Verdict",),
    "probe.storage": ("load_film", "load_network", "load_result", "save_network", "save_result"),
    "probe.workflow.notebook": ("report",),
    "probe.training": ("PopulationResult", "TrainingConfig", "TrainingResult", "train", "train_population"),
}

_MODULES = {name: module for module, names in _NAMES.items() for name in names} | {
    entry.name: f"probe.analyses.{entry.module}" for entry in ANALYSES
}

__all__ = sorted([*_MODULES, "__version__"])


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module 'probe' has no attribute {name!r}")
    value = getattr(import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
