/** What the page and the bare worker say to one another. */
export type Ask =
  | { do: "load"; model: Uint8Array; threads: number; wasm: string }
  | { do: "loop"; input: Float32Array; shape: number[]; count: number };
