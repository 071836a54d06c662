"""Populations of minima: how good they are, how they are curved, and how they are connected.

`design` says what is trained, `trial` trains a few networks, brings them to the bottom and reads their curvature,
`connections` aligns them and walks from one to the other, `results` and `verdicts` are what is known in the end, `study`
puts the trials together.
"""

from probe.analyses.minima.connections import Connections, aligned, connections
from probe.analyses.minima.design import MINIMA_CONFIG, MOST_SAMPLES, MinimaDesign, MinimaKey
from probe.analyses.minima.results import Minima, WidthMinima
from probe.analyses.minima.study import minima, minima_of
from probe.analyses.minima.trial import MinimaTrial, run_minima_trial

__all__ = [
    "MINIMA_CONFIG",
    "MOST_SAMPLES",
    "Connections",
    "Minima",
    "MinimaDesign",
    "MinimaKey",
    "MinimaTrial",
    "WidthMinima",
    "aligned",
    "connections",
    "minima",
    "minima_of",
    "run_minima_trial",
]
