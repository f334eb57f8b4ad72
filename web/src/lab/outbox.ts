/**
 * Results on their way to the workbench. Each has a key of its own and lies in IndexedDB until the
 * workbench has answered, so neither a lost connection nor a closed page loses one.
 */
const NAME = "bedside-lab";
const STORE = "outbox";
export const LONGEST_MS = 10_000;

function open(): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE);
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error("IndexedDB"));
  });
}

async function within<T>(mode: IDBTransactionMode, work: (s: IDBObjectStore) => IDBRequest<T>): Promise<T> {
  const database = await open();
  try {
    return await new Promise<T>((resolve, reject) => {
      const transaction = database.transaction(STORE, mode);
      const request = work(transaction.objectStore(STORE));
      transaction.oncomplete = () => resolve(request.result);
      transaction.onabort = () => reject(transaction.error ?? new Error("IndexedDB"));
    });
  } finally {
    database.close();
  }
}

/** A refusal by the workbench: sending again would not help. */
export class Refusal extends Error {
  constructor(readonly status: number, message: string) {
    super(message);
    this.name = "Refusal";
  }
}

/** A pause that ends early when the browser sees a network again. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(clock);
      removeEventListener("online", end);
      resolve();
    };
    const clock = setTimeout(end, ms);
    addEventListener("online", end);
  });
}

/** Results of sessions that the workbench no longer knows. */
export async function forgetOthers(session: string): Promise<void> {
  const all = (await within("readonly", (s) => s.getAllKeys())) as string[];
  for (const key of all) if (!key.startsWith(`${session}/`)) await within("readwrite", (s) => s.delete(key));
}

export class Outbox {
  private flushing: Promise<void> | undefined;

  /** `send` rejects with a Refusal where trying again is useless, with anything else where not. */
  constructor(
    private readonly session: string,
    private readonly send: (key: string, value: unknown) => Promise<void>,
    private readonly waiting: (count: number) => void,
    private readonly pauseMs = 1000,
  ) {}

  async add(key: string, value: unknown): Promise<void> {
    await within("readwrite", (s) => s.put(value, `${this.session}/${key}`));
    void this.flush().catch(() => {});
  }

  async keys(): Promise<string[]> {
    const all = (await within("readonly", (s) => s.getAllKeys())) as string[];
    return all.filter((k) => k.startsWith(`${this.session}/`)).map((k) => k.slice(this.session.length + 1));
  }

  /** Resolves when everything has arrived; keeps trying while the connection is away. */
  flush(): Promise<void> {
    this.flushing ??= this.work().finally(() => { this.flushing = undefined; });
    return this.flushing;
  }

  private async work(): Promise<void> {
    for (let wait = this.pauseMs; ;) {
      const keys = await this.keys();
      if (keys.length === 0) return this.waiting(0);
      try {
        for (const key of keys) {
          const full = `${this.session}/${key}`;
          await this.send(key, await within("readonly", (s) => s.get(full)));
          await within("readwrite", (s) => s.delete(full));
        }
        wait = this.pauseMs;
      } catch (error) {
        if (error instanceof Refusal) throw error;
        this.waiting((await this.keys()).length);
        await pause(wait);
        wait = Math.min(wait * 2, LONGEST_MS);
      }
    }
  }
}
