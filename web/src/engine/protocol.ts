/** What the app and an engine worker say to one another. */

/** What a model can run on in a browser. */
export type Accelerator = "wasm" | "webgpu" | "webnn";

/** `threaded`: processor threads and WebGPU. `single`, `compat`: one thread. `jspi`: WebNN. */
export type Flavour = "threaded" | "single" | "jspi" | "compat";

export type Request =
  | { id: number; do: "start"; module: WebAssembly.Module; threads: string; flavour: Flavour }
  | { id: number; do: "load"; model: Uint8Array; accelerator: Accelerator; threads: number }
  | { id: number; do: "run"; input: Float32Array; shape: number[] }
  | { id: number; do: "time"; inputs: Float32Array[]; shape: number[]; warmup: number; samples: number };

export interface Output {
  readonly data: Float32Array;
  readonly shape: readonly number[];
}

export interface Ran {
  readonly outputs: Record<string, Output>;
  readonly ms: number;
}

export interface Loaded {
  readonly inputShape: readonly number[];
}

export type Reply =
  | { id: number; ok: true; value: unknown }
  | { id: number; ok: false; error: string };
