"""What a gradient with respect to the input is taken of: the logit of a class, or one unit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from probe._checks import check_choice, check_integer

__all__ = ["Objective", "Stage", "class_logit", "unit"]

Stage = Literal["pre_activation", "activation"]


@dataclass(frozen=True, slots=True)
class Objective:
    """One number that a network computes from an input.

    Attributes
    ----------
    layer : str or None
        Name of the layer; None stands for the last one, whose pre-activations are the logits.
    index : int
        The unit in the layer, from 0.
    stage : {"pre_activation", "activation"}
        Which value of the unit.
    """

    layer: str | None
    index: int
    stage: Stage = "pre_activation"

    def __post_init__(self) -> None:
        check_integer("index", self.index, minimum=0)
        check_choice("stage", self.stage, ("pre_activation", "activation"))

    @property
    def name(self) -> str:
        """A short label, such as "class 3" or "hidden_1 unit 4"."""
        found = f"class {self.index}" if self.layer is None else f"{self.layer} unit {self.index}"
        return found if self.stage == "pre_activation" else f"{found} after activation"


def class_logit(index: int) -> Objective:
    """Return the objective "logit of class `index`": the last layer's pre-activation, before softmax.

    Examples
    --------
    >>> class_logit(3).name
    'class 3'
    """
    return Objective(layer=None, index=index)


def unit(layer: str, index: int, *, stage: Stage = "pre_activation") -> Objective:
    """Return the objective "unit `index` of `layer`".

    The pre-activation is the default: a monotone activation has the same maximiser, but its slope
    vanishes where it saturates, and with it the way there.

    Examples
    --------
    >>> unit("hidden_1", 4).name
    'hidden_1 unit 4'
    """
    return Objective(layer=layer, index=index, stage=stage)
