/**
 * The app's engine (the page asks its worker, image by image, hand-over included) and the bare loop
 * by turns, in one page.
 */
import { Engine, threadCount } from "../src/engine/engine";
import BareWorker from "./bare?worker";
import type { Ask } from "./protocol";

const bare = new BareWorker();
let engine: Engine;
let input: Float32Array;
let shape: number[];

function ask(request: Ask): Promise<number[]> {
  return new Promise((resolve) => {
    bare.onmessage = ({ data }: MessageEvent<number[]>) => resolve(data);
    bare.postMessage(request);
  });
}

async function start(side: number, channels: number): Promise<number> {
  const model = new Uint8Array(await (await fetch("model.tflite")).arrayBuffer());
  shape = [1, side, side, channels];
  input = Float32Array.from({ length: side * side * channels }, (_, i) => (i * 7919 % 1000) / 1000);
  engine = await Engine.open(model, "wasm");
  await ask({ do: "load", model, threads: threadCount(), wasm: new URL("wasm/", document.baseURI).href });
  return threadCount();
}

async function round(count: number, bareFirst: boolean): Promise<{ app: number[]; bare: number[] }> {
  const app: number[] = [];
  const ours = async () => {
    for (let i = 0; i < count; i++) {
      const begun = performance.now();
      await engine.run(input, shape);
      app.push(performance.now() - begun);
    }
  };
  if (!bareFirst) await ours();
  const other = await ask({ do: "loop", input, shape, count });
  if (bareFirst) await ours();
  return { app, bare: other };
}

Object.assign(window, { bench: { start, round } });
