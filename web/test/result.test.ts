/** Which answers may look reassuring, and the words of the warnings. */
import { expect, test } from "vitest";
import type { Answer } from "../src/bundle/answer";
import { qualityText, toneOf } from "../src/ui/result";

const calm: Answer = { predicted: 0, probabilities: [0.9, 0.1], threshold: 0.5, unlike: false, quality: [], withheld: null };

test("a negative answer without a warning is calm", () => {
  expect(toneOf(calm, true)).toBe("calm");
});

test.each<[string, Partial<Answer>]>([
  ["unlike the training images", { unlike: true }],
  ["of another quality", { quality: [{ name: "brightness", high: true }] }],
  ["close to the threshold", { probabilities: [0.55, 0.45] }],
])("a negative answer %s is not calm", (_, what) => {
  expect(toneOf({ ...calm, ...what }, true)).toBe("near");
});

test("no answer is no reassurance and no alarm", () => {
  for (const predicted of [0, 1]) {
    expect(toneOf({ ...calm, predicted, withheld: "unsure" }, true)).toBe("near");
  }
});

test("a positive answer alerts, whatever is said beside it; several classes have no tone", () => {
  expect(toneOf({ ...calm, predicted: 1, unlike: true }, true)).toBe("alert");
  expect(toneOf({ ...calm, threshold: null, unlike: true }, false)).toBe("");
});

test("a warning about the quality says in which direction", () => {
  expect(qualityText([{ name: "brightness", high: true }], "en"))
    .toBe("The image is brighter than every training image. The answer may be wrong.");
  expect(qualityText([{ name: "brightness", high: false }, { name: "sharpness", high: false }], "en"))
    .toBe("The image is darker and more blurred than every training image. The answer may be wrong.");
  expect(qualityText([{ name: "constructor", high: false }], "en")).toContain("of another constructor than");
});
