"""Control networks that train in a moment."""

from dataclasses import replace

import probe
from probe.recipes import RECIPES


def quick_controls(network, split, n_networks, epochs=5):
    config = probe.TrainingConfig(epochs=epochs, batch_size=20)
    recipe = replace(RECIPES["modern"], config=config, adapts=False)
    return probe.control_networks(network, split, n_networks=n_networks, recipe=recipe)
