"""How a model file is read: where its architecture is, which output counts, how its inputs are scaled."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from probe._checks import DataFileError, InputError
from probe.datasets import Split, load_dataset
from probe.fitting import for_data
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
    mean, std : tuple of float
        What the inputs, of that range, were standardized with: one number, or one for each channel; () for nothing.
    from_logits : bool
        Whether the last layer, which is linear, puts out logits of classes.
    """

    architecture: Path | None = None
    pixel_range: tuple[float, float] = (0.0, 1.0)
    output: str | None = None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    from_logits: bool = False

    def network(self, model: Path, image_shape: tuple[int, ...] | None = None) -> Network:
        """Return the network of the file, for images in [0, 1].

        Means of several channels need the `image_shape` where the network takes a row of values.
        """
        if bool(self.mean) != bool(self.std):
            raise InputError("--mean and --std must come together: inputs are (pixel - mean) / std")
        network = load_network(model, architecture=self.architecture)
        if self.output is not None:
            network = network.truncate(self.output)
        if self.from_logits:
            network = network.for_logits()
        if image_shape is not None and max(len(self.mean), len(self.std)) > 1:
            network = network.with_input_shape(image_shape)
        if self.mean:
            network = network.with_standardized_input(self.mean, self.std)
        return network.with_input_range(*self.pixel_range)

    def for_data(self, model: Path, split: Split) -> Network:
        """Return the network of the file for data, with the units that it has; see `probe.fitting`."""
        return for_data(self.network(model, split.train.image_shape), split)

    def split(self, data: str) -> Split:
        """Return the data; float pixels of a file that are not in [0, 1] are scaled from the range to it."""
        try:
            return load_dataset(data)
        except DataFileError:
            if self.pixel_range == (0, 1):
                raise
            return load_dataset(data, pixel_range=self.pixel_range)


READ_AS_IT_IS = Reading()
"""A whole model, of one output and inputs in [0, 1]."""
