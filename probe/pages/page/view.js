// What the page draws with: elements, pictures of arrays, and charts. Nothing here knows what a network is.

const SVG = "http://www.w3.org/2000/svg";

/** An HTML element: `h("button", { onclick: run, class: "big" }, "Run")`; properties that are null or false are left out. */
export function h(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** An SVG element. */
export function s(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => (child ?? false) !== false));
  return element;
}

/** A number as the page writes it: `number(-0.12345)` is "−0.123". */
export function number(value, digits = 3) {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  const text =
    size >= 10 ** digits || size < 1e-12
      ? Math.round(size < 1e-12 ? 0 : value).toLocaleString("en")
      : size < 1e-4
        ? value.toExponential(1)
        : String(Number(value.toPrecision(digits)));
  return text.replace("-", "−");
}

export function percent(share, digits = 1) {
  return Number.isFinite(share) ? `${(100 * share).toFixed(digits)}%` : "–";
}

/** What the address names behind its #, as it is written in the page; "" for nonsense. */
export function addressed() {
  try {
    return decodeURIComponent(location.hash.slice(1));
  } catch {
    return "";
  }
}

/** A long name, cut for a narrow place; the whole of it is in titles. */
export function cut(name, length = 18) {
  const letters = [...name];
  return letters.length > length ? letters.slice(0, length - 1).join("") + "…" : name;
}

// ---- pictures of arrays

const POSITIVE = [178, 24, 43];
const NEGATIVE = [33, 102, 172];

/** Red above zero, blue below, white at zero: the scale of the report's pictures. */
export function signedColor(share) {
  const goal = share > 0 ? POSITIVE : NEGATIVE;
  const strength = Math.min(1, Math.abs(share)) ** 0.8;
  return goal.map((channel) => Math.round(255 + (channel - 255) * strength));
}

const CIVIDIS = [[0, 34, 78], [53, 69, 108], [102, 105, 112], [148, 142, 119], [200, 184, 102], [254, 232, 56]];

export function cividis(share) {
  const place = Math.min(1, Math.max(0, share)) * (CIVIDIS.length - 1);
  const low = Math.min(CIVIDIS.length - 2, Math.floor(place));
  return CIVIDIS[low].map((channel, k) => Math.round(channel + (CIVIDIS[low + 1][k] - channel) * (place - low)));
}

/** Paint an array on a canvas, one dot a value.
 *
 * `mode` is "gray" for images in [0, 1], "signed" for values around zero up to `limit`, "cividis" for shares of a scale.
 * Colors are drawn where there are three channels and the mode is "gray". With `scale` above 4, each value is a square, and
 * values clearly below zero have a notch: sign does not hang on color alone.
 */
export function paint(canvas, values, [height, width, channels = 1], { mode = "gray", limit = 1, scale = 1 } = {}) {
  canvas.width = width * scale;
  canvas.height = height * scale;
  const context = canvas.getContext("2d");
  const dots = context.createImageData(canvas.width, canvas.height);
  const notched = mode === "signed" && scale > 4;
  for (let row = 0; row < canvas.height; row++) {
    for (let column = 0; column < canvas.width; column++) {
      const at = (Math.floor(row / scale) * width + Math.floor(column / scale)) * channels;
      const to = 4 * (row * canvas.width + column);
      const value = channels === 1 ? values[at] : (values[at] + values[at + 1] + values[at + 2]) / 3;
      let color;
      if (mode === "signed") color = signedColor(value / limit);
      else if (mode === "cividis") color = cividis(value);
      else color = [0, 1, 2].map((k) => 255 * Math.min(1, Math.max(0, values[at + (channels < 3 ? 0 : k)])));
      if (notched && value < -0.2 * limit) {
        const [y, x] = [row % scale, column % scale];
        if (Math.abs(x - y) < 1 && x > 1 && x < scale - 2) color = [255, 255, 255];
      }
      dots.data.set([...color, 255], to);
    }
  }
  context.putImageData(dots, 0, 0);
  return canvas;
}

/** A canvas with an array on it, and words for who does not see it. */
export function tile(values, shape, label, look = {}) {
  return paint(h("canvas", { class: "tile", role: "img", "aria-label": label, title: label }), values, shape, look);
}

/** Offer what a canvas or an SVG element shows as a PNG file. */
export async function savePicture(element, name) {
  const canvas = element instanceof HTMLCanvasElement ? element : await drawn(element);
  canvas.toBlob((blob) => download(blob, `${name}.png`));
}

async function drawn(svg) {
  const box = svg.getBoundingClientRect();
  const copy = svg.cloneNode(true);
  const from = [svg, ...svg.querySelectorAll("*")];
  [copy, ...copy.querySelectorAll("*")].forEach((element, k) => {
    const style = getComputedStyle(from[k]);
    for (const name of ["fill", "stroke", "stroke-width", "stroke-dasharray", "font", "opacity"])
      element.style.setProperty(name, style.getPropertyValue(name));
  });
  copy.setAttribute("width", box.width);
  copy.setAttribute("height", box.height);
  const image = new Image();
  image.src = "data:image/svg+xml," + encodeURIComponent(new XMLSerializer().serializeToString(copy));
  await image.decode();
  const canvas = h("canvas", { width: 2 * box.width, height: 2 * box.height });
  const context = canvas.getContext("2d");
  context.fillStyle = getComputedStyle(document.body).backgroundColor;
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  return canvas;
}

/** Offer a blob as a file. */
export function download(blob, name) {
  const url = URL.createObjectURL(blob);
  h("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

// ---- charts

/** Round numbers from `low` to `high`, about `count` of them. */
export function ticks(low, high, count = 5) {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((width) => width >= rough);
  const found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; k++) found.push(k * step);
  return found;
}

/** Lines, bars and marks over two axes, in SVG.
 *
 * Its frame holds `[low, high]` of both axes, which grow with what is drawn where `grows` is set. Each line has its name at
 * its end: nobody needs a legend.
 */
export class Chart {
  constructor({ x, y, label, height = 190, xLabel = "", yLabel = "", grows = false, asX = number, asY = number }) {
    Object.assign(this, { x: [...x], y: [...y], asX, asY, xLabel, yLabel, grows, height });
    this.series = new Map();
    this.element = s("svg", { class: "chart", viewBox: `0 0 560 ${height}`, role: "img", "aria-label": label });
  }

  /** Set a series: `kind` is "line", "dots", "bars" (points are [from, to, height]) or "mark" (a vertical line at x). */
  set(name, points, { kind = "line", color = "blue", named = true } = {}) {
    this.series.set(name, { points, kind, color, named });
    if (this.grows)
      for (const [px, py] of points) {
        if (Number.isFinite(px)) this.x[1] = Math.max(this.x[1], px);
        if (Number.isFinite(py)) this.y[1] = Math.max(this.y[1], py);
      }
    return this;
  }

  clear() {
    this.series.clear();
    return this;
  }

  draw() {
    // Letters are as large on a phone as on a screen: the chart has as many dots as its place.
    const width = Math.min(560, Math.max(260, this.element.clientWidth || 560));
    const { height, x: [x0, x1], y: [y0, y1] } = this;
    this.element.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const [left, right, top, bottom] = [52, width < 400 ? 84 : 118, 10, 38];
    const toX = (value) => left + ((value - x0) / (x1 - x0 || 1)) * (width - left - right);
    const toY = (value) => height - bottom - ((value - y0) / (y1 - y0 || 1)) * (height - top - bottom);
    const parts = [];
    for (const value of ticks(y0, y1, 4))
      parts.push(
        s("line", { class: "grid", x1: left, x2: width - right, y1: toY(value), y2: toY(value) }),
        s("text", { x: left - 6, y: toY(value) + 4, "text-anchor": "end" }, this.asY(value)),
      );
    for (const value of ticks(x0, x1, width < 400 ? 3 : 5))
      parts.push(s("text", { x: toX(value), y: height - bottom + 16, "text-anchor": "middle" }, this.asX(value)));
    parts.push(
      s("text", { x: (left + width - right) / 2, y: height - 4, "text-anchor": "middle", class: "soft" }, this.xLabel),
      s("text", { transform: `translate(12 ${(height - bottom + top) / 2}) rotate(-90)`, "text-anchor": "middle", class: "soft" }, this.yLabel),
    );
    const ends = [];
    for (const [name, { points, kind, color, named }] of this.series) {
      const shown = points.filter((point) => point.every(Number.isFinite));
      if (!shown.length) continue;
      if (kind === "bars")
        for (const [from, to, value] of shown)
          parts.push(s("rect", { class: `fill ${color}`, x: toX(from), width: Math.max(0.5, toX(to) - toX(from) - 0.5), y: toY(value), height: Math.max(0, toY(y0) - toY(value)) }));
      else if (kind === "mark")
        for (const [at] of shown) parts.push(s("line", { class: `line ${color}`, x1: toX(at), x2: toX(at), y1: top, y2: toY(y0) }));
      else if (kind === "dots")
        for (const [px, py] of shown) parts.push(s("circle", { class: `fill ${color}`, cx: toX(px), cy: toY(py), r: 3.5 }));
      else
        parts.push(s("polyline", { class: `line ${color}`, points: shown.map(([px, py]) => `${toX(px).toFixed(1)},${toY(py).toFixed(1)}`).join(" ") }));
      const last = shown[shown.length - 1];
      if (named) ends.push({ name, color, x: kind === "mark" ? toX(last[0]) : toX(kind === "bars" ? last[1] : last[0]), y: kind === "mark" ? top + 8 : toY(kind === "bars" ? last[2] : last[1]) });
    }
    // Names that would lie on each other are moved apart.
    ends.sort((a, b) => a.y - b.y);
    for (let k = 1; k < ends.length; k++) ends[k].y = Math.max(ends[k].y, ends[k - 1].y + 14);
    for (const end of ends) parts.push(s("text", { class: `name ${end.color}`, x: Math.min(end.x, width - right) + 6, y: Math.min(end.y, height - bottom) + 4 }, end.name));
    this.element.replaceChildren(...parts);
    return this;
  }
}

/** Horizontal bars with names: `rows` are [name, value, words]; one row may be marked. */
export function bars(rows, { limit, marked = -1, label }) {
  return h("ul", { class: `bars ${rows.some(([, value]) => value < 0) ? "signed" : ""}`, "aria-label": label },
    rows.map(([name, value, words], k) => {
      const bar = h("span", { class: `bar ${value < 0 ? "negative" : "positive"}` });
      bar.style.width = `${Math.min(100, (100 * Math.abs(value)) / limit)}%`;
      return h("li", { class: k === marked ? "marked" : null, title: name }, h("span", { class: "of" }, cut(name)), h("span", { class: "track" }, bar), h("span", { class: "value" }, words));
    }));
}
