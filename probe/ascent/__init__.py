"""Gradient ascent on images: what is moved, where to, what happens on the way, and how high it can get.

Small families of values, each with one interface: parameterizations (`Pixels`, `Fourier`, `Blurred`),
transforms (`Shift`) and regions (`Box`, `Ball`); `ascend` climbs, `certify` says how high a climb can get.
"""

from probe.ascent._climb import Ascent, Frames, affordable_ascents, ascend
from probe.ascent.certificates import Bounds, certify
from probe.ascent.expressions import parse_objective
from probe.ascent.regions import UNIT_BOX, Ball, Box, Region
from probe.ascent.regularization import (
    PIXELS,
    Blurred,
    Fourier,
    Parameterization,
    Pixels,
    Shift,
    Transform,
)

__all__ = [
    "PIXELS",
    "UNIT_BOX",
    "Ascent",
    "Ball",
    "Blurred",
    "Bounds",
    "Box",
    "Fourier",
    "Frames",
    "Parameterization",
    "Pixels",
    "Region",
    "Shift",
    "Transform",
    "affordable_ascents",
    "ascend",
    "certify",
    "parse_objective",
]
