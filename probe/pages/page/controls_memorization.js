// Random labels: the same network, the same images, once with their labels and once with shuffled ones.

import { runFrames } from "./controls_learning.js";
import { evaluated } from "./model_training.js";
import { Chart, h, number, percent } from "./view.js";

const MOST_EPOCHS = 4000;

/** Build the play "memorization" in `root`. */
export function playMemorization(root, page) {
  const { noun } = page;
  const arms = ["true labels", "shuffled labels"];
  const chart = new Chart({ x: [0, 50], y: [0, 1], label: "Share of the training images right", xLabel: "epochs", yLabel: "training accuracy", grows: true, asY: (value) => percent(value, 0) });
  const ratios = new Chart({ x: [0, 10], y: [0, 1], label: "How many times as many updates random labels take", xLabel: "updates for shuffled labels ÷ updates for true labels", grows: true, height: 110, asY: () => "" });
  const words = h("p", { class: "says", role: "status", "aria-live": "polite" });
  const go = h("button", { onclick: () => (stop ? pause() : run()) }, "train both to the end");
  const mine = [];
  let [trainers, curves, stop, seed] = [null, null, null, 0];

  function reset() {
    pause();
    seed += 1;
    trainers = page.arms(seed);
    curves = trainers.map((trainer) => [[0, evaluated(trainer.network, trainer.images, trainer.labels).accuracy]]);
    words.textContent = "";
    follow();
  }

  function work() {
    const open = trainers.filter((trainer) => !trainer.isFitted);
    if (!open.length) return false;
    const [trainer] = open.sort((a, b) => a.epoch - b.epoch);
    trainer.step(Math.ceil(trainer.n / trainer.batchSize));
    curves[trainers.indexOf(trainer)].push([trainer.epoch, trainer.training.accuracy]);
    return !trainer.isDiverged && trainer.epoch < MOST_EPOCHS;
  }

  function follow() {
    chart.clear();
    arms.forEach((name, k) => chart.set(name, curves[k], { color: k ? "orange" : "blue" }));
    chart.draw();
    ratios.clear().set("study", page.study.map((ratio) => [ratio, 0.5]), { kind: "dots", color: "gray" })
      .set("yours", mine.map((ratio) => [ratio, 0.5]), { kind: "dots", color: "orange" }).draw();
  }

  function run() {
    if (trainers.every((trainer) => trainer.isFitted)) reset();
    go.textContent = "pause";
    stop = runFrames(work, (isOn) => {
      if (!isOn) finish();
      follow();
    });
  }

  function finish() {
    pause();
    const [right, shuffled] = trainers;
    if (trainers.some((trainer) => trainer.isDiverged)) return (words.textContent = "The training diverged. Try a new start.");
    if (!trainers.every((trainer) => trainer.isFitted)) return (words.textContent = `Not every image is learned after ${MOST_EPOCHS} epochs.`);
    const ratio = shuffled.updates / right.updates;
    mine.push(ratio);
    words.textContent = `Both know all ${page.nArm.toLocaleString("en")} labels by heart. Shuffled labels took ${number(ratio)} times as many updates. On test images: ${percent(page.testAccuracy(right))} and ${percent(page.testAccuracy(shuffled))}.`;
  }

  function pause() {
    stop?.();
    stop = null;
    go.textContent = "train both to the end";
  }

  root.replaceChildren(
    h("p", {}, `Two networks of the same shape, from the same start, learn ${page.nArm.toLocaleString("en")} ${noun}s. One gets their labels, the other gets labels that were shuffled: nothing is left to understand, only to memorize.`),
    h("div", { class: "buttons" }, go, h("button", { onclick: reset }, "new start, new shuffle")),
    h("div", { class: "two" }, chart.element, h("div", {}, words, ratios.element)));
  reset();
}
