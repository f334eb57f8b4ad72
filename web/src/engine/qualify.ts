/**
 * The installation qualification: the bundle's reference vectors on this very device and
 * accelerator. Only what passes may answer, and the fastest of those does.
 */
import { logitsOf } from "../bundle/answer";
import type { Bundle } from "../bundle/bundle";
import { Fault } from "../fault";
import { fromPng } from "../image/decode";
import { normalise, prepare } from "../image/tensor";
import { type Accelerator, Engine, offered } from "./engine";

export interface Qualified {
  readonly engine: Engine;
  readonly accelerator: Accelerator;
  readonly ms: number;
}

export interface Candidate {
  readonly accelerator: Accelerator;
  readonly ms?: number;
  readonly reason?: string;
}

interface Vector { input: Float32Array; logits: readonly number[] }

function vectors(bundle: Bundle): Vector[] {
  const spec = bundle.manifest.preprocess;
  return bundle.reference.vectors.map((v) => {
    const data = bundle.files.get(v.pixels)!;
    const own = prepare(fromPng(bundle.files.get(v.image)!), spec);
    let largest = 0;
    data.forEach((p, i) => { largest = Math.max(largest, Math.abs(p - own.data[i]!)); });
    if (largest > bundle.reference.pixel_tolerance) {
      throw new Fault("selfTest", `preprocessing differs by ${largest} grey levels`);
    }
    const pixels = { width: spec.width_px, height: spec.height_px, channels: spec.channels, data };
    return { input: normalise(pixels, spec), logits: v.logits };
  });
}

export function inputShape(bundle: Bundle): number[] {
  const spec = bundle.manifest.preprocess;
  return [1, spec.height_px, spec.width_px, spec.channels];
}

/** Run the self-test on one accelerator. Throws a Fault where it fails. */
async function qualify(bundle: Bundle, accelerator: Accelerator, tests: Vector[]): Promise<Qualified> {
  const engine = await Engine.open(bundle.files.get(bundle.manifest.model.file)!, accelerator);
  try {
    const shape = inputShape(bundle);
    for (const test of tests) {
      const logits = logitsOf(await engine.run(test.input, shape), test.logits.length);
      const off = Math.max(...test.logits.map((z, i) => Math.abs(z - logits[i]!)));
      if (!(off <= bundle.reference.logit_tolerance)) {
        throw new Fault("selfTest", `logits differ by ${off.toPrecision(2)}`);
      }
    }
    const times = await engine.time(tests.map((t) => t.input), shape, 1, 3);
    return { engine, accelerator, ms: [...times].sort((a, b) => a - b)[1]! };
  } catch (error) {
    engine.close();
    throw error;
  }
}

/**
 * Qualify the processor first, so that answers can begin, then every other accelerator; `use` is
 * called with each one that is the fastest so far. Throws where none passes.
 */
export async function choose(
  bundle: Bundle,
  report: (state: { testing: Accelerator | null; done: readonly Candidate[] }) => void,
  use: (best: Qualified) => void,
): Promise<void> {
  const tests = vectors(bundle);
  const done: Candidate[] = [];
  let best: Qualified | undefined;
  let last: unknown;
  for (const accelerator of await offered()) {
    report({ testing: accelerator, done });
    try {
      const found = await qualify(bundle, accelerator, tests);
      done.push({ accelerator, ms: found.ms });
      if (!best || found.ms < best.ms) {
        // The one before is not closed here: an answer may still be under way on it.
        best = found;
        use(found);
      } else {
        found.engine.close();
      }
    } catch (error) {
      last = error;
      done.push({ accelerator, reason: error instanceof Error ? error.message : String(error) });
    }
  }
  report({ testing: null, done });
  if (!best) throw last instanceof Fault ? last : new Fault("unsupported", String((last as Error)?.message ?? last));
}
