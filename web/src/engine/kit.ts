/**
 * The engine's files, fetched once and held in memory: from then on a fresh worker starts without
 * the network, also over plain http, where a browser offers no cache that a page could rely on.
 */
import workerUrl from "./worker.ts?worker&url";
import type { Accelerator, Flavour } from "./protocol";

/** `script` is the worker with LiteRT.js's loader before it; `threads` the loader alone. */
export interface Kit {
  readonly script: string;
  readonly threads: string;
  readonly module: WebAssembly.Module;
}

const STEMS: Record<Flavour, string> = {
  threaded: "litert_wasm_threaded_internal", single: "litert_wasm_internal",
  jspi: "litert_wasm_jspi_internal", compat: "litert_wasm_compat_internal",
};

// A function that calls i32x4.relaxed_trunc: only engines with relaxed SIMD take it. The very
// check by which LiteRT.js chooses its file.
const RELAXED_SIMD = Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0,
  10, 15, 1, 13, 0, 65, 1, 253, 15, 65, 2, 253, 15, 253, 128, 2, 11);

let relaxed: boolean | undefined;

/** Which build of the engine this page can use. Without relaxed SIMD (Safari) there is but one. */
export function flavourFor(accelerator: Accelerator): Flavour {
  relaxed ??= WebAssembly.validate(RELAXED_SIMD);
  if (!relaxed) return "compat";
  if (accelerator === "webnn") return "jspi";
  return self.crossOriginIsolated ? "threaded" : "single";
}

/** Processor threads that help: all but the very many; one where the page or the engine has no more. */
export function threadCount(): number {
  return flavourFor("wasm") === "threaded" ? Math.min(8, Math.max(1, navigator.hardwareConcurrency || 1)) : 1;
}

/** The files of a flavour, to be kept for the next visit. */
export function filesOf(flavour: Flavour): string[] {
  const folder = new URL("wasm/", document.baseURI).href;
  return [`${folder}${STEMS[flavour]}.js`, `${folder}${STEMS[flavour]}.wasm`, new URL(workerUrl, document.baseURI).href];
}

async function got(url: string): Promise<Response> {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url.slice(url.lastIndexOf("/") + 1)}: ${response.status}`);
  return response;
}

async function compiled(response: Promise<Response>): Promise<WebAssembly.Module> {
  // Streaming needs the right content type, which not every host of static files sends.
  if ((await response).headers.get("content-type") === "application/wasm") return WebAssembly.compileStreaming(response);
  return WebAssembly.compile(await (await response).arrayBuffer());
}

async function fetchKit(flavour: Flavour): Promise<Kit> {
  const [loader, wasm, worker] = filesOf(flavour) as [string, string, string];
  const [loaderText, module, workerText] = await Promise.all([
    got(loader).then((r) => r.text()), compiled(got(wasm)), got(worker).then((r) => r.text())]);
  const script = (...parts: string[]) => URL.createObjectURL(new Blob(parts, { type: "text/javascript" }));
  return { script: script(loaderText, "\n;\n", workerText), threads: script(loaderText), module };
}

const held = new Map<Flavour, Promise<Kit>>();

/** The kit of a flavour; fetched once, again only where that failed. */
export function kitOf(flavour: Flavour): Promise<Kit> {
  let kit = held.get(flavour);
  if (!kit) {
    kit = fetchKit(flavour);
    held.set(flavour, kit);
    kit.catch(() => held.delete(flavour));
  }
  return kit;
}
