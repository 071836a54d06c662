"""How a model file is read: where its architecture is, which output counts, which range its inputs have."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from probe.datasets import Split, load_dataset
from probe.network import Network
from probe.storage import load_network

__all__ = ["READ_AS_IT_IS", "Reading"]


@dataclass(frozen=True, slots=True)
class Reading:
    """What a user says of a model file that the file does not say itself.

    Attributes
    ----------
    architecture : Path or None
        Where the architecture is, for a file that holds only weights, or to be used instead of the file's own.
    pixel_range : tuple of float
        The (lowest, highest) value of the inputs that the network was trained on.
    output : str or None
        The layer to take for the output; for networks with several outputs.
    """

    architecture: Path | None = None
    pixel_range: tuple[float, float] = (0.0, 1.0)
    output: str | None = None

    def network(self, model: Path) -> Network:
        """Return the network of the file, for images in [0, 1]."""
        network = load_network(model, architecture=self.architecture)
        if self.output is not None:
            network = network.ending_at(self.output)
        return network.for_range(*self.pixel_range)

    def split(self, data: str) -> Split:
        """Return the data, float pixels of a file scaled from the range to [0, 1]."""
        return load_dataset(data, pixel_range=self.pixel_range)


READ_AS_IT_IS = Reading()
"""A whole model, of one output and inputs in [0, 1]."""
