"""Networks beside one at hand: four groups with the same starts, and what they came to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from probe._checks import Array, InputError
from probe.controls.kind import kind_of
from probe.network import Network
from probe.population import Population
from probe.results import Columns, Result
from probe.training import TrainingConfig

__all__ = ["Controls", "ControlsSummary", "Group", "NetworkGroup"]


@dataclass(frozen=True, slots=True, eq=False)
class NetworkGroup:
    """Networks of one kind that are no population of dense layers."""

    members: tuple[Network, ...]

    @property
    def n_networks(self) -> int:
        """Number of networks."""
        return len(self.members)

    def __len__(self) -> int:
        return len(self.members)

    def network(self, index: int) -> Network:
        """Return one of them."""
        return self.members[index]

    def networks(self) -> Iterator[Network]:
        """Return them one after the other."""
        return iter(self.members)

    def logits(self, x: Array) -> Array:
        """Return the logits (n_networks, n_classes, n_samples) of `x` (n_samples, *input_shape)."""
        return np.stack([member.logits(x).T for member in self.members])


Group = Population | NetworkGroup


class ControlsSummary(Result):
    """What control networks came to.

    Attributes
    ----------
    test_accuracy, train_accuracy : ndarray of shape (n_networks,), in [0, 1]
        Of the networks trained on all labels.
    memorized : ndarray of shape (n_networks,), in [0, 1]
        Share of its random labels that each network trained on these puts out.
    n_random_labels : int
        Images with random labels that each was trained on.
    recipe : str
        How they were made and trained, in words.
    config : TrainingConfig
        The training.
    kind : str
        What they are, such as "784-16-16-10 sigmoid".
    copies : bool
        Whether they have the layers of the network that they were made for; otherwise they have those of the video's.
    note : str
        Why they have other layers, or on how few of the images they were trained; "" where there is nothing to say.
    target : float
        Training accuracy of the network at hand at which training ended early; NaN if it was not asked for.
    """

    test_accuracy: Array
    train_accuracy: Array
    memorized: Array
    n_random_labels: int
    recipe: str
    config: TrainingConfig
    kind: str
    copies: bool
    note: str
    target: float

    def columns(self) -> Columns:
        """Return one row for each network."""
        return {
            "network": np.arange(len(self.test_accuracy)),
            "test_accuracy": self.test_accuracy,
            "train_accuracy": self.train_accuracy,
            "memorized": self.memorized,
        }

    @property
    def n_networks(self) -> int:
        """Networks of each kind."""
        return len(self.test_accuracy)

    @property
    def sentence(self) -> str:
        """What they are."""
        shape = f"{self.n_networks} networks {self.kind}, by {self.recipe}"
        if np.isfinite(self.target):
            n_reached = int((self.train_accuracy >= self.target).sum())
            shape += f", until {self.target:.1%} of the training images were right as in this network; {n_reached} got there"
        return f"{shape}.{self.caveat}"

    @property
    def caveat(self) -> str:
        """What a verdict over them must add, with a blank before it; nothing for the network's layers and all images."""
        if self.copies:
            return f" The control networks were {self.note}." if self.note else ""
        return f" These networks ({self.kind}) do not have this network's layers, {self.note}."


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Controls:
    """Networks beside one at hand. Member k of all four groups has the same start.

    Attributes
    ----------
    untrained : Population or NetworkGroup of n_networks
        Starts.
    trained : Population or NetworkGroup of n_networks
        After training on the data.
    few_labels, random_label : Population or NetworkGroup of n_networks
        After training on a part of the data small enough to be learned by heart: with its own labels, and with these
        permuted.
    summary : ControlsSummary
        What came of it.
    """

    untrained: Group
    trained: Group
    few_labels: Group
    random_label: Group
    summary: ControlsSummary

    def __len__(self) -> int:
        return len(self.trained)

    @property
    def copies(self) -> bool:
        """Whether they have the layers of the network that they were made for."""
        return self.summary.copies

    @property
    def caveat(self) -> str:
        """What a verdict over them must add."""
        return self.summary.caveat

    @property
    def like_it(self) -> tuple[Network, ...]:
        """The networks that were trained like the one at hand: none where they have other layers."""
        return tuple(self.trained.networks()) if self.copies else ()

    def check_of(self, network: Network) -> None:
        """Raise unless these are control networks of `network`, or stand in for them on the same data."""
        ours = self.trained.network(0)
        same_data = ours.input_shape == network.input_shape and ours.n_classes == network.n_classes
        if not same_data or (self.copies and self.summary.kind != kind_of(network)):
            raise InputError(
                "controls must be those of this network: make them with probe.control_networks(network, split)"
            )
