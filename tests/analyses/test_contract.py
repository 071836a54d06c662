"""What every analysis promises, whatever it computes."""

import dataclasses
from collections.abc import Mapping
from functools import cache

import numpy as np
import pytest

import probe
from probe.training import TrainingConfig


@cache
def controls_of(network, split):
    return probe.control_networks(network, split, n_networks=2, config=TrainingConfig(epochs=1))


MEMORIZE = TrainingConfig(epochs=4, batch_size=20, learning_rate=0.3, stop="fitted")

MEMORIZE_SOFTLY = TrainingConfig(epochs=3, batch_size=20, weight_decay=1e-2)

ANALYSES = {
    "weights": lambda network, split, seed: probe.weight_images(network, "output"),
    "paths": lambda network, split, seed: probe.expanded_weights(
        network, split.train.images, n_images=30, seed=seed
    ),
    "maximize": lambda network, split, seed: probe.maximize(
        network,
        [probe.class_logit(0), probe.unit("hidden_1", 2)],
        restarts=2,
        steps=5,
        l2=0.01,
        total_variation=0.01,
        seed=seed,
    ),
    "noise": lambda network, split, seed: probe.noise_confidence(network, split, n_images=50, seed=seed),
    "severity": lambda network, split, seed: probe.noise_severity(
        network, split, controls=controls_of(network, split), n_images=30, seed=seed
    ),
    "structure": lambda network, split, seed: probe.weight_structure(
        network, split, controls=controls_of(network, split), n_null=39, seed=seed
    ),
    "concepts": lambda network, split, seed: probe.concepts(
        network,
        split,
        controls=controls_of(network, split),
        n_images=120,
        n_permutations=19,
        n_rotations=19,
        seed=seed,
    ),
    "drawing": lambda network, split, seed: probe.drawing(
        network, split, controls=controls_of(network, split), restarts=1, steps=3, seed=seed
    ),
    "memorization": lambda network, split, seed: probe.memorization(
        probe.MLP((8,), "relu"), split, MEMORIZE, n_samples=40, replicates=2, corruption=(0, 0.5), seed=seed
    ),
    "capacity": lambda network, split, seed: probe.capacity(
        probe.MLP((4,), "relu"),
        split,
        MEMORIZE,
        rates=(0.1,),
        replicates=1,
        updates=20,
        largest=40,
        seed=seed,
    ),
    "scores": lambda network, split, seed: probe.memorization_scores(
        probe.MLP((8,), "relu"), split, MEMORIZE, n_samples=40, n_networks=20, seed=seed
    ),
    "landscape": lambda network, split, seed: probe.landscape(
        network,
        split,
        n_networks=2,
        n_directions=10,
        updates=20,
        resolution=3,
        n_planes=2,
        n_lines=3,
        n_images=40,
        seed=seed,
    ),
    "minima": lambda network, split, seed: probe.minima(
        probe.MLP((4,)),
        split,
        MEMORIZE_SOFTLY,
        n_networks=3,
        n_samples=60,
        polish=10,
        n_connected=2,
        seed=seed,
    ),
    "search": lambda network, split, seed: probe.search(
        split,
        widths=(4,),
        depths=(1,),
        costs=("cross-entropy",),
        rates=(0.3,),
        n_networks=2,
        epochs=3,
        seed=seed,
    ),
}
KEEP_THEIR_SEED = {"memorization", "capacity", "scores", "minima"}
EVERY = pytest.mark.parametrize("name", ANALYSES)


@pytest.fixture(scope="module")
def results(trained, digits):
    return {name: analyse(trained, digits, 0) for name, analyse in ANALYSES.items()}


def parts(value, place="result"):
    """Return every leaf of a result: (place, array or plain value)."""
    if dataclasses.is_dataclass(value):
        names = [field.name for field in dataclasses.fields(value)]
        return [leaf for name in names for leaf in parts(getattr(value, name), f"{place}.{name}")]
    if isinstance(value, Mapping):
        return [leaf for key, entry in value.items() for leaf in parts(entry, f"{place}[{key!r}]")]
    if isinstance(value, tuple):
        return [leaf for index, entry in enumerate(value) for leaf in parts(entry, f"{place}[{index}]")]
    return [(place, value)]


def assert_alike(one, other, without=None):
    assert type(one) is type(other)
    for (place, left), (there, right) in zip(parts(one), parts(other), strict=True):
        if without is not None and without in place:
            continue
        assert place == there
        assert type(left) is type(right), place
        if isinstance(left, np.ndarray):
            assert left.dtype == right.dtype, place
        np.testing.assert_array_equal(left, right, err_msg=place)


def all_arrays(network, split):
    weights = [values for layer in network.dense_layers for values in (layer.kernel, layer.bias)]
    return [*weights, *(values for d in (split.train, split.test) for values in (d.images, d.labels))]


@EVERY
def test_what_goes_in_stays_as_it_is(name, trained, digits):
    kept = [values.copy() for values in all_arrays(trained, digits)]
    before = np.random.get_state()[1].copy()  # noqa: NPY002 - the point is that nobody uses it
    ANALYSES[name](trained, digits, 0)
    for values, copy in zip(all_arrays(trained, digits), kept, strict=True):
        np.testing.assert_array_equal(values, copy)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


@EVERY
def test_one_seed_is_one_result(name, results, trained, digits):
    # What a clock said is not of the seed.
    assert_alike(ANALYSES[name](trained, digits, 0), results[name], without="seconds")
    one, other = (ANALYSES[name](trained, digits, np.random.default_rng(0)) for _ in range(2))
    assert_alike(one, other, without="seconds")
    if name not in KEEP_THEIR_SEED:  # these draw a seed from a generator, to be run again from it
        assert_alike(one, results[name], without="seconds")


@EVERY
def test_a_result_is_frozen_to_the_bottom(name, results):
    result = results[name]
    field = dataclasses.fields(result)[0].name
    with pytest.raises(AttributeError):
        setattr(result, field, None)
    arrays = [(place, value) for place, value in parts(result) if isinstance(value, np.ndarray)]
    assert arrays
    for place, values in arrays:
        assert not values.flags.writeable, place
    mutable = [place for place, value in parts(result) if isinstance(value, (list, dict, set))]
    assert mutable == []


@EVERY
def test_a_result_is_loaded_as_it_was_saved(name, results, tmp_path):
    result = results[name]
    path = probe.save_result(result, tmp_path / "result.h5")
    loaded = probe.load_result(path, type(result))
    assert_alike(loaded, result)
    assert all(not value.flags.writeable for _, value in parts(loaded) if isinstance(value, np.ndarray))


@EVERY
def test_a_result_can_be_drawn(name, results, tmp_path):
    from matplotlib.figure import Figure

    figure = probe.plot(results[name])
    assert isinstance(figure, Figure)
    assert figure.axes
    figure.savefig(tmp_path / "figure.png", dpi=40)
    assert (tmp_path / "figure.png").stat().st_size > 1000


@EVERY
def test_a_loaded_result_is_drawn_alike(name, results, tmp_path):
    path = probe.save_result(results[name], tmp_path / "result.h5")
    loaded = probe.load_result(path, type(results[name]))
    pictures = []
    for result in (results[name], loaded):
        figure = probe.plot(result)
        figure.set_dpi(40)
        figure.savefig(tmp_path / "figure.png", dpi=40, metadata={"Software": None})
        pictures.append((tmp_path / "figure.png").read_bytes())
    assert pictures[0] == pictures[1]
