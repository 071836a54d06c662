// The numbers of a network: arrays of the payload, values forward, gradients back. Nothing here knows the page.
import { activationOf, layerKinds } from "./model_layers.js";

const ARRAY_TYPES = {
  bool: Uint8Array, uint8: Uint8Array, int8: Int8Array, uint16: Uint16Array, int16: Int16Array, int32: Int32Array,
  uint32: Uint32Array, float32: Float32Array, float64: Float64Array, float16: Uint16Array,
};

/** An array of the payload as {values, shape}: row-major, and in Float32Array where it is scaled or float16. */
export async function decodeArray({ dtype, shape, scale, zlib }) {
  const text = atob(zlib);
  const packed = new Uint8Array(text.length);
  for (let i = 0; i < packed.length; i++) packed[i] = text.charCodeAt(i);
  const unpacked = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  const stored = new ARRAY_TYPES[dtype](await new Response(unpacked).arrayBuffer());
  if (dtype === "float16") return { values: Float32Array.from(stored, fromHalf), shape };
  if (scale === undefined) return { values: stored, shape };
  const values = new Float32Array(stored.length);
  for (let i = 0; i < values.length; i++) values[i] = stored[i] * scale;
  return { values, shape };
}

function fromHalf(bits) {
  const sign = bits & 0x8000 ? -1 : 1, exponent = (bits >> 10) & 31, fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** The payload with every encoded array in it, however deep, as {values, shape}. */
export async function decodePayload(value) {
  if (value === null || typeof value !== "object") return value;
  if (typeof value.zlib === "string") return decodeArray(value);
  if (Array.isArray(value)) return Promise.all(value.map(decodePayload));
  const decoded = Object.entries(value).map(async ([key, part]) => [key, await decodePayload(part)]);
  return Object.fromEntries(await Promise.all(decoded));
}

export const sizeOf = (shape) => shape.reduce((product, length) => product * length, 1);

export function indexOfLargest(values) {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i] > values[best]) best = i;
  return best;
}

/** Which pixels of each image are not 0, one image after the other: image i has those from starts[i] on. */
function litOf({ values, shape: [n] }) {
  const size = values.length / n, starts = new Int32Array(n + 1), count = values.reduce((lit, value) => lit + (value !== 0), 0);
  const lit = { starts, rows: new Int32Array(count), values: new Float32Array(count) };
  for (let i = 0, k = 0; i < n; i++) {
    for (let row = 0; row < size; row++) {
      const value = values[i * size + row];
      if (value === 0) continue;
      lit.rows[k] = row;
      lit.values[k++] = value;
    }
    starts[i + 1] = k;
  }
  return lit;
}

/**
 * A network made of the payload's decoded `network`. `forward` writes what each layer computes for an input to its `z`
 * (before the activation) and `a` (after it): Float32Arrays that the next call overwrites.
 */
export class Network {
  constructor(description) {
    this.description = description;
    this.classNames = description.class_names;
    this.isOneUnit = description.one_unit;
    this.input = new Float32Array(sizeOf(description.input_shape));
    this.inputSlope = new Float32Array(this.input.length);
    this.layers = [];
    for (const described of description.layers) {
      const sources = described.inputs.map((name) => (name === 0 ? null : this.layer(name)));
      const layer = layerKinds[described.kind](described, sources.map((source) => (source ?? { shape: description.input_shape }).shape));
      Object.assign(layer, described, { index: this.layers.length, activation: activationOf(described.activation) });
      layer.x = sources.map((source) => (source ? source.a : this.input));
      layer.below = sources[0] ? sources[0].d : this.inputSlope;
      layer.z = layer.forward ? new Float32Array(sizeOf(layer.shape)) : layer.x[0];
      layer.a = layer.activation.name === "linear" ? layer.z : new Float32Array(layer.z.length);
      layer.d = layer.forward ? new Float32Array(layer.z.length) : layer.below;
      this.layers.push(layer);
    }
    this.output = this.layer(description.output);
    this.head = this.layer(description.head);
    this.p = new Float32Array(this.classNames.length);
  }

  layer(name) {
    const found = this.layers.find((layer) => layer.name === name);
    if (!found) throw new RangeError(`layer '${name}' must be one of ${this.layers.map((layer) => layer.name).join(", ")}`);
    return found;
  }

  /** The outputs for an input: those of values[at] and after. */
  forward(values, at = 0) {
    const input = this.input;
    for (let i = 0; i < input.length; i++) input[i] = values[at + i];
    return this.run(this.layers[0]);
  }

  /** The outputs for image i of `images` {values, shape}: faster for many, as it is kept which of their pixels are not 0. */
  forwardImage(images, i) {
    const first = this.layers.find((layer) => layer.forward);
    if (!first.read || first.x[0] !== this.input || first.z.length !== first.kernel.shape[1]) return this.forward(images.values, i * this.input.length);
    const { starts, rows, values } = (images.lit ??= litOf(images));
    first.read(rows, values, starts[i], starts[i + 1], first.z);
    return this.run(first, false);
  }

  /** Compute what comes from a layer on, or after its z. */
  run(first, isWhole = true) {
    for (let index = first.index; index < this.layers.length; index++) {
      const layer = this.layers[index];
      if (layer.forward && (isWhole || layer !== first)) layer.forward(layer.x, layer.z);
      if (layer.a !== layer.z) layer.activation.forward(layer.z, layer.a);
    }
    return this.output.a;
  }

  /** The probability of each class for the input of the last `forward`, as `predict_proba` in Python. */
  probabilities() {
    const { p, head, output } = this, { name } = head.activation;
    if (this.isOneUnit) {
      p[1] = name === "sigmoid" ? output.a[0] : 1 / (1 + Math.exp(-head.z[0]));
      p[0] = 1 - p[1];
    } else if (name === "softmax" || name === "sigmoid") p.set(output.a);
    else activationOf("softmax").forward(head.z, p);
    return p;
  }

  /** The class that the network names for the input of the last `forward`. */
  predicted() {
    return this.isOneUnit ? Number(this.probabilities()[1] > 0.5) : indexOfLargest(this.head.z);
  }

  /** Which share of `images` {values, shape} it gives the class of its label. */
  accuracy(images, labels) {
    let right = 0;
    for (let i = 0; i < images.shape[0]; i++) {
      this.forwardImage(images, i);
      if (this.predicted() === labels[i]) right++;
    }
    return right / images.shape[0];
  }

  /** Weight times value for each input of a unit of a dense layer in the last `forward`, and their sum with the bias: z. */
  contributions(name, unit) {
    const { kernel, bias, x: [x] } = this.layer(name), nOut = kernel.shape[1];
    const weights = Float32Array.from(x, (_, i) => kernel.values[i * nOut + unit]);
    const products = weights.map((weight, i) => weight * x[i]), first = bias ? bias.values[unit] : 0;
    return { weights, products, bias: first, sum: products.reduce((sum, product) => sum + product, first) };
  }

  /** What to climb for a class: its logit, or half of it where one unit tells two classes apart. */
  objectiveOf(classIndex) {
    if (!this.isOneUnit) return { layer: this.head.name, unit: classIndex };
    return { layer: this.head.name, unit: 0, factor: classIndex ? 0.5 : -0.5 };
  }

  /** `factor` times a unit's z for an input, and its gradient with respect to the input; in dense chains. */
  gradient(values, { layer: name, unit, factor = 1 }) {
    this.forward(values);
    const { d, z, index } = this.layer(name);
    d.fill(0);
    d[unit] = factor;
    this.back(index, -1);
    return { value: factor * z[unit], gradient: this.inputSlope };
  }

  /** From the gradient at the z of layer `from`, in its `d`, find that at the z of layer `to`; -1 is the input. */
  back(from, to) {
    for (let index = from; index > to; index--) {
      const { d, below, backward } = this.layers[index], next = this.layers[index - 1];
      if (backward) backward(d, below);
      if (next && next.a !== next.z) next.activation.backward(next.d, next.z, next.a);
    }
  }
}
