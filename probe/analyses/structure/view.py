"""Where the weight images of a layer are, in one network and in others of its shape."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from probe._checks import Array, InputError
from probe.layers import Conv2D, Dense
from probe.network import Network

__all__ = ["View"]

_SPAN_IMAGES = 5_000
"""Training images that random combinations are made of, at most."""


@dataclass(frozen=True, slots=True)
class View:
    """Where a layer's weight images are, in this network and in others of its shape."""

    name: str
    kind: str
    n_below: int
    window: tuple[int, ...] = ()

    @classmethod
    def of(cls, network: Network, layer: str) -> View:
        """Return where the weight images of `layer` are, or raise if it has none."""
        weighted = [each for each in network.layers if isinstance(each, (Dense, Conv2D))]
        if not weighted:
            raise InputError("the network must have a dense layer or a convolution, but has none")
        name = weighted[0].name if layer == "first" else layer
        target = network.layer(name)
        if not isinstance(target, (Dense, Conv2D)):
            raise InputError(
                f"layer must be dense or a convolution, got '{name}'; pass one of "
                f"{', '.join(each.name for each in weighted)}"
            )
        before = [each for each in network.truncate(name).layers if each.variables and each.name != name]
        learned = [each for each in before if each.has_kernels]
        if isinstance(target, Conv2D):
            if learned:
                raise InputError(f"layer must be a first convolution to have kernels on pixels, got '{name}'")
            return cls(name, "kernels", 0, target.kernel.shape[:2])
        if any(not isinstance(each, Dense) for each in learned) or not network.truncate(name).is_chain:
            raise InputError(
                f"layer must be dense with only dense layers below it to have weight images, got '{name}'"
            )
        if len(network.input_shape) not in (2, 3):
            raise InputError(f"the network must take images, but its inputs have shape {network.input_shape}")
        return cls(name, "expanded" if learned else "weights", len(learned))

    def images(self, network: Network) -> Array:
        """Return the weight images (n_units, height, width[, channels]) of this layer in `network`."""
        if self.kind == "kernels":
            kernel = network.layer(self.name).variables["kernel"]
            planes = np.moveaxis(kernel, 3, 0).astype(np.float32)
            return planes[..., 0] if planes.shape[-1] == 1 else planes
        part = network.truncate(self.name)
        linear = replace(part, layers=tuple(each.with_activation("linear") for each in part.layers))
        _, pullback = linear.logits_vjp(
            np.zeros((network.n_units(self.name), *network.input_shape), network.dtype)
        )
        found: Array = pullback(np.eye(network.n_units(self.name), dtype=network.dtype)).astype(np.float32)
        return found

    def inside(self, other: Network) -> View:
        """Return where the layer of the same place is in a network of the same shape, whatever its name there."""
        return View.of(other, other.dense_layers[self.n_below].name if self.n_below else "first")

    def parts(self, trained: Network, start: Network) -> tuple[Array, Array]:
        """Return what of the images of a trained network comes from its start, and what from training: they add up.

        Training moves the first layer's weights along sums of training images. Images of deeper layers are those of the
        first, mixed by the trained layers above: sums of starts, and sums of training images.
        """
        layers = list(trained.layers)
        place, first = next((k, one) for k, one in enumerate(layers) if isinstance(one, (Dense, Conv2D)))
        layers[place] = replace(first, kernel=start.layers[place].variables["kernel"])
        view = self.inside(trained)
        before = view.images(replace(trained, layers=tuple(layers)))
        return before, view.images(trained) - before

    def seen(self, images: Array, rng: np.random.Generator) -> Array:
        """Return training images as the layer sees them: whole, or of a convolution a window of each at random."""
        chosen = images[rng.choice(len(images), min(len(images), _SPAN_IMAGES), replace=False)]
        return self._windows(chosen, rng) if self.kind == "kernels" else chosen

    def _windows(self, images: Array, rng: np.random.Generator) -> Array:
        shape = self.window
        rows = rng.integers(0, images.shape[1] - shape[0] + 1, len(images))
        columns = rng.integers(0, images.shape[2] - shape[1] + 1, len(images))
        windows = np.lib.stride_tricks.sliding_window_view(images, shape[:2], axis=(1, 2))
        found: Array = windows[np.arange(len(images)), rows, columns]
        return np.moveaxis(found, 1, -1) if found.ndim == 4 else found
