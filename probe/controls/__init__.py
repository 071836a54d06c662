"""Networks to hold a trained network against: of its kind and recipe, trained like it, on random labels, and not at all."""

from probe.controls.few import fewer_labels, gentle_rate, n_memorizable
from probe.controls.groups import Controls, ControlsSummary, Group, NetworkGroup
from probe.controls.kind import architecture_of
from probe.controls.training import MEMORIZING, control_networks

__all__ = [
    "MEMORIZING",
    "Controls",
    "ControlsSummary",
    "Group",
    "NetworkGroup",
    "architecture_of",
    "control_networks",
    "fewer_labels",
    "gentle_rate",
    "n_memorizable",
]
