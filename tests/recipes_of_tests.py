"""Control networks that train in a moment."""

from dataclasses import replace

import probe
from probe.recipes import RECIPES


def quick(epochs):
    """Return a recipe of few epochs."""
    config = probe.TrainingConfig(epochs=epochs, batch_size=20)
    return replace(RECIPES["modern"], config=config, adapts=False)


def quick_controls(network, split, n_networks, epochs=5):
    return probe.control_networks(network, split, n_networks=n_networks, recipe=quick(epochs))
