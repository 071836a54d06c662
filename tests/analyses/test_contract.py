"""What every analysis promises, whatever it computes."""

import dataclasses
import inspect
from collections.abc import Mapping
from functools import cache

import numpy as np
import pytest
from recipes_of_tests import quick_controls
from result_checks import check_result

import probe
from probe.catalogue import ANALYSES, analysis_of
from probe.figures import picture
from probe.training import TrainingConfig
from probe.workflow._sections import function_of


@cache
def controls_of(network, split):
    return quick_controls(network, split, 2, epochs=1)


MEMORIZE = TrainingConfig(epochs=4, batch_size=20, learning_rate=0.3, stop="fitted")

MEMORIZE_SOFTLY = TrainingConfig(epochs=3, batch_size=20, weight_decay=1e-2)

SETTINGS = {
    "weight_images": {"layer": "output"},
    "expanded_weights": {"n_images": 30},
    "maximize": {
        "objectives": [probe.class_logit(0), probe.unit("hidden_1", 2)],
        "restarts": 2,
        "steps": 5,
        "l2": 0.01,
        "total_variation": 0.01,
    },
    "noise_confidence": {"n_images": 50},
    "noise_severity": {"n_images": 30},
    "weight_structure": {"n_null": 39},
    "concepts": {"n_images": 120, "n_permutations": 19, "n_rotations": 19},
    "drawing": {"restarts": 1, "steps": 3},
    "memorization": {
        "architecture": probe.MLP((8,), "relu"),
        "config": MEMORIZE,
        "n_samples": 40,
        "replicates": 2,
        "corruption": (0, 0.5),
    },
    "capacity": {
        "architectures": probe.MLP((4,), "relu"),
        "config": MEMORIZE,
        "rates": (0.1,),
        "replicates": 1,
        "updates": 20,
        "largest": 40,
    },
    "memorization_scores": {
        "architecture": probe.MLP((8,), "relu"),
        "config": MEMORIZE,
        "n_samples": 40,
        "n_networks": 20,
    },
    "landscape": {
        "n_networks": 2,
        "n_directions": 10,
        "updates": 20,
        "resolution": 3,
        "n_planes": 2,
        "n_lines": 3,
        "n_images": 40,
    },
    "minima": {
        "architectures": probe.MLP((4,)),
        "config": MEMORIZE_SOFTLY,
        "n_networks": 3,
        "n_samples": 60,
        "polish": 10,
        "n_connected": 2,
    },
    "compare_networks": {"n_images": 60, "n_null": 99},
    "robustness": {
        "architectures": probe.MLP((4,)),
        "recipes": ("modern",),
        "lengths": (0.05, 0.1),
        "datasets": (),
    },
    "verify": {"rows": ("nielsen-backprop", "zhang-theorem"), "n_networks": 6},
    "search": {
        "widths": (4,),
        "depths": (1,),
        "costs": ("cross-entropy",),
        "rates": (0.3,),
        "n_networks": 2,
        "first_epochs": 1,
        "epochs": 3,
    },
}
"""What makes an analysis quick; one that is not here gets what it needs, and its defaults."""

KEEP_THEIR_SEED = {"memorization", "capacity", "memorization_scores", "minima", "robustness", "verify"}
EVERY = pytest.mark.parametrize("name", [entry.name for entry in ANALYSES])


@cache
def other_of(split):
    """Return a second network, of another width."""
    return probe.train(probe.MLP((7, 5)), split, TrainingConfig(epochs=3), seed=1).network


def analyze(name, network, split, seed):
    """Run an analysis on what its entry says that it needs, as far as it is called so."""
    entry = analysis_of(name)
    known = inspect.signature(function_of(entry)).parameters
    world = {"network": network, "split": split, "seed": seed}
    if "controls" in entry.needs:
        world["controls"] = controls_of(network, split)
    if "other" in entry.needs:
        world |= {"first": network, "second": other_of(split)}
    if "split" in entry.needs:
        world["images"] = split.train.images
    arguments = {key: value for key, value in world.items() if key in known}
    return function_of(entry)(**arguments | SETTINGS.get(name, {}))


@cache
def result_of(name, network, split):
    return analyze(name, network, split, 0)


@pytest.fixture
def result(name, trained, digits):
    return result_of(name, trained, digits)


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


def test_settings_are_those_of_analyses_that_there_are():
    assert SETTINGS.keys() <= {entry.name for entry in ANALYSES}


@EVERY
def test_what_goes_in_stays_as_it_is_and_one_seed_is_one_result(name, trained, digits, result):
    kept = [values.copy() for values in all_arrays(trained, digits)]
    before = np.random.get_state()[1].copy()  # noqa: NPY002 - the point is that nobody uses it
    again = analyze(name, trained, digits, 0)
    # What a clock said is not of the seed.
    assert_alike(again, result, without="seconds")
    for values, copy in zip(all_arrays(trained, digits), kept, strict=True):
        np.testing.assert_array_equal(values, copy)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


@EVERY
def test_one_generator_is_one_result_and_needs_no_thread(name, result, trained, digits, no_threads):
    one = analyze(name, trained, digits, np.random.default_rng(0))
    if name in KEEP_THEIR_SEED:  # these draw a seed from a generator, to be run again from it
        assert_alike(one, analyze(name, trained, digits, np.random.default_rng(0)), without="seconds")
    else:
        assert_alike(one, result, without="seconds")


@EVERY
def test_a_result_is_what_its_entry_says_and_can_do_what_every_result_can(name, result):
    assert type(result).__name__ == analysis_of(name).result
    check_result(result)


@EVERY
def test_a_result_is_frozen_to_the_bottom(name, result):
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
def test_a_result_is_loaded_as_it_was_saved(name, result, tmp_path):
    path = probe.save_result(result, tmp_path / "result.h5")
    loaded = probe.load_result(path, type(result))
    assert_alike(loaded, result)
    assert all(not value.flags.writeable for _, value in parts(loaded) if isinstance(value, np.ndarray))
    assert picture(loaded) == picture(result)
    again = result.save(tmp_path / "again.h5")
    assert again.read_bytes() == path.read_bytes()
