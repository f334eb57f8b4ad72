/** Engines of a model: closed when they are not needed, and never under a run. */
import { beforeEach, expect, test, vi } from "vitest";
import type { Bundle } from "../src/bundle/bundle";
import type { Engine } from "../src/engine/engine";
import type { Ran } from "../src/engine/protocol";
import type { Qualified } from "../src/engine/qualify";
import { Model } from "../src/model";
import { type Promised, promised } from "./promised";

const choosing = vi.hoisted(() => ({ use: (_: unknown): void => {}, fail: (_: Error): void => {} }));

vi.mock("../src/engine/qualify", () => ({
  inputShape: () => [1, 1, 2, 1],
  choose: (_: unknown, __: unknown, use: (best: unknown) => void) => {
    choosing.use = use;
    return new Promise<void>((___, reject) => { choosing.fail = reject; });
  },
}));

const bundle = {
  familiarity: null,
  manifest: {
    task: { classes: ["benign", "malignant"], positive: null }, model: { cam: false },
    operating_point: { threshold: null, temperature: 1 },
    preprocess: { height_px: 1, width_px: 2, channels: 1, resize: "bilinear", normalise: "max", mean: [0], std: [1] },
  },
} as unknown as Bundle;
const pixels = { width: 2, height: 1, channels: 1 as const, data: Uint8Array.of(1, 2) };
const logits = (...data: number[]): Ran => ({ ms: 1, outputs: { logits: { data: Float32Array.from(data), shape: [1, 2] } } });

/** An engine whose runs end when the test says so; closing it fails them, as a worker's end does. */
class Slow {
  readonly accelerator = "wasm" as const;
  readonly asked: Promised<Ran>[] = [];
  closed = 0;
  run(): Promise<Ran> {
    const call = promised<Ran>();
    this.asked.push(call);
    return call.promise;
  }
  close(): void {
    this.closed++;
    for (const call of this.asked) call.reject(new Error("the engine was closed"));
  }
  get qualified(): Qualified {
    return { engine: this as unknown as Engine, accelerator: "wasm", ms: 1 };
  }
}

let first: Slow, second: Slow, model: Model;

beforeEach(() => {
  [first, second] = [new Slow(), new Slow()];
  model = new Model(bundle, () => {});
});

async function begin(count: number) {
  const runs = Array.from({ length: count }, () => model.run(pixels));
  // `run` waits for the model to be ready before it asks the engine.
  await model.whenReady();
  await Promise.resolve();
  return runs;
}

test("closing a model lets the runs under way end, then closes the engine once", async () => {
  choosing.use(first.qualified);
  const [one, two] = await begin(2);
  expect(first.asked.length).toBe(2);
  model.close();
  first.asked[0]!.resolve(logits(0, 1));
  expect((await one!).answer.predicted).toBe(1);
  expect(first.closed).toBe(0);
  first.asked[1]!.resolve(logits(1, 0));
  expect((await two!).answer.predicted).toBe(0);
  expect(first.closed).toBe(1);
});

test("a faster engine does not end the runs on the one before", async () => {
  choosing.use(first.qualified);
  const [old] = await begin(1);
  choosing.use(second.qualified);
  const [fresh] = await begin(1);
  second.asked[0]!.resolve(logits(0, 1));
  await fresh;
  expect(first.closed).toBe(0);
  first.asked[0]!.resolve(logits(1, 0));
  expect((await old!).answer.predicted).toBe(0);
  expect([first.closed, second.closed]).toEqual([1, 0]);
});

test("an engine without a run is closed at once", () => {
  choosing.use(first.qualified);
  choosing.use(second.qualified);
  expect([first.closed, second.closed]).toEqual([1, 0]);
  model.close();
  expect([first.closed, second.closed]).toEqual([1, 1]);
});

test("a run that fails leaves its engine to be closed", async () => {
  choosing.use(first.qualified);
  const [run] = await begin(1);
  model.close();
  first.asked[0]!.reject(new Error("out of memory"));
  await expect(run).rejects.toThrow("out of memory");
  expect(first.closed).toBe(1);
});

test("an engine that is ready after the model was closed is not kept, and nothing runs on it", async () => {
  const run = model.run(pixels);
  model.close();
  choosing.use(first.qualified);
  await expect(run).rejects.toThrow("the model was closed");
  expect([first.closed, first.asked.length]).toEqual([1, 0]);
});
