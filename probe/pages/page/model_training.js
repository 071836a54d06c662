// Training of dense chains as Python does it, and the cost along directions from where a network is.
import { Network } from "./model.js";
import { activationOf, addToRows } from "./model_layers.js";
import { copied, denseChain } from "./model_surgery.js";

/** What `evaluated` and training need of a network: outputs and cost of what it computed last, and the gradient at its logits. */
function costOf(network, cost) {
  const { z, d } = network.head, n = z.length, outputs = new Float32Array(n);
  const isSigmoid = network.isOneUnit || network.head.activation.name === "sigmoid";
  const output = activationOf(isSigmoid ? "sigmoid" : "softmax");
  // A single output is that of the second class.
  const error = (label, k) => outputs[k] - Number(n === 1 ? label === 1 : label === k);
  return {
    value(label) {
      output.forward(z, outputs);
      let sum = 0, largest = -Infinity;
      for (let k = 0; k < n; k++) {
        if (cost === "quadratic") sum += error(label, k) ** 2;
        else if (isSigmoid) sum += Math.max(z[k], 0) + Math.log1p(Math.exp(-Math.abs(z[k]))) - (outputs[k] - error(label, k)) * z[k];
        else largest = Math.max(largest, z[k]);
      }
      if (cost === "quadratic" || isSigmoid) return sum;
      for (let k = 0; k < n; k++) sum += Math.exp(z[k] - largest);
      return largest + Math.log(sum) - z[label];
    },
    /** After `value`: write `share` of the gradient with respect to the logits. */
    slope(label, share) {
      let mean = 0;
      for (let k = 0; k < n; k++) {
        d[k] = share * error(label, k) * (cost === "quadratic" ? 2 : 1);
        mean += d[k] * outputs[k];
      }
      if (cost === "quadratic") for (let k = 0; k < n; k++) d[k] = outputs[k] * (isSigmoid ? d[k] * (1 - outputs[k]) : d[k] - mean);
    },
  };
}

/** Mean cost and accuracy on `images` {values, shape}. Outputs other than sigmoid are read as softmax. */
export function evaluated(network, images, labels, cost = "cross-entropy") {
  const { value } = costOf(network, cost), n = images.shape[0];
  let sum = 0, right = 0;
  for (let i = 0; i < n; i++) {
    network.forwardImage(images, i);
    sum += value(labels[i]);
    if (network.predicted() === labels[i]) right++;
  }
  return { cost: sum / n, accuracy: right / n };
}

/**
 * Gradient descent on a copy of a dense chain, `trainer.network`, whose weights move with each step; it can be left between
 * any two. `optimizer` is "sgd", "momentum" or "nesterov". `orders` are the orders of the samples in the first epochs; the
 * following are drawn. With `until`, training ends after the first epoch that gets this share of the samples right.
 */
export class Trainer {
  constructor(network, images, labels, options) {
    Object.assign(this, {
      images, labels, cost: "cross-entropy", optimizer: "sgd", momentum: 0.9, learningRate: 0.5, batchSize: 100, orders: [],
      updates: 0, epoch: 0, position: 0, isFitted: false, isDiverged: false, ...options,
    });
    this.network = copied(network);
    this.costs = costOf(this.network, this.cost);
    this.n = images.shape[0];
    this.dense = denseChain(this.network.description).map(({ layer }) => this.network.layer(layer.name));
    this.parts = this.dense.flatMap(({ kernel, bias }) => [kernel, bias].filter(Boolean)).map(({ values }) => ({
      values, gradient: new Float32Array(values.length), velocity: new Float32Array(values.length),
    }));
  }

  /** Make n updates, or fewer if training ends; return how many. */
  step(n = 1) {
    for (let done = 0; done < n; done++) {
      if (this.isFitted || this.isDiverged) return done;
      if (this.position === 0) this.order = this.orders[this.epoch] ?? this.random.permutation(this.n);
      const batch = this.order.subarray(this.position, this.position + this.batchSize);
      this.batchCost = this.findGradients(batch);
      this.isDiverged = !Number.isFinite(this.batchCost);
      this.descend();
      this.updates++;
      this.position = (this.position + batch.length) % this.n;
      if (this.position === 0) {
        this.epoch++;
        if (this.until) this.training = evaluated(this.network, this.images, this.labels, this.cost);
        this.isFitted = this.until !== undefined && this.training.accuracy >= this.until;
      }
    }
    return n;
  }

  /** Write the gradients of the mean cost of some images to `parts`; return that cost. */
  findGradients(batch) {
    const { network, dense, costs } = this;
    for (const { gradient } of this.parts) gradient.fill(0);
    let sum = 0;
    for (const sample of batch) {
      network.forwardImage(this.images, sample);
      sum += costs.value(this.labels[sample]);
      costs.slope(this.labels[sample], 1 / batch.length);
      network.back(network.head.index, dense[0].index);
      let part = 0;
      for (const { lit, d, bias } of dense) {
        addToRows(this.parts[part++].gradient, d, lit);
        if (bias) for (let j = 0, { gradient } = this.parts[part++]; j < d.length; j++) gradient[j] += d[j];
      }
    }
    return sum / batch.length;
  }

  descend() {
    const rate = this.learningRate, momentum = this.optimizer === "sgd" ? 0 : this.momentum, isPlain = this.optimizer !== "nesterov";
    for (const { values, gradient, velocity } of this.parts) {
      for (let i = 0; i < values.length; i++) {
        const change = rate * gradient[i], next = momentum * velocity[i] - change;
        velocity[i] = next;
        values[i] += isPlain ? next : momentum * next - change;
      }
    }
  }
}

/**
 * Directions of length 1 in the space of all weights, as an array for each kernel and bias: against the gradient of the
 * cost, and a random one. `length` is that of all weights together, of which `probe.landscape` takes steps as shares.
 */
export function directionsFrom(network, images, labels, { cost, random }) {
  const trainer = new Trainer(network, images, labels, { cost });
  trainer.findGradients(Int32Array.from({ length: trainer.n }, (_, k) => k));
  const lengthOf = (arrays) => Math.sqrt(arrays.reduce((sum, array) => array.reduce((part, value) => part + value * value, sum), 0));
  const unit = (arrays) => arrays.map((array, _, all) => array.map((value) => value / (lengthOf(all) || 1)));
  return {
    downhill: unit(trainer.parts.map(({ gradient }) => gradient.map((slope) => -slope))),
    random: unit(trainer.parts.map(({ values }) => random.normals(values.length))),
    length: lengthOf(trainer.parts.map(({ values }) => values)),
  };
}

/** The network that lies `length` along a direction from this one. */
export function moved(network, direction, length) {
  const { parts, network: copy } = new Trainer(network, { shape: [0] }, []);
  parts.forEach(({ values }, part) => values.forEach((value, i) => (values[i] = value + length * direction[part][i])));
  return copy;
}
