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
    const names = description.layers.map((layer) => layer.name);
    const shapes = description.layers.map((layer) => layer.shape);
    this.layers = description.layers.map((layer, index) => {
      const sources = layer.inputs.map((source) => (source === 0 ? -1 : names.indexOf(source)));
      const read = sources.map((source) => (source < 0 ? description.input_shape : shapes[source]));
      const activation = activationOf(layer.activation);
      return { ...layer, index, sources, activation, ...layerKinds[layer.kind](layer, read) };
    });
    for (const layer of this.layers) {
      layer.x = layer.sources.map((source) => (source < 0 ? this.input : this.layers[source].a));
      layer.z = layer.forward ? new Float32Array(sizeOf(layer.shape)) : layer.x[0];
      layer.a = layer.activation.name === "linear" ? layer.z : new Float32Array(layer.z.length);
    }
    this.output = this.layer(description.output);
    this.head = this.layer(description.head);
    this._probabilities = new Float32Array(this.classNames.length);
  }

  layer(name) {
    const found = this.layers.find((layer) => layer.name === name);
    if (!found) throw new RangeError(`layer '${name}' does not exist: ${this.layers.map((layer) => layer.name)}`);
    return found;
  }

  /** The outputs for the input that begins at `values[at]`. */
  forward(values, at = 0) {
    const input = this.input;
    for (let i = 0; i < input.length; i++) input[i] = values[at + i];
    for (const layer of this.layers) {
      if (layer.forward) layer.forward(layer.x, layer.z);
      if (layer.a !== layer.z) layer.activation.forward(layer.z, layer.a);
    }
    return this.output.a;
  }

  /** The probability of each class for the input of the last `forward`, as Python's `predict_proba`. */
  probabilities() {
    const p = this._probabilities, { name } = this.head.activation;
    if (this.isOneUnit) {
      p[1] = name === "sigmoid" ? this.output.a[0] : 1 / (1 + Math.exp(-this.head.z[0]));
      p[0] = 1 - p[1];
    } else if (name === "softmax" || name === "sigmoid") p.set(this.output.a);
    else activationOf("softmax").forward(this.head.z, p);
    return p;
  }

  /** The class that the network names for the input of the last `forward`. */
  predicted() {
    return this.isOneUnit ? Number(this.probabilities()[1] > 0.5) : indexOfLargest(this.head.z);
  }

  /** The class of each of `images` {values, shape}. */
  predict(images) {
    const n = images.shape[0], classes = new Int32Array(n);
    for (let i = 0; i < n; i++) {
      this.forward(images.values, i * this.input.length);
      classes[i] = this.predicted();
    }
    return classes;
  }

  accuracy(images, labels) {
    const classes = this.predict(images);
    return classes.reduce((right, found, i) => right + (found === labels[i]), 0) / classes.length;
  }

  /**
   * What makes the pre-activation of one unit of an affine layer, for the input of the last `forward`: weight times
   * value for each value that the layer reads. `unit` counts the values of `z`: in feature maps, one pixel of one.
   */
  contributions(name, unit) {
    const layer = this.layer(name);
    const dz = new Float32Array(layer.z.length), weights = new Float32Array(layer.x[0].length);
    dz[unit] = 1;
    layer.backward(dz, [weights], layer.x, layer.z);
    const products = weights.map((weight, i) => weight * layer.x[0][i]);
    const bias = layer.bias ? layer.bias.values[unit % layer.bias.values.length] : 0;
    const sum = products.reduce((total, product) => total + product, bias);
    return { weights, products, bias, sum };
  }

  /** What to climb for a class: its logit, or half of it where one unit tells two classes apart. */
  objectiveOf(classIndex) {
    if (!this.isOneUnit) return { layer: this.head.name, unit: classIndex };
    return { layer: this.head.name, unit: 0, factor: classIndex ? 0.5 : -0.5 };
  }

  /** The objective at `values`, and its gradient: the pre-activation of a unit, or the mean over a feature map. */
  gradient(values, { layer: name, unit, factor = 1 }) {
    this.forward(values);
    const seeded = this.layer(name), { shape, z } = seeded;
    this._slopes ??= this.layers.map((layer) => new Float32Array(layer.z.length));
    this._inputSlope ??= new Float32Array(this.input.length);
    this._slopes.forEach((slopes) => slopes.fill(0));
    this._inputSlope.fill(0);
    const first = seeded.channels_first, channels = shape[first ? 0 : shape.length - 1];
    const pixels = z.length / channels;
    let value = 0;
    for (let pixel = 0; pixel < pixels; pixel++) {
      const at = first ? unit * pixels + pixel : pixel * channels + unit;
      value += (factor * z[at]) / pixels;
      this._slopes[seeded.index][at] = factor / pixels;
    }
    for (let index = seeded.index; index >= 0; index--) {
      const layer = this.layers[index], slopes = this._slopes[index];
      if (index !== seeded.index && layer.a !== layer.z) layer.activation.backward(slopes, layer.z, layer.a);
      const below = layer.sources.map((source) => (source < 0 ? this._inputSlope : this._slopes[source]));
      layer.backward(slopes, below, layer.x, layer.z);
    }
    return { value, gradient: this._inputSlope };
  }
}
