/** A bundle with the engine that was chosen for it, and one image's way through both. */
import { type Answer, answer } from "./bundle/answer";
import type { Bundle } from "./bundle/bundle";
import type { Output, Ran } from "./engine/protocol";
import { type Candidate, choose, inputShape, type Qualified } from "./engine/qualify";
import type { Accelerator, Engine } from "./engine/engine";
import type { Pixels } from "./image/pixels";
import { normalise, prepare } from "./image/tensor";

export interface Outcome {
  readonly answer: Answer;
  readonly cam: Output | undefined;
  readonly ms: number;
  readonly accelerator: Accelerator;
  readonly logits: Float32Array;
}

export class Model {
  private used: Qualified | undefined;
  private readonly retired = new Set<Engine>();
  /** How many runs are under way on an engine; it is closed when the last of them has ended. */
  private readonly runs = new Map<Engine, number>();
  private closed = false;
  private readonly ready: Promise<void>;
  candidates: readonly Candidate[] = [];
  testing: Accelerator | null = null;

  constructor(readonly bundle: Bundle, changed: () => void) {
    this.ready = new Promise((resolve, reject) => {
      choose(bundle, ({ testing, done }) => {
        this.testing = testing;
        this.candidates = [...done];
        changed();
      }, (best) => {
        // The self-test of a model that was closed meanwhile goes on; its engines are not kept.
        if (this.closed) best.engine.close();
        else {
          if (this.used) this.retire(this.used.engine);
          this.used = best;
        }
        resolve();
        changed();
      }).catch(reject);
    });
    this.ready.catch(() => {});
  }

  get best(): Qualified | undefined {
    return this.used;
  }

  /** Resolves when some accelerator has passed the self-test; rejects when none has. */
  whenReady(): Promise<void> {
    return this.ready;
  }

  async run(pixels: Pixels): Promise<Outcome> {
    await this.ready;
    if (this.closed) throw new Error("the model was closed");
    // From here to the count of this run nothing waits, so the engine is not closed in between.
    const { engine, accelerator } = this.used!;
    const spec = this.bundle.manifest.preprocess;
    const resized = prepare(pixels, spec);
    const input = normalise(resized, spec);
    this.runs.set(engine, (this.runs.get(engine) ?? 0) + 1);
    let ran: Ran;
    try {
      ran = await engine.run(input, inputShape(this.bundle));
    } finally {
      this.runs.set(engine, this.runs.get(engine)! - 1);
      if (this.retired.has(engine)) this.retire(engine);
    }
    return {
      answer: answer(this.bundle.manifest, this.bundle.familiarity, ran, resized),
      cam: this.bundle.manifest.model.cam ? ran.outputs["cam"] : undefined,
      ms: ran.ms, accelerator, logits: ran.outputs["logits"]?.data ?? new Float32Array(),
    };
  }

  /** Close the engines, each when the run on it has ended: that one still gets its answer. */
  close(): void {
    this.closed = true;
    if (this.used) this.retire(this.used.engine);
  }

  private retire(engine: Engine): void {
    this.retired.add(engine);
    if (this.runs.get(engine)) return;
    this.retired.delete(engine);
    this.runs.delete(engine);
    engine.close();
  }
}
