"""From files to files: each function does what one command does, and returns what it wrote.

Here seeds, storage, analyses and the report meet; everything below is pure or does one of these only. The names
are loaded when they are first used: looking at a file needs neither training nor the report.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

_MODULES = {
    "Backend": "_studies",
    "analyze": "_analyses",
    "Reading": "_reading",
    "Written": "_folder",
    "convert_model": "models",
    "inspect_model": "inspect",
    "keep_inspection": "inspect",
    "maximize_model": "maximize",
    "report": "_report",
    "run_study": "_studies",
    "train_model": "train",
    "weights_model": "models",
}

__all__ = [
    "Backend",
    "Reading",
    "Written",
    "analyze",
    "convert_model",
    "inspect_model",
    "keep_inspection",
    "maximize_model",
    "report",
    "run_study",
    "train_model",
    "weights_model",
]

if TYPE_CHECKING:
    from probe.workflow._analyses import analyze
    from probe.workflow._folder import Written
    from probe.workflow._reading import Reading
    from probe.workflow._report import report
    from probe.workflow._studies import Backend, run_study
    from probe.workflow.inspect import inspect_model, keep_inspection
    from probe.workflow.maximize import maximize_model
    from probe.workflow.models import convert_model, weights_model
    from probe.workflow.train import train_model


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module 'probe.workflow' has no attribute {name!r}")
    value = getattr(import_module(f"probe.workflow.{_MODULES[name]}"), name)
    globals()[name] = value
    return value
