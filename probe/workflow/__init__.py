"""From files to files: each function does what one command does, and returns what it wrote.

Here seeds, storage, analyses and the report meet; everything below is pure or does one of these only.
"""

from probe.workflow._folder import Written
from probe.workflow._reading import Reading
from probe.workflow.inspect import inspect_model, keep_inspection
from probe.workflow.memorize import Backend, memorize, memorize_capacity, memorize_scores
from probe.workflow.models import convert_model, maximize_model, noise_model, weights_model
from probe.workflow.report import report
from probe.workflow.train import DEFAULT_ARCHITECTURE, DEFAULT_TRAINING, train_model

__all__ = [
    "DEFAULT_ARCHITECTURE",
    "DEFAULT_TRAINING",
    "Backend",
    "Reading",
    "Written",
    "convert_model",
    "inspect_model",
    "keep_inspection",
    "maximize_model",
    "memorize",
    "memorize_capacity",
    "memorize_scores",
    "noise_model",
    "report",
    "train_model",
    "weights_model",
]
