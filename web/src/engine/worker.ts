/**
 * LiteRT.js in a worker of its own: the page stays responsive, and a fresh worker is a fresh
 * process for latency. The only file that imports the engine.
 */
import { type CompiledModel, loadAndCompile, loadLiteRt, Tensor } from "@litertjs/core";
import type { Loaded, Ran, Reply, Request } from "./protocol";

interface EngineScope {
  Module?: {
    instantiateWasm(imports: WebAssembly.Imports, done: (i: WebAssembly.Instance, m: WebAssembly.Module) => void): object;
    mainScriptUrlOrBlob: string;
  };
  importScripts: unknown;
  postMessage(message: Reply): void;
  onmessage: ((event: MessageEvent<Request>) => void) | null;
}

const scope = self as unknown as EngineScope;

let model: CompiledModel | undefined;

async function start({ module, threads, flavour }: Extract<Request, { do: "start" }>): Promise<null> {
  scope.Module = {
    // Compiled once in the page, for all workers.
    instantiateWasm: (imports, done) => {
      void WebAssembly.instantiate(module, imports).then((instance) => done(instance, module));
      return {};
    },
    // A thread of the engine loads a script again; without the name it would load our own.
    mainScriptUrlOrBlob: threads,
  };
  // The loader stands in this very script (see kit.ts), so there is nothing to import.
  scope.importScripts = () => {};
  await loadLiteRt("held/", { threads: flavour === "threaded", jspi: flavour === "jspi" });
  return null;
}

async function load(bytes: Uint8Array, accelerator: "wasm" | "webgpu" | "webnn", threads: number
): Promise<Loaded> {
  model?.delete();
  model = await loadAndCompile(bytes, { accelerator, cpuOptions: { numThreads: threads } });
  // LiteRT.js falls back to the processor without an error; here that is a failure.
  if (model.options.accelerator !== accelerator) throw new Error(`not every operation runs on ${accelerator}`);
  if (accelerator !== "wasm" && !model.isFullyAccelerated) {
    throw new Error(`not every operation runs on ${accelerator}`);
  }
  const input = model.getInputDetails()[0];
  if (!input) throw new Error("the model has no input");
  return { inputShape: [...input.shape] };
}

async function infer(input: Float32Array, shape: number[]): Promise<Ran> {
  if (!model) throw new Error("no model is loaded");
  const begun = performance.now();
  const tensor = new Tensor(input, shape);
  const outputs: Ran["outputs"] = {};
  try {
    const found = await model.run(tensor);
    const details = model.getOutputDetails();
    for (const [i, output] of found.entries()) {
      const detail = details[i]!;
      // Reading the values waits for the accelerator, so the time covers all of the work.
      outputs[detail.name] = {
        data: (await output.data()) as Float32Array, shape: [...detail.shape],
      };
      output.delete();
    }
  } finally {
    tensor.delete();
  }
  return { outputs, ms: performance.now() - begun };
}

async function time(request: Extract<Request, { do: "time" }>): Promise<number[]> {
  const { inputs, shape, warmup, samples } = request;
  for (let i = 0; i < warmup; i++) await infer(inputs[i % inputs.length]!, shape);
  const ms: number[] = [];
  for (let i = 0; i < samples; i++) ms.push((await infer(inputs[i % inputs.length]!, shape)).ms);
  return ms;
}

function answer(request: Request): Promise<unknown> {
  switch (request.do) {
    case "start": return start(request);
    case "load": return load(request.model, request.accelerator, request.threads);
    case "run": return infer(request.input, request.shape);
    case "time": return time(request);
  }
}

let queue: Promise<void> = Promise.resolve();
scope.onmessage = ({ data }) => {
  queue = queue.then(async () => {
    try {
      scope.postMessage({ id: data.id, ok: true, value: await answer(data) });
    } catch (error) {
      scope.postMessage({ id: data.id, ok: false, error: error instanceof Error ? error.message : String(error) });
    }
  });
};
