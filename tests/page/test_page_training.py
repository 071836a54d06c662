"""Training, edits, ascent, noise and drawings of the page's script against Python."""

from dataclasses import replace

import numpy as np
import pytest
from nodes import needs_node, run_node
from scipy import stats

import probe
from probe._checks import generator
from probe.analyses.noise import KINDS
from probe.ascent import ascend
from probe.datasets import Split
from probe.layers import ActivationLayer, Dense, Dropout, Permute
from probe.network import Network
from probe.objectives import class_logit, unit
from probe.pages.page import encoded, encoded_images, encoded_network
from probe.parameters import ParameterSpace
from probe.population import initial_population

pytestmark = needs_node


def few_digits(n=1000):
    split = probe.load_dataset("mnist")
    return Split(split.train.take(slice(n)), split.test.take(slice(500)), split.name)


def trained(hidden=(16,), activation="sigmoid", **settings):
    split = probe.load_dataset("digits")
    config = probe.TrainingConfig(epochs=5, learning_rate=0.1, **settings)
    return probe.train(probe.MLP(hidden, activation), split, config).network, split


def as_given(data, **more):
    return {"images": encoded(data.images), "labels": encoded(data.labels.astype(np.uint8)), **more}


RUNS = {
    "sigmoid": (probe.MLP((16, 16)), {"optimizer": "nesterov", "learning_rate": 0.3}),
    "relu": (probe.MLP((12,), "relu", initialization="he"), {"learning_rate": 0.1}),
    "tanh": (probe.MLP((9, 8, 7), "tanh", "sigmoid"), {"cost": "quadratic", "learning_rate": 0.2}),
    "step": (probe.MLP((16,), "step", initialization="normal"), {"learning_rate": 0.5}),
    "video": (
        probe.MLP((16, 16), output="sigmoid", initialization="normal"),
        {"cost": "quadratic", "learning_rate": 1.5},
    ),
    "sigmoid outputs": (probe.MLP((16,), output="sigmoid"), {"optimizer": "momentum", "learning_rate": 0.05}),
    "softmax, quadratic": (probe.MLP((16,), "relu"), {"cost": "quadratic", "learning_rate": 0.1}),
}


@pytest.mark.parametrize("name", RUNS)
def test_100_updates_from_a_start_in_an_order(tmp_path, name):
    architecture, settings = RUNS[name]
    split = few_digits()
    config = probe.TrainingConfig(epochs=5, batch_size=50, **settings)
    start_rng, order_rng = generator(7).spawn(2)
    data = split.train
    start = initial_population(architecture, data.image_shape, data.class_names, rngs=start_rng.spawn(1))
    result = probe.train(architecture, split, config, seed=7)
    (rng,) = order_rng.spawn(1)
    orders = np.stack([rng.permutation(len(data)) for _ in range(5)]).astype(np.int32)
    body = """
      const orders = [0, 1, 2, 3, 4].map((epoch) => row(given.orders, epoch));
      const start = new Network(given.network);
      const trainer = new Trainer(start, given.images, given.labels.values, { ...given.settings, orders });
      const history = [];
      for (let epoch = 0; epoch < 5; epoch++) {
        trainer.step(7);
        trainer.step(13);
        history.push(evaluated(trainer.network, given.images, given.labels.values, trainer.cost));
      }
      const { updates, epoch } = trainer;
      return { history, updates, epoch, kernels: trainer.dense.map(({ kernel }) => kernel.values),
               biases: trainer.dense.map(({ bias }) => bias.values) };
    """
    wanted = {
        "cost": config.cost,
        "optimizer": config.optimizer,
        "learningRate": config.learning_rate,
        "batchSize": 50,
    }
    given = as_given(data, network=encoded_network(start.network(0)), orders=encoded(orders), settings=wanted)
    found = run_node(tmp_path, body, **given)
    assert (found["updates"], found["epoch"]) == (100, 5)
    layers, before = result.network.dense_layers, start.network(0).dense_layers
    for kernel, bias, layer in zip(found["kernels"], found["biases"], layers, strict=True):
        np.testing.assert_allclose(np.reshape(kernel, layer.kernel.shape), layer.kernel, atol=1e-3)
        np.testing.assert_allclose(bias, layer.bias, atol=1e-3)
    np.testing.assert_allclose([each["cost"] for each in found["history"]], result.history.cost, atol=1e-3)
    np.testing.assert_allclose(
        [each["accuracy"] for each in found["history"]], result.history.train_accuracy, atol=2e-3
    )
    moved = [np.abs(np.reshape(kernel, layer.kernel.shape) - layer.kernel).max()
             for kernel, layer in zip(found["kernels"], before, strict=True)]  # fmt: skip
    if architecture.activation == "step":
        assert max(moved[:-1]) == 0
    else:
        assert min(moved) > 1e-2


def test_training_stops_where_everything_is_fitted(tmp_path):
    split = few_digits(100)
    body = """
      const random = new Random(0), start = surgery.freshNetwork(new Network(given.network), { random });
      const trainer = new Trainer(start, given.images, given.labels.values,
        { optimizer: "nesterov", learningRate: 0.3, batchSize: 30, random, until: 1 });
      const first = start.layer("hidden_1").kernel.values.slice();
      const done = trainer.step(100000);
      const accuracy = trainer.network.accuracy(given.images, given.labels.values);
      const { updates, epoch } = trainer;
      return { done, updates, epoch, accuracy, more: trainer.step(5), position: trainer.position,
               same: start.layer("hidden_1").kernel.values.every((w, i) => w === first[i]) };
    """
    network, _ = probe.train(probe.MLP((16,)), split, probe.TrainingConfig(epochs=1)).network, None
    found = run_node(tmp_path, body, **as_given(split.train, network=encoded_network(network)))
    assert found["accuracy"] == 1
    assert found["done"] == found["updates"] == 4 * found["epoch"]
    assert (found["more"], found["position"], found["same"]) == (0, 0, True)


def test_divergence_ends_training(tmp_path):
    network, split = trained((16,), "relu")
    body = """
      const options = { learningRate: 1e30, random: new Random(0) };
      const trainer = new Trainer(new Network(given.network), given.images, given.labels.values, options);
      return [trainer.step(1000) < 1000, trainer.isDiverged];
    """
    assert run_node(tmp_path, body, **as_given(split.train, network=encoded_network(network))) == [True, True]


@pytest.mark.parametrize("kind", ["glorot", "he", "normal", "scaled-normal", "auto"])
@pytest.mark.parametrize("activation", ["sigmoid", "relu"])
def test_fresh_starts_are_drawn_as_in_python(tmp_path, kind, activation):
    network = probe.train(probe.MLP((64,)), few_digits(100), probe.TrainingConfig(epochs=1)).network
    body = """
      const options = { initialization: given.kind, activation: given.activation, random: new Random(5) };
      const fresh = surgery.freshNetwork(new Network(given.network), options);
      const { kernel, bias, activation } = fresh.layer("hidden_1");
      return [kernel.values, bias.values, activation.name, fresh.layer("output").activation.name];
    """
    kernel, bias, hidden, last = run_node(
        tmp_path, body, network=encoded_network(network), kind=kind, activation=activation
    )
    assert (hidden, last) == (activation, "softmax")
    drawn = {"auto": {"sigmoid": "glorot", "relu": "he"}[activation]}.get(kind, kind)
    deviation = {
        "glorot": np.sqrt(2 / 848),
        "he": np.sqrt(2 / 784),
        "normal": 1,
        "scaled-normal": np.sqrt(1 / 784),
    }[drawn]
    assert np.std(kernel) == pytest.approx(deviation, rel=0.02)
    assert abs(np.mean(kernel)) < 4 * deviation / np.sqrt(len(kernel))
    if drawn == "glorot":
        assert np.sqrt(6 / 848) * 0.999 < np.abs(kernel).max() <= np.sqrt(6 / 848)
    assert np.std(bias) == 0 if drawn != "normal" else np.std(bias) > 0.5


def test_gradients_of_dense_chains(tmp_path):
    network, split = trained((16, 12), "tanh")
    network = (
        network.with_input_shape((8, 8, 1))
        .with_standardized_input(0.4, 0.3)
        .behind(Permute("turned", (2, 1, 3)))
    )
    objectives = [("output", 3), ("hidden_1", 5), ("hidden_2", 0)]
    body = """
      const network = new Network(given.network);
      return given.objectives.map(([layer, unit]) => {
        const { value, gradient } = network.gradient(given.x.values, { layer, unit, factor: -2 });
        return { value, gradient: gradient.slice() };
      });
    """
    x = split.test.images[:1, ..., None]
    found = run_node(tmp_path, body, network=encoded_network(network), x=encoded(x), objectives=objectives)
    for (layer, index), ours in zip(objectives, found, strict=True):
        value, gradient = network.objective_gradient(x, [-2 * unit(layer, index)])
        assert ours["value"] == pytest.approx(float(value[0]), rel=1e-4)
        np.testing.assert_allclose(ours["gradient"], gradient.ravel(), rtol=1e-4, atol=1e-5)


def test_chains_with_layers_of_their_own_for_activations(tmp_path):
    network, split = trained((16,), "relu")
    flatten, hidden, output = network.layers
    layers = (
        flatten, replace(hidden, activation_name="linear"), ActivationLayer("bent", "tanh"), Dropout("dropout", 0.5),
        replace(output, activation_name="linear"), ActivationLayer("classes", "softmax"), Dropout("last", 0.5),
    )  # fmt: skip
    network = Network(layers, (8, 8), network.class_names)
    data = split.train.take(slice(50))
    body = """
      const network = new Network(given.network), { images: pixels, labels: { values: labels } } = given;
      const slope = network.gradient(row(pixels, 3), network.objectiveOf(2)).gradient.slice();
      const trainer = new Trainer(network, pixels, labels, {});
      const cost = trainer.findGradients(Int32Array.from(labels.keys()));
      return { slope, cost, gradient: trainer.parts.flatMap(({ gradient }) => Array.from(gradient)),
               evaluated: evaluated(network, pixels, labels) };
    """
    found = run_node(tmp_path, body, **as_given(data, network=encoded_network(network)))
    expected = network.input_gradient(data.images[3:4], class_logit(2))
    np.testing.assert_allclose(found["slope"], expected.ravel(), rtol=1e-4, atol=1e-5)
    cost, gradient = ParameterSpace(network, "cross-entropy").gradient(data.images, data.labels)
    np.testing.assert_allclose(found["gradient"], gradient, rtol=1e-3, atol=1e-5)
    assert found["cost"] == pytest.approx(cost, abs=1e-5)
    assert found["evaluated"]["cost"] == pytest.approx(cost, abs=1e-5)


def test_the_ascent_climbs_as_python_does(tmp_path):
    network, _ = trained((16,), "relu")
    found = ascend(network, [class_logit(3), unit("hidden_1", 2)], restarts=1, steps=60, keep=2, seed=1)
    body = """
      const network = new Network(given.network);
      return [network.objectiveOf(3), { layer: "hidden_1", unit: 2 }].map((objective, k) => {
        const ascent = new images.Ascent(network, objective, row(given.starts, k));
        ascent.step(60);
        return { trace: ascent.trace, image: ascent.image };
      });
    """
    starts = np.ascontiguousarray(found.frames.images[:, 0])
    for k, ours in enumerate(
        run_node(tmp_path, body, network=encoded_network(network), starts=encoded(starts))
    ):
        np.testing.assert_allclose(ours["trace"], found.traces[k, 0], rtol=1e-3, atol=1e-3)
        assert np.all(np.diff(ours["trace"]) >= 0)
        assert min(ours["image"]) >= 0
        assert max(ours["image"]) <= 1
        np.testing.assert_allclose(ours["image"], found.images[k, 0].ravel(), atol=1e-3)


def test_both_classes_of_one_unit_can_be_climbed(tmp_path):
    rng = np.random.default_rng(0)
    layers = (
        Dense("hidden", rng.normal(size=(6, 5)).astype(np.float32), None, "tanh"),
        Dense("output", rng.normal(size=(5, 1)).astype(np.float32), np.ones(1, np.float32), "sigmoid"),
    )
    network = Network(layers, (6,), ("no", "yes"))
    x = rng.random((1, 6)).astype(np.float32)
    body = """
      const network = new Network(given.network);
      return [0, 1].map((k) => network.gradient(given.x.values, network.objectiveOf(k)).value);
    """
    found = run_node(tmp_path, body, network=encoded_network(network), x=encoded(x))
    np.testing.assert_allclose(found, network.with_two_logits().logits(x)[0], rtol=1e-5)


def deviates(n, seed):
    """Return the normal deviates of a recipe, computed independently."""
    k = np.arange(1, 2 * -(-n // 2) + 1, dtype=np.uint32)
    t = np.uint32(seed) + k * np.uint32(0x6D2B79F5)
    t = (t ^ (t >> 15)) * (t | np.uint32(1))
    t ^= t + (t ^ (t >> 7)) * (t | np.uint32(61))
    bits = (t ^ (t >> 14)).astype(np.float64)
    a, b = (bits[0::2] + 1) / 2**32, bits[1::2] / 2**32
    r = np.sqrt(-2 * np.log(a))
    return np.stack([r * np.cos(2 * np.pi * b), r * np.sin(2 * np.pi * b)], axis=1).ravel()[:n]


@pytest.mark.parametrize("seed", [0, 1, 4_294_967_295])
def test_random_numbers_are_reproducible(tmp_path, seed):
    body = """
      const random = new Random(given.seed), order = new Random(given.seed).permutation(1000);
      return [random.normals(10001), new Random(given.seed).normals(3), order];
    """
    many, few, order = run_node(tmp_path, body, seed=seed)
    np.testing.assert_allclose(many, deviates(10001, seed), atol=1e-12)
    np.testing.assert_allclose(few, deviates(3, seed), atol=1e-12)
    assert stats.kstest(many, "norm").pvalue > 0.001
    assert sorted(order) == list(range(1000))
    assert order != sorted(order)


def by_hand(layers, recipe):
    """Apply a recipe to [name, kernel, bias] of dense layers: the definition once more."""
    layers = [[name, kernel.copy(), bias.copy()] for name, kernel, bias in layers]
    names = [layer[0] for layer in layers]
    for edit in recipe:
        k = names.index(edit["layer"]) if "layer" in edit else None
        about = layers if k is None else [layers[k]]
        if edit["op"] == "silence":
            layers[k + 1][1][edit["unit"]] = 0
        elif edit["op"] == "flip":
            layers[k][1][:, edit["unit"]] *= -1
            layers[k][2][edit["unit"]] *= -1
        elif edit["op"] == "clone":
            unit_ = edit["unit"]
            layers[k + 1][1][unit_] /= 2
            layers[k + 1][1] = np.vstack([layers[k + 1][1], layers[k + 1][1][unit_]])
            layers[k][1] = np.hstack([layers[k][1], layers[k][1][:, [unit_]]])
            layers[k][2] = np.append(layers[k][2], layers[k][2][unit_])
        elif edit["op"] == "prune":
            weights = np.concatenate([layer[1].ravel() for layer in about])
            order = np.argsort(np.abs(weights), kind="stable")
            weights[order[: int(edit["share"] * weights.size + 0.5)]] = 0
            for layer in about:
                layer[1], weights = weights[: layer[1].size].reshape(layer[1].shape), weights[layer[1].size :]
        else:
            z = deviates(sum(layer[1].size for layer in about), edit["seed"])
            for layer in about:
                kernel = layer[1].astype(np.float64)
                noise, z = z[: kernel.size].reshape(kernel.shape), z[kernel.size :]
                layer[1] = (kernel + edit["scale"] * kernel.std() * noise).astype(np.float32)
    return layers


RECIPES = [
    [],
    [{"op": "silence", "layer": "hidden_1", "unit": 4}],
    [{"op": "clone", "layer": "hidden_1", "unit": 0}, {"op": "clone", "layer": "hidden_2", "unit": 11}],
    [{"op": "flip", "layer": "hidden_2", "unit": 3}, {"op": "flip", "layer": "output", "unit": 9}],
    [{"op": "prune", "share": 0.5}],
    [{"op": "prune", "share": 0}, {"op": "prune", "share": 1, "layer": "hidden_2"}, {"op": "prune", "share": 0.3}],
    [{"op": "noise", "scale": 0.3, "seed": 1}],
    [{"op": "noise", "scale": 1, "seed": 2, "layer": "hidden_2"}, {"op": "clone", "layer": "hidden_1", "unit": 5},
     {"op": "silence", "layer": "hidden_1", "unit": 16}, {"op": "prune", "share": 0.123},
     {"op": "noise", "scale": 0.1, "seed": 3}],
]  # fmt: skip


@pytest.mark.parametrize("activation", ["sigmoid", "relu"])
def test_edits_do_what_a_recipe_says(tmp_path, activation):
    network, split = trained((16, 12), activation)
    dense = [(layer.name, layer.kernel, layer.bias) for layer in network.dense_layers]
    body = """
      const network = new Network(given.network), before = network.accuracy(given.images, given.labels.values);
      const found = given.recipes.map((recipe) => {
        const after = edited(network, recipe);
        return { accuracy: after.accuracy(given.images, given.labels.values),
                 dense: after.layers.filter(({ kind }) => kind === "dense")
                   .map(({ kernel, bias, shape }) => [kernel, bias, shape]) };
      });
      return { found, before, after: network.accuracy(given.images, given.labels.values) };
    """
    given = as_given(split.test, network=encoded_network(network), recipes=RECIPES)
    answer = run_node(tmp_path, body, **given)
    assert answer["before"] == answer["after"] == answer["found"][0]["accuracy"]
    accuracies = set()
    for recipe, found in zip(RECIPES, answer["found"], strict=True):
        expected = by_hand(dense, recipe)
        layers = [network.layers[0]]
        for (name, kernel, bias), (our_kernel, our_bias, shape) in zip(expected, found["dense"], strict=True):
            ours = np.reshape(our_kernel["values"], our_kernel["shape"])
            np.testing.assert_allclose(ours, kernel, atol=1e-6, err_msg=str(recipe))
            assert np.array_equal(ours == 0, kernel == 0)
            np.testing.assert_array_equal(np.float32(our_bias["values"]), bias)
            assert shape == our_bias["shape"] == [kernel.shape[1]]
            layers.append(Dense(name, kernel, bias, "softmax" if name == "output" else activation))
        by_python = Network(tuple(layers), (8, 8), network.class_names)
        right = (by_python.predict(split.test.images) == split.test.labels).mean()
        assert found["accuracy"] == pytest.approx(right, abs=1 / len(split.test) + 1e-9)
        accuracies.add(found["accuracy"])
    assert len(accuracies) > 4
    clone = answer["found"][2]["accuracy"]
    assert clone == pytest.approx(answer["before"], abs=1 / len(split.test))


BAD = [
    ({"op": "silence", "layer": "output", "unit": 0}, "'output' is the last layer"),
    ({"op": "silence", "layer": "hidden_1", "unit": 16}, "unit of 'hidden_1' must be from 0 to 15, got 16"),
    ({"op": "flip", "layer": "hidden_1", "unit": 0.5}, "unit of 'hidden_1' must be from 0 to 15, got 0.5"),
    ({"op": "flip", "layer": "nowhere", "unit": 0}, "no such edit"),
    ({"op": "sharpen"}, "no such edit"),
]


def test_edits_that_cannot_be_made_are_refused(tmp_path):
    network, _ = trained()
    body = """
      const network = new Network(given.network);
      return given.edits.map((edit) => {
        try { edited(network, [edit]); return ""; } catch (error) { return error.message; }
      });
    """
    found = run_node(tmp_path, body, network=encoded_network(network), edits=[edit for edit, _ in BAD])
    for message, (_, part) in zip(found, BAD, strict=True):
        assert part in message


def test_the_cost_along_directions(tmp_path):
    network, split = trained((16,))
    body = """
      const network = new Network(given.network), random = new Random(3);
      const { images: pixels, labels: { values: labels } } = given;
      const found = training.directionsFrom(network, pixels, labels, { cost: "cross-entropy", random });
      const cost = (direction, length) => evaluated(training.moved(network, direction, length), pixels, labels).cost;
      const lengths = [0, 0.001, 0.01, 0.1, 1].map((share) => share * found.length);
      return { ...found, down: lengths.map((length) => cost(found.downhill, length)),
               other: lengths.map((length) => cost(found.random, length)) };
    """
    data = split.train.take(slice(400))
    found = run_node(tmp_path, body, **as_given(data, network=encoded_network(network)))
    space = ParameterSpace(network, "cross-entropy")
    before, gradient = space.gradient(data.images, data.labels)
    downhill = -gradient / np.linalg.norm(gradient)
    ours = np.concatenate([np.ravel(part) for part in found["downhill"]])
    assert found["length"] == pytest.approx(float(np.linalg.norm(space.vector)), rel=1e-5)
    np.testing.assert_allclose(ours, downhill, atol=1e-4)
    random = np.concatenate([np.ravel(part) for part in found["random"]])
    assert np.linalg.norm(random) == pytest.approx(1, abs=1e-5)
    for length, down, other in zip([0, 0.001, 0.01, 0.1, 1], found["down"], found["other"], strict=True):
        for cost, direction in ((down, downhill), (other, random)):
            vector = space.vector + length * found["length"] * direction.astype(np.float32)
            expected = space.measure(data.images, data.labels, vector)[0]
            assert cost == pytest.approx(float(expected), abs=1e-4)
    assert found["down"][0] == pytest.approx(before, abs=1e-5)
    assert found["down"][2] < min(found["down"][0], found["other"][2])


NOISE = """
  const random = new Random(given.seed ?? 11), like = { shape: given.shape, ...surgery.momentsOf(given.images.values) };
  return Object.fromEntries(given.cases.map(([kind, strength]) => [kind + strength, Array.from({ length: 200 }, (_, i) =>
    images.noiseImage(kind, strength, random, like, row(given.images, i)))]));
"""


def noises(folder, x, cases):
    found = run_node(folder, NOISE, images=encoded(x), shape=list(x.shape[1:]), cases=cases)
    return {name: np.array(made).reshape(x[:200].shape) for name, made in found.items()}


@pytest.mark.parametrize("name", ["mnist", "colour"])
def test_noise_is_that_of_the_analysis(tmp_path, name):
    images = probe.load_dataset("mnist").test.images[:300]
    if name == "colour":
        images = np.random.default_rng(0).beta(2, 1, (300, 9, 7, 3)).astype(np.float32)
    cases = [[kind, 1] for kind in KINDS if kind != "real"]
    found = noises(tmp_path, images, cases)
    real = images[:200]
    assert set(found) == {f"{kind}1" for kind in KINDS if kind != "real"}
    assert all(made.min() >= 0 and made.max() <= 1 for made in found.values())
    assert stats.kstest(found["uniform1"].ravel(), "uniform").pvalue > 0.001
    mean, deviation = float(images.mean(dtype=float)), float(images.std(dtype=float))
    # Of the normal distribution that lies between, unclipped pixels have quantiles.
    for limit in (0.1, 0.3, 0.5):
        share = (found["gaussian1"] <= limit).mean()
        assert share == pytest.approx(stats.norm.cdf(limit, mean, deviation), abs=0.01)
    np.testing.assert_allclose(
        np.linalg.norm(found["norm-matched1"].reshape(200, -1), axis=1),
        np.linalg.norm(real.reshape(200, -1), axis=1),
        rtol=1e-5,
    )
    pixels = [np.sort(each.reshape(200, real[0, ..., 0].size if real.ndim == 4 else real[0].size, -1), axis=1)
              for each in (found["shuffled1"], real)]  # fmt: skip
    np.testing.assert_allclose(*pixels, atol=1e-7)
    assert (
        abs(
            np.mean(
                [
                    np.corrcoef(a.ravel(), b.ravel())[0, 1]
                    for a, b in zip(found["shuffled1"], real, strict=True)
                ]
            )
        )
        < 0.1
    )


def test_noise_of_less_and_more_strength(tmp_path):
    images = probe.load_dataset("mnist").test.images[:200]
    found = noises(
        tmp_path,
        images,
        [["uniform", 0.25], ["shuffled", 0.25], ["shuffled", 0], ["uniform", 4], ["uniform", 0]],
    )
    np.testing.assert_allclose(found["uniform0"], images, atol=1e-7)
    np.testing.assert_array_equal(found["shuffled0"], images)
    noise = (found["uniform0.25"] - 0.75 * images) / 0.25
    assert stats.kstest(noise.ravel(), "uniform").pvalue > 0.001
    assert found["uniform4"].max() > 3.9
    np.testing.assert_allclose(found["uniform4"].mean(), 2, atol=0.02)
    # A quarter of the pixels moved; most of them are dark before and after.
    distinct = images[0].size * 0.25 / 784
    assert (found["shuffled0.25"] != images).mean() <= distinct + 1e-9
    np.testing.assert_array_equal(
        np.sort(found["shuffled0.25"].reshape(200, -1)), np.sort(images.reshape(200, -1))
    )


def prepared(ink, rows, columns, box, center):
    """Return a drawing as an image: each pixel is the mean over many points in it."""
    lit_y, lit_x = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    top, bottom, left, right = lit_y[0], lit_y[-1] + 1, lit_x[0], lit_x[-1] + 1
    scale = box / max(bottom - top, right - left)
    mass = ink.sum()
    found = (
        (np.arange(len(ink)) + 0.5) @ ink.sum(axis=1) / mass,
        (np.arange(ink.shape[1]) + 0.5) @ ink.sum(axis=0) / mass,
    )
    offsets = [
        max(min(wanted - scale * at, length - scale * end), -scale * first)
        for wanted, at, first, end, length in zip(
            center, found, (top, left), (bottom, right), (rows, columns), strict=True
        )
    ]
    points = 40
    grids = [
        np.floor(((np.arange(length * points) + 0.5) / points - offset) / scale).astype(int)
        for length, offset in zip((rows, columns), offsets, strict=True)
    ]
    inside = [(grid >= 0) & (grid < n) for grid, n in zip(grids, ink.shape, strict=True)]
    fine = ink[np.ix_(*(np.clip(grid, 0, n - 1) for grid, n in zip(grids, ink.shape, strict=True)))]
    fine = fine * np.outer(*inside)
    return fine.reshape(rows, points, columns, points).mean(axis=(1, 3)) / 255


def strokes(rng, height, width):
    """Return ink of a few thick lines."""
    ink = np.zeros((height, width))
    y, x = np.mgrid[:height, :width]
    for _ in range(rng.integers(1, 4)):
        ends = rng.random((2, 2)) * (height, width)
        for t in np.linspace(0, 1, 60):
            at = ends[0] + t * (ends[1] - ends[0])
            ink = np.maximum(ink, np.clip(12 - np.hypot(y - at[0], x - at[1]), 0, 1))
    return np.rint(255 * ink).astype(np.uint8)


@pytest.mark.parametrize(("rows", "columns", "frame"), [
    (28, 28, {}), (8, 8, {"box": 8, "center": [4, 4]}), (20, 30, {"box": 15, "center": [11, 14]}), (300, 300, {}),
])  # fmt: skip
def test_drawings_are_prepared(tmp_path, rows, columns, frame):
    rng = np.random.default_rng(rows)
    drawings = np.stack([strokes(rng, 140, 170) for _ in range(4)])
    body = """
      return Array.from({ length: given.drawings.shape[0] }, (_, i) =>
        images.prepared(row(given.drawings, i), 170, 140, given.shape, given.frame));
    """
    found = run_node(tmp_path, body, drawings=encoded(drawings), shape=[rows, columns], frame=frame)
    box = frame.get("box", 20 / 28 * min(rows, columns))
    center = frame.get("center", (14.5 / 28 * rows, 14.5 / 28 * columns))
    for ink, made in zip(drawings, found, strict=True):
        np.testing.assert_allclose(
            np.reshape(made, (rows, columns)), prepared(ink, rows, columns, box, center), atol=0.04
        )


def test_an_empty_drawing_is_an_empty_image(tmp_path):
    found = run_node(tmp_path, "return images.prepared(new Uint8Array(100), 10, 10, [5, 5]);")
    assert found == [0.0] * 25


@pytest.mark.parametrize(("name", "side", "scale"), [("mnist", 28, 10), ("digits", 8, 35)])
def test_digits_that_are_drawn_large_are_read_as_the_small_ones(tmp_path, name, side, scale):
    split = probe.load_dataset(name)
    network = probe.train(probe.MLP((16,)), few_digits(3000) if name == "mnist" else split).network
    test = split.test.take(slice(300))
    large = np.kron(np.rint(255 * test.images), np.ones((scale, scale))).astype(np.uint8)
    body = """
      const network = new Network(given.network);
      return Array.from({ length: 300 }, (_, i) => {
        const side = given.side * given.scale;
        network.forward(images.prepared(row(given.large, i), side, side, [given.side, given.side], given.frame));
        return network.predicted();
      });
    """
    frame = encoded_images(split.train, 1000, 10**7)["frame"]
    found = run_node(
        tmp_path,
        body,
        network=encoded_network(network),
        large=encoded(large),
        side=side,
        scale=scale,
        frame=frame,
    )
    right = (network.predict(test.images) == test.labels).mean()
    assert (np.array(found) == test.labels).mean() > right - 0.02
