"""Figures of `probe.analyses.memorization`: one part for each question that a study answers.

Each draws one of the cells of a result, `cell`, from 0.
"""

from probe.figures.memorization._curves import curves, peak, sensitivity
from probe.figures.memorization._examples import examples, forgetting
from probe.figures.memorization._points import time

__all__ = ["PARTS"]

PARTS = (curves, time, peak, examples, forgetting, sensitivity)
