/** A worker with LiteRT.js in it, as promises. */
import { flavourFor, type Kit, kitOf, threadCount } from "./kit";
import type { Accelerator, Loaded, Ran, Reply, Request } from "./protocol";

type WithoutId<T> = T extends { id: number } ? Omit<T, "id"> : never;

/** What this browser offers, the processor first. */
export async function offered(): Promise<Accelerator[]> {
  const found: Accelerator[] = ["wasm"];
  const gpu = (navigator as { gpu?: { requestAdapter(): Promise<unknown> } }).gpu;
  if (gpu && (await gpu.requestAdapter().catch(() => null))) found.push("webgpu");
  if ("ml" in navigator && "Suspending" in WebAssembly) found.push("webnn");
  return found;
}

export class Engine {
  private readonly worker: Worker;
  private readonly waiting = new Map<number, { resolve(v: unknown): void; reject(e: Error): void }>();
  private next = 0;
  /** Memory that page and worker share, where the page may: an input then need not be copied over. */
  private shared: Float32Array | undefined;

  private constructor(kit: Kit, readonly accelerator: Accelerator, readonly threads: number) {
    this.worker = new Worker(kit.script, { name: "engine" });
    this.worker.onmessage = ({ data }: MessageEvent<Reply>) => {
      const call = this.waiting.get(data.id);
      this.waiting.delete(data.id);
      if (data.ok) call?.resolve(data.value);
      else call?.reject(new Error(data.error));
    };
    this.worker.onerror = (event) => this.fail(event.message || "the engine did not start");
  }

  /** Start a worker and load a model into it. Rejects where the accelerator cannot run it whole. */
  static async open(model: Uint8Array, accelerator: Accelerator, threads = threadCount()): Promise<Engine> {
    const flavour = flavourFor(accelerator);
    const kit = await kitOf(flavour);
    const engine = new Engine(kit, accelerator, accelerator === "wasm" ? threads : 1);
    try {
      await engine.ask({ do: "start", module: kit.module, threads: kit.threads, flavour });
      await engine.ask({ do: "load", model, accelerator, threads });
    } catch (error) {
      engine.close();
      throw error;
    }
    return engine;
  }

  run(input: Float32Array, shape: number[]): Promise<Ran> {
    return this.ask({ do: "run", input: this.handed(input), shape }) as Promise<Ran>;
  }

  /** Milliseconds of `samples` runs after `warmup` ones that are not counted. */
  time(inputs: Float32Array[], shape: number[], warmup: number, samples: number): Promise<number[]> {
    return this.ask({ do: "time", inputs, shape, warmup, samples }) as Promise<number[]>;
  }

  private handed(input: Float32Array): Float32Array {
    // The worker reads it until it has answered: with a call under way the input is copied.
    if (!self.crossOriginIsolated || this.waiting.size > 0) return input;
    if (this.shared?.length !== input.length) {
      this.shared = new Float32Array(new SharedArrayBuffer(input.byteLength));
    }
    this.shared.set(input);
    return this.shared;
  }

  close(): void {
    this.worker.terminate();
    this.fail("the engine was closed");
  }

  private fail(reason: string): void {
    for (const call of this.waiting.values()) call.reject(new Error(reason));
    this.waiting.clear();
  }

  private ask(request: WithoutId<Request>): Promise<unknown> {
    const id = this.next++;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.worker.postMessage({ ...request, id });
    });
  }
}

export { flavourFor, threadCount } from "./kit";
export type { Accelerator, Loaded, Ran };
