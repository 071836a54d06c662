"""What a memorization study compares: its factors, and the networks that they make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

from probe._checks import InputError, check_choice, check_integer, check_number, check_once
from probe._signatures import checked
from probe.datasets import INPUT_CORRUPTIONS, LABEL_CORRUPTIONS, InputCorruption, LabelCorruption, Split
from probe.population import MLP
from probe.training import DynamicsKind, TrainingConfig

__all__ = [
    "DEFAULT_CONFIG",
    "THRESHOLDS",
    "Condition",
    "ConditionsOf",
    "MemorizationDesign",
    "TrialKey",
]

THRESHOLDS = (0.5, 0.9, 0.99, 1.0)
"""Training accuracies whose first epoch is recorded."""

DEFAULT_CONFIG = TrainingConfig(epochs=300, batch_size=50, learning_rate=0.1, stop="fitted")

_FACTORS = ("architectures", "n_samples", "corruption", "input_corruption", "weight_decay", "rates")
"""Fields of a design that hold one value for each level."""


@dataclass(frozen=True, slots=True)
class Condition:
    """What one network of a replicate is taught, and how; the others of the replicate share the rest.

    Attributes
    ----------
    corruption : float in [0, 1]
        Share of the samples whose labels take part in the corruption.
    inputs : {"none", "pixel-permutation", "pixel-shuffle", "gaussian"}
        What was done to the images.
    weight_decay : float, at least 0
    learning_rate : float, above 0
    """

    corruption: float
    inputs: InputCorruption
    weight_decay: float
    learning_rate: float

    @property
    def has_images(self) -> bool:
        """Whether the images are of their classes, so that a label can be right."""
        return self.inputs in ("none", "pixel-permutation")

    @property
    def is_reference(self) -> bool:
        """Whether labels and images are the true ones."""
        return self.corruption == 0 and self.inputs == "none"

    def named(self, *, among: Sequence[Condition]) -> str:
        """Return what tells this condition from the others, in words."""
        words = [_labels_named(self.corruption) + _IMAGES[self.inputs]]
        if len({other.weight_decay for other in among}) > 1:
            words.append(f"weight decay {self.weight_decay:g}" if self.weight_decay else "no weight decay")
        if len({other.learning_rate for other in among}) > 1:
            words.append(f"rate {self.learning_rate:g}")
        return ", ".join(words)


ConditionsOf = Mapping[tuple[int, int], tuple[Condition, ...]]
"""The conditions of each cell (architecture, size)."""

_IMAGES = {
    "none": "",
    "pixel-permutation": " on images with permuted pixels",
    "pixel-shuffle": " on images with shuffled pixels",
    "gaussian": " on Gaussian images",
}


def _labels_named(corruption: float) -> str:
    if corruption in (0, 1):
        return "true labels" if corruption == 0 else "random labels"
    return f"{100 * corruption:g}% random labels"


@dataclass(frozen=True, slots=True)
class TrialKey:
    """Where a trial stands in the design: which architecture, which number of samples, which replicate."""

    architecture: int
    size: int
    replicate: int
    stage: str = "study"

    @property
    def name(self) -> str:
        """A name for files."""
        stage = "" if self.stage == "study" else f"{self.stage}-"
        return f"{stage}a{self.architecture}-n{self.size}-r{self.replicate:04d}"


@checked
@dataclass(frozen=True, slots=True)
class MemorizationDesign:
    """A memorization study: every combination of the factors, in every replicate.

    Within a replicate all networks of one architecture share their start, and all networks whatsoever the
    images (of which a smaller sample is a part) and the order in which they come.

    A factor may hold a value twice, for a counter-check in which nothing differs. `check_distinct` refuses
    that for `memorization` and the command.

    Its fields are as in `memorization`, with tuples for the factors, but for

    weight_decay : tuple of float, at least 0
        Weight decays to compare; they replace that of `config`.
    rates : tuple of float, above 0
        If not empty, each condition gets the learning rate of these that fits its labels soonest in
        `pilot_replicates` further replicates, which serve for nothing else.
    pilot_replicates : int
        At least 1.
    critical_radius : float, above 0
        Half the side of the box that the critical sample ratio is searched in, for pixels in [0, 1].
    n_test : int
        Test images, drawn at random, that are classified after every epoch; at least 2, at most all.

    Raises
    ------
    InputError
        If a factor is empty or a value is outside its range.
    """

    architectures: tuple[MLP, ...]
    n_samples: tuple[int, ...] = (1000,)
    corruption: tuple[float, ...] = (0.0, 1.0)
    label_corruption: LabelCorruption = "permute"
    input_corruption: tuple[InputCorruption, ...] = ("none",)
    weight_decay: tuple[float, ...] = (0.0,)
    replicates: int = 8
    config: TrainingConfig = DEFAULT_CONFIG
    rates: tuple[float, ...] = ()
    pilot_replicates: int = 3
    dynamics: DynamicsKind = "examples"
    critical_radius: float = 0.01
    n_test: int = 2000
    seed: int = 0

    def __post_init__(self) -> None:
        for name in _FACTORS[:-1]:
            if not getattr(self, name):
                raise InputError(f"{name} must hold at least one value")
        for value in self.n_samples:
            check_integer("n_samples", value, minimum=2)
        for share in self.corruption:
            check_number("corruption", share, minimum=0, maximum=1)
        for kind in self.input_corruption:
            check_choice("input_corruption", kind, INPUT_CORRUPTIONS)
        for decay in self.weight_decay:
            check_number("weight_decay", decay, minimum=0)
        for rate in self.rates:
            check_number("rates", rate, above=0)
        check_choice("label_corruption", self.label_corruption, LABEL_CORRUPTIONS)
        check_choice("dynamics", self.dynamics, ("examples", "sensitivity"))
        for name, minimum in (("replicates", 1), ("pilot_replicates", 1), ("n_test", 2), ("seed", 0)):
            check_integer(name, getattr(self, name), minimum=minimum)
        check_number("critical_radius", self.critical_radius, above=0)
        if self.config.evaluation != "epoch":
            raise InputError(
                f"config must have evaluation='epoch' for learning curves, got {self.config.evaluation!r}"
            )

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """The networks of a replicate, at the configuration's learning rate."""
        factors = product(self.weight_decay, self.input_corruption, self.corruption)
        rate = self.config.learning_rate
        return tuple(Condition(float(share), inputs, float(decay), rate) for decay, inputs, share in factors)

    @property
    def pilot_conditions(self) -> tuple[Condition, ...]:
        """Every condition at every learning rate to choose from."""
        return tuple(
            replace(condition, learning_rate=rate) for condition in self.conditions for rate in self.rates
        )

    @property
    def keys(self) -> tuple[TrialKey, ...]:
        """All trials: replicate after replicate, so that a study cut short is balanced."""
        cells = product(range(self.replicates), range(len(self.architectures)), range(len(self.n_samples)))
        return tuple(TrialKey(architecture, size, replicate) for replicate, architecture, size in cells)

    @property
    def pilot_keys(self) -> tuple[TrialKey, ...]:
        """The trials that learning rates are chosen by; none if there is nothing to choose."""
        if not self.rates:
            return ()
        pilot = replace(self, replicates=self.pilot_replicates)
        return tuple(replace(key, stage="pilot") for key in pilot.keys)

    def check_distinct(self) -> None:
        """Raise if a factor holds a value twice, whose networks would be the same and be compared as if not."""
        for name in _FACTORS:
            check_once(name, getattr(self, name))

    def check_fits(self, split: Split) -> None:
        """Raise unless the data have as many images as the design asks for."""
        for size in self.n_samples:
            check_integer("n_samples", size, minimum=2, maximum=len(split.train))
