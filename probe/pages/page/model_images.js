// Images to show a network: noise, shuffled pixels, what it likes best, and drawings made like its data.

/** min(s * u, 1) of noise u in (0, 1], with the one s that gives the squared norm. */
function withNorm(noise, squaredNorm) {
  const falling = noise.slice().sort().reverse();
  let rest = falling.reduce((sum, value) => sum + value ** 2, 0);
  // If the k largest are 1, the others have the rest; k is the smallest for which they stay within 1.
  for (let k = 0; k < falling.length; k++) {
    const scale = Math.sqrt(Math.max(squaredNorm - k, 0) / rest);
    if (scale * falling[k] <= 1 + 1e-12) return noise.map((value) => Math.min(scale * value, 1));
    rest -= falling[k] ** 2;
  }
  return noise.fill(1);
}

/** The kinds of noise of `probe.noise_confidence`, for images like `like` {shape, mean, deviation} and one of them. */
const NOISES = {
  uniform: (random, like, image) => image.map(() => random.uniform()),
  gaussian(random, { mean, deviation }, image) {
    return random.normals(image.length).map((value) => Math.min(Math.max(mean + deviation * value, 0), 1));
  },
  shuffled: (random, { shape }, image) => withShuffledPixels(random, image, shape, 1),
  "norm-matched"(random, like, image) {
    const noise = Float64Array.from(image, () => 1 - random.uniform());
    return withNorm(noise, image.reduce((sum, value) => sum + value ** 2, 0));
  },
};

/**
 * Noise of a kind. `strength` 1 is the noise itself; below, it is blended into `image` (of "shuffled" that share of the
 * pixels moves); above, it is multiplied by it and leaves [0, 1].
 */
export function noiseImage(kind, strength, random, like, image) {
  if (kind === "shuffled" && strength < 1) return withShuffledPixels(random, image, like.shape, strength);
  const noise = NOISES[kind](random, like, image), share = Math.min(strength, 1);
  return Float32Array.from(image, (value, i) => (1 - share) * value + share * noise[i] * Math.max(strength, 1));
}

/** An image of which a share of the pixels, all their channels together, are in random order: all, or moved on around a cycle. */
export function withShuffledPixels(random, image, shape, share = 1) {
  const channels = shape[2] ?? 1, n = shape[0] * shape[1], shuffled = Float32Array.from(image);
  const order = random.permutation(n), moving = order.subarray(0, Math.round(share * n));
  const move = (from, to) => {
    for (let c = 0; c < channels; c++) shuffled[to * channels + c] = image[from * channels + c];
  };
  if (share === 1) order.forEach(move);
  else moving.forEach((from, k) => move(from, moving[(k || moving.length) - 1]));
  return shuffled;
}

/**
 * Gradient ascent in [0, 1] to what a network likes best, as `probe.maximize` climbs: the largest change of a pixel is the
 * step's length, which grows after a step up; a step down is not taken, and the next is shorter.
 */
export class Ascent {
  constructor(network, objective, start) {
    Object.assign(this, { network, objective, length: 0.1, image: Float32Array.from(start, (value) => Math.min(Math.max(value, 0), 1)) });
    const { value, gradient } = network.gradient(this.image, objective);
    this.value = value;
    this.slope = gradient.slice();
    this.trace = [value];
  }

  step(n = 1) {
    for (let done = 0; done < n; done++) {
      const largest = this.slope.reduce((most, slope) => Math.max(most, Math.abs(slope)), 0), stride = largest > 0 ? this.length / largest : 0;
      const candidate = this.image.map((value, i) => Math.min(Math.max(value + stride * this.slope[i], 0), 1));
      const { value, gradient } = this.network.gradient(candidate, this.objective);
      const isHigher = value >= this.value;
      this.length = Math.min(this.length * (isHigher ? 1.5 : 0.5), 1e4);
      if (isHigher) Object.assign(this, { value, image: candidate, slope: gradient.slice() });
      this.trace.push(this.value);
    }
    return this.value;
  }
}

/**
 * A drawing as the data's images were made: ink of 0 to 255 at width * height points, scaled so that it just fits a box,
 * averaged over pixels, and moved until its center of mass is where theirs is, as far as no ink is cut off.
 *
 * `shape` is that of an image, [rows, columns]; `frame` has the side of the box and the center in pixels from the top left,
 * which are those of MNIST without: a box of 20 and the center at 14.5 of 28.
 */
export function prepared(ink, width, height, [rows, columns], frame = {}) {
  const { box = (20 / 28) * Math.min(rows, columns), center = [(14.5 / 28) * rows, (14.5 / 28) * columns] } = frame;
  const image = new Float32Array(rows * columns);
  let left = width, right = 0, top = height, bottom = 0, mass = 0, massX = 0, massY = 0;
  for (let y = 0, k = 0; y < height; y++) for (let x = 0; x < width; x++, k++) {
    if (ink[k] === 0) continue;
    left = Math.min(left, x);
    right = Math.max(right, x + 1);
    top = Math.min(top, y);
    bottom = Math.max(bottom, y + 1);
    mass += ink[k];
    massX += ink[k] * (x + 0.5);
    massY += ink[k] * (y + 0.5);
  }
  if (mass === 0) return image;
  const scale = box / Math.max(right - left, bottom - top);
  // Where the first point of the drawing lies in the image.
  const origin = (wanted, found, first, end, length) => Math.max(Math.min(wanted - scale * found, length - scale * end), -scale * first);
  const offsetX = origin(center[1], massX / mass, left, right, columns), offsetY = origin(center[0], massY / mass, top, bottom, rows);
  // Each point is a square that gives every pixel the share that it covers.
  for (let y = top; y < bottom; y++) for (let x = left; x < right; x++) {
    const value = ink[y * width + x] / 255, fromX = offsetX + scale * x, fromY = offsetY + scale * y;
    if (value === 0) continue;
    for (let row = Math.max(0, Math.floor(fromY)); row < Math.min(rows, fromY + scale); row++) {
      const high = Math.min(row + 1, fromY + scale) - Math.max(row, fromY);
      for (let column = Math.max(0, Math.floor(fromX)); column < Math.min(columns, fromX + scale); column++) {
        image[row * columns + column] += value * high * (Math.min(column + 1, fromX + scale) - Math.max(column, fromX));
      }
    }
  }
  return image.map((value) => Math.min(value, 1));
}
