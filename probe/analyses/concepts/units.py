"""How units tell concepts: AUROCs, their nulls, probes and ablation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from probe._checks import Array, InputError
from probe.layers import (
    BatchNormalization,
    Conv2D,
    Conv2DTranspose,
    Dense,
    DepthwiseConv2D,
    Layer,
    SeparableConv2D,
)
from probe.network import Network

__all__ = [
    "ablated",
    "aurocs",
    "hidden_layers",
    "largest_of_permuted",
    "largest_of_rotated",
    "layer_values",
    "p_values",
    "probe_aurocs",
]

_WEIGHTED = (Dense, Conv2D, DepthwiseConv2D, SeparableConv2D, Conv2DTranspose)
_RIDGE = 1.0
_FOLDS = 5


def hidden_layers(network: Network) -> tuple[str, ...]:
    """Return the layers with weights that are not the output, or raise if there is none."""
    found = tuple(
        layer.name
        for layer in network.layers
        if isinstance(layer, _WEIGHTED) and layer.name != network.head_name
    )
    if not found:
        raise InputError("the network must have a hidden layer with weights to look for concepts in")
    return found


def layer_values(network: Network, layers: tuple[str, ...], x: Array) -> dict[str, Array]:
    """Return the activations (n_images, n_units) of layers; of a channel its mean over the map."""
    found: dict[str, list[Array]] = {name: [] for name in layers}
    for k in range(0, len(x), 500):
        values = network.activations(x[k : k + 500])
        for name in layers:
            found[name].append(_by_unit(network, name, values[name]))
    return {name: np.concatenate(parts).astype(np.float64) for name, parts in found.items()}


def _by_unit(network: Network, name: str, values: Array) -> Array:
    if values.ndim == 2:
        return values
    axis = _channel_axis(network, name)
    maps = np.moveaxis(values, axis, -1).reshape(len(values), -1, values.shape[axis])
    return np.asarray(maps.mean(axis=1))


def _channel_axis(network: Network, name: str) -> int:
    layer = network.layer(name)
    return 1 if getattr(layer, "data_format", "channels_last") == "channels_first" else -1


def aurocs(values: Array, concepts: npt.NDArray[np.bool_]) -> Array:
    """Return the AUROC (n_units, n_concepts) of every unit (n_images, n_units) for every concept (n_concepts, n_images).

    Ties count half; every concept has images with it and without.
    """
    from scipy.stats import rankdata

    return _from_ranks(rankdata(values, axis=0), concepts)


def _from_ranks(ranks: Array, concepts: npt.NDArray[np.bool_]) -> Array:
    n_with = concepts.sum(axis=1)
    n_without = concepts.shape[1] - n_with
    sums = ranks.T @ concepts.T.astype(np.float64)
    return np.asarray((sums - n_with * (n_with + 1) / 2) / (n_with * n_without))


def largest_of_permuted(
    values: Array, concepts: npt.NDArray[np.bool_], n_draws: int, rng: np.random.Generator
) -> Array:
    """Return the largest selectivity of all units and concepts (n_draws,) with the images of the concepts permuted."""
    from scipy.stats import rankdata

    ranks = rankdata(values, axis=0)
    orders = (rng.permutation(len(values)) for _ in range(n_draws))
    return np.array([np.abs(_from_ranks(ranks[order], concepts) - 0.5).max() for order in orders])


def largest_of_rotated(
    values: Array, concepts: npt.NDArray[np.bool_], n_draws: int, rng: np.random.Generator
) -> Array:
    """Return the largest selectivity of an axis (n_draws, n_concepts) in random rotations of the centred activations."""
    centred = (values - values.mean(axis=0)).T
    n_units, n_images = centred.shape
    indicators = concepts.T.astype(np.float64)
    n_with = indicators.sum(axis=0)
    found = []
    for _ in range(n_draws):
        # The QR decomposition of a Gaussian matrix is a random rotation once the signs of R are taken out.
        q, r = np.linalg.qr(rng.standard_normal((n_units, n_units)))
        # Rotated values are never tied, so their order is their ranks.
        order = np.argsort((q * np.sign(np.diag(r))).T @ centred, axis=1)
        ranks = np.empty((n_units, n_images))
        np.put_along_axis(ranks, order, np.arange(1.0, n_images + 1)[None], axis=1)
        auroc = (ranks @ indicators - n_with * (n_with + 1) / 2) / (n_with * (n_images - n_with))
        found.append(np.abs(auroc - 0.5).max(axis=0))
    return np.array(found)


def p_values(best: Array, null: Array) -> Array:
    """Return the share of draws (n_draws, n_concepts) that are as large as `best` (n_concepts,), the own counted in."""
    # Sums of ranks differ in the last digit where AUROCs are equal.
    return np.asarray((1 + (null >= best - 1e-12).sum(axis=0)) / (1 + len(null)))


def probe_aurocs(values: Array, concepts: npt.NDArray[np.bool_], seed: int) -> Array:
    """Return the cross-validated AUROC (n_concepts,) of linear probes on the values (n_images, n_inputs)."""
    from sklearn.linear_model import Ridge
    from sklearn.model_selection import KFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    folds = KFold(_FOLDS, shuffle=True, random_state=seed)
    model = make_pipeline(StandardScaler(), Ridge(_RIDGE * len(values) / 100))
    scores = cross_val_predict(model, values, concepts.T.astype(np.float64), cv=folds)
    scores = scores.reshape(len(values), -1)
    return np.array([aurocs(scores[:, [k]], concepts[[k]])[0, 0] for k in range(len(concepts))])


def ablated(network: Network, layer: str, unit: int, mean: float) -> Network:
    """Return `network` with a unit, or a channel everywhere in its map, replaced by a constant."""
    shape = network.layer_shapes[layer]
    axis = _channel_axis(network, layer)
    n_units = shape[axis]
    kept = np.ones(n_units, network.dtype)
    kept[unit] = 0
    zeros, ones = np.zeros(n_units, network.dtype), np.ones(n_units, network.dtype)
    name = next(
        f"ablated_{k}" for k in range(len(network.layers) + 1) if f"ablated_{k}" not in network.layer_names
    )
    mask = BatchNormalization(
        name, kept, (1 - kept) * network.dtype.type(mean), zeros, ones, axis=axis, epsilon=0.0
    )
    layers, wiring = list[Layer](), []
    for each, read in zip(network.layers, network.wiring, strict=True):
        layers.append(each)
        wiring.append(tuple(name if source == layer else source for source in read))
        if each.name == layer:
            layers.append(mask)
            wiring.append((layer,))
    return replace(network, layers=tuple(layers), wiring=tuple(wiring))
