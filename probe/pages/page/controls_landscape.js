// The landscape: the cost around this network, the path that led there, and steps along it.

import { Chart, h, number, paint, percent } from "./view.js";

/** Build the play "landscape" in `root`. */
export function playLandscape(root, page) {
  root.replaceChildren(h("div", { class: "two" }, page.plane && h("div", {}, planeOf(page)), page.canTrain && h("div", {}, stepsOf(page))));
}

function planeOf({ plane, subject }) {
  const [xs, ys] = plane.axes.map(({ values }) => values);
  const logs = plane.cost.values.map((value) => Math.log(Math.max(value, 1e-9)));
  const [low, high] = [Math.min(...logs), Math.max(...logs)];
  const rows = Float32Array.from(logs, (_, k) => {
    const row = ys.length - 1 - Math.floor(k / xs.length);
    return (logs[row * xs.length + (k % xs.length)] - low) / (high - low || 1);
  });
  const map = paint(h("canvas", { class: "tile plane" }), rows, [ys.length, xs.length], { mode: "cividis", scale: 12 });
  const context = map.getContext("2d");
  const [width, height] = [map.width, map.height];
  const toX = (x) => (((x - xs[0]) / (xs[xs.length - 1] - xs[0])) * (xs.length - 1) + 0.5) * 12;
  const toY = (y) => height - (((y - ys[0]) / (ys[ys.length - 1] - ys[0])) * (ys.length - 1) + 0.5) * 12;
  const clean = context.getImageData(0, 0, width, height);
  const words = h("p", { class: "says" });
  const n = plane.updates.length;
  const at = (k) => [toX(plane.path.values[2 * k]), toY(plane.path.values[2 * k + 1])];

  function show(until) {
    context.putImageData(clean, 0, 0);
    if (!n) return;
    for (const [color, thick] of [["#000", 5], ["#fff", 2.5]]) {
      context.strokeStyle = color;
      context.lineWidth = thick;
      context.beginPath();
      for (let k = 0; k <= until; k++) context.lineTo(...at(k));
      context.stroke();
    }
    for (let k = 0; k <= until; k++) {
      context.beginPath();
      context.arc(...at(k), k === until ? 7 : 3.5, 0, 7);
      context.fillStyle = k === until ? "#d55e00" : "#fff";
      context.fill();
      context.lineWidth = 1.5;
      context.strokeStyle = "#000";
      context.stroke();
    }
    words.textContent = `After ${plane.updates[until].toLocaleString("en")} updates: cost ${number(plane.path_cost[until])}.`;
  }

  const slider = n && h("input", { type: "range", min: 0, max: n - 1, value: n - 1, "aria-label": "moment of the path", oninput: () => show(Number(slider.value)) });
  map.setAttribute("role", "img");
  map.setAttribute("aria-label", `The cost on a plane through the network, from ${number(Math.exp(low))} (dark) to ${number(Math.exp(high))} (bright)${n ? ", with the path of the training" : ""}`);
  show(n - 1);
  return [
    h("h3", {}, "Down the landscape"),
    h("p", {}, n
      ? `Each place of the map is a network; dark means a low cost. The map shows the two directions of ${subject.nWeights.toLocaleString("en")} along which the training moved most: ${percent(plane.explained[0] + plane.explained[1], 0)} of the variance of its way. The line is the real path.`
      : "Each place of the map is a network; dark means a low cost. The network is in the middle, the two directions are random."),
    map, slider ? h("label", {}, "along the path ", slider) : "", words,
    h("p", { class: "soft" }, `Cost from ${number(Math.exp(low))} (dark blue) to ${number(Math.exp(high))} (yellow), on a logarithmic scale.`)];
}

function stepsOf(page) {
  const chart = new Chart({ x: [0, 1], y: [0, 1], label: "Cost along two directions", xLabel: "length of the step", yLabel: "cost", height: 200 });
  const words = h("p", { class: "says", role: "status" });
  const length = h("input", { type: "range", min: -3, max: 1, step: 0.05, value: -1, "aria-label": "length of the step", oninput: () => show() });
  const where = h("select", { "aria-label": "where to step from", onchange: () => again() }, h("option", { value: "start" }, "from a random start"), h("option", { value: "here" }, "from this network"));
  let walk = null;

  function again() {
    walk = page.walk(where.value);
    show();
  }

  function show() {
    const far = 10 ** Number(length.value);
    const along = Array.from({ length: 25 }, (_, k) => (k / 24) * far);
    const curves = ["steepest", "random"].map((name) => along.map((t) => [t, walk.cost(name, t)]));
    const values = curves.flat().map(([, cost]) => cost).filter(Number.isFinite);
    chart.x = [0, far];
    chart.y = [Math.min(...values), Math.max(...values) + 1e-9];
    chart.clear().set("down the slope", curves[0], { color: "blue" }).set("random", curves[1], { color: "orange" }).draw();
    const [down, random] = curves.map((points) => points[points.length - 1][1] - points[0][1]);
    words.textContent = `A step of length ${number(far)} changes the cost by ${number(down)} along the negative gradient, and by ${number(random)} in a random direction.`;
  }

  again();
  return [
    h("h3", {}, "One step, two directions"),
    h("p", {}, "The negative gradient is the direction in which the cost falls fastest, for a short step. Make the step longer and see how far that holds."),
    h("div", { class: "buttons" }, h("label", {}, "step ", where), h("label", {}, "length ", length), h("button", { onclick: again }, "another random direction")),
    chart.element, words];
}
