/** Installing the service worker, and what the page fetches itself, kept for the next visit. */
import { Fault } from "./fault";

const CACHE = "bedside-files";

async function download(url: string): Promise<Uint8Array> {
  try {
    const response = await fetch(url, { cache: "no-cache" });
    if (!response.ok) throw new Error(String(response.status));
    return new Uint8Array(await response.arrayBuffer());
  } catch (error) {
    throw new Fault("download", error instanceof Error ? error.message : "network");
  }
}

/**
 * Fetch a file of the app and read it; where the network fails, or `read` refuses what came, what
 * an earlier visit kept. Only what could be read is kept: a damaged download must not take the
 * place of a good copy. `refused` hears why a download was passed over for the kept copy.
 */
export async function fetchFile<T>(
  url: string, read: (data: Uint8Array) => Promise<T>, refused: (fault: unknown) => void,
): Promise<T> {
  const held = "caches" in self ? await caches.open(CACHE).catch(() => null) : null;
  let fault: unknown;
  try {
    const data = await download(url);
    const value = await read(data);
    await held?.put(url, new Response(data as BodyInit)).catch(() => {});
    return value;
  } catch (error) {
    fault = error;
  }
  const kept = await held?.match(url);
  if (!kept) throw fault;
  let value: T;
  try {
    value = await read(new Uint8Array(await kept.arrayBuffer()));
  } catch {
    throw fault;
  }
  // Without a network the kept copy is what a person expects.
  if (!(fault instanceof Fault && fault.text === "download")) refused(fault);
  return value;
}

/** Keep files of the engine that this device uses. */
export async function keep(urls: readonly string[]): Promise<void> {
  const held = await caches.open(CACHE);
  await Promise.all(urls.map(async (url) => {
    if (!(await held.match(url))) await held.add(url);
  }));
}

/** Register the service worker; resolves to whether the app will open offline. */
export async function installWorker(): Promise<boolean> {
  if (!("serviceWorker" in navigator) || !self.isSecureContext) return false;
  await navigator.serviceWorker.register("sw.js");
  await navigator.serviceWorker.ready;
  // A host that cannot send the isolation headers: the service worker adds them on a reload.
  if (!self.crossOriginIsolated && !sessionStorage.getItem("isolated")) {
    sessionStorage.setItem("isolated", "tried");
    location.reload();
  }
  return true;
}
