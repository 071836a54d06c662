"""Whether a network can draw: its favorite images, judged by others than itself."""

from probe.analyses.drawing._jury import JUDGES, MEASURES, DrawnImages
from probe.analyses.drawing.analysis import Drawing, drawing

__all__ = ["JUDGES", "MEASURES", "Drawing", "DrawnImages", "drawing"]
