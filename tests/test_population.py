import re
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

import probe
from probe._checks import InputError
from probe._pixels import Pixels
from probe._stepper import Parameters, Stepper, evaluate
from probe.costs import cost_values, label_positions
from probe.layers import ACTIVATIONS
from probe.population import INITIALIZATIONS, initial_population

N_NETWORKS, N_SAMPLES, SHAPE, CLASSES = 3, 5, (2, 3), ("a", "b", "c")
HIDDEN = [(), (4,), (4, 5)]
# Without `exponential`: two layers of it overflow from any start, and no difference quotient is left to compare.
COMPARED = [name for name in ACTIVATIONS if name != "exponential"]
EVERYTHING = list(product(HIDDEN, COMPARED, ("softmax", "sigmoid"), ("cross-entropy", "quadratic")))
DIFFERENTIABLE = [case for case in EVERYTHING if not case[0] or case[1] != "step"]


def population(hidden=(4, 5), activation="tanh", output="softmax", n_networks=N_NETWORKS, **more):
    """Networks with weights and biases from N(0, 1), in float64."""
    architecture = probe.MLP(hidden, activation, output, "normal")
    rngs = np.random.default_rng(1).spawn(n_networks)
    return initial_population(architecture, SHAPE, CLASSES, rngs=rngs, dtype="float64", **more)


def data(seed=2, n=N_SAMPLES):
    rng = np.random.default_rng(seed)
    return rng.random((n, *SHAPE)), rng.integers(0, 3, (N_NETWORKS, n))


def test_networks_are_the_members_in_order():
    members = population()
    found = list(members.networks())
    assert len(found) == N_NETWORKS
    x = data()[0].reshape(N_SAMPLES, *SHAPE)
    for k, network in enumerate(found):
        np.testing.assert_array_equal(network.logits(x), members.network(k).logits(x))


def stepper_of(members, batch_size):
    return Stepper(members.architecture, Parameters(members.weights, members.biases), batch_size)


def with_ones(x):
    """Return inputs as the engine takes them: what biases are multiplied by, then rows."""
    return np.column_stack([np.ones(len(x)), x.reshape(len(x), -1)])


def engine_gradients(members, x, labels, cost, sample_weights=None):
    stepper = stepper_of(members, len(x))
    into = Parameters(members.weights, members.biases)
    into.flat[:] = np.nan
    stepper.gradients(with_ones(x), stepper.positions(labels), cost, into, sample_weights)
    return into


def cost_gradient(cost, output, logits, labels):
    """Gradient of each sample's cost with respect to its outputs' logits (n, 3), by the chain rule."""
    target = np.eye(3)[labels]
    y = special.softmax(logits, axis=1) if output == "softmax" else special.expit(logits)
    if cost == "quadratic":
        dy = 2 * (y - target)
    elif output == "softmax":
        dy = -target / y
    else:
        dy = (y - target) / (y * (1 - y))
    if output == "sigmoid":
        return dy * y * (1 - y)
    jacobian = y[:, :, None] * (np.eye(3) - y[:, None, :])
    return np.einsum("ni,nij->nj", dy, jacobian)


def network_backprop(network, x, labels, cost):
    """Gradients of the mean cost by (kernel, bias) for each dense layer, from the layers' own pullbacks."""
    y, passes = x, []
    for layer in network.layers:
        z, pre_activation_pullback = layer.pre_activation(y)
        below, (y, activation_pullback) = y, layer.activation.forward(z)
        passes.append((layer, below, z, pre_activation_pullback, activation_pullback))
    found, dy = [], None
    for layer, below, z, pre_activation_pullback, activation_pullback in reversed(passes):
        dz = (
            cost_gradient(cost, layer.activation.name, z, labels) / len(x)
            if dy is None
            else activation_pullback(dy)
        )
        if layer in network.dense_layers:
            found.insert(0, (below.T @ dz, dz.sum(axis=0)))
        dy = pre_activation_pullback(dz)
    return found


@pytest.mark.parametrize("hidden", HIDDEN)
@pytest.mark.parametrize("output", ["softmax", "sigmoid"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_members_have_the_logits_of_their_networks(hidden, activation, output):
    members, (x, _) = population(hidden, activation, output), data()
    logits = stepper_of(members, N_SAMPLES).logits(with_ones(x))
    for k in range(N_NETWORKS):
        np.testing.assert_allclose(members.network(k).logits(x), logits[k].T, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize(("hidden", "activation", "output", "cost"), EVERYTHING)
def test_members_have_the_gradients_of_their_networks(hidden, activation, output, cost):
    members, (x, labels) = population(hidden, activation, output), data()
    found = engine_gradients(members, x, labels, cost)
    for k in range(N_NETWORKS):
        expected = network_backprop(members.network(k), x, labels[k], cost)
        for place, (kernel, bias) in enumerate(expected):
            np.testing.assert_allclose(found.weights[place][k], kernel.T, rtol=1e-8, atol=1e-11)
            np.testing.assert_allclose(found.biases[place][k], bias, rtol=1e-8, atol=1e-11)


@pytest.mark.parametrize(("hidden", "activation", "output", "cost"), DIFFERENTIABLE)
def test_gradients_are_the_derivatives_of_the_cost_of_the_networks(hidden, activation, output, cost):
    members, (x, labels) = population(hidden, activation, output, n_networks=1), data()
    labels = labels[:1]
    found = engine_gradients(members, x, labels, cost)
    positions = label_positions(labels, (1, 3, N_SAMPLES))

    def cost_at(flat):
        at = Parameters(members.weights, members.biases).with_flat(flat)
        network = probe.Population(members.architecture, SHAPE, CLASSES, at.weights, at.biases).network(0)
        return cost_values(cost, output, network.logits(x).T[None].copy(), positions).mean()

    start, step = Parameters(members.weights, members.biases).flat, 1e-6
    rng = np.random.default_rng(0)
    # Along random directions: the derivative of every parameter counts, at the price of a few.
    for direction in rng.normal(size=(4, start.size)):
        expected = (cost_at(start + step * direction) - cost_at(start - step * direction)) / (2 * step)
        assert found.flat @ direction == pytest.approx(expected, rel=1e-5, abs=1e-7)


def test_hidden_weights_below_a_step_have_no_gradient():
    members, (x, labels) = population((4, 5), "step"), data()
    found = engine_gradients(members, x, labels, "cross-entropy")
    assert not any(w.any() for w in found.weights[:-1])
    assert not any(b.any() for b in found.biases[:-1])
    assert found.weights[-1].any()


@pytest.mark.parametrize("cost", ["cross-entropy", "quadratic"])
def test_sample_weights_choose_the_samples_of_the_mean(cost):
    members, (x, labels) = population(), data()
    mask = np.array([[1, 1, 0, 1, 0], [0, 1, 1, 1, 1], [1, 0, 0, 0, 0]], bool)
    found = engine_gradients(members, x, labels, cost, mask / mask.sum(axis=1, keepdims=True))
    for k in range(N_NETWORKS):
        expected = network_backprop(members.network(k), x[mask[k]], labels[k][mask[k]], cost)
        for place, (kernel, bias) in enumerate(expected):
            np.testing.assert_allclose(found.weights[place][k], kernel.T, rtol=1e-9, atol=1e-12)
            np.testing.assert_allclose(found.biases[place][k], bias, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("n_networks", [1, 2, 40])
def test_the_first_product_is_the_same_in_both_of_its_orders(n_networks):
    # Few units for the batch go one way through BLAS, many the other.
    members, (x, _) = population((3,), n_networks=n_networks), data(n=20)
    logits = stepper_of(members, 20).logits(with_ones(x))
    for k in range(n_networks):
        np.testing.assert_allclose(members.network(k).logits(x), logits[k].T, rtol=1e-11, atol=1e-13)


def scikit_learns(network, activation, x, labels):
    """Return an MLPClassifier with the weights of `network`."""
    from sklearn.neural_network import MLPClassifier

    sizes = [layer.n_units for layer in network.dense_layers[:-1]]
    theirs = MLPClassifier(sizes, activation=activation, alpha=0, solver="sgd", max_iter=1, random_state=0)
    theirs.partial_fit(x.reshape(len(x), -1), labels, classes=[0, 1, 2])
    theirs.coefs_ = [layer.kernel.copy() for layer in network.dense_layers]
    theirs.intercepts_ = [layer.bias.copy() for layer in network.dense_layers]
    return theirs


@pytest.mark.parametrize(("ours", "theirs"), [("sigmoid", "logistic"), ("tanh", "tanh"), ("relu", "relu")])
def test_outputs_cost_and_gradients_are_those_of_scikit_learn(ours, theirs):
    members, (x, labels) = population((4, 5), ours), data()
    found = engine_gradients(members, x, labels, "cross-entropy")
    pixels = Pixels(x.reshape(N_SAMPLES, -1), "float64")
    parameters = Parameters(members.weights, members.biases)
    mine = evaluate(members.architecture, parameters, pixels, labels, "cross-entropy")
    for k in range(N_NETWORKS):
        network = members.network(k)
        classifier = scikit_learns(network, theirs, x, labels[k])
        flat = x.reshape(N_SAMPLES, -1)
        np.testing.assert_allclose(network.predict_proba(x), classifier.predict_proba(flat), rtol=1e-10)
        assert mine.accuracy[k] == classifier.score(flat, labels[k])
        activations = [flat] + [None] * 3
        deltas, kernels, biases = [None] * 3, [None] * 3, [None] * 3
        kernels = [np.empty_like(c) for c in classifier.coefs_]
        biases = [np.empty_like(c) for c in classifier.intercepts_]
        loss, *_ = classifier._backprop(
            flat, np.eye(3)[labels[k]], None, activations, deltas, kernels, biases
        )
        assert mine.cost[k] == pytest.approx(loss, rel=1e-10)
        for place in range(3):
            np.testing.assert_allclose(found.weights[place][k], kernels[place].T, rtol=1e-8, atol=1e-12)
            np.testing.assert_allclose(found.biases[place][k], biases[place], rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("shared", [False, True])
def test_an_evaluation_is_the_mean_over_all_samples_whatever_the_chunks(shared):
    members, (x, labels) = population((4,)), data(n=4321)
    labels = labels[:1] if shared else labels
    mask = np.random.default_rng(0).random((N_NETWORKS, 4321)) < 0.3
    pixels = Pixels(x.reshape(4321, -1), "float64")
    parameters = Parameters(members.weights, members.biases)
    everything = members.architecture, parameters, pixels, labels, "cross-entropy"
    found, masked = evaluate(*everything), evaluate(*everything, mask)
    for k in range(N_NETWORKS):
        truth = labels[0] if shared else labels[k]
        network = members.network(k)
        costs = -np.log(network.predict_proba(x)[np.arange(4321), truth])
        hits = network.predict(x) == truth
        assert found.cost[k] == pytest.approx(costs.mean(), rel=1e-10)
        assert found.accuracy[k] == hits.mean()
        assert masked.cost[k] == pytest.approx(costs[mask[k]].mean(), rel=1e-10)
        assert masked.accuracy[k] == pytest.approx(hits[mask[k]].mean(), rel=1e-14)


# What a population says of inputs.


@pytest.mark.parametrize("hidden", HIDDEN)
@pytest.mark.parametrize("activation", ["sigmoid", "gelu", "exponential"])
def test_logits_and_activations_are_those_of_the_members(hidden, activation):
    members, x = population(hidden, activation), data(n=1100)[0]
    logits, activations = members.logits(x), members.activations(x)
    assert len(activations) == len(hidden)
    for k in range(N_NETWORKS):
        network = members.network(k)
        # Exponentials of exponentials are infinite for some inputs.
        with np.errstate(over="ignore", invalid="ignore"):
            np.testing.assert_allclose(logits[k].T, network.logits(x), rtol=1e-10, atol=1e-12)
            for layer, values in enumerate(activations):
                expected = network.activations(x)[f"hidden_{layer + 1}"]
                np.testing.assert_allclose(values[k].T, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    ("weights", "x", "logits"), [("f4", "f4", "f4"), ("f4", "f8", "f8"), ("f8", "f4", "f8")]
)
def test_logits_are_of_the_wider_type(weights, x, logits):
    members = population()
    parts = (tuple(part.astype(weights) for part in side) for side in (members.weights, members.biases))
    members = probe.Population(members.architecture, SHAPE, CLASSES, *parts)
    assert members.logits(data()[0].astype(x)).dtype == logits


@pytest.mark.parametrize("cost", ["cross-entropy", "quadratic"])
def test_an_evaluation_of_a_population_is_that_of_its_members(cost, digits):
    rngs = np.random.default_rng(1).spawn(3)
    members = initial_population(probe.MLP((7,)), (8, 8), digits.test.class_names, rngs=rngs)
    found = members.evaluate(digits.test, cost)
    for k in range(3):
        network = members.network(k)
        assert found.accuracy[k] == (network.predict(digits.test.images) == digits.test.labels).mean()
        positions = label_positions(digits.test.labels[None], (1, 10, len(digits.test)))
        logits = np.ascontiguousarray(network.logits(digits.test.images).T)[None]
        assert found.cost[k] == pytest.approx(
            cost_values(cost, "softmax", logits, positions).mean(), rel=1e-5
        )


def test_inputs_and_data_of_another_shape_are_refused(digits):
    with pytest.raises(InputError, match=re.escape("x must have shape (n, 2, 3), got (5, 6)")):
        population().logits(np.zeros((5, 6)))
    with pytest.raises(InputError, match=re.escape("x must have shape (n, 2, 3), got (5, 6)")):
        population().activations(np.zeros((5, 6)))
    rngs = [np.random.default_rng(0)]
    with pytest.raises(InputError, match=re.escape("and 2 classes, got images of (8, 8) and 10 classes")):
        initial_population(probe.MLP(()), (8, 8), ("a", "b"), rngs=rngs).evaluate(digits.test)
    with pytest.raises(InputError, match=re.escape("inputs of (2, 3) and 3 classes, got images of (2, 2)")):
        population().evaluate(probe.Dataset(np.zeros((2, 2, 2), "f4"), np.zeros(2, int), CLASSES))


def test_some_members_are_a_population():
    members = population()
    for taken, rows in ((members.take([2, 0, 2]), [2, 0, 2]), (members.take(slice(None, None, 2)), [0, 2])):
        assert taken.n_networks == len(rows)
        for part, whole in zip(
            (*taken.weights, *taken.biases), (*members.weights, *members.biases), strict=True
        ):
            np.testing.assert_array_equal(part, whole[rows])
    with pytest.raises(InputError, match=re.escape("members must lie in [0, 3), got 3")):
        members.take([3])
    with pytest.raises(InputError, match="members must be integer indices, got a mask"):
        members.take(np.array([True, False, True]))


@pytest.mark.parametrize("n_hidden", [0, 2, 5, 6, 40])
def test_a_population_is_shown_as_a_table_of_at_most_eight_lines(n_hidden):
    members = population((4,) * n_hidden)
    title, head, *rows = repr(members).split("\n")
    assert title.startswith("Population of 3 networks 6-") and title.endswith("parameters each, float64")
    assert head.split() == ["layer", "units", "activation", "parameters"]
    assert rows[-1].split() == ["output", "3", "softmax", "21" if n_hidden == 0 else "15"]
    assert len(rows) == min(n_hidden + 1, 6)
    html = members._repr_html_()
    assert html.count("<tr>") == len(rows) + 1 and title in html


# Pixels, the store of inputs.


@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([np.float32, np.float64]),
    st.sampled_from(["float32", "float64"]),
)
@settings(max_examples=40)
def test_eight_bit_storage_changes_no_bit(seed, made_in, computed_in):
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 256, (7, 5)).astype(made_in) / made_in(255)
    rows = rng.permutation(7)[:4]
    pixels, places = Pixels(values, computed_in).near(rows)
    (found,) = pixels.batches(places, 6)
    expected = with_ones(values[rows]).astype(computed_in)[:, : found.shape[1]]
    np.testing.assert_array_equal(found, expected)
    assert not values[rows][:, found.shape[1] - 1 :].any()
    assert found.dtype == computed_in


@given(st.integers(0, 2**32 - 1), st.integers(1, 9), st.sampled_from(["float32", "float64"]))
@settings(max_examples=40)
def test_parts_hold_every_row_once_up_to_its_last_lit_column(seed, size, dtype):
    rng = np.random.default_rng(seed)
    values = (rng.random((7, 6)) * (rng.random((7, 6)) < 0.3)).astype(dtype)
    seen, widths = [], []
    for rows, part in Pixels(values, dtype).parts(size):
        assert 1 <= len(rows) <= size
        np.testing.assert_array_equal(part, with_ones(values[rows])[:, : part.shape[1]])
        assert not values[rows][:, part.shape[1] - 1 :].any()
        seen += list(rows)
        widths.append(part.shape[1])
    assert sorted(seen) == list(range(7))
    assert widths == sorted(widths)


def test_eight_bit_pixels_are_kept_in_a_byte_each():
    values = np.arange(256, dtype=np.float32).reshape(2, 128) / np.float32(255)
    assert Pixels(values, "float32")._stored.dtype == np.uint8


@pytest.mark.parametrize("other", [0.3, -1 / 255, 256 / 255, np.nan])
def test_other_values_are_kept_as_they_are(other):
    values = np.zeros((3, 2), np.float32)
    values[2, 1] = other
    pixels, places = Pixels(values, "float32").near(np.array([2, 0]))
    (found,) = pixels.batches(places, 2)
    np.testing.assert_array_equal(found, with_ones(values[[2, 0]]))


# Parameters, one flat array.


def test_parameters_are_views_of_one_copy():
    members = population()
    parameters = Parameters(members.weights, members.biases)
    for ours, theirs in zip(
        (*parameters.weights, *parameters.biases), (*members.weights, *members.biases), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)
    parameters.flat[:] = np.arange(parameters.flat.size)
    parts = [part.reshape(-1) for part in (*parameters.weights, *parameters.biases)]
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), parameters.flat)
    assert not np.array_equal(parameters.weights[0], members.weights[0])


def test_spread_gives_every_value_of_a_network_its_number():
    members = population()
    parameters = Parameters(members.weights, members.biases)
    spread = parameters.with_flat(parameters.spread(np.array([5.0, 6.0, 7.0])))
    for part in (*spread.weights, *spread.biases):
        for k, value in enumerate((5, 6, 7)):
            assert (part[k] == value).all()


def test_select_keeps_the_chosen_networks():
    members = population()
    chosen = Parameters(members.weights, members.biases).select(np.array([True, False, True]))
    for part, all_ in zip(
        (*chosen.weights, *chosen.biases), (*members.weights, *members.biases), strict=True
    ):
        np.testing.assert_array_equal(part, all_[[0, 2]])


# The start.


@pytest.mark.parametrize("initialization", INITIALIZATIONS)
def test_a_members_start_does_not_depend_on_the_others(initialization):
    architecture = probe.MLP((4,), initialization=initialization)

    def start(n_networks):
        rngs = np.random.default_rng(3).spawn(n_networks)
        return initial_population(architecture, SHAPE, CLASSES, rngs=rngs)

    few, many = start(2), start(5)
    for one, other in zip((*few.weights, *few.biases), (*many.weights, *many.biases), strict=True):
        np.testing.assert_array_equal(one, other[:2])
    assert not np.array_equal(few.weights[0][0], few.weights[0][1])


def test_the_documentation_of_an_architecture_names_its_activations_and_their_starts():
    documented, starts = (
        set(re.findall(r"\w+", re.search(pattern, probe.MLP.__doc__, re.DOTALL)[1])) - {"or", "and"}
        for pattern in (r"ACTIVATIONS`: (.*?)\. Below", r'"auto" is "he" for (.*?), and\s+"glorot"')
    )
    assert documented == ACTIVATIONS.keys()

    def start(activation, initialization):
        architecture = probe.MLP((4,), activation, initialization=initialization)
        return initial_population(architecture, SHAPE, CLASSES, rngs=[np.random.default_rng(0)]).weights[0]

    for name in ACTIVATIONS:
        meant = "he" if name in starts else "glorot"
        np.testing.assert_array_equal(start(name, "auto"), start(name, meant))


@pytest.mark.parametrize(
    ("initialization", "activation", "variance"),
    [
        ("normal", "sigmoid", 1.0),
        ("scaled-normal", "sigmoid", 1 / 300),
        ("glorot", "relu", 2 / 400),
        ("he", "sigmoid", 2 / 300),
        ("auto", "relu", 2 / 300),
        ("auto", "gelu", 2 / 300),
        ("auto", "sigmoid", 2 / 400),
        ("auto", "tanh", 2 / 400),
    ],
)
def test_starts_have_their_moments(initialization, activation, variance):
    architecture = probe.MLP((100,), activation, initialization=initialization)
    members = initial_population(architecture, (15, 20), CLASSES, rngs=[np.random.default_rng(0)])
    weights, biases = members.weights[0][0], members.biases[0][0]
    assert weights.dtype == np.float32
    # 30,000 draws: the standard error of the mean is 1/173 of the deviation, of the variance below 1%.
    assert abs(weights.mean()) < 5 * np.sqrt(variance / weights.size)
    assert weights.var() == pytest.approx(variance, rel=0.05)
    if variance == 2 / 400:
        assert np.abs(weights).max() <= np.sqrt(6 / 400)
        assert np.abs(weights).max() > 0.99 * np.sqrt(6 / 400)
    else:
        assert np.abs(weights).max() > 3.5 * np.sqrt(variance)
    if initialization == "normal":
        assert biases.var() == pytest.approx(1, rel=0.5)
    else:
        assert not biases.any()


# Values and refusals.


def test_a_member_is_a_network_of_its_own():
    members = population((4, 5))
    network = members.network(-1)
    assert network.layer_names == ("flatten", "hidden_1", "hidden_2", "output")
    assert network.class_names == CLASSES
    np.testing.assert_array_equal(network.dense_layers[0].kernel, members.weights[0][2].T)
    np.testing.assert_array_equal(network.dense_layers[2].bias, members.biases[2][2])
    assert len(members) == members.n_networks == 3
    assert [layer.activation_name for layer in network.dense_layers] == ["tanh", "tanh", "softmax"]


def test_flat_inputs_need_no_flatten_layer():
    members = initial_population(probe.MLP(()), (6,), CLASSES, rngs=[np.random.default_rng(0)])
    assert members.network(0).layer_names == ("output",)


@pytest.mark.parametrize("index", [3, -4, 1.0])
def test_an_index_beyond_the_members_is_refused(index):
    with pytest.raises(InputError, match=f"index must be an integer from -3 to 2, got {index}"):
        population().network(index)


def test_weights_are_read_only():
    members = population()
    for part in (*members.weights, *members.biases):
        with pytest.raises(ValueError, match="read-only"):
            part[...] = 0


def test_shapes_must_be_those_of_the_architecture():
    members = population((4,))
    with pytest.raises(
        InputError, match=re.escape("weights and biases must have 2 entries for layers (6, 4, 3)")
    ):
        probe.Population(members.architecture, SHAPE, CLASSES, members.weights[:1], members.biases)
    with pytest.raises(InputError, match=re.escape("weights[1] must have shape (3, 3, 4), got (3, 3, 3)")):
        wrong = (members.weights[0], members.weights[1][:, :, :3])
        probe.Population(members.architecture, SHAPE, CLASSES, wrong, members.biases)
    with pytest.raises(InputError, match=re.escape("biases[0] must have shape (3, 4), got (2, 4)")):
        wrong = (members.biases[0][:2], members.biases[1])
        probe.Population(members.architecture, SHAPE, CLASSES, members.weights, wrong)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"hidden": 16}, "hidden must be a sequence of widths such as (16, 16), got 16"),
        ({"hidden": "16"}, "hidden must be a sequence of widths such as (16, 16), got '16'"),
        ({"hidden": (16, 0)}, "each width in hidden must be an integer of at least 1, got 0"),
        ({"hidden": (16.0,)}, "each width in hidden must be an integer of at least 1, got 16.0"),
        ({"activation": "sigmoidal"}, "'sigmoidal' (did you mean 'sigmoid'?)"),
        ({"output": "linear"}, "output must be one of softmax, sigmoid; got 'linear'"),
        (
            {"initialization": "xavier"},
            "initialization must be one of auto, normal, scaled-normal, glorot, he",
        ),
    ],
)
def test_an_architecture_that_cannot_be_is_refused(arguments, message):
    with pytest.raises(InputError, match=re.escape(message)):
        probe.MLP(**arguments)


def test_an_architecture_is_a_value():
    assert probe.MLP([16, 16]) == probe.MLP((16, 16))
    assert hash(probe.MLP([16])) == hash(probe.MLP((16,)))
    assert probe.MLP(()).layer_sizes(784, 10) == (784, 10)
