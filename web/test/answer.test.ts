/** The answer, features and quality measures against Python's (tests/golden/judged.json). */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { answer, distance, features, measures } from "../src/bundle/answer";
import type { Abstention, Familiarity, Manifest } from "../src/bundle/manifest";
import type { Pixels } from "../src/image/pixels";

interface Case {
  width: number; height: number; channels: 1 | 3; dtype: "uint8" | "uint16"; pixels: number[];
  logits: number[]; cam_shape: number[]; cam: number[]; names: string[]; mean: number[];
  threshold: number | null; temperature: number; classes: string[]; positive: string | null;
  features: Record<string, number>; quality: Record<string, number>; distance: number; limit: number;
  familiar: boolean; predicted: number; probabilities: number[];
  abstention: Abstention | null; withheld: string | null;
}

const cases = JSON.parse(readFileSync(new URL("../../tests/golden/judged.json", import.meta.url), "utf8")) as Case[];

describe.each(cases.map((c, i) => ({ name: `${i}: ${c.classes.length} classes, ${c.dtype} × ${c.channels}`, c })))("$name", ({ c }) => {
  const data = c.dtype === "uint8" ? Uint8Array.from(c.pixels) : Uint16Array.from(c.pixels);
  const pixels: Pixels = { width: c.width, height: c.height, channels: c.channels, data };
  const cam = { data: Float32Array.from(c.cam), shape: c.cam_shape };
  const logits = Float32Array.from(c.logits);
  const known: Familiarity = {
    names: c.names, mean: c.mean, limit: c.limit, quality: {}, training_images: 1, validation_images: 1,
    false_alarms: 0, quality_alarms: 0,
    precision: c.names.map((_, i) => c.names.map((__, j) => Number(i === j))),
  };
  const near = (found: number, wanted: number) => expect(Math.abs(found - wanted)).toBeLessThan(1e-6 * (1 + Math.abs(wanted)));

  test("features and distance", () => {
    const found = new Map([...features(logits, cam), ...measures(pixels).features]);
    expect([...found.keys()].sort()).toEqual([...c.names].sort());
    for (const name of c.names) near(found.get(name)!, c.features[name]!);
    near(distance(found, known), c.distance);
  });

  test("quality", () => {
    const found = measures(pixels).quality;
    expect(Object.keys(found).sort()).toEqual(Object.keys(c.quality).sort());
    for (const [name, value] of Object.entries(c.quality)) near(found[name]!, value);
  });

  test("quality outside the training images, with its direction", () => {
    const { brightness, contrast } = c.quality as { brightness: number; contrast: number };
    const spans = { brightness: { low: brightness + 1, high: brightness + 2 }, contrast: { low: contrast - 2, high: contrast - 1 } };
    const manifest = {
      task: { classes: c.classes, positive: c.positive },
      operating_point: { threshold: c.threshold, temperature: c.temperature }, model: { cam: true },
    } as unknown as Manifest;
    const ran = { outputs: { logits: { data: logits, shape: [1, c.classes.length] }, cam }, ms: 0 };
    expect(answer(manifest, { ...known, quality: spans } as Familiarity, ran, pixels).quality)
      .toEqual([{ name: "brightness", high: false }, { name: "contrast", high: true }]);
  });

  test("answer", () => {
    const manifest = {
      task: { classes: c.classes, positive: c.positive },
      operating_point: { threshold: c.threshold, temperature: c.temperature, abstention: c.abstention },
      model: { cam: true },
    } as unknown as Manifest;
    const ran = { outputs: { logits: { data: logits, shape: [1, c.classes.length] }, cam }, ms: 0 };
    const found = answer(manifest, known, ran, pixels);
    expect(found.predicted).toBe(c.predicted);
    expect(found.unlike).toBe(!c.familiar);
    expect(found.withheld).toBe(c.withheld);
    c.probabilities.forEach((p, k) => near(found.probabilities[k]!, p));
  });
});
