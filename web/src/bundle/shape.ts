/** Strict JSON: no key twice, no unknown or missing key, no wrong type. */
import { Fault } from "../fault";

export type Check = (value: unknown, where: string) => void;

function wrong(where: string): never {
  throw new Fault("bundleChanged", `${where} does not read`);
}

export const text: Check = (v, w) => { if (typeof v !== "string") wrong(w); };
export const flag: Check = (v, w) => { if (typeof v !== "boolean") wrong(w); };
export const real: Check = (v, w) => { if (typeof v !== "number" || !Number.isFinite(v)) wrong(w); };
export const whole: Check = (v, w) => { if (!Number.isInteger(v)) wrong(w); };
export const anything: Check = () => {};

export function one(...options: unknown[]): Check {
  return (v, w) => { if (!options.includes(v)) wrong(w); };
}

export function nullable(check: Check): Check {
  return (v, w) => { if (v !== null) check(v, w); };
}

export function list(check: Check): Check {
  return (v, w) => {
    if (!Array.isArray(v)) wrong(w);
    (v as unknown[]).forEach((item, i) => check(item, `${w}[${i}]`));
  };
}

function isTable(v: unknown): v is Record<string, unknown> {
  return typeof v === "object" && v !== null && !Array.isArray(v);
}

export function table(check: Check): Check {
  return (v, w) => {
    if (!isTable(v)) return wrong(w);
    for (const [key, item] of Object.entries(v)) check(item, `${w}.${key}`);
  };
}

/** `older`: fields that an older schema lacks; `parse` leaves them undefined there. */
export function record(fields: Record<string, Check>, older: Record<string, Check> = {}): Check {
  return (v, w) => {
    if (!isTable(v)) return wrong(w);
    for (const key of Object.keys(v)) {
      if (Object.hasOwn(older, key)) older[key]!(v[key], `${w}.${key}`);
      else if (!Object.hasOwn(fields, key)) wrong(`${w}.${key}`);
    }
    for (const [key, check] of Object.entries(fields)) {
      if (!Object.hasOwn(v, key)) wrong(`${w}.${key}`);
      check(v[key], `${w}.${key}`);
    }
  };
}

/** Parse UTF-8 JSON and hold it to a shape. */
export function parse<T>(bytes: Uint8Array, check: Check, where: string): T {
  let value: unknown;
  try {
    const source = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    value = JSON.parse(source);
    if (repeatsAKey(source)) wrong(where);
  } catch (error) {
    if (error instanceof Fault) throw error;
    wrong(where);
  }
  check(value, where);
  return value as T;
}

/** Whether an object in valid JSON has a key twice (JSON.parse would keep the last). */
export function repeatsAKey(source: string): boolean {
  const open: (Set<string> | null)[] = [];
  for (const match of source.matchAll(/"(?:[^"\\]|\\.)*"(\s*:)?|[{}[\]]/gs)) {
    const token = match[0];
    if (token === "{") open.push(new Set());
    else if (token === "[") open.push(null);
    else if (token === "}" || token === "]") open.pop();
    else if (match[1] !== undefined) {
      const key = JSON.parse(token.slice(0, token.length - match[1].length)) as string;
      const keys = open.at(-1);
      if (keys?.has(key)) return true;
      keys?.add(key);
    }
  }
  return false;
}
