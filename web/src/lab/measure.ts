/**
 * The study's latency rule on this device: a fresh worker for every cell of every round (the
 * browser's fresh process), warm-up, interleaved order, raw samples. Then accuracy, where both
 * sides agreed. Images live in memory only.
 */
import { logitsOf } from "../bundle/answer";
import { type Accelerator, Engine, flavourFor } from "../engine/engine";
import { kitOf } from "../engine/kit";
import { normalise } from "../image/tensor";
import { fill, lab } from "../strings";
import * as api from "./api";
import { differs } from "./differs";
import type { Outbox } from "./outbox";

/** Inputs that an accelerator is held against the processor with. */
const PROBES = 4;

export interface Progress {
  step(text: string, share: number): void;
  cell(variant: string, accelerator: Accelerator, ms: number | null, reason: string | null): void;
  away(gone: boolean): void;
  label(accelerator: Accelerator): string;
}

function noise(length: number, seed: number): Float32Array {
  // A linear congruential generator (Numerical Recipes): the same noise on every device.
  let state = seed >>> 0;
  return Float32Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  });
}

export async function measure(token: string, plan: api.Plan, outbox: Outbox, to: Progress): Promise<void> {
  const done = new Set([...plan.done, ...(await outbox.keys())]);
  const models: Uint8Array[] = [];
  to.step(lab.fetching, 0);
  // All that measuring needs is held in memory first: a connection that goes away then stops nothing.
  for (const flavour of new Set(plan.rounds.flat().map(([, a]) => flavourFor(a)))) {
    await api.patient(() => kitOf(flavour).catch((error: unknown) => {
      // A browser that does not take the engine: the probe below gives the reason for each cell.
      if (!(error instanceof WebAssembly.CompileError)) throw error;
    }), to.away);
  }
  for (const [i] of plan.variants.entries()) models.push(await api.patient(() => api.model(token, i), to.away));
  const cells = [...new Map(plan.rounds.flat().map(([i, a]) => [`${i}-${a}`, [i, a] as const])).values()].sort();
  const steps = cells.length * (1 + plan.rounds.length) + (plan.images ? cells.length : 0);
  let step = 0;
  const usable = new Set<string>();
  const truth = new Map<number, number[]>();

  const shape = (i: number) => {
    const s = plan.variants[i]!.preprocess;
    return [1, s.height_px, s.width_px, s.channels];
  };
  const input = async (i: number, index: number) => {
    const spec = plan.variants[i]!.preprocess;
    return normalise(await api.patient(() => api.image(token, i, index, spec), to.away), spec);
  };
  const held = new Map<string, Float32Array[]>();
  const kind = (i: number) => JSON.stringify(plan.variants[i]!.preprocess);
  const timed = (i: number) => held.get(kind(i))!;
  for (const [i] of plan.variants.entries()) {
    if (held.has(kind(i))) continue;
    const size = shape(i).reduce((a, b) => a * b, 1);
    held.set(kind(i), plan.images ? await Promise.all(plan.latency_images.map((n) => input(i, n)))
      : Array.from({ length: Math.min(4, plan.samples) }, (_, n) => noise(size, n + 1)));
  }

  for (const [i, accelerator] of cells) {
    const { id } = plan.variants[i]!;
    to.step(fill(lab.probing, id, to.label(accelerator)), step++ / steps);
    const found = await probe(models[i]!, accelerator, timed(i).slice(0, PROBES), shape(i), plan.variants[i]!.classes);
    const reason = found.reason ?? differs(found.logits, accelerator, truth.get(i));
    if (accelerator === "wasm") truth.set(i, found.logits);
    const status = found.reason !== null ? "unsupported" : reason !== null ? "failed" : "ok";
    if (reason === null) usable.add(`${i}-${accelerator}`);
    else to.cell(id, accelerator, null, reason);
    const key = `cell-${i}-${accelerator}`;
    if (!done.has(key)) await outbox.add(key, { status, reason });
  }

  for (const [round, order] of plan.rounds.entries()) {
    for (const [i, accelerator] of order) {
      const { id } = plan.variants[i]!;
      const key = `time-${i}-${accelerator}-${round}`;
      to.step(fill(lab.round, round + 1, plan.rounds.length, id, to.label(accelerator)), step++ / steps);
      if (!usable.has(`${i}-${accelerator}`) || done.has(key)) continue;
      const engine = await Engine.open(models[i]!, accelerator);
      try {
        const ms = await engine.time(timed(i), shape(i), plan.warmup, plan.samples);
        to.cell(id, accelerator, [...ms].sort((a, b) => a - b)[Math.floor(ms.length / 2)]!, null);
        await outbox.add(key, { ms });
      } finally {
        engine.close();
      }
    }
  }
  for (const [i, accelerator] of cells) {
    if (!plan.images || !usable.has(`${i}-${accelerator}`)) continue;
    const engine = await Engine.open(models[i]!, accelerator);
    try {
      for (let start = 0; start < plan.images; start += plan.batch) {
        const key = `logits-${i}-${accelerator}-${start}`;
        if (done.has(key)) continue;
        const rows: number[][] = [];
        for (let n = start; n < Math.min(plan.images, start + plan.batch); n++) {
          to.step(fill(lab.accuracy, plan.variants[i]!.id, to.label(accelerator), n + 1, plan.images), step / steps);
          const ran = await engine.run(await input(i, n), shape(i));
          rows.push([...logitsOf(ran, plan.variants[i]!.classes)]);
        }
        await outbox.add(key, { logits: rows });
      }
      step++;
    } finally {
      engine.close();
    }
  }
  held.clear();
}

interface Probed { readonly reason: string | null; readonly logits: number[] }

/** The logits of a few inputs, or why the accelerator does not run the whole model. */
async function probe(model: Uint8Array, accelerator: Accelerator, inputs: Float32Array[], shape: number[], classes: number
): Promise<Probed> {
  let engine: Engine | undefined;
  try {
    engine = await Engine.open(model, accelerator);
    const logits: number[] = [];
    for (const one of inputs) logits.push(...logitsOf(await engine.run(one, shape), classes));
    return { reason: null, logits };
  } catch (error) {
    return { reason: (error instanceof Error ? error.message : String(error)).slice(0, 300), logits: [] };
  } finally {
    engine?.close();
  }
}
