/** Installing the service worker, and what the page fetches itself, kept for the next visit. */
import { Fault } from "./fault";

const CACHE = "bedside-files";

/** Fetch a file of the app; where the network fails, what an earlier visit kept. */
export async function fetchFile(url: string): Promise<Uint8Array> {
  const held = "caches" in self ? await caches.open(CACHE).catch(() => null) : null;
  try {
    const response = await fetch(url, { cache: "no-cache" });
    if (!response.ok) throw new Error(String(response.status));
    await held?.put(url, response.clone()).catch(() => {});
    return new Uint8Array(await response.arrayBuffer());
  } catch (error) {
    const kept = await held?.match(url);
    if (kept) return new Uint8Array(await kept.arrayBuffer());
    throw new Fault("download", error instanceof Error ? error.message : "network");
  }
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
