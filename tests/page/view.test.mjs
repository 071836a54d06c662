// What the page writes numbers and colors as; no element is needed for that.

import assert from "node:assert/strict";
import test from "node:test";

import { cividis, cut, number, percent, signedColor, ticks } from "../../probe/pages/page/view.js";

test("numbers have few digits and a real minus", () => {
  assert.equal(number(-0.12345), "−0.123");
  assert.equal(number(0), "0");
  assert.equal(number(-0), "0");
  assert.equal(number(1e-16), "0");
  assert.equal(number(12345.6), "12,346");
  assert.equal(number(0.00001234), "1.2e−5");
  assert.equal(number(NaN), "–");
  assert.equal(number(Infinity), "–");
});

test("shares are per cent", () => {
  assert.equal(percent(0.95841), "95.8%");
  assert.equal(percent(1, 0), "100%");
  assert.equal(percent(NaN), "–");
});

test("long names are cut between letters", () => {
  assert.equal(cut("short"), "short");
  assert.equal(cut("a".repeat(30)).length, 18);
  assert.equal([...cut("🙂".repeat(30), 5)].length, 5);
});

test("ticks are round, in the range, and few", () => {
  assert.deepEqual(ticks(0, 1, 4).map((value) => Number(value.toFixed(9))), [0, 0.5, 1]);
  for (const [low, high] of [[0, 10], [-3, 7], [0.001, 0.0042], [99.5, 100.25], [0, 1e-6], [-1e6, 1e6]]) {
    const found = ticks(low, high);
    assert.ok(found.length >= 2 && found.length <= 12, `${low} to ${high}: ${found}`);
    const room = 1e-6 * (high - low);
    assert.ok(found.every((value) => value >= low - room && value <= high + room));
  }
});

test("zero is white; signs have colors of their own, as strong as their size", () => {
  assert.deepEqual(signedColor(0), [255, 255, 255]);
  const [up, down] = [signedColor(1), signedColor(-1)];
  assert.ok(up[0] > up[2] && down[2] > down[0]);
  assert.deepEqual(signedColor(5), up);
  assert.ok(signedColor(0.2)[2] > signedColor(0.8)[2]);
});

test("the scale of costs goes from dark to bright", () => {
  const light = (color) => color.reduce((sum, channel) => sum + channel, 0);
  const shades = [0, 0.25, 0.5, 0.75, 1].map((share) => light(cividis(share)));
  assert.ok(shades.every((shade, k) => k === 0 || shade > shades[k - 1]));
  assert.deepEqual(cividis(2), cividis(1));
});
