// Reproducible random numbers, networks changed by hand, and fresh networks of the same shape.
//
// A recipe is a list of edits in order, which `probe edit` makes in the same way:
//   {op: "silence", layer, unit}   nothing reads a hidden unit any more
//   {op: "clone", layer, unit}     a copy becomes the last unit of a hidden layer, and both give half
//   {op: "flip", layer, unit}      incoming weights and bias change sign
//   {op: "prune", share}           the floor(share * n + 0.5) smallest of n weights become 0, of equal ones the first
//   {op: "noise", scale, seed}     each weight moves by scale * standard deviation of its kernel * a normal deviate
// Prune and noise are about all kernels, or that of a `layer`; their weights count layer by layer, row by row.
import { Network } from "./model.js";

/** Mulberry32: the k-th number is a function of seed + k * 0x6D2B79F5. Any integer is a seed, modulo 2**32. */
export class Random {
  constructor(seed = 0) {
    this.state = seed;
  }

  bits() {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let t = this.state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  }

  /** A number in [0, 1). */
  uniform() {
    return this.bits() / 2 ** 32;
  }

  /** Normal deviates, two by two, as Box and Muller make them of two uniform numbers, the first of them in (0, 1]. */
  normals(n) {
    const values = new Float64Array(n);
    for (let i = 0; i < n; i += 2) {
      const radius = Math.sqrt(-2 * Math.log((this.bits() + 1) / 2 ** 32)), angle = 2 * Math.PI * this.uniform();
      values[i] = radius * Math.cos(angle);
      if (i + 1 < n) values[i + 1] = radius * Math.sin(angle);
    }
    return values;
  }

  /** The numbers below n in random order. */
  permutation(n) {
    const order = Int32Array.from({ length: n }, (_, k) => k);
    for (let k = n - 1; k > 0; k--) {
      const other = Math.floor(this.uniform() * (k + 1));
      [order[k], order[other]] = [order[other], order[k]];
    }
    return order;
  }
}

const FRONT_KINDS = ["flatten", "reshape", "permute", "rescaling", "normalization"];
const PASSING_KINDS = ["activation_layer", "dropout", "noise"];

/**
 * The dense layers of a chain of such, in order, each as {layer, after}: `after` are those before the next. null for any
 * other network, and for hidden units that are no functions of one pre-activation.
 */
export function denseChain({ layers }) {
  const chain = [];
  for (const [index, layer] of layers.entries()) {
    const isPassing = PASSING_KINDS.includes(layer.kind), isFront = chain.length === 0 && FRONT_KINDS.includes(layer.kind);
    if (layer.inputs.length > 1 || layer.inputs[0] !== (index ? layers[index - 1].name : 0)) return null;
    if (layer.kind === "dense" && layer.shape.length === 1) chain.push({ layer, after: [] });
    else if (!isPassing && !isFront) return null;
    else chain.at(-1)?.after.push(layer);
  }
  const isMixing = ({ activation }) => /softmax/.test(activation?.name ?? activation);
  const isMixed = chain.slice(0, -1).some(({ layer, after }) => [layer, ...after].some(isMixing));
  return chain.length && !isMixed ? chain : null;
}

/** A network of its own, with the same arrays or those that `change` makes of its dense chain. */
export function copied(network, change = () => {}) {
  const description = structuredClone(network.description), chain = denseChain(description);
  if (!chain) throw new RangeError("only networks whose layers are dense, one after the other, can be changed");
  change(chain);
  return new Network(description);
}

/** The network after the edits of a recipe; `network` stays as it is. */
export function edited(network, recipe) {
  return copied(network, (chain) => {
    for (const edit of recipe) {
      const index = chain.findIndex(({ layer }) => layer.name === edit.layer);
      if (!(edit.op in EDITS) || (edit.layer !== undefined && index < 0)) throw new RangeError(`no such edit: ${JSON.stringify(edit)}`);
      EDITS[edit.op](edit, chain.slice(Math.max(index, 0)), (index < 0 ? chain : [chain[index]]).map(({ layer }) => layer.kernel.values));
    }
  });
}

/** Each takes the edit, the chain from the layer on that it names, and the kernels that it is about. */
const EDITS = {
  silence({ unit }, [own, next]) {
    outgoing(own, unit, next).fill(0);
  },
  clone({ unit }, [own, next]) {
    const row = outgoing(own, unit, next), { layer } = own, [nIn, nUnits] = layer.kernel.shape, old = layer.kernel.values;
    row.forEach((weight, j) => (row[j] = weight / 2));
    next.layer.kernel = { values: longer(next.layer.kernel.values, row), shape: [nUnits + 1, row.length] };
    const values = Float32Array.from({ length: nIn * (nUnits + 1) }, (_, k) => {
      const j = k % (nUnits + 1);
      return old[Math.floor(k / (nUnits + 1)) * nUnits + (j < nUnits ? j : unit)];
    });
    layer.kernel = { values, shape: [nIn, nUnits + 1] };
    if (layer.bias) layer.bias = { values: longer(layer.bias.values, [layer.bias.values[unit]]), shape: [nUnits + 1] };
    for (const each of [layer, ...own.after]) each.shape = [nUnits + 1];
  },
  flip({ unit }, [own]) {
    const { values, shape: [, nUnits] } = checked(own, unit).kernel, { bias } = own.layer;
    for (let at = unit; at < values.length; at += nUnits) values[at] *= -1;
    if (bias) bias.values[unit] *= -1;
  },
  prune({ share }, chain, kernels) {
    const sizes = Float32Array.from(kernels.flatMap((values) => Array.from(values, Math.abs))).sort();
    const n = Math.floor(share * sizes.length + 0.5), limit = n ? sizes[n - 1] : -1;
    let nEqual = n - sizes.indexOf(limit);
    for (const values of kernels) values.forEach((value, i) => {
      if (Math.abs(value) < limit || (Math.abs(value) === limit && nEqual-- > 0)) values[i] = 0;
    });
  },
  noise({ scale, seed }, chain, kernels) {
    const normals = new Random(seed).normals(kernels.reduce((n, values) => n + values.length, 0));
    let k = 0;
    for (const values of kernels) {
      const { deviation } = momentsOf(values);
      values.forEach((value, i) => (values[i] = value + scale * deviation * normals[k++]));
    }
  },
};

const longer = (values, more) => Float32Array.from([...values, ...more]);

/** The layer, if it has such a unit. */
function checked({ layer }, unit) {
  const n = layer.kernel.shape[1];
  if (!(Number.isInteger(unit) && unit >= 0 && unit < n)) throw new RangeError(`unit of '${layer.name}' must be from 0 to ${n - 1}, got ${unit}`);
  return layer;
}

/** The weights that the next layer gives a unit, in place. */
function outgoing(own, unit, next) {
  checked(own, unit);
  if (!next) throw new RangeError(`'${own.layer.name}' is the last layer: nothing reads its units`);
  const { values, shape } = next.layer.kernel;
  return values.subarray(unit * shape[1], (unit + 1) * shape[1]);
}

/** Mean and standard deviation. */
export function momentsOf(values) {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return { mean, deviation: Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length) };
}

const HE_ACTIVATIONS = ["elu", "gelu", "leaky_relu", "relu", "softplus"];

/** An untrained network of the same shape, drawn as `probe.MLP` says; with hidden layers of another `activation` if one is given. */
export function freshNetwork(network, { initialization = "auto", activation, random }) {
  return copied(network, (chain) => {
    if (activation) for (const { layer, after } of chain.slice(0, -1)) {
      layer.activation = activation;
      for (const each of after) if (each.activation) each.activation = "linear";
    }
    const hidden = [chain[0].layer, ...chain[0].after].map((layer) => layer.activation?.name ?? layer.activation);
    const kind = initialization !== "auto" ? initialization : hidden.some((name) => HE_ACTIVATIONS.includes(name)) ? "he" : "glorot";
    for (const { layer: { kernel: { values, shape: [nIn, nOut] }, bias } } of chain) {
      const deviation = { normal: 1, "scaled-normal": Math.sqrt(1 / nIn), he: Math.sqrt(2 / nIn) }[kind], limit = Math.sqrt(6 / (nIn + nOut));
      const normals = kind === "glorot" ? null : random.normals(values.length);
      for (let i = 0; i < values.length; i++) values[i] = normals ? deviation * normals[i] : limit * (2 * random.uniform() - 1);
      bias?.values.set(kind === "normal" ? random.normals(nOut) : new Float32Array(nOut));
    }
  });
}
