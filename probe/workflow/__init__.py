"""From files to files: each function does what one command does, and returns what it wrote.

Here seeds, storage, analyses and the report meet; everything below is pure or does one of these only. The names
are loaded when they are first used. What several functions take:

- `model`: the path of a model file;
- `data`: the name or the path of data, as `probe.load_dataset` takes it, or a `DataSource` that says more;
- `reading`: a `Reading`, what the model file does not say itself;
- `out`: the folder to write to;
- `overwrite`: whether results that are there already are replaced;
- `seed`: everything random follows from it;
- `progress`: called with a `ProgressEvent` now and then.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from probe.workflow._analyses import Backend, analyze, run_study
    from probe.workflow._cache_folder import cache
    from probe.workflow._gallery import gallery
    from probe.workflow._lesson import lesson
    from probe.workflow._report import report
    from probe.workflow._written import Written
    from probe.workflow.maximize import maximize_model
    from probe.workflow.models import Reading, convert_model, edit_model, inspect_model
    from probe.workflow.train import train_model
    from probe.workflow.unit import unit_model
    from probe.workflow.weights import weights_model

__all__ = [
    "Backend",
    "Reading",
    "Written",
    "analyze",
    "cache",
    "convert_model",
    "edit_model",
    "gallery",
    "inspect_model",
    "lesson",
    "maximize_model",
    "report",
    "run_study",
    "train_model",
    "unit_model",
    "weights_model",
]

_NAMES = {
    "_analyses": ("Backend", "analyze", "run_study"),
    "_written": ("Written",),
    "_report": ("report",),
    "_lesson": ("lesson",),
    "_gallery": ("gallery",),
    "_cache_folder": ("cache",),
    "maximize": ("maximize_model",),
    "models": ("Reading", "convert_model", "edit_model", "inspect_model"),
    "train": ("train_model",),
    "unit": ("unit_model",),
    "weights": ("weights_model",),
}

_MODULES = {name: module for module, names in _NAMES.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module 'probe.workflow' has no attribute {name!r}")
    value = getattr(import_module(f"probe.workflow.{_MODULES[name]}"), name)
    globals()[name] = value
    return value
