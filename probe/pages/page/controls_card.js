// The card of a unit: its weights, what it reads just now, what it likes, and what it is good for.

import { addressed, bars, cut, h, number, percent, s, tile } from "./view.js";

/** The cards of a page: one opens at a time, and each has an address such as #hidden_1/4. */
export class Cards {
  constructor(page, root) {
    this.page = page;
    this.element = h("dialog", { class: "card", "aria-labelledby": "card-title" });
    addEventListener("keydown", (event) => event.key === "Escape" && this.element.open && this.close());
    (root === document ? document.body : root).append(this.element);
    page.subject.listen(() => this.element.open && this.follow());
    page.subject.listenToEdits(() => this.element.open && this.show(this.layer, Math.min(this.unit, this.units() - 1)));
    this.hasAddresses = root === document;
    if (!this.hasAddresses) return;
    addEventListener("hashchange", () => this.address());
    this.address();
  }

  /** Open the card that the address names, if it names one. */
  address() {
    const [, layer, unit] = /^(.*)\/(\d+)$/.exec(addressed()) ?? [];
    const known = this.page.subject.shown.find((one) => one.name === layer);
    this.subject = this.page.subject;
    if (known && Number(unit) < known.units) this.show(layer, Number(unit));
    else if (this.element.open) this.element.close();
  }

  open(layer, unit, subject = this.page.subject) {
    this.before = document.activeElement;
    this.subject = subject;
    const address = `#${encodeURIComponent(layer)}/${unit}`;
    // Shown at once: the browser tells of a new address later, and who clicks again by then means this card.
    this.show(layer, unit);
    if (this.hasAddresses && subject === this.page.subject) location.hash = address;
  }

  close() {
    this.element.close();
    if (this.hasAddresses) history.replaceState(null, "", location.href.split("#")[0]);
    this.before?.focus?.();
  }

  units() {
    return this.subject.shown.find((one) => one.name === this.layer).units;
  }

  show(layer, unit) {
    Object.assign(this, { layer, unit });
    const { page } = this;
    const name = (this.subject === page.other ? "B: " : "") + page.unitName(layer, unit);
    const focused = this.element.contains(document.activeElement) && document.activeElement.getAttribute("aria-label");
    const top = this.element.open ? this.element.scrollTop : 0;
    const n = this.units();
    const turn = (words, by) => h("button", { "aria-label": words, onclick: () => this.open(layer, (unit + by + n) % n, this.subject) }, by < 0 ? "‹" : "›");
    this.live = h("div", { class: "row" });
    this.sum = h("p", { "aria-live": "polite" });
    this.element.replaceChildren(
      h("header", {}, h("h2", { id: "card-title" }, name), turn("previous unit", -1), turn("next unit", 1), h("button", { "aria-label": "close the card", onclick: () => this.close() }, "✕")),
      h("h3", {}, "What it reads just now"), this.live, this.sum, ...this.known());
    const isNew = !this.element.open;
    if (isNew) this.element.show();
    this.element.scrollTop = top;
    this.follow();
    // The focus stays on the button that was pressed, or where it is outside of an open card.
    const buttons = [...this.element.querySelectorAll("header button")];
    const next = buttons.find((button) => button.getAttribute("aria-label") === focused) ?? (isNew && buttons[0]);
    if (next) next.focus({ preventScroll: true });
  }

  /** Weights, and weights times the input, for what the network looks at. */
  follow() {
    const { subject, layer, unit } = this;
    const shown = subject.shown.find((one) => one.name === layer);
    const figure = (values, shape, label, limit) => h("figure", {}, tile(values, shape, label, { mode: "signed", limit, scale: shape[0] > 40 ? 2 : 6 }), h("figcaption", {}, label));
    if (shown.shape.length === 3) {
      const [rows, columns, channels] = shown.shape;
      const map = Float32Array.from({ length: rows * columns }, (_, k) => subject.activation(layer)[k * channels + unit]);
      const limit = map.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-9);
      this.live.replaceChildren(figure(map, [rows, columns], "its feature map", limit));
      this.sum.textContent = `Red is above zero; the largest value is ${number(Math.max(...map))}.`;
      return;
    }
    const { weights, products, bias, sum } = subject.network.contributions(layer, unit);
    const below = subject.below(layer);
    if (below === "input") {
      const of = (values) => values.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-9);
      this.live.replaceChildren(figure(mono(weights, subject.imageShape), subject.imageShape.slice(0, 2), "weights", of(weights)), figure(mono(products, subject.imageShape), subject.imageShape.slice(0, 2), "weight × pixel", of(products)));
    } else {
      const order = [...products.keys()].sort((a, b) => Math.abs(products[b]) - Math.abs(products[a])).slice(0, 10);
      const limit = Math.abs(products[order[0]]) || 1;
      this.live.replaceChildren(bars(order.map((k) => [`${below ?? "value"} ${k}`, products[k], number(products[k])]), { limit, label: "The largest products of weight and input" }));
    }
    const total = sum - bias;
    const value = subject.activation(layer)[unit];
    this.sum.textContent = `Sum of weight × input ${number(total, 4)}, bias ${number(bias, 4)}: together ${number(sum, 4)}. ${layer === subject.outputName ? "Its output" : "Its activation"}: ${number(value, 4)}.`;
  }

  /** What was measured once, in Python, on all test images. */
  known() {
    const { page, subject, layer, unit } = this;
    const cards = subject === page.subject ? page.cards[layer] : null;
    const at = cards ? cards.units.values.indexOf(unit) : -1;
    if (at < 0 && subject.edits.length) return [h("p", { class: "soft" }, "This unit is a copy that you made.")];
    if (at < 0) return [h("p", { class: "soft" }, `More about it: probe unit MODEL ${layer}:${unit}`)];
    const edited = subject.edits.length ? [h("p", { class: "soft" }, "What follows is about the network before it was changed.")] : [];
    const row = (array) => {
      const size = array.values.length / array.shape[0];
      return array.values.subarray(at * size, (at + 1) * size);
    };
    const parts = [...edited];
    if (cards.favorites) {
      const [value, upper] = [row(cards.favorite_values)[0], row(cards.favorite_upper)[0]];
      parts.push(h("h3", {}, "What it would like best"),
        h("div", { class: "row" }, h("figure", {}, tile(row(cards.favorites), subject.imageShape, "its favorite image")),
          h("p", {}, `This image brings its sum to ${number(value)}. No image can bring it above ${number(upper)}.`,
            h("br"), h("button", { onclick: () => page.look(row(cards.favorites)) }, "show it to the network"))));
    }
    for (const [name, words] of [["most", "Test images that excite it most, with the sum"], ["least", "Test images that excite it least"]]) {
      const values = row(cards[`${name}_values`]);
      parts.push(h("h3", {}, words), h("div", { class: "strip" }, [...row(cards[name])].map((index, k) => {
        const image = page.pool(index);
        return h("figure", {}, tile(image, subject.imageShape, `value ${number(values[k])}`), h("figcaption", {}, number(values[k], 2)));
      })));
    }
    if (cards.auroc) {
      const told = row(cards.auroc);
      const best = [...told.keys()].sort((a, b) => Math.abs(told[b] - 0.5) - Math.abs(told[a] - 0.5)).slice(0, 5);
      parts.push(h("h3", {}, "Concepts it tells"),
        bars(best.map((k) => [page.concepts[k], told[k] - 0.5, number(told[k], 2)]), { limit: 0.5, label: "AUROC within classes" }),
        h("p", { class: "soft" }, "AUROC within classes: 0.5 is chance, 1 is always, 0 is always the other way round."));
    }
    const lost = row(cards.lost_by_class);
    parts.push(h("h3", {}, "What the network loses without it"),
      h("p", {}, `If it always says its mean, accuracy falls by ${points(row(cards.lost)[0])} (95% interval ${points(row(cards.lost_low)[0])} to ${points(row(cards.lost_high)[0])}) percentage points. By class:`),
      bars([...lost].map((value, k) => [subject.outputNames[k] ?? String(k), value, points(value)]), { limit: Math.max(0.02, ...[...lost].map(Math.abs).filter(Number.isFinite)), label: "Accuracy lost by class" }));
    if (cards.standing) parts.push(h("h3", {}, "Where it stands among control networks"), ...standing(cards.standing, at));
    return parts;
  }
}

const points = (share) => (Number.isFinite(share) ? (100 * share).toFixed(1).replace("-", "−") : "–");

/** The unit as a dot on the quantiles of all units of control networks. */
function standing({ labels, values, groups, quantiles, n_units: count }, at) {
  const n = labels.length;
  return [
    h("p", { class: "soft" }, `Line: from the 5th to the 95th percentile of ${count} units of the same layer in each kind of control network; bar: their middle half; dot: this unit.`),
    ...labels.map((label, k) => {
      const own = values.values[at * n + k];
      const spread = groups.map((_, g) => [...quantiles.values.subarray((g * n + k) * 5, (g * n + k + 1) * 5)]);
      const all = [own, ...spread.flat()].filter(Number.isFinite);
      const [low, high] = [Math.min(...all), Math.max(...all)];
      const x = (value) => 130 + (260 * (value - low)) / (high - low || 1);
      return h("div", {}, h("p", {}, `${label}: ${number(own)}`), s("svg", { class: "chart standing", viewBox: `0 0 400 ${20 * groups.length}`, role: "img", "aria-label": `${label}: ${number(own)}; ${groups.map((group, g) => `${group} ${number(spread[g][2])}`).join(", ")}` },
        groups.map((group, g) => {
          const y = 20 * g + 10;
          const [q05, q25, , q75, q95] = spread[g].map(x);
          return s("g", {}, s("text", { x: 0, y: y + 4 }, group.replace("_", " ")),
            Number.isFinite(q05) && s("line", { class: "line gray", x1: q05, x2: q95, y1: y, y2: y }),
            Number.isFinite(q05) && s("rect", { class: "fill gray", x: q25, y: y - 4, width: Math.max(1, q75 - q25), height: 8 }),
            Number.isFinite(own) && s("circle", { class: "fill blue", cx: x(own), cy: y, r: 5 }));
        })));
    })];
}

/** Color images of weights as one value a pixel: the sum over channels. */
function mono(values, [rows, columns, channels = 1]) {
  if (channels === 1) return values;
  return Float32Array.from({ length: rows * columns }, (_, k) => values[k * channels] + values[k * channels + 1] + (channels > 2 ? values[k * channels + 2] : 0));
}
