// Surgery: units silenced, cloned and flipped, weights pruned and disturbed, with the accuracy at once.

import { WeightTiles } from "./controls_learning.js";
import { bars, cut, download, h, percent } from "./view.js";

/** Build the play "surgery" in `root`. */
export function playSurgery(root, page) {
  const { subject, test } = page;
  const before = page.accuracies(subject.original);
  const layers = subject.hidden;
  const layer = h("select", { "aria-label": "layer", onchange: () => fill() }, layers.map((one) => h("option", { value: one.name }, cut(one.name, 30))));
  const unit = h("select", { "aria-label": "unit" });
  const result = h("p", { class: "says", role: "status", "aria-live": "polite" });
  const perClass = h("div");
  const said = h("ol", { class: "soft" });
  const tiles = new WeightTiles(subject.imageShape, layers[0].units, "weights", (k) => page.open(layers[0].name, k));

  function fill() {
    const chosen = subject.hidden.find((one) => one.name === layer.value);
    const kept = unit.value;
    unit.replaceChildren(...Array.from({ length: chosen.units }, (_, k) => h("option", {}, String(k))));
    unit.value = Number(kept) < chosen.units ? kept || "0" : "0";
  }

  function act(edit) {
    try {
      subject.edit([...subject.edits, edit]);
    } catch (error) {
      result.textContent = error.message;
    }
  }

  /** Each slider has one edit, which it changes where it is, and takes away at 0. */
  function slide(edit) {
    const at = subject.edits.findIndex((one) => one.op === edit.op);
    const edits = at < 0 ? [...subject.edits, edit] : subject.edits.with(at, edit);
    subject.edit(edits.filter((one) => one.share !== 0 && one.scale !== 0));
  }

  function follow() {
    const now = page.accuracies(subject.network);
    result.textContent = `It names ${percent(now.all)} of ${test.count.toLocaleString("en")} test images; before, ${percent(before.all)}.`;
    perClass.replaceChildren(bars(
      subject.outputNames.map((name, k) => [name, now.classes[k], percent(now.classes[k], 0)]),
      { limit: 1, label: "Accuracy of each class" }));
    said.replaceChildren(...subject.edits.map((edit) => h("li", {}, inWords(edit))));
    undo.disabled = reset.disabled = save.disabled = !subject.edits.length;
    prune.value = subject.edits.find((one) => one.op === "prune")?.share ?? 0;
    noise.value = subject.edits.find((one) => one.op === "noise")?.scale ?? 0;
    const [first] = subject.hidden;
    if (first.kernel) tiles.paint(first.kernel.values, first.units);
    fill();
  }

  const one = (op, words) => h("button", { onclick: () => act({ op, layer: layer.value, unit: Number(unit.value) }) }, words);
  const slider = (label, max, run) => h("input", { type: "range", min: 0, max, step: 0.01, value: 0, "aria-label": label, oninput: (event) => run(Number(event.target.value)) });
  const prune = slider("share of the smallest weights that become zero", 1, (share) => slide({ op: "prune", share }));
  const noise = slider("noise on all weights, in standard deviations", 2, (scale) => slide({ op: "noise", scale, seed: 1 }));
  const undo = h("button", { onclick: () => subject.edit(subject.edits.slice(0, -1)) }, "undo");
  const reset = h("button", { onclick: () => subject.edit([]) }, "undo all");
  const save = h("button", { onclick: () => download(new Blob([JSON.stringify(subject.edits, null, 1)], { type: "application/json" }), "edits.json") }, "save the edits");
  root.replaceChildren(
    tiles.element,
    h("p", {}, "The weights into the first layer: choose a picture to see all about that unit. Then change the network, and see what it can still do. A unit that is silenced is heard by nobody. The network at the top of the page is the changed one."),
    h("div", { class: "two" },
      h("div", {},
        h("div", { class: "buttons" }, h("label", {}, "layer ", layer), h("label", {}, "unit ", unit)),
        h("div", { class: "buttons" }, one("silence", "silence"), one("clone", "clone"), one("flip", "flip its sign")),
        h("p", {}, h("label", {}, "prune the smallest weights ", prune)),
        h("p", {}, h("label", {}, "add noise to the weights ", noise)),
        h("div", { class: "buttons" }, undo, reset, save), said,
        h("p", { class: "soft" }, "A model file of the changed network, which Keras opens: ",
          h("code", {}, "probe edit model.h5 edits.json --out edited.h5"))),
      h("div", {}, result, perClass)));
  subject.listenToEdits(follow);
  follow();
}

/** An edit as people say it. */
export function inWords(edit) {
  const name = edit.unit === undefined ? "" : `${cut(edit.layer, 30)}, unit ${edit.unit}`;
  return {
    silence: `silenced ${name}`, clone: `cloned ${name}`, flip: `flipped the sign of ${name}`,
    prune: `pruned the smallest ${percent(edit.share, 0)} of the weights`,
    noise: `added noise of ${edit.scale} standard deviations`,
  }[edit.op];
}
