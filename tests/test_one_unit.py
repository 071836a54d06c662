"""Networks with one output for two classes: what they predict, and that analyses and files take them as classifiers."""

import re
import warnings
from dataclasses import replace

import numpy as np
import pytest
from recipes_of_tests import quick_controls
from scipy.special import expit, log_softmax

import probe
from probe._checks import InputError
from probe.analyses.paths import expanded_weights
from probe.ascent import certify
from probe.layers import (
    ActivationLayer,
    BatchNormalization,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePooling2D,
    Reshape,
)
from probe.parameters import ParameterSpace
from probe.sensitivity import critical_samples, loss_sensitivity

RNG = np.random.default_rng


def normal(*shape, seed=0):
    return RNG(seed).normal(size=shape)


def dense(name, n_in, n_units, activation="linear", seed=0):
    return Dense(name, normal(n_in, n_units, seed=seed), np.zeros(n_units), activation)


def hidden():
    return dense("hidden", 4, 3, "tanh", seed=5)


def flat_conv():
    """A filter as large as the image: one value."""
    return Conv2D("conv", normal(2, 2, 1, 1), np.full(1, -0.2), activation_name="sigmoid")


HEADS = {
    "dense": ((hidden(), dense("output", 3, 1, "sigmoid")), (4,)),
    "activation behind": ((hidden(), dense("output", 3, 1), ActivationLayer("last", "sigmoid")), (4,)),
    "dropout between": (
        (hidden(), dense("output", 3, 1), Dropout("drop", 0.5), ActivationLayer("last", "sigmoid")),
        (4,),
    ),
    "flattened convolution": ((flat_conv(), Flatten("flat")), (2, 2, 1)),
    "reshaped convolution": ((flat_conv(), Reshape("flat", (1,))), (2, 2, 1)),
    "mean of a map": (
        (
            Conv2D("conv", normal(2, 2, 1, 1), np.full(1, -0.2)),
            GlobalAveragePooling2D("mean"),
            ActivationLayer("last", "sigmoid"),
        ),
        (5, 4, 1),
    ),
    "normalized": (
        (
            dense("output", 4, 1),
            BatchNormalization("bn", np.array([2.0]), np.array([0.5]), np.array([0.3]), np.array([4.0])),
            ActivationLayer("last", "sigmoid"),
        ),
        (4,),
    ),
    "bent before": ((dense("output", 4, 1, "tanh"), ActivationLayer("last", "sigmoid")), (4,)),
}


@pytest.fixture(params=HEADS)
def network(request):
    return probe.Network(*HEADS[request.param])


@pytest.fixture
def x(network):
    return normal(20, *network.input_shape, seed=9)


def test_one_sigmoid_unit_tells_two_classes_apart(network, x):
    p, z = network.outputs(x), network.logits(x)
    assert p.shape == z.shape == (20, 1)
    np.testing.assert_allclose(p, expit(z), rtol=1e-12)
    assert (network.n_classes, network.class_names, network.is_one_unit) == (2, ("0", "1"), True)
    np.testing.assert_array_equal(network.predict(x), (p[:, 0] > 0.5).astype(int))
    np.testing.assert_allclose(network.predict_proba(x), np.hstack([1 - p, p]), rtol=1e-12)
    assert set(network.predict(x)) == {0, 1}


def test_two_logits_say_the_same_as_one_unit(network, x):
    two, z = network.with_two_logits(), network.logits(x)[:, 0]
    assert two.n_classes == 2 and not two.is_one_unit and two.with_two_logits() is two
    assert two.output_name == "softmax"
    np.testing.assert_allclose(two.logits(x), np.stack([-z / 2, z / 2], axis=1), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(two.outputs(x), network.predict_proba(x), rtol=1e-10, atol=1e-12)
    np.testing.assert_array_equal(two.predict(x), network.predict(x))
    assert set(network.layer_names) <= set(two.layer_names)


@pytest.mark.parametrize(
    ("name", "n_added"),
    [(name, 4 * (name in ("reshaped convolution", "normalized", "bent before"))) for name in HEADS],
)
def test_the_last_weights_get_a_second_unit_where_nothing_behind_them_mixes(name, n_added):
    network = probe.Network(*HEADS[name])
    assert len(network.with_two_logits().layers) == len(network.layers) + n_added


def test_a_unit_that_others_read_too_stays_as_it_is():
    network = probe.Network(
        (dense("output", 4, 1), ActivationLayer("last", "sigmoid"), ActivationLayer("other", "relu")),
        (4,),
        wiring=((0,), ("output",), ("output",)),
        output_names=("last",),
    )
    two = network.with_two_logits()
    x = normal(5, 4)
    np.testing.assert_allclose(two.predict_proba(x), network.predict_proba(x), rtol=1e-12)
    np.testing.assert_array_equal(two.activations(x)["other"], network.activations(x)["other"])


def test_classes_of_one_unit_are_objectives(network, x):
    two, z = network.with_two_logits(), network.logits(x)[:, 0]
    objectives = [probe.class_logit(0), probe.class_logit(1), probe.class_logit(1) - probe.class_logit(0)]
    expected = np.stack([-z / 2, z / 2, z], axis=1)
    np.testing.assert_allclose(network.objective_values(x, objectives), expected, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(two.objective_values(x, objectives), expected, rtol=1e-10, atol=1e-12)
    for objective in objectives:
        gradients = [each.input_gradient(x, objective) for each in (network, two)]
        np.testing.assert_allclose(*gradients, rtol=1e-10, atol=1e-12)
    with pytest.raises(InputError, match="class must be from 0 to 1, got 2"):
        network.input_gradient(x, probe.class_logit(2))
    with pytest.raises(InputError, match="have logits only"):
        network.input_gradient(x, probe.Objective(None, 1, "activation"))


def test_what_one_unit_maximizes_is_known_exactly():
    kernel = np.array([[2.0], [-1.0], [0.5]])
    network = probe.Network((Dense("output", kernel, np.array([-0.25]), "sigmoid"),), (3,), ("no", "yes"))
    objectives = [
        probe.parse_objective(text, network) for text in ("class:no", "class:yes", "class:yes - class:no")
    ]
    found = probe.maximize(network, objectives, restarts=2)
    np.testing.assert_allclose(found.best_images, [[0, 1, 0], [1, 0, 1], [1, 0, 1]])
    np.testing.assert_allclose(found.best_values, [0.625, 1.125, 2.25])
    np.testing.assert_allclose(found.bounds.upper, [0.625, 1.125, 2.25])
    np.testing.assert_allclose(found.bounds.lower, [-1.125, -0.625, -1.25])
    assert found.names == ("no", "yes", "class yes - class no")
    np.testing.assert_array_equal(found.predictions[:, 0], [0, 1, 1])
    np.testing.assert_allclose(found.confidences[:, 0], expit([1.25, 2.25, 2.25]))
    assert certify(network, [probe.class_logit(0)]).exact.all()


def test_the_limit_far_away_is_that_of_two_logits():
    network = probe.Network((Dense("output", np.array([[1.0], [-2.0]]), np.array([0.5]), "sigmoid"),), (2,))
    found = probe.confidence_limit(network, np.array([[1.0, 0.0], [0.0, 1.0], [2.0, 1.0]]))
    np.testing.assert_array_equal(found.classes, [1, 0, 1])
    np.testing.assert_allclose(found.outputs, [[0, 1], [1, 0], [1 - expit(0.5), expit(0.5)]], atol=1e-12)


def test_costs_are_those_of_the_binary_cross_entropy():
    network = probe.Network((hidden(), dense("output", 3, 1, "sigmoid")), (4,))
    x, labels = RNG(0).random((7, 4)), np.array([0, 1, 1, 0, 1, 0, 0])
    p = network.outputs(x)[:, 0]
    each = -np.log(np.where(labels == 1, p, 1 - p))
    cost, accuracy = ParameterSpace(network).measure(x, labels)
    assert (cost, accuracy) == (pytest.approx(each.mean()), np.mean((p > 0.5) == labels))
    # d cost / d z is p - label, of a cross-entropy.
    expected = np.abs(network.objective_gradient(x, [probe.unit("output", 0)] * 7)[1] * (p - labels)[:, None])
    np.testing.assert_allclose(loss_sensitivity(network, x, labels), expected.sum(axis=1), rtol=1e-10)
    np.testing.assert_array_equal(critical_samples(network, x, seed=0).predictions, p > 0.5)


def test_a_linear_output_is_a_logit_only_if_somebody_says_so():
    network = probe.Network((hidden(), dense("output", 3, 1)), (4,))
    x = normal(9, 4)
    assert network.n_classes == 0 and network.class_names == ()
    message = "one linear output, which can be the logit of the second of two classes or a regression"
    for refused in (
        network.predict,
        network.predict_proba,
        lambda x: network.input_gradient(x, probe.class_logit(0)),
    ):
        with pytest.raises(InputError, match=message):
            refused(x)
    with pytest.raises(InputError, match=r"call network.for_logits\(\), or pass --from-logits"):
        network.predict(x)
    z = network.logits(x)[:, 0]
    for said in (network.for_logits(), replace(network, class_names=("no", "yes"))):
        np.testing.assert_array_equal(said.predict(x), z > 0)
        np.testing.assert_allclose(said.predict_proba(x), np.stack([expit(-z), expit(z)], axis=1), rtol=1e-12)
        np.testing.assert_allclose(said.with_two_logits().outputs(x)[:, 1], expit(z), rtol=1e-10)
        np.testing.assert_array_equal(said.outputs(x)[:, 0], z)
    assert replace(network, class_names=("no", "yes")).for_logits().class_names == ("no", "yes")


def test_a_regression_has_no_classes():
    network = probe.Network((dense("output", 4, 3),), (4,))
    assert network.n_classes == 3
    values = network.for_regression()
    assert (values.n_classes, values.class_names, values.is_regression) == (0, (), True)
    x = normal(5, 4)
    np.testing.assert_array_equal(values.outputs(x), network.outputs(x))
    with pytest.raises(
        InputError, match=re.escape("the network is a regression: its outputs, (3,), are quantities")
    ):
        values.predict(x)
    assert values.for_logits().n_classes == 3
    assert values.with_input_range(0, 255).is_regression and values.truncate("output").is_regression
    with pytest.raises(InputError, match="class_names must name 0 outputs, got 3 names"):
        replace(values, class_names=("a", "b", "c"))


@pytest.mark.parametrize(
    ("activation", "message"),
    [
        ("softmax", "one output behind softmax, which makes of it 1 whatever the input; two classes need"),
        ("relu", "one output behind relu; two classes need one sigmoid unit, one logit or two outputs"),
    ],
)
def test_other_single_outputs_are_no_classifiers(activation, message):
    network = probe.Network((dense("output", 4, 1, activation),), (4,))
    assert network.n_classes == 0
    with pytest.raises(InputError, match=message):
        network.predict(normal(2, 4))
    with pytest.raises(InputError, match="logits are linear outputs in one axis, but this network puts out"):
        network.for_logits()


def test_several_sigmoid_units_stay_as_they_are():
    network = probe.Network((dense("output", 4, 3, "sigmoid"),), (4,))
    assert network.n_classes == 3 and network.with_two_logits() is network
    x = normal(5, 4)
    np.testing.assert_array_equal(network.predict_proba(x), network.outputs(x))


def test_class_names_are_those_of_the_two_classes():
    output = dense("output", 4, 1, "sigmoid")
    assert probe.Network((output,), (4,), ("no", "yes")).with_two_logits().class_names == ("no", "yes")
    with pytest.raises(
        InputError, match=re.escape("class_names must name 2 classes (the single output is that of")
    ):
        probe.Network((output,), (4,), ("yes",))


def test_weights_are_those_of_the_one_unit():
    network = probe.Network((Flatten("flat"), dense("output", 6, 1, "sigmoid")), (2, 3), ("no", "yes"))
    found = probe.weight_images(network)
    assert found.images.shape == (1, 2, 3) and found.unit_names == ("yes",)
    deeper = probe.Network((Flatten("flat"), dense("hidden", 6, 4), dense("output", 4, 1, "sigmoid")), (2, 3))
    assert expanded_weights(deeper, RNG(0).random((9, 2, 3))).unit_names == ("1",)


@pytest.fixture(scope="module")
def parity(digits):
    """Even and odd digits."""
    train, test = (
        probe.Dataset(part.images, part.labels % 2, ("even", "odd")) for part in (digits.train, digits.test)
    )
    return probe.Split(train, test, "parity")


@pytest.fixture(scope="module")
def pair(parity):
    """A network of two outputs, and the network of one unit that decides in the same way."""
    config = probe.TrainingConfig(epochs=15, batch_size=20, learning_rate=0.5)
    two = probe.train(probe.MLP(hidden=(10,)), parity, config).network
    last = two.layers[-1]
    unit = Dense("output", np.diff(last.kernel, axis=1), np.diff(last.bias), "sigmoid")
    return two, probe.Network((*two.layers[:-1], unit), two.input_shape)


def test_analyses_find_in_one_unit_what_they_find_in_two(parity, pair):
    with warnings.catch_warnings():
        warnings.simplefilter("error", probe.ProbeWarning)
        noise = [probe.noise_confidence(network, parity, seed=1) for network in pair]
        for one, other in zip(noise[0].conditions, noise[1].conditions, strict=True):
            np.testing.assert_allclose(one.confidences, other.confidences, atol=1e-4)
            np.testing.assert_allclose(one.auroc, other.auroc, atol=1e-3)
        assert noise[0].class_names == noise[1].class_names == ("even", "odd")
        severities = [probe.noise_severity(network, parity, n_images=60, seed=1) for network in pair]
        np.testing.assert_allclose(severities[0].own_confidence, severities[1].own_confidence, atol=1e-4)
        found = [
            probe.concepts(network, parity, n_images=200, n_permutations=19, n_rotations=19)
            for network in pair
        ]
        assert [found[1].layers[0].layer] == [layer.layer for layer in found[0].layers]
        # What the network loses without each unit: accuracy, and cross-entropy.
        for field in ("auroc", "accuracy_lost", "cost_added"):
            np.testing.assert_allclose(*(getattr(each.layers[0], field) for each in found), atol=1e-3)
        drawn = probe.drawing(pair[1], parity, restarts=2, steps=60)
        assert drawn.class_names == ("even", "odd")
        # Both classes have something to draw: far from the boundary, each on its side.
        np.testing.assert_array_equal(pair[1].predict(drawn.kind("optimized").images), [0, 0, 1, 1])
        assert (drawn.values > 3).all()
        structure = probe.weight_structure(pair[1], parity, n_null=19)
        np.testing.assert_allclose(structure.images, probe.weight_images(pair[1]).images)
        looks = probe.landscape(
            pair[1],
            parity,
            n_networks=2,
            n_directions=10,
            updates=20,
            resolution=3,
            n_images=50,
            n_planes=1,
            n_lines=2,
        )
        assert np.isfinite(looks.surface.planes).all()
        assert quick_controls(pair[1], parity, 1, epochs=1).copies


def test_accuracy_and_cost_agree_with_the_network_of_two_outputs(parity, pair):
    images, labels = parity.test.images, parity.test.labels
    two, one = pair
    np.testing.assert_array_equal(one.predict(images), two.predict(images))
    expected = -log_softmax(two.logits(images).astype(float), axis=1)[np.arange(len(labels)), labels].mean()
    assert ParameterSpace(one).measure(images, labels)[0] == pytest.approx(expected, rel=1e-5)


def test_one_unit_is_refused_where_there_are_other_classes(digits, pair):
    with pytest.raises(
        InputError, match=re.escape("the network has 2 classes (of one unit), but 'digits' has 10")
    ):
        probe.noise_confidence(pair[1], digits)


@pytest.mark.parametrize("names", [(), ("no", "yes")])
def test_files_keep_one_unit_and_its_classes(tmp_path, network, names):
    network = replace(network, class_names=names)
    kept = probe.load_network(probe.save_network(network, tmp_path / "a.h5"))
    x = normal(6, *network.input_shape)
    assert (kept.n_classes, kept.class_names, kept.layer_names) == (
        2,
        network.class_names,
        network.layer_names,
    )
    np.testing.assert_array_equal(kept.predict_proba(x), network.predict_proba(x))
    two = probe.load_network(probe.save_network(network.with_two_logits(), tmp_path / "b.h5"))
    np.testing.assert_allclose(two.outputs(x), network.predict_proba(x), rtol=1e-10, atol=1e-12)


def test_files_keep_what_linear_outputs_are(tmp_path):
    linear = probe.Network((dense("output", 4, 1),), (4,))
    several = probe.Network((dense("output", 4, 3),), (4,))
    for k, network in enumerate(
        (linear, linear.for_logits(), linear.for_regression(), several, several.for_regression())
    ):
        kept = probe.load_network(probe.save_network(network, tmp_path / f"{k}.h5"))
        assert (kept.class_names, kept.is_regression) == (network.class_names, network.is_regression)


def test_a_sigmoid_behind_one_linear_module_of_pytorch_is_one_unit():
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    module = torch.nn.Sequential(
        torch.nn.Linear(4, 3), torch.nn.ReLU(), torch.nn.Linear(3, 1), torch.nn.Sigmoid()
    )
    network = probe.from_torch(module, (4,), ("no", "yes"))
    x = normal(8, 4).astype(np.float32)
    p = module(torch.from_numpy(x)).detach().numpy()[:, 0]
    assert network.class_names == ("no", "yes")
    np.testing.assert_allclose(network.predict_proba(x), np.stack([1 - p, p], axis=1), atol=1e-6)
    np.testing.assert_array_equal(network.predict(x), p > 0.5)
    logit = probe.from_torch(module[:3], (4,))
    assert logit.n_classes == 0
    np.testing.assert_allclose(logit.for_logits().predict_proba(x)[:, 1], p, atol=1e-6)


def test_data_of_one_class_are_refused_before_anything_is_trained(digits):
    part = probe.Dataset(digits.test.images[:20], np.zeros(20, int), ("zero",))
    with pytest.raises(
        InputError, match=re.escape("class_names must name at least 2 classes, for there is nothing")
    ):
        probe.train(probe.MLP((4,)), probe.Split(part, part, "zeros"), probe.TrainingConfig(epochs=10**9))
