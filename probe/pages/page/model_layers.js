// What each kind of layer computes: `forward([x, ...], z)` writes z from what the layer reads, and `backward(d, below)`, of
// the kinds that dense chains have, writes the gradient at x from that at z. A layer without `forward` passes x on.

const logistic = (z) => 1 / (1 + Math.exp(-z));

/** The value and the slope of each formula, of z and the value a. */
const ACTIVATIONS = {
  linear: () => [(z) => z, () => 1],
  sigmoid: () => [logistic, (z, a) => a * (1 - a)],
  tanh: () => [Math.tanh, (z, a) => 1 - a * a],
  step: () => [(z) => Number(z > 0), () => 0],
  relu: ({ negative_slope: slope = 0, max_value: most = Infinity, threshold = 0 }) => [
    (z) => (z > threshold ? Math.min(z, most) : slope * (z - threshold)),
    (z) => (z > threshold ? Number(z < most) : slope),
  ],
  elu: ({ alpha = 1, scale = 1 }) => [
    (z) => scale * (z > 0 ? z : alpha * Math.expm1(z)),
    (z) => scale * (z > 0 ? 1 : alpha * Math.exp(z)),
  ],
  softplus: () => [(z) => Math.max(z, 0) + Math.log1p(Math.exp(-Math.abs(z))), logistic],
  silu: () => [(z) => z * logistic(z), (z, a) => logistic(z) + a * (1 - logistic(z))],
};

/** An activation by its name, or {name, formula, ...settings}: `forward(z, a)`, and `backward(d, z, a)` in place. */
export function activationOf(activation = "linear") {
  const { name, formula = name, width, ...settings } = typeof activation === "string" ? { name: activation } : activation;
  if (name === "softmax") return { name, forward: (z, a) => softmax(z, a, width ?? z.length) };
  if (name === "log_softmax") return { name, forward: (z, a) => (softmax(z, a, width ?? z.length), a.forEach((p, i) => (a[i] = Math.log(p)))) };
  const [value, slope] = ACTIVATIONS[formula](settings);
  return {
    name,
    forward(z, a) {
      for (let i = 0; i < z.length; i++) a[i] = value(z[i]);
    },
    backward(d, z, a) {
      for (let i = 0; i < d.length; i++) d[i] *= slope(z[i], a[i]);
    },
  };
}

/** Softmax of each `width` values in a row. */
function softmax(z, a, width) {
  for (let at = 0; at < z.length; at += width) {
    let largest = -Infinity, sum = 0;
    for (let i = at; i < at + width; i++) largest = Math.max(largest, z[i]);
    for (let i = at; i < at + width; i++) sum += a[i] = Math.exp(z[i] - largest);
    for (let i = at; i < at + width; i++) a[i] /= sum;
  }
}

/** x @ kernel + bias, for each `nIn` values of x in a row. `lit` is what was not 0 in the last of them. */
function dense({ kernel, bias }) {
  const [nIn, nOut] = kernel.shape, weights = kernel.values, sums = new Float64Array(nOut);
  const rows = new Int32Array(nIn), values = new Float32Array(nIn), lit = { rows, values, begin: 0, end: 0 };
  return {
    lit,
    forward([x], z) {
      for (let from = 0, to = 0; to < z.length; from += nIn, to += nOut) {
        let n = 0;
        for (let i = 0; i < nIn; i++) {
          const value = x[from + i];
          if (value === 0) continue;
          rows[n] = i;
          values[n++] = value;
        }
        this.read(rows, values, 0, n, z, to);
      }
    },
    /** The sum of the rows rows[k] of the kernel times values[k], for k from `begin` to `end`, and of the bias. */
    read(rows, values, begin, end, z, to = 0) {
      Object.assign(lit, { rows, values, begin, end });
      if (bias) sums.set(bias.values);
      else sums.fill(0);
      addRows(sums, weights, lit);
      for (let j = 0; j < nOut; j++) z[to + j] = sums[j];
    },
    backward(d, below) {
      for (let i = 0; i < nIn; i++) {
        let sum = 0;
        for (let j = 0; j < nOut; j++) sum += weights[i * nOut + j] * d[j];
        below[i] = sum;
      }
    },
  };
}

/** Add rows of a matrix, each times a value. Eight columns at a time, whose sums stay in registers: twice as fast as by row. */
function addRows(sums, matrix, { rows, values, begin, end }) {
  const width = sums.length;
  let j = 0;
  for (; j + 7 < width; j += 8) {
    let a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0;
    for (let k = begin; k < end; k++) {
      const at = rows[k] * width + j, value = values[k];
      a += value * matrix[at], b += value * matrix[at + 1], c += value * matrix[at + 2], d += value * matrix[at + 3];
      e += value * matrix[at + 4], f += value * matrix[at + 5], g += value * matrix[at + 6], h += value * matrix[at + 7];
    }
    sums[j] += a, sums[j + 1] += b, sums[j + 2] += c, sums[j + 3] += d;
    sums[j + 4] += e, sums[j + 5] += f, sums[j + 6] += g, sums[j + 7] += h;
  }
  for (; j < width; j++) for (let k = begin; k < end; k++) sums[j] += values[k] * matrix[rows[k] * width + j];
}

/** Add `row` times a value to rows of a matrix, likewise. */
export function addToRows(matrix, row, { rows, values, begin, end }) {
  const width = row.length;
  let j = 0;
  for (; j + 7 < width; j += 8) {
    const a = row[j], b = row[j + 1], c = row[j + 2], d = row[j + 3], e = row[j + 4], f = row[j + 5], g = row[j + 6], h = row[j + 7];
    for (let k = begin; k < end; k++) {
      const at = rows[k] * width + j, value = values[k];
      matrix[at] += value * a, matrix[at + 1] += value * b, matrix[at + 2] += value * c, matrix[at + 3] += value * d;
      matrix[at + 4] += value * e, matrix[at + 5] += value * f, matrix[at + 6] += value * g, matrix[at + 7] += value * h;
    }
  }
  for (; j < width; j++) for (let k = begin; k < end; k++) matrix[rows[k] * width + j] += values[k] * row[j];
}

/** For each window and each of its pixels inside the image: pixel of the image, window, index in the window; in one array. */
function tapsOf({ size, strides, dilation, margins, grid }, [height, width]) {
  const taps = [];
  for (let row = 0; row < grid[0]; row++) for (let column = 0; column < grid[1]; column++) {
    for (let i = 0; i < size[0]; i++) for (let j = 0; j < size[1]; j++) {
      const y = row * strides[0] + i * dilation[0] - margins[0], x = column * strides[1] + j * dilation[1] - margins[1];
      if (y >= 0 && y < height && x >= 0 && x < width) taps.push(y * width + x, row * grid[1] + column, i * size[1] + j);
    }
  }
  return Int32Array.from(taps);
}

function convolution({ kernel, bias, groups, windows }, [shape]) {
  const [, , nIn, nOut] = kernel.shape, weights = kernel.values, taps = tapsOf(windows, shape), made = nOut / groups;
  const most = windows.size[0] * windows.size[1] * nIn, sums = new Float64Array(nOut);
  const lit = { rows: new Int32Array(most), values: new Float32Array(most), begin: 0, end: 0 };
  const whole = ([x], z) => {
    for (let at = 0, t = 0; at < z.length; at += nOut) {
      let n = 0;
      for (; t < taps.length && taps[t + 1] * nOut === at; t += 3) for (let i = 0; i < nIn; i++) {
        const value = x[taps[t] * nIn + i];
        if (value === 0) continue;
        lit.rows[n] = taps[t + 2] * nIn + i;
        lit.values[n++] = value;
      }
      lit.end = n;
      if (bias) sums.set(bias.values);
      else sums.fill(0);
      addRows(sums, weights, lit);
      for (let j = 0; j < nOut; j++) z[at + j] = sums[j];
    }
  };
  const grouped = ([x], z) => {
    for (let i = 0; i < z.length; i++) z[i] = bias ? bias.values[i % nOut] : 0;
    for (let t = 0; t < taps.length; t += 3) for (let group = 0; group < groups; group++) {
      const from = (taps[t] * groups + group) * nIn, to = taps[t + 1] * nOut + group * made;
      for (let i = 0, at = taps[t + 2] * nIn * nOut + group * made; i < nIn; i++, at += nOut) {
        for (let j = 0; j < made; j++) z[to + j] += x[from + i] * weights[at + j];
      }
    }
  };
  return { forward: groups > 1 ? grouped : whole };
}

/** The largest or the mean value of each window; padding and cropping too, where windows are single pixels. */
const pooling = (isMax) => ({ windows }, [shape]) => {
  const taps = tapsOf(windows, shape), channels = shape[2], counts = new Float32Array(windows.grid[0] * windows.grid[1]);
  for (let t = 0; t < taps.length; t += 3) counts[taps[t + 1]]++;
  return {
    forward([x], z) {
      z.fill(isMax ? -Infinity : 0);
      for (let t = 0; t < taps.length; t += 3) for (let c = 0; c < channels; c++) {
        const value = x[taps[t] * channels + c], to = taps[t + 1] * channels + c;
        z[to] = isMax ? Math.max(z[to], value) : z[to] + value / counts[taps[t + 1]];
      }
    },
  };
};

/** Axes in another order. */
function permuted({ order }, [shape]) {
  const strides = shape.map((_, axis) => shape.slice(axis + 1).reduce((product, length) => product * length, 1));
  const from = order.reduce((indices, axis) => indices.flatMap((index) =>
    Array.from({ length: shape[axis] }, (_, k) => index + k * strides[axis])), [0]);
  return {
    forward: ([x], z) => from.forEach((index, i) => (z[i] = x[index])),
    backward: (d, below) => from.forEach((index, i) => (below[index] = d[i])),
  };
}

/** A scale and an offset for each index along an axis with `inner` values after it. */
function scaled({ scale: { values: scale }, offset: { values: offset }, inner }) {
  const at = (i) => Math.floor(i / inner) % scale.length;
  return {
    forward: ([x], z) => z.forEach((_, i) => (z[i] = x[i] * scale[at(i)] + offset[at(i)])),
    backward: (d, below) => d.forEach((slope, i) => (below[i] = slope * scale[at(i)])),
  };
}

const added = () => ({ forward: (x, z) => z.forEach((_, i) => (z[i] = x.reduce((sum, each) => sum + each[i], 0))) });

/** The inputs one after the other along an axis; `inner` are how many values of each it goes through at a time. */
const joined = ({ inner }) => ({
  forward(x, z) {
    for (let to = 0, turn = 0; to < z.length; turn++) x.forEach((each, k) => {
      z.set(each.subarray(turn * inner[k], (turn + 1) * inner[k]), to);
      to += inner[k];
    });
  },
});

const same = () => ({});

export const layerKinds = {
  dense, separable_conv2d: dense, conv2d: convolution, depthwise_conv2d: convolution,
  max_pooling2d: pooling(true), global_max_pooling2d: pooling(true), average_pooling2d: pooling(false),
  global_average_pooling2d: pooling(false), zero_padding2d: pooling(false), cropping2d: pooling(false),
  permute: permuted, flatten: same, reshape: same, activation_layer: same, dropout: same, noise: same,
  rescaling: scaled, normalization: scaled, batch_normalization: scaled, add: added, concatenate: joined,
};
