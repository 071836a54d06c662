// Where it starts: what all parts of the page share, made of the payload, and the parts put in their places.

import { decodePayload, Network } from "./model.js";
import { Ascent, noiseImage, prepared, withShuffledPixels } from "./model_images.js";
import { denseChain, freshNetwork, Random } from "./model_surgery.js";
import { directionsFrom, evaluated, moved, Trainer } from "./model_training.js";
import { living } from "./controls.js";
import { Cards } from "./controls_card.js";
import { playDrawing } from "./controls_drawing.js";
import { playLandscape } from "./controls_landscape.js";
import { playLearning } from "./controls_learning.js";
import { playMemorization } from "./controls_memorization.js";
import { playNoise } from "./controls_noise.js";
import { Subject } from "./controls_page.js";
import { playSurgery } from "./controls_surgery.js";
import { addressed, cut, download, h, percent, savePicture } from "./view.js";

const PLAYS = { learning: playLearning, units: playSurgery, drawing: playDrawing, noise: playNoise, memorization: playMemorization, landscape: playLandscape };
const KINDS = [["uniform", "uniform: every value equally likely"], ["gaussian", "Gaussian, as bright as the images"], ["shuffled", "shuffled pixels of test images"], ["norm-matched", "uniform, as strong as test images"]];

/** Images of the payload. */
class Images {
  constructor({ pixels, labels }) {
    Object.assign(this, { pixels, labels: labels.values, count: pixels.shape[0] });
    this.size = pixels.values.length / this.count;
  }

  image(index) {
    return this.pixels.values.subarray(index * this.size, (index + 1) * this.size);
  }

  /** The first n, as the model takes them: {values, shape}. */
  first(n) {
    const count = Math.min(n, this.count);
    return { values: this.pixels.values.subarray(0, count * this.size), shape: [count, ...this.pixels.shape.slice(1)] };
  }
}

/** What all parts of a page share: the network, images, and what Python found. */
class Page {
  constructor(data) {
    const { network, images, noun, cards = {}, concepts = [], recipe, plane = null, limit = null } = data;
    Object.assign(this, { data, noun, cards, concepts, plane, limit, noiseKinds: KINDS, recipe: { cost: "cross-entropy", ...recipe } });
    this.subject = new Subject(network);
    this.other = data.other && new Subject(data.other.network, data.other.order);
    this.test = new Images(images.test);
    this.isChain = Boolean(denseChain(this.subject.original));
    this.hasFavorites = this.isChain || Boolean(data.favorites);
    this.rng = new Random(1);
    this.study = data.memorization?.ratios ?? [];
    this.subject.listenToEdits(() => (this._confidences = this._named = null));
  }

  /** Take what is decoded later: training images and the film; and know what can be played then. */
  add({ train, film }) {
    const isDeep = this.isChain && this.subject.hidden.length > 0;
    this.train = train && new Images(train);
    this.film = film && { ...film, kernel: (k) => slice(film.kernel, k) };
    this.canTrain = isDeep && Boolean(train);
    this.nArm = Math.min(this.data.memorization?.n_samples ?? 1000, this.train?.count ?? 0);
    this.has = { learning: isDeep && (film || train), units: isDeep, drawing: this.isChain, noise: true, memorization: this.canTrain, landscape: this.plane || this.canTrain };
  }

  /** The class that a network names for each test image. */
  classesOf(network) {
    // A copy: what the network on the page looks at stays.
    const copy = new Network(network.description);
    return Array.from({ length: this.test.count }, (_, k) => {
      copy.forward(this.test.pixels.values, k * this.test.size);
      return copy.predicted();
    });
  }

  get named() {
    this._named ??= this.classesOf(this.subject.network);
    return this._named;
  }

  wrong() {
    return [...this.named.keys()].filter((k) => this.named[k] !== this.test.labels[k]);
  }

  firstRight() {
    return Math.max(0, this.named.findIndex((found, k) => found === this.test.labels[k]));
  }

  random() {
    return new Random(Math.floor(Math.random() * 2 ** 32));
  }

  look(image) {
    this.living.shown(Float32Array.from(image), "");
    this.living.root.scrollIntoView({ block: "nearest" });
  }

  open(layer, unit, subject = this.subject) {
    this.cardsView.open(layer, unit, subject);
  }

  pool(index) {
    return slice(this.data.pool, index);
  }

  unitName(layer, unit) {
    const name = layer === this.subject.outputName && this.subject.outputNames[unit];
    return name ? `output ${name}` : `${layer}, unit ${unit}`;
  }

  /** The drawing on the pad, made like the images of the data. */
  prepared(pad) {
    const [rows, columns, channels = 1] = this.subject.imageShape;
    if (channels > 1) return shrunk(pad, [rows, columns, channels]);
    return prepared(pad.values().map((value) => 255 * value), pad.side, pad.side, [rows, columns], this.data.images.test.frame);
  }

  noise(kind = "uniform", strength = 1, rng = this.rng) {
    const { mean, std } = this.data.pixels;
    const image = this.test.image(Math.floor(rng.uniform() * this.test.count));
    return noiseImage(kind, strength, rng, { shape: this.subject.imageShape, mean, deviation: std }, image);
  }

  /** Of 1,000 images of noise the one with the middle confidence. */
  typicalNoise() {
    const rng = new Random(7);
    const found = Array.from({ length: 1000 }, () => {
      const image = this.noise("uniform", 1, rng);
      return { image, ...this.verdict(image) };
    });
    return found.sort((a, b) => a.confidence - b.confidence)[500];
  }

  shuffled(image) {
    return withShuffledPixels(this.rng, image, this.subject.imageShape);
  }

  /** What the network says of an image: its class, its confidence, and the probability of class `of`. */
  verdict(image, of = 0) {
    const { scratch, outputNames } = this.subject;
    scratch.forward(image);
    const p = scratch.probabilities();
    const k = scratch.predicted();
    return { confidence: p[k], name: outputNames[k] ?? String(k), of: p[of] };
  }

  confidences() {
    this._confidences ??= Array.from({ length: this.test.count }, (_, k) => this.verdict(this.test.image(k)).confidence);
    return this._confidences;
  }

  /** The share of test images right, of all and of each class. */
  accuracies(network) {
    const named = this.classesOf(network);
    const [right, count] = [0, 0].map(() => new Float64Array(this.subject.outputNames.length));
    this.test.labels.forEach((label, k) => {
      count[label] += 1;
      right[label] += named[k] === label;
    });
    return { all: right.reduce((sum, n) => sum + n, 0) / this.test.count, classes: right.map((n, k) => n / count[k]) };
  }

  favorite(k) {
    const { favorites } = this.data;
    if (favorites && !this.subject.edits.length) return { image: slice(favorites.images, k) };
    const ascent = this.climb(k);
    ascent.step(200);
    return { image: ascent.image };
  }

  climb(k) {
    const { scratch } = this.subject;
    return new Ascent(scratch, scratch.objectiveOf(k), this.noise());
  }

  /** What no image can be beyond, where Python found such a bound. */
  bound(k) {
    return this.subject.edits.length ? null : this.data.favorites?.upper[k] ?? null;
  }

  judged(k) {
    const found = this.data.drawing;
    if (!found || this.subject.edits.length) return "";
    const others = found.judges.slice(0, 2).map((judge, j) => `${judge} in ${found.recognized[j][k]}`).join(", ");
    return `Python climbed ${found.n_images[k]} times for this class: ${found.plausible[k]} of the images could be real. Others see the class: ${others}.`;
  }

  /** A learning rate that suits units of this kind: as Python's, a tenth for all but sigmoids and steps. */
  rate(activation) {
    const own = this.recipe.learning_rate ?? 1;
    return activation === "relu" ? Math.min(own, 0.1) : own;
  }

  trainer({ initialization, activation, learningRate, batchSize }) {
    const random = this.random();
    const fresh = freshNetwork(this.subject.original, { initialization, activation, random });
    const trainer = new Trainer(fresh, this.train.pixels, this.train.labels, { cost: this.recipe.cost, learningRate, batchSize, random });
    const some = this.train.first(500);
    return {
      kernel: trainer.dense[0].kernel.values,
      update: (n) => trainer.step(n),
      get epochs() {
        return trainer.epoch + trainer.position / trainer.n;
      },
      measured: () => ({
        cost: evaluated(trainer.network, some, this.train.labels, this.recipe.cost).cost,
        accuracy: trainer.network.accuracy(this.test.pixels, this.test.labels),
      }),
    };
  }

  /** Two trainers from the same start on the same images: true labels, and labels in another order. */
  arms(seed) {
    const { settings = { learningRate: 0.3, batchSize: 50, optimizer: "nesterov", momentum: 0.9 } } = this.data.memorization ?? {};
    const random = new Random(seed);
    const fresh = freshNetwork(this.subject.original, { random });
    const images = this.train.first(this.nArm);
    const labels = this.train.labels.slice(0, this.nArm);
    const shuffled = random.permutation(this.nArm).map((k) => labels[k]);
    return [labels, shuffled].map((taught) => new Trainer(fresh, images, taught, { ...settings, random: new Random(seed + 1), until: 1 }));
  }

  testAccuracy(trainer) {
    return trainer.network.accuracy(this.test.pixels, this.test.labels);
  }

  /** Costs along the negative gradient and along a random direction. */
  walk(where) {
    const random = this.random();
    const from = where === "here" ? this.subject.network : freshNetwork(this.subject.original, { random });
    const images = this.train.first(200);
    const directions = directionsFrom(from, images, this.train.labels.slice(0, images.shape[0]), { cost: this.recipe.cost, random });
    const along = { steepest: directions.downhill, random: directions.random };
    return { cost: (name, length) => evaluated(moved(from, along[name], length), images, this.train.labels, this.recipe.cost).cost };
  }

  /** A class in a sentence: "a 3", or its name. */
  called(name) {
    return this.noun === "digit" ? `${name === "8" ? "an" : "a"} ${name}` : cut(name, 30);
  }

  /** Three sentences, with links that play. */
  story(acts) {
    const { subject, noun, test } = this;
    const names = subject.outputNames;
    const three = Math.max(0, names.indexOf("3"));
    const noise = this.typicalNoise();
    const link = (words, act) => h("button", { class: "link", onclick: act }, words);
    const right = this.data.accuracy ?? this.accuracies(subject.original).all;
    return [
      `It names ${percent(right)} of ${noun}s it never saw, but `, link("not this one", acts.wrong), ". ",
      `It is ${percent(noise.confidence, 0)} sure that `, link("this noise", acts.typicalNoise), ` is ${this.called(noise.name)}. `,
      ...(this.hasFavorites ? [link("This", () => acts.favorite(three)), ` is its idea of ${this.called(names[three])}.`] : [])];
  }
}

/** Row k of an array of the payload. */
function slice({ values, shape }, k) {
  const size = values.length / shape[0];
  return values.subarray(k * size, (k + 1) * size);
}

/** The pad made smaller, each pixel the mean of what it covers. */
function shrunk(pad, [rows, columns, channels]) {
  const values = pad.values(channels);
  const image = new Float32Array(rows * columns * channels);
  const counts = new Float32Array(rows * columns);
  for (let y = 0; y < pad.side; y++)
    for (let x = 0; x < pad.side; x++) {
      const to = Math.floor((y * rows) / pad.side) * columns + Math.floor((x * columns) / pad.side);
      counts[to] += 1;
      for (let c = 0; c < channels; c++) image[to * channels + c] += values[(y * pad.side + x) * channels + c];
    }
  return image.map((sum, at) => sum / counts[Math.floor(at / channels)]);
}

/** Bring what there is of a page in `root` to life. */
export async function start(payload, root) {
  // What the first screen does not need is decoded when that stands.
  const { results, film = null, images: { train = null, ...images } = {}, ...first } = payload;
  const data = await decodePayload({ ...first, images });
  const place = root.querySelector("#living");
  const rest = () => decodePayload({ results, film, train });
  if (!place) return null;
  if (data.why) {
    place.hidden = false;
    place.append(h("p", { class: "why" }, `The network is not alive on this page. ${data.why}`));
    offerResults(await rest(), root);
    return null;
  }
  const page = new Page(data);
  page.living = living(place, page);
  page.cardsView = new Cards(page, root);
  if (root === document) globalThis.probe = page;
  await new Promise((done) => setTimeout(done, 50));
  const later = await rest();
  page.add(later);
  offerResults(later, root);
  for (const element of root.querySelectorAll(".play")) begin(element, page);
  if (root === document) unfold();
  return page;
}

/** Plays that have not begun. */
const waiting = [];

/** Open what is folded around the part that the address names. */
function unfold() {
  const target = document.getElementById(addressed());
  if (!target) return;
  // What is above the target takes its place first.
  waiting.splice(0).forEach((begin) => begin());
  for (let fold = target?.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
  target?.scrollIntoView();
}

/** Start a play when it comes near: the first view does not wait for it. */
function begin(element, page) {
  const play = PLAYS[element.dataset.play];
  if (!play || !page.has[element.dataset.play]) return;
  element.hidden = false;
  element.closest(".chapter")?.classList.add("played");
  const now = () => {
    seen.disconnect();
    if (element.childElementCount) return;
    play(element, page);
    offerPictures(element);
  };
  const seen = new IntersectionObserver(([entry]) => entry.isIntersecting && now());
  seen.observe(element);
  waiting.push(now);
}

function offerPictures(element) {
  element.querySelectorAll("svg.chart:not(.standing), canvas.plane").forEach((picture, k) => {
    const box = h("div", { class: "picture-box" });
    picture.replaceWith(box);
    box.append(picture, h("button", { class: "save", onclick: () => savePicture(picture, `${element.dataset.play}-${k + 1}`) }, "save as PNG"));
  });
}

/** Links that save each picture and all results. */
function offerResults(data, root) {
  root.querySelectorAll("img[data-picture]").forEach((image) =>
    image.closest("figure").append(h("a", { class: "save", href: image.src, download: `${image.dataset.picture}.png` }, "save as PNG")));
  const results = root.querySelector("#results");
  if (results && data.results)
    results.append(" ", h("button", { class: "save", onclick: () => download(new Blob([data.results.values], { type: "application/json" }), "results.json") }, "all results as JSON"));
}

/** For a notebook: the living network alone. */
export function render({ model, el }) {
  const shadow = el.attachShadow({ mode: "open" });
  const root = h("div", { class: "page" }, h("div", { id: "living" }));
  shadow.append(h("style", {}, model.get("style")), root);
  start(model.get("payload"), root);
}

const embedded = document.getElementById("probe-data");
if (embedded) {
  addEventListener("hashchange", unfold);
  start(JSON.parse(embedded.textContent), document);
}
