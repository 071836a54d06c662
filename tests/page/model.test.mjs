// Unit tests of the page's numbers, without Python: node --test tests/page/
import assert from "node:assert/strict";
import { deflateSync } from "node:zlib";
import { test } from "node:test";
import { decodeArray, decodePayload, Network } from "../../probe/pages/page/model.js";
import { Ascent, noiseImage, prepared, withShuffledPixels } from "../../probe/pages/page/model_images.js";
import { copied, denseChain, edited, freshNetwork, Random } from "../../probe/pages/page/model_surgery.js";
import { directionsFrom, evaluated, moved, Trainer } from "../../probe/pages/page/model_training.js";

const array = (values, ...shape) => ({ values: Float32Array.from(values), shape });
const dense = (name, reads, kernel, bias, activation, more = {}) =>
  ({ name, kind: "dense", inputs: [reads], shape: [kernel.shape[1]], kernel, bias, activation, ...more });

/** A network of 3 inputs, 2 hidden units and 2 classes, small enough for numbers by hand. */
function small(activation = "relu") {
  const hidden = dense("hidden", 0, array([1, -1, 2, 0.5, 0, 3], 3, 2), array([0.5, -1], 2), activation);
  const output = dense("output", "hidden", array([1, 0, -1, 2], 2, 2), array([0, 1], 2), "softmax");
  return new Network({ input_shape: [3], class_names: ["a", "b"], one_unit: false, output: "output", head: "output", layers: [hidden, output] });
}

/** Points of two clouds, and which cloud they are of. */
function clouds(n = 60) {
  const random = new Random(2), labels = Int32Array.from({ length: n }, (_, i) => i % 2);
  const values = Float32Array.from({ length: 3 * n }, (_, k) => 0.3 * random.normals(1)[0] + (Math.floor(k / 3) % 2));
  return { images: { values, shape: [n, 3] }, labels };
}

const close = (found, wanted, tolerance = 1e-6) => {
  assert.equal(found.length, wanted.length);
  found.forEach((value, i) => assert.ok(Math.abs(value - wanted[i]) <= tolerance, `${i}: ${value} is not ${wanted[i]}`));
};

test("an array is decoded with its scale", async () => {
  const zlib = deflateSync(Uint8Array.of(0, 51, 255)).toString("base64");
  const { values, shape } = await decodeArray({ dtype: "uint8", shape: [3], scale: 1 / 255, zlib });
  assert.deepEqual(shape, [3]);
  close(values, [0, 0.2, 1]);
  assert.deepEqual((await decodePayload([null, { x: { dtype: "uint8", shape: [3], zlib } }]))[1].x.values, Uint8Array.of(0, 51, 255));
});

test("a forward pass by hand", () => {
  const network = small();
  network.forward([1, 0, 2]);
  close(network.layer("hidden").z, [1.5, 4]);
  close(network.head.z, [-2.5, 9]);
  close(network.probabilities(), [1 / (1 + Math.exp(11.5)), 1 / (1 + Math.exp(-11.5))]);
  assert.equal(network.predicted(), 1);
});

test("forward allocates nothing that it returns: the same memory each time", () => {
  const network = small();
  assert.equal(network.forward([1, 0, 2]), network.forward([0, 1, 0]));
});

test("the image of many is what it is alone", () => {
  const network = small("tanh"), { images } = clouds();
  for (let i = 0; i < 5; i++) {
    const alone = network.forward(images.values, 3 * i).slice();
    close(network.forwardImage(images, i), alone, 0);
  }
});

test("contributions are weight times input, and sum to the pre-activation", () => {
  const network = small();
  network.forward([1, 0, 2]);
  const { weights, products, bias, sum } = network.contributions("hidden", 1);
  close(weights, [-1, 0.5, 3]);
  close(products, [-1, 0, 6]);
  assert.deepEqual([bias, sum], [-1, 4]);
});

test("an unknown layer is named with those that there are", () => {
  assert.throws(() => small().layer("middle"), /layer 'middle' must be one of hidden, output/);
});

for (const activation of ["sigmoid", "tanh", "relu", "softplus", "silu", { name: "elu", alpha: 0.7 }, { name: "relu6", formula: "relu", max_value: 6 }]) {
  test(`the gradient is that of differences: ${activation.name ?? activation}`, () => {
    const network = small(activation), x = [0.3, 0.8, -0.4], objective = { layer: "output", unit: 1, factor: 3 };
    const gradient = network.gradient(x, objective).gradient.slice();
    const slopes = x.map((value, i) => {
      const at = (step) => network.gradient(x.map((other, k) => (k === i ? other + step : other)), objective).value;
      return (at(1e-2) - at(-1e-2)) / 2e-2;
    });
    close(gradient, slopes, 1e-2);
  });
}

for (const [cost, activation] of [["cross-entropy", "softmax"], ["quadratic", "softmax"], ["cross-entropy", "sigmoid"], ["quadratic", "sigmoid"]]) {
  test(`gradients of the weights are those of differences: ${cost}, ${activation}`, () => {
    const { images, labels } = clouds(20), network = small("tanh");
    network.description.layers[1].activation = activation;
    const start = copied(network), trainer = new Trainer(start, images, labels, { cost });
    const found = trainer.findGradients(Int32Array.from(labels.keys()));
    assert.ok(Math.abs(found - evaluated(start, images, labels, cost).cost) < 1e-6);
    trainer.parts.forEach(({ gradient }, part) => gradient.forEach((slope, i) => {
      const at = (step) => {
        const direction = trainer.parts.map(({ values }) => new Float32Array(values.length));
        direction[part][i] = 1;
        return evaluated(moved(start, direction, step), images, labels, cost).cost;
      };
      assert.ok(Math.abs((at(1e-2) - at(-1e-2)) / 2e-2 - slope) < 2e-3);
    }));
  });
}

test("training lowers the cost, can be left at any update, and leaves its start as it was", () => {
  const { images, labels } = clouds(), start = small("sigmoid"), before = start.layer("hidden").kernel.values.slice();
  const options = () => ({ learningRate: 0.5, batchSize: 7, random: new Random(1) });
  const whole = new Trainer(start, images, labels, options()), parts = new Trainer(start, images, labels, options());
  whole.step(100);
  for (let k = 0; k < 100; k++) parts.step();
  assert.deepEqual(whole.dense[0].kernel.values, parts.dense[0].kernel.values);
  assert.deepEqual([whole.updates, whole.epoch], [100, 11]);
  assert.deepEqual(start.layer("hidden").kernel.values, before);
  assert.ok(evaluated(whole.network, images, labels).cost < evaluated(start, images, labels).cost);
});

test("a hidden layer of steps does not learn, and the last layer does", () => {
  const { images, labels } = clouds(), start = small("step"), trainer = new Trainer(start, images, labels, { random: new Random(0) });
  trainer.step(50);
  assert.deepEqual(trainer.dense[0].kernel.values, start.layer("hidden").kernel.values);
  assert.notDeepEqual(trainer.dense[1].kernel.values, start.layer("output").kernel.values);
});

test("a single output learns the second class", () => {
  const { images, labels } = clouds(), network = small();
  const layer = dense("output", 0, array([0, 0, 0], 3, 1), array([0], 1), "sigmoid");
  const one = new Network({ ...network.description, one_unit: true, layers: [layer] });
  const trainer = new Trainer(one, images, labels, { random: new Random(0), until: 0.95 });
  trainer.step(1000);
  assert.ok(trainer.isFitted);
  assert.ok(trainer.training.accuracy >= 0.95);
});

test("a clone changes nothing, and its silenced twin halves what both gave", () => {
  const network = small(), x = [1, 0, 2], logits = (other) => (other.forward(x), other.head.z);
  const two = edited(network, [{ op: "clone", layer: "hidden", unit: 1 }]);
  close(logits(two), logits(network));
  close(logits(edited(two, [{ op: "silence", layer: "hidden", unit: 2 }])), [1.5 - 2, 4 + 1]);
  assert.deepEqual(network.layer("hidden").shape, [2]);
});

test("recipes are JSON, and leave the network as it was", () => {
  const network = small(), recipe = [{ op: "prune", share: 0.3 }, { op: "noise", scale: 0.2, seed: 4 }];
  const before = structuredClone(network.description);
  const [once, again] = [recipe, JSON.parse(JSON.stringify(recipe))].map((each) => edited(network, each).description);
  assert.deepEqual(once, again);
  assert.deepEqual(network.description, before);
});

test("what is no dense chain is not changed and not trained", () => {
  const description = structuredClone(small().description);
  description.layers[1].inputs = [0];
  assert.equal(denseChain(description), null);
  description.layers[0].kind = "conv2d";
  assert.equal(denseChain(description), null);
  assert.throws(() => edited({ description }, []), /layers are dense/);
});

test("hidden units that depend on each other are not trained", () => {
  const { description } = small();
  description.layers[0].activation = "softmax";
  assert.equal(denseChain(description), null);
});

test("a fresh network has the shape and none of the weights", () => {
  const network = small(), fresh = freshNetwork(network, { random: new Random(1), activation: "tanh" });
  assert.equal(fresh.layer("hidden").activation.name, "tanh");
  assert.equal(fresh.head.activation.name, "softmax");
  assert.ok(fresh.layer("hidden").kernel.values.every((weight, i) => weight !== network.layer("hidden").kernel.values[i]));
  assert.deepEqual(fresh.layer("hidden").bias.values, Float32Array.of(0, 0));
});

test("steps downhill beat random ones", () => {
  const { images, labels } = clouds(), network = small("sigmoid");
  const { downhill, random, length } = directionsFrom(network, images, labels, { cost: "cross-entropy", random: new Random(1) });
  const cost = (direction) => evaluated(moved(network, direction, 0.05 * length), images, labels).cost;
  assert.ok(cost(downhill) < Math.min(cost(random), evaluated(network, images, labels).cost));
});

test("an ascent stays in [0, 1] and never falls", () => {
  const ascent = new Ascent(small(), { layer: "output", unit: 1 }, [0.5, 0.5, 0.5]);
  ascent.step(40);
  assert.equal(ascent.trace.length, 41);
  ascent.trace.forEach((value, k, all) => assert.ok(k === 0 || value >= all[k - 1]));
  close(ascent.image, [0, 1, 1], 1e-6);
});

test("shuffled pixels keep their channels together", () => {
  const image = Float32Array.from({ length: 4 * 5 * 3 }, (_, k) => Math.floor(k / 3) + 0.1 * (k % 3));
  const made = withShuffledPixels(new Random(1), image, [4, 5, 3]);
  assert.notDeepEqual(made, image);
  for (let k = 0; k < made.length; k += 3) assert.ok(Math.abs(made[k + 2] - made[k] - 0.2) < 1e-5);
});

test("norm-matched noise reaches the norm of bright images, and of dark ones", () => {
  for (const level of [0, 0.1, 0.9, 1]) {
    const image = new Float32Array(50).fill(level);
    const made = noiseImage("norm-matched", 1, new Random(1), { shape: [5, 10] }, image);
    assert.ok(Math.abs(Math.hypot(...made) - Math.hypot(...image)) < 1e-4, `${level}`);
    assert.ok(made.every((value) => value >= 0 && value <= 1));
  }
});

test("a drawing fits its box wherever it was drawn, and keeps its aspect", () => {
  const draw = (left, top, width, height) => {
    const ink = new Uint8Array(100 * 100);
    for (let y = top; y < top + height; y++) for (let x = left; x < left + width; x++) ink[100 * y + x] = 255;
    return prepared(ink, 100, 100, [28, 28], { box: 20, center: [14, 14] });
  };
  const image = draw(5, 60, 20, 10);
  close(draw(70, 3, 20, 10), image, 1e-4);
  close(draw(10, 10, 40, 20), image, 1e-4);
  assert.ok(Math.abs(image.reduce((sum, value) => sum + value) - 20 * 10) < 1e-2);
  assert.ok(Math.abs(image[14 * 28 + 4] - 1) < 1e-5);
  assert.ok(image[14 * 28 + 3] < 1e-5);
});

test("ink is moved no further than to the edge", () => {
  const ink = new Uint8Array(100 * 100);
  for (let x = 0; x < 100; x++) ink[x] = 3;
  for (let k = 0; k < 20; k++) for (let x = 80; x < 100; x++) ink[100 * k + x] = 255;
  const image = prepared(ink, 100, 100, [10, 10], { box: 10, center: [5, 5] });
  assert.ok(Math.abs(image.reduce((sum, value) => sum + value) - ink.reduce((sum, value) => sum + value) / 255 / 100) < 1e-3);
});
