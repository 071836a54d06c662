"""The cards of units: their numbers against independent ones, and planted units whose cards are known."""

from dataclasses import replace

import numpy as np
import pytest
from recipes_of_tests import quick_controls
from subjects import ablated

import probe
from probe import InputError, Network
from probe.analyses.structure.meter import gabors
from probe.analyses.unit.measuring import Place, right_without
from probe.datasets import Dataset, Split
from probe.layers import (
    ActivationLayer,
    Add,
    Conv2D,
    Dense,
    Flatten,
    GlobalAveragePooling2D,
    MaxPooling2D,
    Reshape,
    SeparableConv2D,
)

pytestmark = pytest.mark.filterwarnings("ignore::probe.ProbeWarning")  # networks that learned nothing

ALONE = "Where it stands among other networks is not known: no control networks were trained."


def normal(*shape, seed=0):
    return 0.3 * np.random.default_rng(seed).standard_normal(shape, np.float32)


def things(shape, class_names=("a", "b", "c", "d"), n=200):
    """Return images with a bright row that says their class."""
    rng = np.random.default_rng(0)

    def some():
        labels = rng.integers(0, len(class_names), n)
        images = 0.3 * rng.random((n, *shape), np.float32)
        images[np.arange(n), 2 * labels] = 1
        return Dataset(images, labels, class_names)

    return Split(some(), some(), "things")


def colored():
    layers = (
        Conv2D("conv_1", normal(3, 3, 3, 5), normal(5), activation_name="relu"),
        MaxPooling2D("pool"),
        Conv2D("conv_2", normal(3, 3, 5, 7), normal(7), padding="same", activation_name="relu"),
        Flatten("flat"),
        Dense("maps", normal(175, 6), normal(6), "relu"),
        Dense("output", normal(6, 4), normal(4), "softmax"),
    )
    return Network(layers, (12, 12, 3)), things((12, 12, 3))


def strided():
    layers = (
        Reshape("image", (8, 8, 1)),
        Conv2D("conv", normal(3, 3, 1, 5), None, padding="same", strides=(2, 2)),
        ActivationLayer("relu", "relu"),
        SeparableConv2D("separable", normal(3, 3, 5, 2), normal(1, 1, 10, 6), normal(6)),
        GlobalAveragePooling2D("mean"),
        Dense("output", normal(6, 4), normal(4)),
        ActivationLayer("softmax", "softmax"),
    )
    return Network(layers, (8, 8)), things((8, 8))


def branched():
    layers = (
        Flatten("flat"),
        Dense("a:b", normal(64, 5), normal(5), "relu"),
        Dense("c", normal(64, 5, seed=1), normal(5), "tanh"),
        Add("sum"),
        Dense("output", normal(5, 4), normal(4), "softmax"),
    )
    wiring = ((0,), ("flat",), ("flat",), ("a:b", "c"), ("sum",))
    return Network(layers, (8, 8), wiring=wiring), things((8, 8))


def one_unit():
    layers = (
        Flatten("flat"),
        Dense("hidden", normal(36, 1), normal(1), "tanh"),
        Dense("output", normal(1, 1), normal(1), "sigmoid"),
    )
    return Network(layers, (6, 6), ("no", "yes")), things((6, 6), ("no", "yes"))


CASES = {case.__name__: case for case in (colored, strided, branched, one_unit)}


@pytest.fixture(scope="module")
def cards(trained, digits):
    return probe.unit_cards(trained, digits, favorites=())


@pytest.mark.parametrize("name", CASES)
def test_products_and_bias_are_the_pre_activation_of_any_layer(name):
    network, split = CASES[name]()
    found = probe.unit_cards(network, split, favorites=())
    assert found.missing[0] == ALONE
    before = network.pre_activations(found.images)
    for layer in found.layers:
        np.testing.assert_allclose(layer.sums + layer.biases, layer.pre_activations, atol=1e-5)
        np.testing.assert_allclose(
            layer.products.reshape(len(layer.units), -1).sum(axis=1), layer.sums, atol=1e-5
        )
        # The pre-activation is what the network has there for that image.
        for k, at in enumerate(layer.positions):
            values = before[layer.layer][layer.most[k, 0]]
            value = values[at[0], at[1], k] if values.ndim == 3 else values[k]
            assert value == pytest.approx(layer.pre_activations[k], abs=1e-5)
            assert value == pytest.approx((values[..., k]).max(), abs=1e-5)


@pytest.mark.parametrize("name", CASES)
def test_a_card_alone_is_that_of_all(name):
    network, split = CASES[name]()
    found = probe.unit_cards(network, split, favorites=())
    for address in found.addresses[:: max(1, found.n_cards // 4)]:
        one, other = probe.unit_card(network, split, address), found.card(address)
        assert one.address == other.address == address
        assert one.lost == other.lost and one.weights_limit == other.weights_limit
        for part in ("weights", "products", "lost_by_class", "auroc"):
            np.testing.assert_allclose(getattr(one, part), getattr(other, part), atol=1e-6)
        np.testing.assert_array_equal(one.most.indices, other.most.indices)
        assert one.favorite is not None and other.favorite is None
        # A channel is compared in the mean of its map.
        assert one.favorite_value >= one.most.values[0] - 1e-4
        assert one.favorite_lower <= one.least.values[0] and one.favorite_value <= one.favorite_upper


def test_weights_are_images_where_they_reach_the_pixels():
    network, split = colored()
    layers = {layer.layer: layer for layer in probe.unit_cards(network, split, favorites=()).layers}
    kernel = network.layer("conv_1").kernel
    np.testing.assert_array_equal(layers["conv_1"].weights, np.moveaxis(kernel, 3, 0))
    assert (layers["conv_1"].weights_kind, layers["conv_1"].weights_limit) == ("image", np.abs(kernel).max())
    assert (layers["conv_2"].weights_kind, layers["conv_2"].weights.shape) == ("planes", (7, 5, 3, 3))
    assert (layers["maps"].weights_kind, layers["maps"].weights.shape) == ("planes", (6, 7, 5, 5))
    assert (layers["output"].weights_kind, layers["output"].reads) == ("vector", "maps")
    np.testing.assert_array_equal(layers["output"].weights, network.layer("output").kernel.T)
    # Products of a dense layer on maps lie where its weights lie, and are these times the maps.
    maps = network.activations(split.test.images)["conv_2"]
    found = probe.unit_cards(network, split, favorites=())
    maps = network.activations(found.images[layers["maps"].most[:, 0]])["conv_2"]
    expected = layers["maps"].weights * np.moveaxis(maps, 3, 1)
    np.testing.assert_allclose(layers["maps"].products, expected, atol=1e-6)


def test_the_most_and_the_least_are_those_of_a_sort(trained, digits, cards):
    values = trained.pre_activations(digits.test.images)
    for layer in cards.layers:
        for k in layer.units:
            order = np.argsort(-values[layer.layer][:, k], kind="stable")
            np.testing.assert_array_equal(cards.indices[layer.most[k]], order[:10])
            np.testing.assert_allclose(layer.most_values[k], values[layer.layer][order[:10], k], atol=1e-5)
            assert (np.diff(layer.most_values[k]) <= 0).all() and (np.diff(layer.least_values[k]) >= 0).all()
            assert layer.least_values[k, 0] == pytest.approx(values[layer.layer][:, k].min(), abs=1e-5)
    np.testing.assert_array_equal(cards.images, digits.test.images[cards.indices])
    np.testing.assert_array_equal(cards.labels, digits.test.labels[cards.indices])
    assert len(np.unique(cards.indices)) == len(cards.indices)


@pytest.mark.parametrize("name", CASES)
def test_what_is_lost_is_what_a_network_without_the_unit_gets_wrong(name):
    network, split = CASES[name]()
    found, test = probe.unit_cards(network, split, favorites=()), split.test
    whole = network.predict(test.images) == test.labels
    assert found.accuracy == whole.mean()
    assert found.n_by_class.tolist() == np.bincount(test.labels).tolist()
    ends = {"conv": "relu"}
    for layer in found.layers[:-1]:
        end = ends.get(layer.layer, layer.layer)
        values = network.activations(test.images)[end]
        means = values.mean(axis=tuple(range(values.ndim - 1)))
        for k in layer.units:
            without = ablated(network, end, k, float(means[k])).predict(test.images) == test.labels
            assert layer.lost[k] == pytest.approx(whole.mean() - without.mean(), abs=0.006)
            assert layer.lost_low[k] < layer.lost_high[k]
    logits = network.logits(test.images)
    for k, lost in enumerate(found.layers[-1].lost):
        changed = logits.copy()
        changed[:, k] = changed[:, k].mean()
        named = changed.argmax(axis=1) if len(network.class_names) > 2 else (changed[:, 0] > 0).astype(int)
        assert lost == pytest.approx(whole.mean() - (named == test.labels).mean())


def test_layers_that_are_no_chain_give_the_same(trained, digits):
    place, units = Place("hidden_1", "hidden_1", False), np.arange(12)
    values = trained.activations(digits.test.images)["hidden_1"]
    fast = right_without(trained, place, values, digits.test, units)
    wiring = (*trained.wiring, ("output",))
    longer = Network(
        (*trained.layers, ActivationLayer("unused", "linear")),
        trained.input_shape,
        wiring=wiring,
        output_names=("output",),
    )
    assert not longer.is_chain
    np.testing.assert_array_equal(right_without(longer, place, values, digits.test, units), fast)


def planted():
    """Return a network of 8 x 8 images with four units whose cards are known, and its data."""
    split = things((8, 8))
    kernel = np.zeros((64, 4), np.float32)
    kernel[:, 0] = gabors((8, 8), 3.5, 3.5, 0.4, 6.0, 2.0, 0.0).ravel()
    kernel[:, 1] = 1 / 64  # the mean ink
    rows = np.zeros((8, 8), np.float32)
    rows[4] = 1 / 8  # the bright row of class c
    kernel[:, 3] = rows.ravel()
    output = np.zeros((4, 4), np.float32)
    output[3, 2] = 20
    layers = (
        Flatten("flat"),
        Dense("hidden", kernel, np.array([0, 0, -5, 0], "f4"), "relu"),
        Dense("output", output, np.array([0, 0, -9, 0], "f4"), "softmax"),
    )
    return Network(layers, (8, 8), split.test.class_names), split


def test_planted_units_have_the_cards_that_were_planted():
    network, split = planted()
    gabor, ink, dead, decider = (probe.unit_card(network, split, f"hidden:{k}") for k in range(4))
    np.testing.assert_allclose(
        gabor.weights, gabors((8, 8), 3.5, 3.5, 0.4, 6.0, 2.0, 0.0).reshape(8, 8), rtol=1e-5
    )
    ordered = np.argsort(-split.test.images.mean(axis=(1, 2)), kind="stable")
    np.testing.assert_array_equal(np.sort(ink.most.indices), np.sort(ordered[:10]))
    assert ink.pre_activation == pytest.approx(split.test.images.mean(axis=(1, 2)).max(), abs=1e-6)
    assert ink.concept_names[ink.best_concepts[0]] == "much ink" and ink.auroc.max() == 1.0
    assert ink.favorite_value == pytest.approx(1, abs=1e-5) and ink.favorite_share == pytest.approx(
        1, abs=1e-5
    )
    # A unit that is always off tells nothing and is not missed.
    np.testing.assert_array_equal(dead.auroc, 0.5)
    assert dead.lost.estimate == 0 and not dead.lost_by_class.any()
    assert (dead.pre_activation, dead.favorite_upper) == (-5, pytest.approx(-5, abs=1e-4))
    # What one unit alone decides is lost in its class, and in no other.
    assert decider.lost_by_class.tolist() == [0, 0, 1, 0] and decider.worst_class == 2
    assert decider.lost.estimate == pytest.approx((split.test.labels == 2).mean())
    assert (decider.most.labels == 2).all() and (decider.least.labels != 2).all()


def test_permuted_units_have_permuted_cards(trained, digits, cards):
    order = np.random.default_rng(0).permutation(12)
    flat, first, second, output = trained.layers
    layers = (
        flat,
        replace(first, kernel=first.kernel[:, order], bias=first.bias[order]),
        replace(second, kernel=second.kernel[order]),
        output,
    )
    found = probe.unit_cards(replace(trained, layers=layers), digits, favorites=())
    one, other = found.layers[0], cards.layers[0]
    for part in ("weights", "products", "auroc", "medians", "most_values"):
        np.testing.assert_allclose(getattr(one, part), getattr(other, part)[order], atol=1e-5)
    np.testing.assert_allclose(one.lost_by_class, other.lost_by_class[order], atol=0.03)
    np.testing.assert_array_equal(found.indices[one.most], cards.indices[other.most[order]])
    np.testing.assert_allclose(found.layers[1].weights, cards.layers[1].weights[:, order])


def test_concepts_are_those_of_the_analysis_with_the_same_seed(trained, digits):
    told = probe.concepts(trained, digits, n_images=150, n_permutations=19, n_rotations=19, seed=4)
    found = probe.unit_cards(trained, digits, favorites=(), concepts=told, seed=4)
    assert found.concept_names == told.names
    for layer, other in zip(found.layers[:2], told.layers, strict=True):
        np.testing.assert_allclose(layer.auroc, other.auroc)
        np.testing.assert_array_equal(layer.permuted_limit, other.permuted_limit)
    assert found.layers[2].auroc is None and found.card("output:1").concept_names == ()
    with pytest.raises(InputError, match="concepts must be those of this network, these data and this seed"):
        probe.unit_cards(trained, digits, favorites=(), concepts=told, seed=5)


def test_favorites_are_taken_from_what_was_found_already(trained, digits):
    classes = probe.maximize(trained, [probe.class_logit(k) for k in range(3)], restarts=2, steps=10)
    units = probe.maximize(
        trained, [2 * probe.unit("hidden_1", 4), -probe.unit("hidden_1", 5)], restarts=1, steps=5
    )
    found = probe.unit_cards(trained, digits, favorites=[classes, units])
    for k in range(3):
        card = found.card(f"output:{k}")
        np.testing.assert_array_equal(card.favorite, classes.best_images[k])
        assert card.favorite_value == pytest.approx(float(classes.best_values[k]))
        assert card.favorite_upper == pytest.approx(classes.bounds.upper[k])
    assert found.card("hidden_1:4").favorite_value == pytest.approx(float(units.best_values[0]) / 2)
    assert found.card("hidden_1:5").favorite is None and np.isnan(found.card("output:3").favorite_value)
    assert found.layers[1].favorites is None
    assert "For some units no favorite image was looked for." in found.missing


@pytest.fixture(scope="module")
def controls(trained, digits):
    return quick_controls(trained, digits, 3)


def test_a_unit_stands_where_it_is_among_the_units_of_other_networks(trained, digits, controls):
    found = probe.unit_cards(trained, digits, controls=controls, favorites=())
    first, second, output = (layer.standing for layer in found.layers)
    assert first.statistics == ("norm", "moran", "gabor", "concept", "lost")
    assert second.statistics == ("norm", "concept", "lost") and output.statistics == ("norm", "lost")
    assert (first.n_networks, first.n_units, output.n_units) == (3, 36, 30)
    norms = np.linalg.norm(trained.layers[1].kernel, axis=0)
    for row, group in enumerate((controls.trained, controls.untrained, controls.random_label)):
        pool = np.concatenate(
            [np.linalg.norm(one.dense_layers[0].kernel, axis=0) for one in group.networks()]
        )
        np.testing.assert_allclose(
            first.percentiles[row, :, 0], [(pool < norm).mean() for norm in norms], atol=1e-6
        )
        np.testing.assert_allclose(
            first.quantiles[row, 0], np.quantile(pool, [0.05, 0.25, 0.5, 0.75, 0.95]), rtol=1e-5
        )
    structure = probe.weight_structure(trained, digits, n_null=19)
    np.testing.assert_allclose(first.values[:, 1], structure.values[:, 0], rtol=1e-5)
    np.testing.assert_allclose(first.values[:, 4], found.layers[0].lost)
    one = probe.unit_card(trained, digits, "hidden_1:4", controls=controls).standing
    np.testing.assert_allclose(one.percentiles[:, 0], first.percentiles[:, 4])
    np.testing.assert_array_equal(one.quantiles, first.quantiles)
    assert not any("networks" in sentence for sentence in found.missing)


def test_networks_of_other_layers_say_nothing_of_where_a_unit_stands(digits):
    layers = (
        Flatten("flat"),
        Dense("hidden", normal(64, 4), normal(4), "step"),
        Dense("output", normal(4, 10), normal(10), "softmax"),
    )
    network = Network(layers, (8, 8))
    controls = quick_controls(network, digits, 2, epochs=1)
    assert not controls.copies
    card = probe.unit_card(network, digits, "hidden:1", controls=controls)
    assert card.standing is None and any("do not have this network's layers" in one for one in card.missing)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("first", "a:b:0"),
        ("a:b:3", "a:b:3"),
        ("c:0", "c:0"),
        ("class:d", "output:3"),
        ("class:1", "output:1"),
    ],
)
def test_units_have_addresses(text, address):
    network, split = branched()
    assert probe.unit_card(network, split, text).address == address


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (
            "",
            "unit must be LAYER:UNIT, got ''; this network has a:b:0 to a:b:4, c:0 to c:4, output:0 to output:3",
        ),
        (":", "unit must be LAYER:UNIT, got ':'"),
        ("c", "unit must be LAYER:UNIT, got 'c'"),
        ("flat:1", "unit must be LAYER:UNIT, got 'flat:1'"),
        ("c:", "unit must be c:0 to c:4, the units of 'c', got 'c:'"),
        ("c:5", "unit must be c:0 to c:4, the units of 'c', got 'c:5'"),
        ("c:-1", "unit must be c:0 to c:4"),
        ("c:²", "unit must be c:0 to c:4"),
        ("c:" + "9" * 400, "unit must be c:0 to c:4"),
        ("class:x", "unit must be a class of this network, one of a, b, c, d; got 'class:x'"),
    ],
)
def test_a_unit_that_is_not_there_is_refused_with_those_that_are(text, why):
    network, split = branched()
    with pytest.raises(InputError) as refused:
        probe.unit_card(network, split, text)
    assert why in str(refused.value)


def test_layers_and_units_can_be_chosen(trained, digits):
    found = probe.unit_cards(trained, digits, layers=["hidden_2"], most_units=3, favorites=())
    assert found.addresses == ("hidden_2:0", "hidden_2:1", "hidden_2:2")
    assert found.layers[0].n_units_in_layer == 9
    with pytest.raises(InputError, match="layers must be with weights, got 'flatten'"):
        probe.unit_cards(trained, digits, layers=["flatten"])
    with pytest.raises(InputError, match="address must be that of a card, one of hidden_2:0"):
        found.card("hidden_1:0")


def test_a_page_gets_every_image_once_and_exactly(cards):
    data = cards.page_data()
    pixels = data["images"]["pixels"]
    assert pixels.dtype == np.uint8 and len(pixels) == len(cards.images)
    np.testing.assert_allclose(pixels * data["images"]["scale"], cards.images, atol=1e-6)
    assert list(data["layers"]) == ["hidden_1", "hidden_2", "output"]
    first = data["layers"]["hidden_1"]
    np.testing.assert_array_equal(first["most"], cards.layers[0].most)
    assert "weights" not in first and first["standing"] is None and first["favorites"] is None
    assert first["lost_by_class"].dtype == np.float32


def test_favorites_of_a_page_are_bytes(trained, digits):
    found = probe.unit_cards(
        trained, digits, favorites=[probe.maximize(trained, [probe.class_logit(1)], steps=5)]
    )
    favorites = found.page_data()["layers"]["output"]["favorites"]
    assert favorites.dtype == np.uint8 and favorites[1].any() and not favorites[0].any()
    np.testing.assert_allclose(favorites[1] / 255, found.card("output:1").favorite, atol=0.003)
