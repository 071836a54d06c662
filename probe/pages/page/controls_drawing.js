// Drawing: climbing in the page from noise to a favorite image.

import { isCalm, runFrames } from "./controls_learning.js";
import { Chart, cut, h, number, paint, percent } from "./view.js";

const STEPS = 300;

/** Build the play "drawing" in `root`. */
export function playDrawing(root, page) {
  const { subject } = page;
  const goal = h("select", { "aria-label": "class to draw", onchange: () => again() }, subject.outputNames.map((name) => h("option", {}, cut(name, 30))));
  const canvas = h("canvas", { class: "tile drawn", role: "img", "aria-label": "the image on its way" });
  const chart = new Chart({ x: [0, STEPS], y: [0, 1], label: "Value of the image", xLabel: "steps uphill", yLabel: "logit of the class", height: 200 });
  const words = h("p", { class: "says", role: "status", "aria-live": "polite" });
  const judges = h("p", { class: "soft" });
  let [stop, climb] = [null, null];

  function again() {
    stop?.();
    const k = goal.selectedIndex;
    climb = page.climb(k);
    const bound = page.bound(k);
    const trace = [[0, climb.value]];
    stop = runFrames(() => {
      climb.step();
      trace.push([trace.length, climb.value]);
      return trace.length <= STEPS;
    }, (isOn) => {
      const values = trace.map(([, value]) => value).concat(bound ?? []);
      chart.y = [Math.min(...values), Math.max(...values) + 1e-6];
      chart.clear().set("image", trace, { color: "blue" })
        .set("bound", bound === null ? [] : [[0, bound], [STEPS, bound]], { color: "gray" }).draw();
      paint(canvas, climb.image, subject.imageShape);
      const p = page.verdict(climb.image, k);
      words.textContent = `Step ${trace.length - 1}: ${subject.areShares ? `${percent(p.of)} sure of ${cut(goal.value, 30)}` : number(climb.value)}.`;
      if (!isOn) judges.textContent = page.judged(k);
    }, isCalm() ? Infinity : 2);
  }

  root.replaceChildren(
    h("p", {}, "Start from noise and change every pixel a little, always so that the class gets likelier. If the network knew what its classes look like, you would see one appear."),
    h("div", { class: "buttons" }, h("label", {}, "draw ", goal), h("button", { onclick: again }, "again"), h("button", { onclick: () => page.look(climb.image) }, "show it to the network")),
    h("div", { class: "two" }, h("div", {}, canvas, words, judges), chart.element));
  subject.listenToEdits(again);
  again();
}
