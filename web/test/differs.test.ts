/** When an accelerator's logits are another computation's. */
import { expect, test } from "vitest";
import { differs } from "../src/lab/differs";

const truth = [1, -1, 3, -3];

test("the processor is what others are held against", () => {
  expect(differs([9, 9, 9, 9], "wasm", truth)).toBeNull();
});

test("rounding passes", () => {
  expect(differs(truth.map((z) => z + 0.05), "webgpu", truth)).toBeNull();
});

test("other logits do not, and the reason says how far they are off", () => {
  expect(differs(truth.map((z) => -z), "webgpu", truth)).toContain("75% of their range");
  expect(differs(truth.map((z) => z + 0.61), "webgpu", truth)).toContain("10% of their range");
});

test("without the processor's logits nothing is claimed", () => {
  expect(differs(truth, "webgpu", undefined)).toBeNull();
  expect(differs(truth, "webgpu", [])).toBeNull();
});
