/** A bundle with the engine that was chosen for it, and one image's way through both. */
import { type Answer, answer } from "./bundle/answer";
import type { Bundle } from "./bundle/bundle";
import type { Output } from "./engine/protocol";
import { type Candidate, choose, inputShape, type Qualified } from "./engine/qualify";
import type { Accelerator } from "./engine/engine";
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
  private retired: Qualified[] = [];
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
        if (this.used) this.retired.push(this.used);
        this.used = best;
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
    const { engine, accelerator } = this.used!;
    const spec = this.bundle.manifest.preprocess;
    const resized = prepare(pixels, spec);
    const ran = await engine.run(normalise(resized, spec), inputShape(this.bundle));
    for (const old of this.retired.splice(0)) if (old.engine !== engine) old.engine.close();
    return {
      answer: answer(this.bundle.manifest, this.bundle.familiarity, ran, resized),
      cam: this.bundle.manifest.model.cam ? ran.outputs["cam"] : undefined,
      ms: ran.ms, accelerator, logits: ran.outputs["logits"]?.data ?? new Float32Array(),
    };
  }

  close(): void {
    for (const one of [...this.retired, this.used]) one?.engine.close();
  }
}
