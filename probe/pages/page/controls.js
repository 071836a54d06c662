// The first screen: the network alive, what it can be shown, and what it says.

import { cut, h, paint, percent } from "./view.js";
import { NetworkView } from "./view_network.js";
import { Pad } from "./controls_pad.js";

/** Build the living network in `root`; `page` has the network, the images and what cards know. */
export function living(root, page) {
  const { subject, test, noun } = page;
  const pad = new Pad(() => drawn());
  const says = h("p", { class: "says", role: "status", "aria-live": "polite" });
  const note = h("p", { class: "soft" });
  const view = new NetworkView(subject, (layer, unit) => page.open(layer, unit));
  const second = page.other && new NetworkView(page.other, (layer, unit) => page.open(layer, unit, page.other));
  const classes = subject.outputNames;
  const isGray = subject.imageShape.length < 3 || subject.imageShape[2] === 1;

  function drawn() {
    if (pad.isEmpty) return show(new Float32Array(subject.size), "An empty pad.");
    show(page.prepared(pad), isGray
      ? "Your drawing was scaled and moved until its size and its center of mass are those of the training images."
      : "Your drawing, made as small as the images that the network knows.");
  }

  function show(image, words) {
    subject.look(image);
    note.textContent = words;
  }

  function shown(image, words) {
    pad.show(paint(h("canvas"), image, subject.imageShape));
    show(image, words);
  }

  function say() {
    view.follow();
    says.textContent = answer(subject, second ? "A" : "It");
    if (!second) return;
    page.other.look(subject.x);
    second.follow();
    says.textContent += ` ${answer(page.other, "B")}`;
  }

  function answer(network, who) {
    const k = network.predicted();
    return `${who} says ${cut(classes[k], 40)}, ${percent(network.probabilities()[k])} sure.`;
  }

  const random = () => Math.floor(Math.random() * test.count);
  const acts = {
    real(index = random()) {
      shown(test.image(index), `A test ${noun} that it never saw. Its label: ${classes[test.labels[index]] ?? test.labels[index]}.`);
    },
    wrong() {
      const wrong = page.wrong();
      if (!wrong.length) return (note.textContent = `It gets all ${test.count} test images on this page right.`);
      acts.real(wrong[Math.floor(Math.random() * wrong.length)]);
    },
    noise() {
      shown(page.noise(), "Noise: every pixel drawn by chance. None of these is " + (noun === "digit" ? "a digit." : "an image of any class."));
    },
    typicalNoise() {
      const { image, confidence, name } = page.typicalNoise();
      shown(image, `Of 1,000 noise images, a typical one: half of them make it surer than ${percent(confidence, 0)}. It says ${name}.`);
    },
    favorite(k = favorites.selectedIndex) {
      const found = page.favorite(k);
      favorites.selectedIndex = k;
      shown(found.image, `What it likes best for ${cut(classes[k], 30)}: found by climbing from noise, not by looking at images.`);
    },
    shuffled() {
      shown(page.shuffled(subject.x), "The same pixels in another order: to you it is noise.");
    },
    clear() {
      pad.isErasing = false;
      eraser.setAttribute("aria-pressed", "false");
      pad.clear();
      drawn();
    },
  };

  const favorites = h("select", { "aria-label": "class of the favorite image", onchange: () => acts.favorite() }, classes.map((name) => h("option", {}, cut(name, 24))));
  const eraser = h("button", { "aria-pressed": "false", onclick: () => {
    pad.isErasing = !pad.isErasing;
    eraser.setAttribute("aria-pressed", pad.isErasing);
  } }, "eraser");
  const ink = isGray ? null : h("input", { type: "color", value: "#ffffff", "aria-label": "color of the pen", oninput: () => (pad.ink = ink.value) });
  const changed = h("p", { class: "changed", hidden: true }, "You changed this network. Sentences and verdicts are about it as it came. ", h("button", { onclick: () => subject.edit([]) }, "undo all changes"));
  const button = (name, act) => h("button", { onclick: () => acts[act]() }, name);
  root.classList.add("living");
  root.replaceChildren(
    changed,
    h("div", { class: "scene" },
      pad.element,
      h("div", { class: "buttons" }, button("clear", "clear"), eraser, ink, button(`a test ${noun}`, "real"), button("one it gets wrong", "wrong"),
        button("noise", "noise"), button("shuffle its pixels", "shuffled"),
        page.hasFavorites && h("span", { class: "buttons" }, button("its favorite", "favorite"), favorites)),
      h("div", { class: "answer-box" }, says, note),
      h("div", { class: "nets" }, second && h("h3", {}, "A"), view.element,
        second && h("h3", {}, "B: its units in the order of the units of A that they were matched with; some are upside down"), second?.element,
        h("p", { class: "soft" }, "Choose any unit to see all about it. Red lines excite, dashed blue lines inhibit."))),
    second ? "" : h("p", { class: "story" }, page.story(acts)));
  root.hidden = false;
  subject.listen(say);
  subject.listenToEdits(() => {
    view.show(subject);
    changed.hidden = !subject.edits.length;
  });
  acts.real(page.firstRight());
  return { acts, pad, view, root, shown };
}
