// What the parts of the page share: the network that is shown, edited or not, and what it looks at.

import { Network } from "./model.js";
import { edited } from "./model_surgery.js";

const ELEMENTWISE = new Set(["activation_layer", "batch_normalization", "dropout", "noise", "normalization", "rescaling"]);
const RESHAPING = new Set(["flatten", "reshape", "permute", ...ELEMENTWISE]);
const WITH_UNITS = new Set(["dense", "conv2d", "depthwise_conv2d", "separable_conv2d"]);

/** The network on the page: whoever listens hears of every input and of every edit. */
export class Subject {
  constructor(description, order = {}) {
    this.order = order;
    this.original = new Network(description);
    this.size = this.original.input.length;
    this.imageShape = description.input_shape.length === 1 ? squared(this.size) : description.input_shape;
    this.nWeights = this.original.layers.reduce((sum, { kernel, bias }) => sum + (kernel?.values.length ?? 0) + (bias?.values.length ?? 0), 0);
    this.outputNames = this.original.classNames;
    this.listeners = [];
    this.editListeners = [];
    this.use([], this.original);
  }

  use(edits, network) {
    this.edits = edits;
    this.network = network;
    this.scratch = new Network(network.description);
    this.shown = network.layers.filter((layer) => WITH_UNITS.has(layer.kind)).map((layer) => this.described(layer));
    this.hidden = this.shown.filter((layer) => layer.name !== network.head.name);
    const { name } = network.output.activation;
    this.areShares = this.outputNames.length > 0 || name === "softmax";
    this.outputName = network.head.name;
  }

  /** A layer with units, and where their values are read: behind what follows it and changes each value alone. */
  described(layer) {
    let read = layer;
    const { layers } = this.network ?? this.original;
    for (;;) {
      const [next, other] = layers.filter((one) => one.inputs.includes(read.name));
      if (!next || other || !ELEMENTWISE.has(next.kind)) break;
      read = next;
    }
    const limit = layer.activation.name === "sigmoid" || read.activation.name === "sigmoid" ? 1 : null;
    return { name: layer.name, kind: layer.kind, shape: layer.shape, units: layer.shape.at(-1),
      kernel: layer.kind === "dense" ? layer.kernel : null, layer, read, limit, order: this.order[read.name] ?? null };
  }

  get x() {
    return this.network.input;
  }

  activation(name) {
    return this.shown.find((one) => one.name === name).read.a;
  }

  inputOf(name) {
    return this.network.layer(name).x[0];
  }

  /** The layer whose units a dense layer reads: "input", a name, or null where it reads several. */
  below(name) {
    let layer = this.network.layer(name);
    for (;;) {
      const [source, other] = layer.inputs;
      if (other !== undefined) return null;
      if (source === 0) return "input";
      layer = this.network.layer(source);
      if (WITH_UNITS.has(layer.kind)) return layer.name;
      if (!RESHAPING.has(layer.kind) && !layer.kind.includes("pool")) return null;
    }
  }

  /** Whether what a dense layer reads of maps comes channel by channel, and not pixel by pixel. */
  readsByChannel(name) {
    let layer = this.network.layer(name);
    while (layer.inputs.length === 1 && layer.inputs[0] !== 0) {
      layer = this.network.layer(layer.inputs[0]);
      if (layer.kind === "permute") return layer.order[0] === 2;
      if (WITH_UNITS.has(layer.kind)) break;
    }
    return false;
  }

  probabilities() {
    return this.network.probabilities();
  }

  predicted() {
    return this.network.predicted();
  }

  look(image) {
    this.network.forward(image);
    this.listeners.forEach((hear) => hear());
  }

  /** Apply a list of edits to the network as it came. */
  edit(edits) {
    const image = Float32Array.from(this.x);
    this.use(edits, edits.length ? edited(this.original, edits) : this.original);
    this.editListeners.forEach((hear) => hear());
    this.look(image);
  }

  listen(hear) {
    this.listeners.push(hear);
  }

  listenToEdits(hear) {
    this.editListeners.push(hear);
  }
}

function squared(size) {
  const side = Math.sqrt(size);
  return Number.isInteger(side) ? [side, side] : [1, size];
}
