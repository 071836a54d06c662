"""A network as one vector: gradients against differences, autograd and the population engine; planes against points."""

import numpy as np
import pytest
from scipy.optimize import check_grad
from test_network_graph import branched

import probe
from probe._stepper import Parameters, Stepper
from probe.layers import (
    BatchNormalization,
    Conv2D,
    Conv2DTranspose,
    Dense,
    DepthwiseConv2D,
    Flatten,
    LayerNormalization,
    MaxPooling2D,
    Normalization,
    PReLU,
    SeparableConv2D,
)
from probe.parameters import ParameterSpace
from probe.planes import measure_plane

RNG = np.random.default_rng(5)


def draw(*shape):
    return RNG.normal(size=shape) / np.sqrt(max(1, np.prod(shape[:-1])))


def convolutional():
    layers = (
        Normalization("norm", np.zeros(1), np.ones(1)),
        Conv2D("conv", draw(3, 3, 1, 4), draw(4), activation_name="tanh"),
        BatchNormalization("bn", draw(4), draw(4), draw(4), draw(4) ** 2 + 1),
        DepthwiseConv2D("depthwise", draw(2, 2, 4, 1), draw(4), strides=(2, 2), activation_name="softplus"),
        SeparableConv2D("separable", draw(2, 2, 4, 1), draw(1, 1, 4, 3), draw(3), padding="same"),
        PReLU("prelu", draw(1, 1, 3), shared_axes=(1, 2)),
        Conv2DTranspose("transpose", draw(2, 2, 2, 3), draw(2), strides=(2, 2), activation_name="sigmoid"),
        MaxPooling2D("pool"),
        Flatten("flatten"),
        LayerNormalization("ln", draw(18), draw(18)),
        Dense("output", draw(18, 3), draw(3), "softmax"),
    )
    return probe.Network(layers, (8, 8, 1))


def shared():
    """One dense layer called twice, then an output."""
    kernel, bias = draw(5, 5), draw(5)
    kernel.flags.writeable = bias.flags.writeable = False
    first = Dense("first", kernel, bias, "tanh")
    layers = (first, Dense("again", first.kernel, first.bias, "tanh"), Dense("output", draw(5, 3), draw(3)))
    return probe.Network(layers, (5,))


def mlp(output="softmax"):
    layers = (Dense("hidden", draw(6, 4), draw(4), "sigmoid"), Dense("output", draw(4, 3), draw(3), output))
    return probe.Network((Flatten("flatten"), *layers), (2, 3))


NETWORKS = {
    "mlp": mlp(),
    "sigmoid outputs": mlp("sigmoid"),
    "conv": convolutional(),
    "shared": shared(),
    "branches": branched(),
}
COSTS = ("cross-entropy", "quadratic")


def data(network, n=7):
    rng = np.random.default_rng(1)
    return rng.random((n, *network.input_shape)), rng.integers(0, network.n_classes, n)


@pytest.mark.parametrize("cost", COSTS)
@pytest.mark.parametrize("name", NETWORKS)
def test_the_gradient_is_that_of_the_cost(name, cost):
    network = NETWORKS[name]
    space = ParameterSpace(network, cost)
    images, labels = data(network)

    def value(vector):
        return space.gradient(images, labels, vector)[0]

    def slope(vector):
        return space.gradient(images, labels, vector)[1]

    scale = np.linalg.norm(slope(space.vector))
    assert scale > 1e-3
    assert check_grad(value, slope, space.vector, epsilon=1e-6) < 1e-5 * max(scale, 1)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_point_is_the_network_with_these_parameters(name):
    network = NETWORKS[name]
    space = ParameterSpace(network)
    images, labels = data(network)
    np.testing.assert_array_equal(space.at(space.vector).logits(images), network.logits(images))
    moved = space.vector + 0.1 * np.random.default_rng(2).normal(size=space.n_parameters)
    there = space.at(moved)
    np.testing.assert_array_equal(ParameterSpace(there).vector, moved)
    assert not np.allclose(there.logits(images), network.logits(images))
    assert space.gradient(images, labels, moved)[0] == ParameterSpace(there).gradient(images, labels)[0]


@pytest.mark.parametrize("cost", COSTS)
@pytest.mark.parametrize("name", NETWORKS)
def test_a_plane_is_measured_as_its_points_are(name, cost):
    network = NETWORKS[name]
    space = ParameterSpace(network, cost)
    images, labels = data(network, 40)
    rng = np.random.default_rng(3)
    directions = rng.normal(size=(3, space.n_parameters))
    coordinates = rng.normal(size=(4, 5, 3))
    origin = space.vector + 0.3
    found = measure_plane(space, images, labels, directions, coordinates, origin=origin)
    assert found.cost.shape == found.accuracy.shape == (4, 5)
    for place in np.ndindex(4, 5):
        vector = origin + coordinates[place] @ directions
        assert found.cost[place] == pytest.approx(space.gradient(images, labels, vector)[0], rel=1e-9)
        hits = space.at(vector).predict(images) == labels
        assert found.accuracy[place] == hits.mean()
        assert space.measure(images, labels, vector) == pytest.approx(
            (found.cost[place], found.accuracy[place]), rel=1e-9
        )
    two = measure_plane(space, images, labels, directions, coordinates, origin=origin, workers=2)
    np.testing.assert_array_equal(two.cost, found.cost)


def test_ties_are_counted_as_predict_breaks_them():
    network = probe.Network((Dense("output", np.zeros((2, 3)), np.zeros(3)),), (2,))
    space = ParameterSpace(network)
    images, labels = np.ones((6, 2)), np.array([0, 0, 1, 2, 0, 1])
    found = measure_plane(space, images, labels, np.ones((1, space.n_parameters)), [[0.0]])
    assert found.accuracy[0] == 0.5


def test_gradients_are_those_of_the_population_engine(trained, digits):
    space = ParameterSpace(trained)
    images, labels = digits.train.images[:200], digits.train.labels[:200]
    dense = trained.dense_layers
    weights = [np.ascontiguousarray(layer.kernel.T)[None] for layer in dense]
    biases = [layer.bias[None].copy() for layer in dense]
    architecture = probe.MLP([layer.n_units for layer in dense[:-1]], dense[0].activation.name)
    stepper, into = (
        Stepper(architecture, Parameters(weights, biases), 200),
        Parameters(weights, biases),
    )
    x = np.column_stack([np.ones(200, np.float32), images.reshape(200, -1)])
    stepper.gradients(x, stepper.positions(labels[None]), "cross-entropy", into)
    gradient = space.gradient(images, labels)[1]
    for part in space.parts:
        place = [layer.name for layer in dense].index(part.layer)
        ours = gradient[part.place].reshape(part.shape)
        theirs = into.weights[place][0].T if part.variable == "kernel" else into.biases[place][0]
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-6)


def test_images_a_few_at_a_time_give_the_same_gradient_and_cost(trained, digits, monkeypatch):
    data = digits.train.take(slice(0, 90))
    space = ParameterSpace(trained)
    cost, gradient = space.gradient(data.images, data.labels)
    measured = space.measure(data.images, data.labels)
    n_values = sum(np.prod(shape) for shape in trained.layer_shapes.values())
    monkeypatch.setattr("probe.parameters._VALUES", 20 * n_values)
    assert [part.start for part in space._parts(90)] == [0, 18, 36, 54, 72]
    parts = space.gradient(data.images, data.labels)
    assert parts[0] == pytest.approx(cost, rel=1e-6)
    np.testing.assert_allclose(parts[1], gradient, atol=1e-6)
    shared = space.gradient(data.images, data.labels, workers=3)
    assert shared[0] == parts[0]
    np.testing.assert_array_equal(shared[1], parts[1])
    assert space.measure(data.images, data.labels) == pytest.approx(measured, rel=1e-6)


def test_shared_and_measured_arrays_are_in_the_vector_once_and_not_at_all():
    assert ParameterSpace(NETWORKS["shared"]).n_parameters == 5 * 5 + 5 + 5 * 3 + 3
    names = {(part.layer, part.variable) for part in ParameterSpace(NETWORKS["conv"]).parts}
    assert ("bn", "gamma") in names
    assert ("bn", "moving_mean") not in names
    assert not any(layer == "norm" for layer, _ in names)


@pytest.mark.parametrize("name", NETWORKS)
def test_filters_of_a_normalized_direction_are_as_long_as_the_networks(name):
    network = NETWORKS[name]
    space = ParameterSpace(network)
    direction = space.filter_normalized(np.random.default_rng(0).normal(size=space.n_parameters))
    layers = {layer.name: layer for layer in network.layers}
    for part in space.parts:
        found, ours = (v[part.place].reshape(part.shape) for v in (direction, space.vector))
        if not part.variable.endswith("kernel"):
            assert not found.any()
            continue
        kind = type(layers[part.layer]).__name__
        axis = {"DepthwiseConv2D": (0, 1), "Conv2DTranspose": (0, 1, 3)}.get(kind)
        if axis is None:
            axis = (0, 1) if part.variable == "depthwise_kernel" else tuple(range(len(part.shape) - 1))
        np.testing.assert_allclose((found**2).sum(axis=axis), (ours**2).sum(axis=axis), rtol=1e-9)
        assert not np.allclose(found, ours)


def test_a_parameter_is_named_by_its_layer_and_place():
    space = ParameterSpace(NETWORKS["mlp"])
    assert space.named(0) == "hidden kernel[0, 0]"
    assert space.named(6) == "hidden kernel[1, 2]"
    assert space.named(space.n_parameters - 1) == "output bias[2]"


def test_what_does_not_fit_is_refused():
    network = NETWORKS["mlp"]
    space = ParameterSpace(network)
    images, labels = data(network)
    line = np.ones((1, space.n_parameters))
    with pytest.raises(probe.InputError, match="one of cross-entropy, quadratic"):
        ParameterSpace(network, "hinge")
    with pytest.raises(probe.InputError, match="no layer has parameters"):
        ParameterSpace(probe.Network((Flatten("flatten"),), (2, 3)))
    with pytest.raises(probe.InputError, match=r"coordinates must have shape \(\.\.\., 1\)"):
        measure_plane(space, images, labels, line, [[0.0, 1.0]])
    with pytest.raises(probe.InputError, match="coordinates must be finite"):
        measure_plane(space, images, labels, line, [[np.nan]])
    with pytest.raises(probe.InputError, match="directions must have shape"):
        measure_plane(space, images, labels, line[:, 1:], [[0.0]])
    with pytest.raises(probe.InputError, match="one for each image"):
        measure_plane(space, images, labels[1:], line, [[0.0]])
