/** LiteRT.js and nothing else: the loop that the app's engine is held against. */
import { type CompiledModel, loadAndCompile, loadLiteRt, Tensor } from "@litertjs/core";
import type { Ask } from "./protocol";

const scope = self as unknown as {
  Module?: object; postMessage(ms: number[]): void; onmessage: ((e: MessageEvent<Ask>) => void) | null;
};
let model: CompiledModel;

async function load({ model: bytes, threads, wasm }: Extract<Ask, { do: "load" }>): Promise<number[]> {
  scope.Module = {
    locateFile: (name: string) => wasm + name,
    mainScriptUrlOrBlob: `${wasm}litert_wasm_threaded_internal.js`,
  };
  await loadLiteRt(wasm, { threads: true });
  model = await loadAndCompile(bytes, { accelerator: "wasm", cpuOptions: { numThreads: threads } });
  return [];
}

async function loop({ input, shape, count }: Extract<Ask, { do: "loop" }>): Promise<number[]> {
  const ms: number[] = [];
  for (let i = 0; i < count; i++) {
    const begun = performance.now();
    const tensor = new Tensor(input, shape);
    for (const output of await model.run(tensor)) {
      await output.data();
      output.delete();
    }
    tensor.delete();
    ms.push(performance.now() - begun);
  }
  return ms;
}

scope.onmessage = ({ data }) => {
  void (data.do === "load" ? load(data) : loop(data)).then((ms) => scope.postMessage(ms));
};
