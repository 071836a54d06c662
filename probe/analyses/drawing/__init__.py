"""Whether a network can draw: its favorite images, judged by others than itself."""

from probe.analyses.drawing._artist import ARTISTS, Artist
from probe.analyses.drawing._jury import JUDGES, MEASURES, DrawnImages
from probe.analyses.drawing.analysis import DRAWS, RESTARTS, STEPS, Drawing, drawing, primary_estimates

__all__ = [
    "ARTISTS",
    "JUDGES",
    "MEASURES",
    "PRIMARY_CLAIMS",
    "RESTARTS",
    "STEPS",
    "Artist",
    "Drawing",
    "DrawnImages",
    "drawing",
    "primary_estimates",
]

PRIMARY_CLAIMS = (DRAWS,)
"""What `primary_estimates` decides."""
