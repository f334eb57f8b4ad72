/** What stays on this device: models that a person added, and the history. IndexedDB, nothing else. */
import type { Outside } from "./bundle/answer";
import { Fault } from "./fault";

export interface Entry {
  id?: number;
  when: number;
  name: string;
  model: string;
  predicted: string;
  /** The class was withheld; `predicted` says so in words. */
  withheld?: boolean;
  /** The class that `probability` is of; entries of earlier versions lack it: the answer's. */
  of?: string;
  probability: number;
  threshold: number | null;
  /** The warnings of the answer; entries of earlier versions lack both. */
  unlike?: boolean;
  quality?: readonly Outside[];
  thumbnail: Blob;
}

const NAME = "bedside";
type StoreName = "bundles" | "history";

function open(): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => {
      request.result.createObjectStore("bundles");
      request.result.createObjectStore("history", { keyPath: "id", autoIncrement: true });
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(new Fault("storage", request.error?.name ?? "IndexedDB"));
  });
}

async function within<T>(store: StoreName, mode: IDBTransactionMode, work: (s: IDBObjectStore) => IDBRequest<T>): Promise<T> {
  const database = await open();
  try {
    return await new Promise<T>((resolve, reject) => {
      const transaction = database.transaction(store, mode);
      const request = work(transaction.objectStore(store));
      transaction.oncomplete = () => resolve(request.result);
      transaction.onabort = () => reject(new Fault("storage", transaction.error?.name ?? "IndexedDB"));
    });
  } finally {
    database.close();
  }
}

export const keepBundle = (id: string, data: Uint8Array) =>
  within("bundles", "readwrite", (s) => s.put(data, id));
export const keptBundles = async () =>
  (await within("bundles", "readonly", (s) => s.getAll())) as Uint8Array[];
export const forgetBundle = (id: string) => within("bundles", "readwrite", (s) => s.delete(id));

export const remember = (entry: Entry) => within("history", "readwrite", (s) => s.add(entry));
export const history = async () =>
  ((await within("history", "readonly", (s) => s.getAll())) as Entry[]).reverse();
export const forgetHistory = () => within("history", "readwrite", (s) => s.clear());
