"""What a gradient with respect to the input is taken of: the logit of a class, a unit, or a channel."""

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
        The unit in the layer, from 0; in a layer of feature maps the channel.
    stage : {"pre_activation", "activation"}
        Which value of the unit.
    position : tuple of int or None
        In a layer of feature maps the (row, column) whose value counts; None for the mean over all.
    """

    layer: str | None
    index: int
    stage: Stage = "pre_activation"
    position: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        check_integer("index", self.index, minimum=0)
        check_choice("stage", self.stage, ("pre_activation", "activation"))
        if self.position is not None:
            at = tuple(check_integer("position", place, minimum=0) for place in self.position)
            object.__setattr__(self, "position", at)

    @property
    def name(self) -> str:
        """A short label, such as "class 3" or "hidden_1 unit 4"."""
        found = f"class {self.index}" if self.layer is None else f"{self.layer} unit {self.index}"
        if self.position is not None:
            found += f" at {', '.join(str(place) for place in self.position)}"
        return found if self.stage == "pre_activation" else f"{found} after activation"


def class_logit(index: int) -> Objective:
    """Return the objective "logit of class `index`": the last layer's pre-activation, before softmax.

    Examples
    --------
    >>> class_logit(3).name
    'class 3'
    """
    return Objective(layer=None, index=index)


def unit(
    layer: str,
    index: int,
    *,
    stage: Stage = "pre_activation",
    position: tuple[int, ...] | None = None,
) -> Objective:
    """Return the objective "unit `index` of `layer`"; in a layer of feature maps, channel `index`.

    The pre-activation is the default: a monotone activation has the same maximiser, but its slope
    vanishes where it saturates, and with it the way there.

    Parameters
    ----------
    layer : str
        Name of the layer.
    index : int
        The unit, or the channel of a layer whose outputs are feature maps.
    stage : {"pre_activation", "activation"}
        Which value of the unit.
    position : tuple of int, optional
        Where in the feature map, as (row, column); the mean over all positions without.

    Examples
    --------
    >>> unit("hidden_1", 4).name
    'hidden_1 unit 4'
    >>> unit("conv2d", 4, position=(3, 3)).name
    'conv2d unit 4 at 3, 3'
    """
    return Objective(layer=layer, index=index, stage=stage, position=position)
