// The network alive: its input, the units of every layer as discs, what the lines carry, and the outputs as bars.

import { cut, h, number, paint, percent } from "./view.js";

const MOST_UNITS = 96;
const MOST_MAPS = 16;
const MOST_LINES = 320;
const PIXELS_A_UNIT = 5;

/** Draws one network in an element and follows its activations.
 *
 * Discs and output rows are buttons that call `chosen(layer, unit)`. A line is as strong as what it carries for this very
 * input, weight times activation: solid and red where that is above zero, dashed and blue where it is below.
 */
export class NetworkView {
  constructor(network, chosen, { name = "network" } = {}) {
    this.chosen = chosen;
    this.name = name;
    this.lines = h("canvas", { class: "lines", "aria-hidden": "true" });
    this.columns = h("div", { class: "columns" });
    this.element = h("div", { class: "net" }, this.lines, this.columns);
    this.pages = new Map();
    new ResizeObserver(() => {
      this.measure();
      this.connect();
    }).observe(this.columns);
    this.show(network);
  }

  /** Show another network, such as an edited one. */
  show(network) {
    this.network = network;
    this.input = h("canvas", { class: "tile input", role: "img", "aria-label": "What the network sees" });
    this.layers = network.shown.map((layer) => this.column(layer));
    // Feature maps of several layers beside each other have to be small.
    this.columns.classList.toggle("deep", this.layers.filter((layer) => layer.isMaps).length > 1);
    this.columns.replaceChildren(
      h("div", { class: "layer" }, h("h3", {}, "input"), this.input),
      ...this.layers.map((layer) => layer.element),
    );
    this.measure();
  }

  column(layer) {
    const isOutput = layer.name === this.network.outputName;
    const isMaps = layer.shape.length === 3;
    const count = layer.shape[layer.shape.length - 1];
    const most = isMaps ? MOST_MAPS : isOutput ? 20 : MOST_UNITS;
    const from = Math.min(this.pages.get(layer.name) ?? 0, count - 1);
    const units = (layer.order ?? [...Array(count).keys()]).slice(from, from + most);
    const buttons = units.map((unit) => this.unit(layer, unit, isOutput, isMaps));
    const turn = (to) => {
      this.pages.set(layer.name, to);
      this.show(this.network);
      this.follow();
    };
    const pager = count > most && h("p", { class: "pager" },
      h("button", { onclick: () => turn(Math.max(0, from - most)), disabled: from === 0, "aria-label": `earlier units of ${layer.name}` }, "‹"),
      h("span", {}, ` ${from}–${from + units.length - 1} of ${count} `),
      h("button", { onclick: () => turn(from + most), disabled: from + most >= count, "aria-label": `later units of ${layer.name}` }, "›"));
    const kind = isOutput ? "outputs" : isMaps ? "maps" : units.length > 24 ? "many" : "few";
    const group = h("div", { class: `units ${kind}`, role: "group", "aria-label": `Units of layer ${layer.name}`, onkeydown: (event) => this.walk(event, buttons) }, buttons);
    buttons.forEach((button, k) => (button.tabIndex = k ? -1 : 0));
    return {
      layer, units, buttons, isOutput, isMaps,
      element: h("div", { class: `layer ${isOutput ? "last" : ""}` }, h("h3", { title: layer.name }, cut(layer.name, 14)), group, pager),
    };
  }

  unit(layer, unit, isOutput, isMaps) {
    const address = { onclick: () => this.chosen(layer.name, unit) };
    if (isMaps) return h("button", { class: "map", ...address }, h("canvas", { class: "tile" }));
    if (!isOutput) return h("button", { class: "unit", ...address });
    const name = this.network.outputNames[unit];
    return h("button", { class: "output", title: name, ...address },
      h("span", { class: "disc" }), h("span", { class: "of" }, cut(name, 12)), h("span", { class: "track" }, h("span", { class: "bar" })), h("span", { class: "value" }));
  }

  /** Arrow keys walk through the units of a layer; Tab goes on to the next. */
  walk(event, buttons) {
    const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
    const at = buttons.indexOf(event.target);
    if (!step || at < 0) return;
    const next = buttons[(at + step + buttons.length) % buttons.length];
    buttons.forEach((button) => (button.tabIndex = button === next ? 0 : -1));
    next.focus();
    event.preventDefault();
  }

  /** Show the activations of the last forward pass. */
  follow() {
    const { network } = this;
    paint(this.input, network.x, network.imageShape);
    const best = network.predicted();
    for (const { layer, units, buttons, isOutput, isMaps } of this.layers) {
      const values = isOutput ? network.probabilities() : network.activation(layer.name);
      const limit = isOutput ? 1 : layer.limit ?? values.reduce((most, one) => Math.max(most, Math.abs(one)), 1e-9);
      if (isMaps) this.followMaps(layer, units, buttons, values);
      else
        units.forEach((unit, k) => {
          const value = values[unit];
          const share = value / limit;
          const button = buttons[k];
          const disc = isOutput ? button.firstChild : button;
          disc.style.setProperty("--share", Math.min(1, Math.abs(share)).toFixed(3));
          disc.classList.toggle("below", share < 0);
          if (isOutput) {
            button.classList.toggle("marked", unit === best);
            button.children[2].firstChild.style.width = percent(Math.min(1, Math.max(0, value)));
            button.children[3].textContent = network.areShares ? percent(value) : number(value);
          } else {
            button.title = `${layer.name}, unit ${unit}: ${number(value)}`;
            button.setAttribute("aria-label", button.title);
          }
        });
    }
    this.connect();
  }

  followMaps(layer, units, buttons, values) {
    const [height, width, channels] = layer.shape;
    const map = new Float32Array(height * width);
    let limit = 1e-9;
    for (const value of values) limit = Math.max(limit, Math.abs(value));
    units.forEach((unit, k) => {
      for (let dot = 0; dot < map.length; dot++) map[dot] = values[dot * channels + unit];
      paint(buttons[k].firstChild, map, [height, width], { mode: "signed", limit });
      buttons[k].setAttribute("aria-label", `${layer.name}, channel ${unit}`);
    });
  }

  /** Find where everything is; that changes with the size of the window, and not with the input. */
  measure() {
    const box = this.element.getBoundingClientRect();
    const ratio = Math.min(2, devicePixelRatio);
    const [width, height] = [this.columns.scrollWidth, this.columns.scrollHeight];
    this.lines.width = width * ratio;
    this.lines.height = height * ratio;
    this.lines.style.width = `${width}px`;
    this.lines.style.height = `${height}px`;
    this.lines.getContext("2d").scale(ratio, ratio);
    this.size = [width, height];
    const place = (element) => {
      const { left, right, top, bottom } = element.getBoundingClientRect();
      const move = this.element.scrollLeft - box.left;
      return { left: left + move, right: right + move, top: top - box.top, y: (top + bottom) / 2 - box.top, width: right - left, height: bottom - top };
    };
    this.inputPlace = place(this.input);
    for (const column of this.layers) column.places = column.buttons.map((button) => place(column.isOutput ? button.firstChild : button));
    const style = getComputedStyle(this.element);
    this.colors = [style.getPropertyValue("--minus"), style.getPropertyValue("--plus")];
  }

  /** Draw the strongest lines between what is shown. */
  connect() {
    if (!this.size[0]) return;
    const { colors } = this;
    const context = this.lines.getContext("2d");
    context.clearRect(0, 0, ...this.size);
    for (const column of this.layers) {
      const lines = this.carried(column);
      lines.sort((a, b) => Math.abs(b.value) - Math.abs(a.value));
      const strongest = Math.abs(lines[0]?.value ?? 1) || 1;
      for (const { value, from, to } of lines.slice(0, MOST_LINES).reverse()) {
        const share = Math.abs(value) / strongest;
        if (share < 0.02) continue;
        context.globalAlpha = 0.12 + 0.78 * share;
        context.lineWidth = 0.5 + 2.5 * share;
        context.strokeStyle = colors[value > 0 ? 1 : 0];
        context.setLineDash(value > 0 ? [] : [5, 3]);
        context.beginPath();
        context.moveTo(...from);
        const middle = (from[0] + to[0]) / 2;
        context.bezierCurveTo(middle, from[1], middle, to[1], ...to);
        context.stroke();
      }
    }
  }

  /** What reaches the shown units of a dense layer from what is shown of its input, by line. */
  carried({ layer, units, places }) {
    const below = layer.kernel && this.network.below(layer.name);
    if (!below) return [];
    const { values: kernel, shape: [nIn, nOut] } = layer.kernel;
    const reads = this.network.inputOf(layer.name);
    const ends = places.map(({ left, y }) => [left, y]);
    const lines = [];
    if (below === "input") {
      const at = this.inputPlace;
      const [rows, columns, channels = 1] = this.network.imageShape;
      units.forEach((unit, k) => {
        const strongest = [];
        for (let pixel = 0; pixel < nIn; pixel++) {
          const value = reads[pixel] * kernel[pixel * nOut + unit];
          if (strongest.length < PIXELS_A_UNIT || Math.abs(value) > Math.abs(strongest[0].value)) {
            strongest.push({ pixel, value });
            strongest.sort((a, b) => Math.abs(a.value) - Math.abs(b.value));
            if (strongest.length > PIXELS_A_UNIT) strongest.shift();
          }
        }
        for (const { pixel, value } of strongest) {
          const dot = Math.floor(pixel / channels);
          const x = at.left + (((dot % columns) + 0.5) / columns) * at.width;
          const y = at.top + ((Math.floor(dot / columns) + 0.5) / rows) * at.height;
          lines.push({ value, from: [x, y], to: ends[k] });
        }
      });
      return lines;
    }
    const source = this.layers.find((column) => column.layer.name === below);
    if (!source) return [];
    const starts = source.places.map(({ right, y }) => [right, y]);
    const channels = source.layer.shape[source.layer.shape.length - 1];
    const size = nIn / channels;
    const [own, step] = this.network.readsByChannel(layer.name) ? [size, 1] : [1, channels];
    units.forEach((unit, k) =>
      source.units.forEach((from, j) => {
        let value = 0;
        for (let at = from * own, left = size; left > 0; at += step, left--) value += reads[at] * kernel[at * nOut + unit];
        lines.push({ value, from: starts[j], to: ends[k] });
      }));
    return lines;
  }
}
