"""Populations of minima: how good they are, how they are curved, and how they are connected.

`design` says what is trained, `trial` trains a few networks, brings them to the bottom and reads their curvature,
`symmetry` says which directions no cost depends on, `connections` aligns networks and walks from one to the other,
`results` is what is known in the end, `verdicts` judges claims by it, `study` puts the trials together, in memory or in a
folder.
"""

from probe.analyses.minima.connections import Connections, aligned, connections
from probe.analyses.minima.design import MINIMA_CONFIG, MinimaDesign, MinimaKey
from probe.analyses.minima.results import Minima, WidthMinima
from probe.analyses.minima.study import MinimaStudy, minima, minima_of_kind, primary_estimates
from probe.analyses.minima.trial import MinimaTrial

__all__ = [
    "MINIMA_CONFIG",
    "Connections",
    "Minima",
    "MinimaDesign",
    "MinimaKey",
    "MinimaStudy",
    "MinimaTrial",
    "WidthMinima",
    "aligned",
    "connections",
    "minima",
    "minima_of_kind",
    "primary_estimates",
]
