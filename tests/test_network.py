import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

import probe
from probe._checks import InputError
from probe.layers import ACTIVATIONS, ActivationLayer, Add, Dense, Dropout, Flatten, Reshape

RNG = np.random.default_rng(11)
SMOOTH = [name for name in ACTIVATIONS if name != "step"]


def dense(name, n_in, n_units, activation="linear", dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed + n_in * 100 + n_units)
    kernel = rng.normal(size=(n_in, n_units)).astype(dtype)
    return Dense(name, kernel, rng.normal(size=n_units).astype(dtype), activation)


def network(activation="tanh", output="softmax", dtype=np.float64):
    layers = (
        Flatten("flatten"),
        dense("hidden_1", 6, 5, activation, dtype),
        dense("hidden_2", 5, 4, activation, dtype),
        dense("output", 4, 3, output, dtype),
    )
    return probe.Network(layers, (2, 3), ("a", "b", "c"))


def batch(n=4, shape=(2, 3), dtype=np.float64):
    return np.random.default_rng(5).random((n, *shape)).astype(dtype)


OBJECTIVES = [
    probe.class_logit(2),
    probe.unit("output", 0),
    probe.unit("output", 1, stage="activation"),
    probe.unit("hidden_1", 4),
    probe.unit("hidden_1", 0, stage="activation"),
    probe.unit("hidden_2", 3),
    probe.unit("hidden_2", 3, stage="activation"),
    probe.unit("flatten", 2, stage="activation"),
]


def value_by_hand(net, x, objective):
    """Return the objective at each row of `x`, from the weights and SciPy alone; the hidden layers are tanh."""
    y = x.reshape(len(x), -1)
    found = {("flatten", "pre_activation"): y, ("flatten", "activation"): y}
    for layer in net.dense_layers:
        z = y @ layer.kernel + layer.bias
        y = special.softmax(z, axis=1) if layer.name == "output" else np.tanh(z)
        found[layer.name, "pre_activation"], found[layer.name, "activation"] = z, y
    return found[objective.layer or "output", objective.stage][:, objective.index]


@pytest.mark.parametrize("objective", OBJECTIVES, ids=lambda o: f"{o.layer}-{o.stage}")
def test_the_input_gradient_is_the_derivative(objective, numeric_gradient):
    net, x = network(), batch()
    expected = numeric_gradient(lambda at: float(value_by_hand(net, at, objective).sum()), x)
    found = net.input_gradient(x, objective)
    assert found.shape == x.shape
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("activation", SMOOTH)
@pytest.mark.parametrize("output", ["softmax", "sigmoid", "linear"])
def test_every_activation_and_output_has_its_derivative(activation, output, numeric_gradient):
    net, x = network(activation, output), batch(1)
    objective = probe.unit("output", 1, stage="activation")
    expected = numeric_gradient(lambda at: float(net.outputs(at)[:, 1].sum()), x)
    np.testing.assert_allclose(net.input_gradient(x, objective), expected, rtol=1e-5, atol=1e-8)


@given(picked=st.lists(st.integers(0, len(OBJECTIVES) - 1), min_size=1, max_size=8), seed=st.integers(0, 999))
@settings(max_examples=40)
def test_a_mixed_batch_is_each_objective_alone(picked, seed):
    net, objectives = network(), [OBJECTIVES[k] for k in picked]
    x = np.random.default_rng(seed).random((len(picked), 2, 3))
    values, gradients = net.objective_gradient(x, objectives)
    for row, objective in enumerate(objectives):
        alone = x[row : row + 1]
        assert values[row] == pytest.approx(value_by_hand(net, alone, objective)[0], rel=1e-12)
        np.testing.assert_allclose(
            gradients[row : row + 1], net.input_gradient(alone, objective), rtol=1e-12, atol=1e-15
        )


def test_two_objectives_of_different_depth_in_one_row_each_do_not_mix():
    # The deeper one's sweep passes the seat of the other on its way.
    net, x = network(), batch(2)
    objectives = [probe.unit("hidden_1", 0), probe.class_logit(0)]
    _, gradients = net.objective_gradient(x, objectives)
    slope = net.dense_layers[0].kernel[:, 0].reshape(2, 3)
    np.testing.assert_allclose(gradients[0], slope, rtol=1e-14)


def test_a_step_hides_the_way_back():
    assert not network("step").input_gradient(batch(), probe.class_logit(0)).any()


def test_logits_are_the_products_of_the_weights():
    net, x = network("relu"), batch()
    y = x.reshape(4, 6)
    for layer in net.dense_layers[:-1]:
        y = np.maximum(y @ layer.kernel + layer.bias, 0)
    last = net.dense_layers[-1]
    expected = y @ last.kernel + last.bias
    np.testing.assert_allclose(net.logits(x), expected, rtol=1e-12)
    np.testing.assert_allclose(net.outputs(x), special.softmax(expected, axis=1), rtol=1e-12)
    np.testing.assert_array_equal(net.predict(x), expected.argmax(axis=1))
    assert net.predict(x).dtype == np.int64


def test_activations_stand_in_order_with_their_names():
    net, x = network(), batch()
    found = net.activations(x)
    assert list(found) == ["flatten", "hidden_1", "hidden_2", "output"]
    assert {name: y.shape for name, y in found.items()} == {
        "flatten": (4, 6),
        "hidden_1": (4, 5),
        "hidden_2": (4, 4),
        "output": (4, 3),
    }
    np.testing.assert_array_equal(found["output"], net.outputs(x))
    for name in ("hidden_1", "hidden_2"):
        expected = value_by_hand(net, x, probe.unit(name, 1, stage="activation"))
        np.testing.assert_allclose(found[name][:, 1], expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("softmax", lambda z: special.softmax(z, axis=1)),
        ("sigmoid", special.expit),
        ("linear", lambda z: special.softmax(z, axis=1)),
    ],
)
def test_probabilities_come_from_the_logits(output, expected):
    net, x = network(output=output), batch()
    np.testing.assert_allclose(net.predict_proba(x), expected(net.logits(x)), rtol=1e-12)


def test_an_activation_as_last_layer_has_the_dense_layers_output_as_logits():
    layers = (dense("output", 6, 3), ActivationLayer("softmax", "softmax"))
    net, x = probe.Network(layers, (6,)), batch(shape=(6,))
    expected = x @ layers[0].kernel + layers[0].bias
    np.testing.assert_allclose(net.logits(x), expected, rtol=1e-12)
    np.testing.assert_allclose(net.predict_proba(x), special.softmax(expected, axis=1), rtol=1e-12)


def test_an_input_takes_the_type_of_the_weights():
    x = batch(dtype=np.float32)
    assert network(dtype=np.float32).logits(x.astype(np.float64)).dtype == np.float32
    assert network(dtype=np.float64).logits(x).dtype == np.float64
    mixed = (Flatten("f"), dense("a", 6, 3, dtype=np.float32), dense("b", 3, 2))
    assert probe.Network(mixed, (2, 3)).dtype == np.float64


def test_a_network_describes_itself():
    net = network()
    assert net.layer_names == ("flatten", "hidden_1", "hidden_2", "output")
    assert net.layer_shapes == {"flatten": (6,), "hidden_1": (5,), "hidden_2": (4,), "output": (3,)}
    assert [layer.name for layer in net.dense_layers] == ["hidden_1", "hidden_2", "output"]
    assert net.n_classes == 3
    assert net.n_parameters == 6 * 5 + 5 + 5 * 4 + 4 + 4 * 3 + 3
    assert net.layer("hidden_2") is net.layers[2]
    assert probe.Network((dense("output", 6, 3),), (6,)).class_names == ("0", "1", "2")


@pytest.mark.parametrize(
    ("ours", "theirs"), [((6,), (2, 3)), ((2, 3), (2, 3, 1)), ((2, 3, 1), (2, 3)), ((6,), (1, 2, 3))]
)
def test_images_of_an_equivalent_shape_get_a_layer_in_front(ours, theirs):
    front = () if len(ours) == 1 else (Flatten("flatten"),)
    net = probe.Network((*front, dense("output", 6, 3)), ours, ("a", "b", "c"))
    other = net.with_input_shape(theirs)
    x = batch(shape=theirs)
    assert other.input_shape == theirs
    assert other.class_names == net.class_names
    np.testing.assert_array_equal(other.logits(x), net.logits(x.reshape(len(x), *ours)))
    gradient = other.input_gradient(x, probe.class_logit(1))
    np.testing.assert_array_equal(
        gradient.reshape(len(x), *ours), net.input_gradient(x.reshape(len(x), *ours), probe.class_logit(1))
    )


def test_images_of_the_networks_own_shape_need_nothing():
    net = network()
    assert net.with_input_shape((2, 3)) is net


def test_the_layer_in_front_has_a_name_of_its_own():
    net, taken = probe.Network((dense("output", 6, 3),), (6,)), set()
    for _ in range(4):
        other = net.with_input_shape((2, 3))
        assert other.layer_names[1:] == net.layer_names
        assert other.layer_names[0] not in taken
        taken.add(other.layer_names[0])
        net = probe.Network((*(Reshape(name, (6,)) for name in taken), net.layers[-1]), (6,))


@pytest.mark.parametrize("theirs", [(3, 2), (2, 3, 3), (6,), (7,), (2, 4)])
def test_images_of_another_shape_are_refused(theirs):
    message = f"the network takes inputs of shape (2, 3), but the images have shape {theirs}"
    with pytest.raises(InputError, match=re.escape(message)):
        network().with_input_shape(theirs)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((4, 6)), "x must have shape (n, 2, 3), got (4, 6)"),
        (np.zeros((2, 3)), "x must have shape (n, 2, 3), got (2, 3)"),
        (np.zeros((0, 2, 3)), "x must have shape (n, 2, 3), got (0, 2, 3)"),
        (np.zeros((4, 2, 3), np.uint8), "x must be float, got uint8; divide uint8 pixels by 255"),
        (np.zeros((4, 2, 3), int), "x must be float, got int64; divide uint8 pixels by 255"),
    ],
)
@pytest.mark.parametrize(
    "method", ["logits", "outputs", "predict_proba", "predict", "activations", "gradient"]
)
def test_inputs_that_do_not_fit_are_refused(method, x, message):
    net = network()
    call = (
        (lambda x: net.input_gradient(x, probe.class_logit(0)))
        if method == "gradient"
        else getattr(net, method)
    )
    with pytest.raises(InputError, match=re.escape(message)):
        call(x)


@pytest.mark.parametrize(
    ("objective", "message"),
    [
        (
            probe.unit("hidden_3", 0),
            "layer 'hidden_3' does not exist: this network has 'flatten', 'hidden_1', 'hidden_2', 'output'. "
            "Pass one of these",
        ),
        (probe.unit("hidden_2", 4), "unit of layer 'hidden_2' must be from 0 to 3, got 4"),
        (probe.class_logit(3), "class must be from 0 to 2, got 3"),
        (probe.unit("output", 9), "class must be from 0 to 2, got 9"),
    ],
)
def test_objectives_that_the_network_lacks_are_refused(objective, message):
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        network().input_gradient(batch(), objective)


def test_a_layer_of_images_has_no_units():
    net = probe.Network((Reshape("image", (3, 2)), Flatten("flatten"), dense("output", 6, 3)), (2, 3))
    with pytest.raises(
        InputError,
        match=r"layer 'image' has outputs of shape \(3, 2\); pass a layer of units or of feature maps",
    ):
        net.input_gradient(batch(), probe.unit("image", 0))


@pytest.mark.parametrize("n", [0, 3, 5])
def test_every_input_needs_its_objective(n):
    with pytest.raises(InputError, match=f"objectives must be one for each of 4 inputs, got {n}"):
        network().objective_gradient(batch(), [probe.class_logit(0)] * n)


def test_repeated_names_are_refused():
    with pytest.raises(InputError, match="layer names must be distinct, but 'a' occurs twice"):
        probe.Network((dense("a", 6, 3), dense("a", 3, 3)), (6,))


def test_shapes_that_do_not_chain_are_refused():
    with pytest.raises(InputError, match=re.escape("layer 'b' takes 4 inputs, but gets shape (3,)")):
        probe.Network((dense("a", 6, 3), dense("b", 4, 3)), (6,))


def test_a_network_has_a_layer():
    with pytest.raises(InputError, match="a network must have at least one layer"):
        probe.Network((), (2, 3))


def test_what_is_no_vector_has_no_classes():
    net = probe.Network((Reshape("image", (3, 2)),), (2, 3))
    assert (net.n_classes, net.class_names) == (0, ())
    for classify in (net.predict, net.predict_proba):
        with pytest.raises(InputError, match=r"puts out \(3, 2\), not one value for each class"):
            classify(batch())


def test_class_names_are_one_for_each_output():
    with pytest.raises(InputError, match="class_names must name 3 outputs, got 2 names"):
        probe.Network((dense("a", 6, 3),), (6,), ("x", "y"))


def test_a_network_is_a_value():
    kernel = np.ones((6, 3))
    net = probe.Network((Flatten("flatten"), Dense("output", kernel, np.zeros(3))), (2, 3))
    x = batch()
    before, kept = net.logits(x), x.copy()
    kernel[:] = 7
    net.activations(x)
    net.input_gradient(x, probe.class_logit(0))
    net.layer_shapes["output"] = (99,)
    np.testing.assert_array_equal(net.logits(x), before)
    np.testing.assert_array_equal(x, kept)
    assert net.layer_shapes["output"] == (3,)
    with pytest.raises(AttributeError):
        net.input_shape = (6,)
    with pytest.raises(ValueError, match="read-only"):
        net.dense_layers[0].kernel[0] = 1


@pytest.mark.filterwarnings("error")
def test_a_trained_network_is_quiet_on_extreme_inputs(trained):
    x = np.full((2, 8, 8), 1e4, np.float32)
    assert np.isfinite(trained.predict_proba(x)).all()
    assert np.isfinite(trained.input_gradient(x, probe.class_logit(0))).all()


def test_what_follows_the_output_layer_without_computing_does_not_count():
    softmax = Dense("output", np.eye(2, dtype=np.float32) * 3, np.zeros(2, np.float32), "softmax")
    plain = probe.Network((softmax,), (2,))
    followed = probe.Network((softmax, Dropout("dropout", 0.5), ActivationLayer("same", "linear")), (2,))
    x = np.array([[1.0, 0.2], [0.1, 0.3]], np.float32)
    np.testing.assert_array_equal(followed.logits(x), plain.logits(x))
    np.testing.assert_array_equal(followed.predict_proba(x), plain.predict_proba(x))
    gradient = followed.input_gradient(x, probe.class_logit(1))
    np.testing.assert_array_equal(gradient, plain.input_gradient(x, probe.class_logit(1)))


@pytest.mark.parametrize("output", ["softmax", "sigmoid", "linear"])
def test_the_pullback_of_the_logits_leads_to_the_inputs(output, numeric_gradient):
    net, x = network("tanh", output), batch()
    weights = np.random.default_rng(1).normal(size=(4, 3))
    logits, pullback = net.logits_vjp(x)
    np.testing.assert_array_equal(logits, net.logits(x))
    expected = numeric_gradient(lambda at: float((weights * net.logits(at)).sum()), x)
    np.testing.assert_allclose(pullback(weights), expected, rtol=1e-6, atol=1e-8)
    # The way back can be gone more than once, with other gradients.
    one_hot = np.eye(3)[[2, 2, 2, 2]]
    np.testing.assert_allclose(pullback(one_hot), net.input_gradient(x, probe.class_logit(2)), rtol=1e-12)


def test_the_pullback_of_the_logits_begins_below_what_comes_after_them():
    plain = network("tanh", "linear")
    more = probe.Network((*plain.layers, Dropout("dropout", 0.5)), (2, 3))
    seed = np.ones((4, 3))
    expected = plain.logits_vjp(batch())[1](seed)
    np.testing.assert_array_equal(more.logits_vjp(batch())[1](seed), expected)


METHODS = (
    "predict",
    "predict_proba",
    "logits",
    "outputs",
    "activations",
    "pre_activations",
    "logits_vjp",
)


def with_value(value):
    x = np.random.default_rng(0).random((4, 2, 3))
    x[2, 1, 0] = value
    return x


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("x", "message"),
    [
        (with_value(np.nan), r"x must be finite, but 1 of 24 values are not, the first at \(2, 1, 0\)"),
        (with_value(-np.inf), "x must be finite, but 1 of 24 values are not"),
        (
            np.ma.masked_less(np.random.default_rng(0).random((4, 2, 3)), 0.5),
            "x must not be masked: fill in the values that are missing",
        ),
        (np.ones((4, 2, 3), np.uint8), "x must be float, got uint8; divide uint8 pixels by 255"),
        (np.ones((4, 2, 3), bool), "x must be float, got bool$"),
        ([[1.0], [1.0, 2.0]], "x must be an array of numbers"),
        ("pixels", "x must be float, got <U6"),
        (None, "x must be float, got object"),
        (np.ones((4, 3, 2)), r"x must have shape \(n, 2, 3\), got \(4, 3, 2\)"),
    ],
)
def test_inputs_that_mean_nothing_are_refused_by_every_method(method, x, message):
    with pytest.raises(InputError, match=message):
        getattr(network(), method)(x)


def test_large_finite_values_are_no_fault():
    x = np.full((4, 2, 3), 3e38, np.float32)
    assert np.isinf(x.sum())
    probe.Network(
        (Flatten("f"), Dense("d", np.eye(6, dtype="f4") * 1e-9, np.zeros(6, "f4"))), (2, 3)
    ).outputs(x)


def test_a_layer_is_left_out():
    net = probe.Network((Flatten("f"), Dense("d", np.eye(6), np.ones(6))), (2, 3))
    x = np.random.default_rng(0).random((4, 2, 3))
    for behind in (
        net.with_input_range(0, 255),
        net.with_standardized_input(0.5, 0.2),
        net.with_input_range(-1, 1).with_input_range(0, 9),
    ):
        bare = behind
        for name in [name for name in behind.layer_names if name not in net.layer_names]:
            bare = bare.without(name)
        np.testing.assert_array_equal(bare.outputs(x), net.outputs(x))
        assert bare.wiring == net.wiring
    with pytest.raises(InputError, match="layer 'd' must have one input and be no output"):
        net.without("d")


def chain_of(n_layers, name="layer_{}"):
    kernel = np.full((3, 3), 0.123456, np.float32)
    return probe.Network(
        tuple(Dense(name.format(k), kernel, kernel[0], "tanh") for k in range(n_layers)), (3,)
    )


def test_a_network_shows_a_table_of_its_layers_and_no_array():
    layers = (
        Flatten("flatten"),
        Dense("hidden", np.ones((6, 1200), np.float32), np.zeros(1200, np.float32), "relu"),
        Dense("output", np.ones((1200, 2), np.float32), np.zeros(2, np.float32), "softmax"),
    )
    assert repr(probe.Network(layers, (2, 3), ("cat", "dog"))).splitlines() == [
        "Network from (2, 3) to (2,), 2 classes, 10,802 parameters",
        "  layer    kind     output shape  parameters  activation",
        "  flatten  Flatten  (6,)",
        "  hidden   Dense    (1200,)            8,400  relu",
        "  output   Dense    (2,)               2,402  softmax",
    ]


@pytest.mark.parametrize("n_layers", [1, 17, 18, 19, 500])
def test_a_network_shows_at_most_twenty_lines(n_layers):
    network = chain_of(n_layers)
    shown, page = repr(network).splitlines(), network._repr_html_()
    assert len(shown) == min(2 + n_layers, 20)
    assert page.count("<tr>") == len(shown) - 1
    for text in (repr(network), page):
        assert "0.12" not in text
        assert f"layer_{n_layers - 1}" in text
        assert ("more layers" in text) == (n_layers > 18)
    if n_layers == 500:
        assert "  ... 483 more layers" in shown


def test_names_of_strangers_stay_in_their_line_and_out_of_the_markup():
    network = chain_of(1, "<b>\n\x1b[31m" + 300 * "x")
    assert len(repr(network).splitlines()) == 3
    assert max(map(len, repr(network).splitlines())) < 120
    assert "<b>" not in network._repr_html_()
    assert "\x1b" not in repr(network) + network._repr_html_()


def test_a_network_of_several_inputs_and_outputs_counts_them():
    layers = (Add("sum"), ActivationLayer("rectified", "relu"))
    network = probe.Network(
        layers, (3,), wiring=((0, 1), ("sum",)), output_names=("sum", "rectified"), more_input_shapes=((3,),)
    )
    assert repr(network).splitlines()[0] == "Network from 2 inputs to 2 outputs, 0 parameters"
