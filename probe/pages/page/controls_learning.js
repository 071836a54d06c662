// Learning: the film of the real training, and a training of one's own.

import { Chart, h, number, paint, percent } from "./view.js";

const FRAME = 14;
const MOST_TILES = 32;

/** Call `work()` for a part of each frame, `most` times at most, until it returns false, and `after(isOn)` each time.
 *
 * What it returns stops it: nothing is called any more then.
 */
export function runFrames(work, after, most = Infinity) {
  let [isOn, isStopped] = [true, false];
  const frame = () => {
    const end = performance.now() + FRAME;
    for (let k = 0; isOn && !isStopped && k < most && performance.now() < end; k++) isOn = work() !== false;
    if (isStopped) return;
    after(isOn);
    if (isOn) requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
  return () => (isStopped = true);
}

/** Whether the reader wants little motion: then results come at once. */
export function isCalm() {
  return matchMedia("(prefers-reduced-motion: reduce)").matches;
}

/** Weight images of the first units of a dense layer, as tiles that are painted again. */
export class WeightTiles {
  constructor(shape, count, label, chosen = null) {
    this.shape = shape;
    this.tiles = Array.from({ length: Math.min(count, MOST_TILES) }, (_, k) => h("canvas", { class: "tile", role: "img", "aria-label": `${label}, unit ${k}` }));
    const buttons = () => this.tiles.map((tile, k) => h("button", { onclick: () => chosen(k), "aria-label": `unit ${k}` }, tile));
    this.element = h("div", { class: "tiles" }, chosen ? buttons() : this.tiles);
  }

  /** Paint a kernel of shape (n_in, n_units), row-major: one limit for all. */
  paint(kernel, nUnits) {
    const size = kernel.length / nUnits;
    let limit = 1e-9;
    for (const value of kernel) limit = Math.max(limit, Math.abs(value));
    const image = new Float32Array(size);
    this.tiles.forEach((tile, unit) => {
      for (let k = 0; k < size; k++) image[k] = kernel[k * nUnits + unit];
      paint(tile, image, this.shape, { mode: "signed", limit });
    });
  }
}

/** Build the play "learning" in `root`. */
export function playLearning(root, page) {
  root.replaceChildren(...(page.film ? filmOf(page) : []), ...(page.canTrain ? trainAgain(page) : []));
}

function filmOf({ subject, film }) {
  const [first] = subject.hidden;
  const tiles = new WeightTiles(subject.imageShape, first.units, "weights");
  const words = h("p", { class: "says" });
  const slider = h("input", { type: "range", min: 0, max: film.updates.length - 1, value: film.updates.length - 1, "aria-label": "moment of the training", oninput: () => show() });
  let timer = null;
  const button = h("button", { onclick: () => (timer ? stop() : start()) }, "play");

  function show() {
    const k = Number(slider.value);
    tiles.paint(film.kernel(k), first.units);
    words.textContent = `After ${film.updates[k].toLocaleString("en")} updates: ${percent(film.accuracy[k])} of all test images right; cost ${number(film.cost[k])} on 1,000 training images.`;
    slider.setAttribute("aria-valuetext", words.textContent);
  }

  function start() {
    if (Number(slider.value) === film.updates.length - 1) slider.value = 0;
    button.textContent = "pause";
    timer = setInterval(() => {
      slider.value = Number(slider.value) + 1;
      show();
      if (Number(slider.value) === film.updates.length - 1) stop();
    }, 350);
    show();
  }

  function stop() {
    clearInterval(timer);
    timer = null;
    button.textContent = "play";
  }

  show();
  return [
    h("h3", {}, "The training of this network"),
    h("p", {}, `Its first layer, one picture for each unit, at ${film.updates.length} moments. Red pixels excite a unit, blue ones silence it.`),
    h("div", { class: "buttons" }, button, slider), words, tiles.element];
}

function trainAgain(page) {
  const { subject, noun } = page;
  const [first] = subject.hidden;
  const choice = (label, options, value, changed = reset) => h("label", {}, `${label} `, h("select", { "aria-label": label, onchange: changed }, options.map(([key, name]) => h("option", { value: key, selected: key === value }, name))));
  const start = choice("start", [["glorot", "small random (Glorot)"], ["he", "small random (He)"], ["normal", "N(0, 1), as in the video"]], page.recipe.initialization);
  const activation = choice("units", [["sigmoid", "sigmoid"], ["relu", "ReLU"], ["step", "step: 0 or 1"]], "sigmoid", () => {
    rate.lastChild.value = page.rate(activation.lastChild.value);
    reset();
  });
  const rate = choice("learning rate", [0.01, 0.03, 0.1, 0.3, 1, 3, 10].map((value) => [value, String(value)]), page.rate("sigmoid"));
  const batch = choice("batch size", [1, 10, 32, 100].map((value) => [value, String(value)]), 10);
  const cost = new Chart({ x: [0, 10], y: [0, 1], label: "Cost on the training images", xLabel: "epochs", yLabel: "cost", grows: true, height: 150 });
  const right = new Chart({ x: [0, 10], y: [0, 1], label: "Share of the test images right", xLabel: "epochs", yLabel: "accuracy", grows: true, asY: (value) => percent(value, 0), height: 150 });
  const tiles = new WeightTiles(subject.imageShape, first.units, "weights of the new network");
  const words = h("p", { class: "says", role: "status", "aria-live": "off" });
  const go = h("button", { onclick: () => (stop ? pause() : run()) }, "train");
  let [trainer, stop, costs, accuracies] = [null, null, [], []];

  function reset() {
    pause();
    const of = (label) => label.lastChild.value;
    trainer = page.trainer({ initialization: of(start), activation: of(activation), learningRate: Number(of(rate)), batchSize: Number(of(batch)) });
    [costs, accuracies] = [[], []];
    record();
    follow();
  }

  function record() {
    const { cost, accuracy } = trainer.measured();
    costs.push([trainer.epochs, cost]);
    accuracies.push([trainer.epochs, accuracy]);
  }

  function follow() {
    tiles.paint(trainer.kernel, first.units);
    cost.clear().set("cost", costs, { color: "orange" }).draw();
    right.clear().set(percent(accuracies[accuracies.length - 1][1]), accuracies, { color: "blue" }).draw();
    const [, last] = costs[costs.length - 1];
    words.textContent = Number.isFinite(last)
      ? `${trainer.epochs.toFixed(trainer.epochs < 1 ? 3 : 1)} epochs: ${percent(accuracies[accuracies.length - 1][1])} of the test images on this page right.`
      : "The training diverged: the steps are too long. Take a smaller learning rate.";
  }

  function work() {
    const before = Math.floor(trainer.epochs * 5);
    trainer.update(1);
    if (Math.floor(trainer.epochs * 5) > before) record();
    return Number.isFinite(costs[costs.length - 1][1]) && trainer.epochs < 30;
  }

  function run() {
    go.textContent = "pause";
    stop = runFrames(work, (isOn) => {
      follow();
      if (!isOn) pause();
    });
  }

  function pause() {
    stop?.();
    stop = null;
    go.textContent = "train";
  }

  const step = h("button", { onclick: () => {
    pause();
    trainer.update(1);
    record();
    follow();
  } }, "one step");
  reset();
  return [
    h("h3", {}, "Train a new network"),
    h("p", {}, `A fresh network of the same shape learns from ${page.train.count.toLocaleString("en")} training ${noun}s, here in the page. Units that are steps have no slope to follow: their layers stay as they started.`),
    h("div", { class: "buttons" }, start, activation, rate, batch),
    h("div", { class: "buttons" }, go, step, h("button", { onclick: reset }, "reset")),
    words, h("div", { class: "two" }, cost.element, right.element), tiles.element];
}
