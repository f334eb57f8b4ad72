/** The workbench's side of the lab, as functions. */
import type { Accelerator } from "../engine/protocol";
import type { Pixels, Preprocess } from "../image/pixels";
import { LONGEST_MS, pause, Refusal } from "./outbox";

export interface Place { https: string | null; fingerprint: string | null; images: number; variants: number }

export interface Device {
  name: string; browser: string; platform: string; secure: boolean; threads: number;
  accelerators: Accelerator[]; gpu: string;
}

export interface Plan {
  variants: { id: string; sha256: string; size_bytes: number; classes: number; preprocess: Preprocess }[];
  rounds: [number, Accelerator][][];
  warmup: number;
  samples: number;
  batch: number;
  images: number;
  latency_images: number[];
  done: string[];
  finished: string[] | null;
}

async function ask(path: string, token: string | null, method = "GET", body?: unknown): Promise<Response> {
  const headers: Record<string, string> = {};
  if (token) headers["Authorization"] = `Bearer ${token}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const response = await fetch(`lab/api/${path}`, {
    method, headers, cache: "no-store", ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  if (response.ok) return response;
  const text = await response.text();
  // 5xx: the workbench may be starting again.
  if (response.status >= 500) throw new Error(`${response.status}`);
  let reason = text.slice(0, 200);
  try {
    reason = (JSON.parse(text) as { error: string }).error;
  } catch { /* not JSON: the text itself */ }
  throw new Refusal(response.status, reason);
}

/** Try again while the connection is away; `away` is told when it goes and when it is back. */
export async function patient<T>(work: () => Promise<T>, away: (gone: boolean) => void): Promise<T> {
  for (let wait = 1000, gone = false; ; wait = Math.min(wait * 2, LONGEST_MS)) {
    try {
      const found = await work();
      if (gone) away(false);
      return found;
    } catch (error) {
      if (error instanceof Refusal) throw error;
      gone = true;
      away(true);
      await pause(wait);
    }
  }
}

export const place = async () => (await (await ask("place", null)).json()) as Place;

export const join = async (code: string, device: Device, images: boolean) =>
  (await (await ask("join", null, "POST", { code, device, images })).json()) as { session: string; token: string };

export const plan = async (token: string) => (await (await ask("plan", token)).json()) as Plan;

export const model = async (token: string, index: number) =>
  new Uint8Array(await (await ask(`models/${index}`, token)).arrayBuffer());

export const upload = async (token: string, key: string, value: unknown) => {
  await ask(`uploads/${key}`, token, "PUT", value);
};

export const finish = async (token: string) =>
  ((await (await ask("finish", token, "POST")).json()) as { measurements: string[] }).measurements;

export async function image(token: string, variant: number, index: number, spec: Preprocess): Promise<Pixels> {
  const response = await ask(`images/${variant}/${index}`, token);
  const bytes = await response.arrayBuffer();
  const data = response.headers.get("X-Dtype") === "uint16" ? new Uint16Array(bytes) : new Uint8Array(bytes);
  return { width: spec.width_px, height: spec.height_px, channels: spec.channels, data };
}
