/**
 * The service worker: the app opens without a network. The shell is kept when the worker is
 * installed, models and the engine when the page uses them. It also adds the headers that
 * threads need, for hosts that cannot send them.
 */
declare const __PRECACHE__: string[];
declare const __VERSION__: string;

interface Scope {
  registration: { scope: string };
  clients: { claim(): Promise<void> };
  skipWaiting(): Promise<void>;
  addEventListener(type: string, listener: (event: never) => void): void;
}
interface Extendable { waitUntil(work: Promise<unknown>): void }
interface Fetching extends Extendable { request: Request; respondWith(r: Promise<Response>): void }

const scope = self as unknown as Scope;
const SHELL = `bedside-shell-${__VERSION__}`;
const FILES = "bedside-files";

scope.addEventListener("install", (event: Extendable) => {
  event.waitUntil(caches.open(SHELL)
    .then((held) => held.addAll(__PRECACHE__.map((url) => new Request(url, { cache: "reload" }))))
    .then(() => scope.skipWaiting()));
});

scope.addEventListener("activate", (event: Extendable) => {
  event.waitUntil(caches.keys()
    .then((names) => Promise.all(names
      .filter((n) => n.startsWith("bedside-shell-") && n !== SHELL).map((n) => caches.delete(n))))
    .then(() => scope.clients.claim()));
});

function isolated(response: Response): Response {
  if (response.status === 0 || response.type === "opaque") return response;
  const headers = new Headers(response.headers);
  headers.set("Cross-Origin-Opener-Policy", "same-origin");
  headers.set("Cross-Origin-Embedder-Policy", "require-corp");
  headers.set("Cross-Origin-Resource-Policy", "same-origin");
  return new Response(response.body, { status: response.status, statusText: response.statusText, headers });
}

async function answer(request: Request): Promise<Response> {
  const options = { ignoreSearch: request.mode === "navigate" };
  const shell = await (await caches.open(SHELL)).match(request, options);
  if (shell) return isolated(shell);
  const fresh = request.cache === "no-cache" || request.cache === "reload";
  const kept = await (await caches.open(FILES)).match(request);
  if (kept && !fresh) return isolated(kept);
  try {
    return isolated(await fetch(request));
  } catch (error) {
    if (kept) return isolated(kept);
    throw error;
  }
}

scope.addEventListener("fetch", (event: Fetching) => {
  const { request } = event;
  const path = request.url.slice(scope.registration.scope.length);
  if (request.method === "GET" && request.url.startsWith(scope.registration.scope)
    && !path.startsWith("lab") && !path.startsWith("api")) {
    event.respondWith(answer(request));
  }
});

export {};
