// A pad to draw on, with mouse, pen, finger or the keyboard.

import { h } from "./view.js";

const SIDE = 280;
const PEN = 22;

/** A square to draw on in white on black; `changed(values, side)` hears of every stroke with the pad in [0, 1].
 *
 * Keyboard: the arrow keys move a pen, space puts it down and lifts it, Backspace clears.
 */
export class Pad {
  constructor(changed) {
    this.changed = changed;
    this.side = SIDE;
    this.isErasing = false;
    this.ink = "#ffffff";
    this.pen = { x: SIDE / 2, y: SIDE / 2, isDown: false };
    this.canvas = h("canvas", {
      class: "pad", width: SIDE, height: SIDE, tabindex: 0, role: "application",
      "aria-label": "Drawing pad. Arrow keys move the pen, space puts it down or lifts it, Backspace clears.",
      onpointerdown: (event) => this.begin(event), onpointermove: (event) => this.follow(event),
      onpointerup: () => (this.last = null), onpointercancel: () => (this.last = null),
      onkeydown: (event) => this.key(event), onfocus: () => this.marked(), onblur: () => this.marked(),
    });
    this.mark = h("span", { class: "pen", "aria-hidden": "true", hidden: true });
    this.element = h("div", { class: "padholder" }, this.canvas, this.mark);
    this.context = this.canvas.getContext("2d", { willReadFrequently: true });
    this.context.lineCap = this.context.lineJoin = "round";
    this.last = null;
    this.clear();
  }

  clear() {
    this.context.fillStyle = "#000";
    this.context.fillRect(0, 0, SIDE, SIDE);
    this.isEmpty = true;
    this.isImage = false;
  }

  /** Show an image, to be drawn on. */
  show(canvas) {
    this.context.imageSmoothingEnabled = false;
    this.context.drawImage(canvas, 0, 0, SIDE, SIDE);
    this.isEmpty = false;
    this.isImage = true;
  }

  /** Draw lines through points in [0, 1]: a stroke as by hand. */
  stroke(points) {
    points.forEach(([x, y], k) => this.line(k ? points[k - 1] : [x, y], [x, y]));
    this.tell();
  }

  /** The pad as numbers in [0, 1], with one value a dot, or three. */
  values(channels = 1) {
    const dots = this.context.getImageData(0, 0, SIDE, SIDE).data;
    const found = new Float32Array(SIDE * SIDE * channels);
    for (let k = 0; k < SIDE * SIDE; k++)
      for (let c = 0; c < channels; c++)
        found[k * channels + c] = channels === 1 ? (dots[4 * k] + dots[4 * k + 1] + dots[4 * k + 2]) / 765 : dots[4 * k + c] / 255;
    return found;
  }

  place(event) {
    const box = this.canvas.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  }

  begin(event) {
    event.preventDefault();
    this.canvas.focus({ preventScroll: true });
    this.canvas.setPointerCapture(event.pointerId);
    // A stroke on an image begins a drawing of one's own; only the eraser changes the image.
    if (this.isImage && !this.isErasing) this.clear();
    this.last = this.place(event);
    this.line(this.last, this.last);
    this.tell();
  }

  follow(event) {
    if (!this.last) return;
    for (const each of event.getCoalescedEvents?.() ?? [event]) {
      const next = this.place(each);
      this.line(this.last, next);
      this.last = next;
    }
    this.tell();
  }

  key(event) {
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const { pen } = this;
    if (event.key in moves) {
      const [dx, dy] = moves[event.key];
      const from = [pen.x / SIDE, pen.y / SIDE];
      pen.x = Math.min(SIDE, Math.max(0, pen.x + dx * 10));
      pen.y = Math.min(SIDE, Math.max(0, pen.y + dy * 10));
      if (pen.isDown) this.line(from, [pen.x / SIDE, pen.y / SIDE]), this.tell();
    } else if (event.key === " ") {
      pen.isDown = !pen.isDown;
      if (pen.isDown && this.isImage) this.clear();
      if (pen.isDown) this.stroke([[pen.x / SIDE, pen.y / SIDE]]);
    } else if (event.key === "Backspace" || event.key === "Delete") {
      this.clear();
      this.tell();
    } else return;
    event.preventDefault();
    this.marked();
  }

  marked() {
    this.mark.hidden = !this.canvas.matches(":focus-visible");
    this.mark.classList.toggle("down", this.pen.isDown);
    this.mark.style.left = `${(100 * this.pen.x) / SIDE}%`;
    this.mark.style.top = `${(100 * this.pen.y) / SIDE}%`;
  }

  line([x0, y0], [x1, y1]) {
    const { context } = this;
    context.strokeStyle = this.isErasing ? "#000" : this.ink;
    context.lineWidth = this.isErasing ? 1.6 * PEN : PEN;
    context.beginPath();
    context.moveTo(x0 * SIDE, y0 * SIDE);
    context.lineTo(x1 * SIDE + 0.01, y1 * SIDE);
    context.stroke();
    this.isEmpty = false;
  }

  /** At most one answer a frame, however fast the pen is. */
  tell() {
    if (this.isTold) return;
    this.isTold = true;
    requestAnimationFrame(() => {
      this.isTold = false;
      this.changed(this, SIDE);
    });
  }
}
