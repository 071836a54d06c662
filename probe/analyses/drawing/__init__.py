"""Whether a network can draw: its favorite images, judged by others than itself."""

from probe.analyses.drawing._artist import ARTISTS, Artist
from probe.analyses.drawing._jury import JUDGES, MEASURES, DrawnImages
from probe.analyses.drawing.analysis import Drawing, drawing, primary_estimates

__all__ = [
    "ARTISTS",
    "JUDGES",
    "MEASURES",
    "Artist",
    "Drawing",
    "DrawnImages",
    "drawing",
    "primary_estimates",
]
