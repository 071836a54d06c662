// What each kind of layer computes: `forward(x, z)` writes z from the arrays x that the layer reads, and
// `backward(dz, dx, x, z)` adds the gradients to the arrays dx. Settings have the names that Python gives them.

const rectifier = ({ negative_slope: slope = 0, max_value: most = Infinity, threshold = 0 }) => [
  (z) => (z > threshold ? Math.min(z, most) : slope * (z - threshold)),
  (z) => (z > threshold ? Number(z < most) : slope),
];
const exponentialUnit = ({ alpha = 1, scale = 1 }) => [
  (z) => scale * (z > 0 ? z : alpha * Math.expm1(z)),
  (z) => scale * (z > 0 ? 1 : alpha * Math.exp(z)),
];
const clipped = (slope, offset, low, high) => () => [
  (z) => Math.min(Math.max(slope * z + offset, low), high),
  (z, a) => (a > low && a < high ? slope : 0),
];
const logistic = (z) => 1 / (1 + Math.exp(-z));
const softplus = (z) => Math.max(z, 0) + Math.log1p(Math.exp(-Math.abs(z)));

/** Each activation's value and slope; the slope of a step is 0. */
const ACTIVATIONS = {
  linear: () => [(z) => z, () => 1],
  sigmoid: () => [logistic, (z, a) => a * (1 - a)],
  tanh: () => [Math.tanh, (z, a) => 1 - a * a],
  step: () => [(z) => Number(z > 0), () => 0],
  relu: rectifier,
  leaky_relu: rectifier,
  relu6: clipped(1, 0, 0, 6),
  elu: exponentialUnit,
  celu: exponentialUnit,
  selu: () => exponentialUnit({ alpha: 1.6732632423543772, scale: 1.0507009873554805 }),
  softplus: () => [softplus, logistic],
  softsign: () => [(z) => z / (1 + Math.abs(z)), (z, a) => (1 - Math.abs(a)) ** 2],
  exponential: () => [Math.exp, (z, a) => a],
  silu: () => [(z) => z * logistic(z), (z, a) => logistic(z) + a * (1 - logistic(z))],
  gelu: () => [(z) => z * normalShare(z), (z) => normalShare(z) + z * Math.exp(-0.5 * z * z) * 0.3989422804014327],
  hard_sigmoid: clipped(1 / 6, 0.5, 0, 1),
  hard_sigmoid_v2: clipped(0.2, 0.5, 0, 1),
  hard_tanh: clipped(1, 0, -1, 1),
};

/** The share of a standard normal distribution below z; its error is at most 1.2e-7 of the smaller share. */
function normalShare(z) {
  const x = Math.abs(z) / Math.SQRT2, t = 1 / (1 + 0.5 * x);
  const terms = [0.17087277, -0.82215223, 1.48851587, -1.13520398, 0.27886807, -0.18628806, 0.09678418, 0.37409196, 1.00002368];
  const above = 0.5 * t * Math.exp(-x * x - 1.26551223 + t * terms.reduce((sum, term) => sum * t + term, 0));
  return z > 0 ? 1 - above : above;
}

/** An activation by its name, or {name, ...settings}: `forward(z, a)`, and `backward(d, z, a)` from dC/da to dC/dz. */
export function activationOf(activation = "linear") {
  const { name, width, ...settings } = typeof activation === "string" ? { name: activation } : activation;
  if (name === "softmax") return softmaxOver(width);
  const [value, slope] = ACTIVATIONS[name](settings);
  return {
    name, value, slope,
    forward(z, a) {
      for (let i = 0; i < z.length; i++) a[i] = value(z[i]);
    },
    backward(d, z, a) {
      for (let i = 0; i < d.length; i++) d[i] *= slope(z[i], a[i]);
    },
  };
}

/** Softmax of each `width` values in a row; of all without. */
function softmaxOver(width) {
  return {
    name: "softmax",
    forward(z, a) {
      const n = width ?? z.length;
      for (let at = 0; at < z.length; at += n) {
        let largest = -Infinity, sum = 0;
        for (let i = at; i < at + n; i++) largest = Math.max(largest, z[i]);
        for (let i = at; i < at + n; i++) sum += a[i] = Math.exp(z[i] - largest);
        for (let i = at; i < at + n; i++) a[i] /= sum;
      }
    },
    backward(d, z, a) {
      const n = width ?? z.length;
      for (let at = 0; at < d.length; at += n) {
        let mean = 0;
        for (let i = at; i < at + n; i++) mean += d[i] * a[i];
        for (let i = at; i < at + n; i++) d[i] = a[i] * (d[i] - mean);
      }
    },
  };
}

/**
 * Add to `sums` rows of a matrix of `width` columns, each times a value: for k from `begin` to `end` row rows[k] times
 * values[k]. Eight columns at a time, so that their sums stay in registers: twice as fast as row by row.
 */
export function addRows(sums, width, matrix, rows, values, begin, end) {
  let j = 0;
  for (; j + 7 < width; j += 8) {
    let a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0;
    for (let k = begin; k < end; k++) {
      const at = rows[k] * width + j, value = values[k];
      a += value * matrix[at];
      b += value * matrix[at + 1];
      c += value * matrix[at + 2];
      d += value * matrix[at + 3];
      e += value * matrix[at + 4];
      f += value * matrix[at + 5];
      g += value * matrix[at + 6];
      h += value * matrix[at + 7];
    }
    sums[j] += a; sums[j + 1] += b; sums[j + 2] += c; sums[j + 3] += d;
    sums[j + 4] += e; sums[j + 5] += f; sums[j + 6] += g; sums[j + 7] += h;
  }
  for (; j < width; j++) {
    let sum = 0;
    for (let k = begin; k < end; k++) sum += values[k] * matrix[rows[k] * width + j];
    sums[j] += sum;
  }
}

function dense({ kernel, bias }) {
  const [nIn, nOut] = kernel.shape, weights = kernel.values;
  const sums = new Float64Array(nOut), rows = new Int32Array(nIn), lit = new Float32Array(nIn);
  return {
    forward([x], z) {
      for (let from = 0, to = 0; to < z.length; from += nIn, to += nOut) {
        let n = 0;
        for (let i = 0; i < nIn; i++) {
          const value = x[from + i];
          if (value !== 0) {
            rows[n] = i;
            lit[n++] = value;
          }
        }
        if (bias) sums.set(bias.values);
        else sums.fill(0);
        addRows(sums, nOut, weights, rows, lit, 0, n);
        for (let j = 0; j < nOut; j++) z[to + j] = sums[j];
      }
    },
    backward(dz, [dx]) {
      for (let from = 0, to = 0; to < dz.length; from += nIn, to += nOut) {
        for (let i = 0; i < nIn; i++) {
          let sum = 0;
          for (let j = 0; j < nOut; j++) sum += weights[i * nOut + j] * dz[to + j];
          dx[from + i] += sum;
        }
      }
    },
  };
}

/** For each window and each of its pixels inside the image: [pixel read, window, index in the window], in one array. */
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

function convolution({ kernel, bias, groups = 1, windows }, [shape]) {
  const [, , nIn, nOut] = kernel.shape, weights = kernel.values, taps = tapsOf(windows, shape), made = nOut / groups;
  // Calls with the first value read, the first written, the first weight: one for each tap and group.
  const each = (call) => {
    for (let t = 0; t < taps.length; t += 3) for (let group = 0; group < groups; group++) {
      call((taps[t] * groups + group) * nIn, taps[t + 1] * nOut + group * made, taps[t + 2] * nIn * nOut + group * made);
    }
  };
  return {
    forward([x], z) {
      for (let i = 0; i < z.length; i++) z[i] = bias ? bias.values[i % nOut] : 0;
      each((from, to, at) => {
        for (let i = 0; i < nIn; i++) {
          const value = x[from + i], row = at + i * nOut;
          if (value !== 0) for (let j = 0; j < made; j++) z[to + j] += value * weights[row + j];
        }
      });
    },
    backward(dz, [dx]) {
      each((from, to, at) => {
        for (let i = 0; i < nIn; i++) {
          let sum = 0;
          for (let j = 0; j < made; j++) sum += dz[to + j] * weights[at + i * nOut + j];
          dx[from + i] += sum;
        }
      });
    },
  };
}

/** A convolution of each channel by itself is one of as many groups, whose kernel is stored with two axes exchanged. */
function depthwise({ kernel, ...layer }, shapes) {
  const [rows, columns, channels, multiplier] = kernel.shape;
  return convolution({ ...layer, kernel: { values: kernel.values, shape: [rows, columns, 1, channels * multiplier] }, groups: channels }, shapes);
}

function separable({ depthwise_kernel: each, pointwise_kernel: mix, bias, windows }, shapes) {
  const channels = mix.shape[2], [rows, columns] = windows.grid;
  const between = new Float32Array(rows * columns * channels), slopes = new Float32Array(between.length);
  const first = depthwise({ kernel: each, windows }, shapes);
  const second = dense({ kernel: { values: mix.values, shape: mix.shape.slice(2) }, bias });
  return {
    forward(x, z) {
      first.forward(x, between);
      second.forward([between], z);
    },
    backward(dz, dx) {
      slopes.fill(0);
      second.backward(dz, [slopes]);
      first.backward(slopes, dx);
    },
  };
}

/** Pooling; also padding and cropping, whose windows are single pixels. Of equal maxima the first counts. */
const pooling = (isMax) => ({ windows }, [shape]) => {
  const taps = tapsOf(windows, shape), channels = shape[2];
  const counts = new Float32Array(windows.grid[0] * windows.grid[1]);
  for (let t = 0; t < taps.length; t += 3) counts[taps[t + 1]]++;
  return {
    forward([x], z) {
      z.fill(isMax ? -Infinity : 0);
      for (let t = 0; t < taps.length; t += 3) for (let c = 0; c < channels; c++) {
        const value = x[taps[t] * channels + c], to = taps[t + 1] * channels + c;
        if (!isMax) z[to] += value / counts[taps[t + 1]];
        else if (value > z[to]) z[to] = value;
      }
    },
    backward(dz, [dx], [x], z) {
      const taken = new Uint8Array(isMax ? z.length : 0);
      for (let t = 0; t < taps.length; t += 3) for (let c = 0; c < channels; c++) {
        const from = taps[t] * channels + c, to = taps[t + 1] * channels + c;
        if (!isMax) dx[from] += dz[to] / counts[taps[t + 1]];
        else if (x[from] === z[to] && !taken[to]) dx[from] += dz[to] * (taken[to] = 1);
      }
    },
  };
};

/** The same values, in the same memory. */
const same = () => ({
  backward(dz, [dx]) {
    for (let i = 0; i < dz.length; i++) dx[i] += dz[i];
  },
});

/** The values at other indices: z[i] is x[from[i]]. */
function gathered(from) {
  return {
    forward([x], z) {
      for (let i = 0; i < z.length; i++) z[i] = x[from[i]];
    },
    backward(dz, [dx]) {
      for (let i = 0; i < dz.length; i++) dx[from[i]] += dz[i];
    },
  };
}

/** For axes in another order: the index in the input of each value of the output. */
function indicesOf(order, shape) {
  const strides = shape.map((_, axis) => shape.slice(axis + 1).reduce((product, length) => product * length, 1));
  return order.reduce((indices, axis) => indices.flatMap((index) =>
    Array.from({ length: shape[axis] }, (_, k) => index + k * strides[axis])), [0]);
}

/** A scale and an offset, one for each index along an axis with `inner` values after it. */
function scaled({ scale, offset, inner }) {
  const s = scale.values, t = offset.values, n = s.length;
  return {
    bias: undefined,
    forward([x], z) {
      for (let i = 0; i < z.length; i++) z[i] = x[i] * s[Math.floor(i / inner) % n] + t[Math.floor(i / inner) % n];
    },
    backward(dz, [dx]) {
      for (let i = 0; i < dz.length; i++) dx[i] += dz[i] * s[Math.floor(i / inner) % n];
    },
  };
}

/** Values at one index of all inputs, merged two by two; `slope(z, x, n)` is that of the merged value for one input. */
const merged = (merge, slope, divide = false) => () => ({
  forward(x, z) {
    for (let i = 0; i < z.length; i++) z[i] = x.reduce((sum, each, k) => (k ? merge(sum, each[i]) : each[i]), 0) / (divide ? x.length : 1);
  },
  backward(dz, dx, x, z) {
    dx.forEach((d, k) => {
      for (let i = 0; i < dz.length; i++) d[i] += dz[i] * slope(x, k, i, z);
    });
  },
});
const firstAt = (x, k, i, z) => Number(x.findIndex((each) => each[i] === z[i]) === k);

/** The inputs one after the other along an axis with `inner[k]` values in it and after it. */
const concatenated = ({ inner }) => {
  const row = inner.reduce((sum, length) => sum + length, 0);
  const each = (call, n) => inner.reduce((start, length, k) => {
    for (let i = 0; i < (n / row) * length; i++) call(k, i, Math.floor(i / length) * row + start + (i % length));
    return start + length;
  }, 0);
  return {
    forward: (x, z) => each((k, from, to) => (z[to] = x[k][from]), z.length),
    backward: (dz, dx) => each((k, from, to) => (dx[k][from] += dz[to]), dz.length),
  };
};

/** An operation on images whose channels come first, by one that wants them last. */
const anyFormat = (make) => (layer, shapes) => {
  if (!layer.channels_first) return make(layer, shapes);
  const [[channels, height, width]] = shapes, images = layer.shape.length === 3;
  const there = gathered(indicesOf([1, 2, 0], shapes[0]));
  const back = gathered(images ? indicesOf([2, 0, 1], [...layer.shape.slice(1), layer.shape[0]]) : indicesOf([0], layer.shape));
  const inner = make(layer, [[height, width, channels]]);
  const x = new Float32Array(channels * height * width), dx = new Float32Array(x.length);
  const z = new Float32Array(layer.shape.reduce((product, length) => product * length, 1)), dz = new Float32Array(z.length);
  return {
    forward(outer, result) {
      there.forward(outer, x);
      inner.forward([x], z);
      back.forward([z], result);
    },
    backward(slopes, outer) {
      dz.fill(0);
      dx.fill(0);
      back.backward(slopes, [dz]);
      inner.backward(dz, [dx], [x], z);
      there.backward(dx, outer);
    },
  };
};

const permuted = ({ order }, [shape]) => (order ? gathered(indicesOf(order, shape)) : same());
const averagePooling = anyFormat(pooling(false)), maxPooling = anyFormat(pooling(true));

export const layerKinds = {
  dense,
  conv2d: anyFormat(convolution),
  depthwise_conv2d: anyFormat(depthwise),
  separable_conv2d: anyFormat(separable),
  max_pooling2d: maxPooling,
  global_max_pooling2d: maxPooling,
  average_pooling2d: averagePooling,
  global_average_pooling2d: averagePooling,
  zero_padding2d: averagePooling,
  cropping2d: averagePooling,
  flatten: permuted,
  permute: permuted,
  reshape: same,
  activation_layer: same,
  dropout: same,
  noise: same,
  rescaling: scaled,
  normalization: scaled,
  batch_normalization: scaled,
  add: merged((a, b) => a + b, () => 1),
  average: merged((a, b) => a + b, (x) => 1 / x.length, true),
  subtract: merged((a, b) => a - b, (x, k) => (k ? -1 : 1)),
  multiply: merged((a, b) => a * b, (x, k, i) => x.reduce((product, each, other) => (other === k ? product : product * each[i]), 1)),
  maximum: merged(Math.max, firstAt),
  minimum: merged(Math.min, firstAt),
  concatenate: concatenated,
};
