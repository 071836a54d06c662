// Noise: how sure the network is of images that show nothing.

import { isCalm, runFrames } from "./controls_learning.js";
import { Chart, cut, h, percent, tile } from "./view.js";

const COUNT = 1000;
const BINS = 25;

/** Build the play "noise" in `root`. */
export function playNoise(root, page) {
  const { subject, noun } = page;
  const kind = h("select", { "aria-label": "kind of noise", onchange: () => again() }, page.noiseKinds.map(([key, name]) => h("option", { value: key }, name)));
  const strength = h("input", { type: "range", min: 0, max: 3, step: 0.05, value: 1, "aria-label": "strength of the noise", oninput: () => again() });
  const chart = new Chart({ x: [0, 1], y: [0, 0.5], label: "Confidences", xLabel: "confidence in the likeliest class", yLabel: "share of the images", grows: true, asX: (value) => percent(value, 0), asY: (value) => percent(value, 0) });
  const words = h("p", { class: "says", role: "status", "aria-live": "polite" });
  const sample = h("div", { class: "tiles" });
  let stop = null;

  function again() {
    stop?.();
    const rng = page.random();
    const confidences = [];
    const votes = new Map();
    const examples = [];
    const size = Number(strength.value);
    stop = runFrames(() => {
      const image = page.noise(kind.value, size, rng);
      const { confidence, name } = page.verdict(image);
      confidences.push(confidence);
      votes.set(name, (votes.get(name) ?? 0) + 1);
      if (examples.length < 8) examples.push([image, confidence, name]);
      return confidences.length < COUNT;
    }, (isOn) => follow(confidences, votes, examples, isOn), isCalm() ? Infinity : 8);
  }

  function follow(confidences, votes, examples, isOn) {
    chart.y = [0, 0.5];
    chart.clear()
      .set(`test ${noun}s`, outline(histogram(page.confidences())), { color: "blue" })
      .set("noise", histogram(confidences), { kind: "bars", color: "pink" })
      .set("at infinity", page.limit === null || kind.value !== "uniform" || subject.edits.length ? [] : [[page.limit, 0]], { kind: "mark", color: "gray" }).draw();
    if (isOn) return;
    const [name, count] = [...votes].sort((a, b) => b[1] - a[1])[0];
    const sure = confidences.filter((value) => value > 0.9).length / confidences.length;
    words.textContent = `Of ${COUNT.toLocaleString("en")} noise images it is more than 90% sure of ${percent(sure, 0)}. It says ${cut(name, 30)} most often, for ${percent(count / COUNT, 0)}.`;
    sample.replaceChildren(...examples.map(([image, confidence, name]) => h("button", { onclick: () => page.look(image) },
      tile(image, subject.imageShape, `Noise; it is ${percent(confidence, 0)} sure that this is ${name}`))));
  }

  root.replaceChildren(
    h("p", {}, `The network answers ${COUNT.toLocaleString("en")} noise images. Look whether the pink bars stand where the blue line of real ${noun}s does.`
      + (page.limit === null ? "" : " The gray line: its mean confidence on uniform noise that is made brighter without end.")),
    h("div", { class: "buttons" }, h("label", {}, "kind ", kind), h("label", {}, "strength ", strength), h("button", { onclick: again }, "again")),
    h("div", { class: "two" }, chart.element, h("div", {}, words, sample)));
  subject.listenToEdits(again);
  again();
}

function histogram(values) {
  const counts = new Array(BINS).fill(0);
  for (const value of values) counts[Math.min(BINS - 1, Math.floor(value * BINS))]++;
  return counts.map((count, k) => [k / BINS, (k + 1) / BINS, count / values.length]);
}

function outline(histogramBars) {
  return histogramBars.flatMap(([from, to, share]) => [[from, share], [to, share]]);
}
