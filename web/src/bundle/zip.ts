/**
 * The canonical zip of docs/bundle.md: stored, undated, unadorned, and determined to the last bit by
 * its names and contents. Reading rebuilds it and compares, so every flipped bit shows.
 */
import { Fault } from "../fault";

const MAX_BYTES = 2 ** 30;
const MAX_ENTRIES = 512;
const MAX_NAME = 120;
const NAME = /^[a-z0-9_][a-z0-9_.-]*(?:\/[a-z0-9_][a-z0-9_.-]*)*$/;
const LOCAL = 30;
const CENTRAL = 46;
const END = 22;

export type Entries = Map<string, Uint8Array>;

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  let c = n;
  for (let k = 0; k < 8; k++) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
  return c;
});

function crc32(data: Uint8Array): number {
  let crc = 0xffffffff;
  for (let i = 0; i < data.length; i++) crc = CRC_TABLE[(crc ^ data[i]!) & 0xff]! ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

/** Throws `bundleTooLarge` for more than 1 GiB. */
export function checkZipSize(bytes: number): void {
  if (bytes > MAX_BYTES) throw new Fault("bundleTooLarge", `${Math.floor(bytes / 2 ** 20)} MiB`);
}

/** The entries of a canonical zip, in its order. Throws a Fault for anything else. */
export function readZip(data: Uint8Array): Entries {
  checkZipSize(data.length);
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  if (data.length < END || view.getUint32(0, true) !== 0x04034b50) {
    throw new Fault("notABundle", "no zip");
  }
  const entries = parse(data, view);
  if (!sameBytes(build(entries), data)) {
    throw new Fault("bundleChanged", "not the canonical zip of its contents");
  }
  return entries;
}

function parse(data: Uint8Array, view: DataView): Entries {
  const end = data.length - END;
  const count = view.getUint16(end + 8, true);
  const start = view.getUint32(end + 16, true);
  const damaged = new Fault("bundleChanged", "the zip's directory is damaged");
  if (view.getUint32(end, true) !== 0x06054b50) throw damaged;
  if (start + view.getUint32(end + 12, true) !== end) throw damaged;
  if (count > MAX_ENTRIES) throw new Fault("bundleChanged", `more than ${MAX_ENTRIES} files`);
  const entries: Entries = new Map();
  let at = start;
  let total = 0;
  for (let i = 0; i < count; i++) {
    if (at + CENTRAL > end) throw damaged;
    const method = view.getUint16(at + 10, true);
    const size = view.getUint32(at + 24, true);
    const nameLength = view.getUint16(at + 28, true);
    const first = view.getUint32(at + 42, true) + LOCAL + nameLength;
    const name = String.fromCharCode(...data.subarray(at + CENTRAL, at + CENTRAL + Math.min(nameLength, MAX_NAME + 1)));
    at += CENTRAL + nameLength;
    if (name.length > MAX_NAME || !NAME.test(name) || entries.has(name)) {
      throw new Fault("bundleChanged", "a file name that no bundle may hold");
    }
    total += size;
    if (method !== 0 || first + size > start || total > start) {
      throw new Fault("bundleChanged", `${name} lies outside the zip`);
    }
    entries.set(name, data.subarray(first, first + size));
  }
  return entries;
}

/** The one zip of these entries, in this order. */
export function build(entries: Entries): Uint8Array {
  let bodySize = 0;
  let directorySize = 0;
  for (const [name, data] of entries) {
    bodySize += LOCAL + name.length + data.length;
    directorySize += CENTRAL + name.length;
  }
  const out = new Uint8Array(bodySize + directorySize + END);
  const view = new DataView(out.buffer);
  const u16 = (at: number, ...values: number[]) => values.forEach((v, i) => view.setUint16(at + 2 * i, v, true));
  const u32 = (at: number, ...values: number[]) => values.forEach((v, i) => view.setUint32(at + 4 * i, v, true));
  let body = 0;
  let directory = bodySize;
  for (const [name, data] of entries) {
    const raw = Uint8Array.from(name, (c) => c.charCodeAt(0));
    const common = (at: number) => {
      u16(at, 10, 0, 0, 0, 0x21);
      u32(at + 10, crc32(data), data.length, data.length);
      u16(at + 22, raw.length, 0);
    };
    u32(directory, 0x02014b50);
    u16(directory + 4, 10);
    common(directory + 6);
    u32(directory + 42, body);
    out.set(raw, directory + CENTRAL);
    directory += CENTRAL + raw.length;
    u32(body, 0x04034b50);
    common(body + 4);
    out.set(raw, body + LOCAL);
    out.set(data, body + LOCAL + raw.length);
    body += LOCAL + raw.length + data.length;
  }
  u32(directory, 0x06054b50);
  u16(directory + 4, 0, 0, entries.size, entries.size);
  u32(directory + 12, directorySize, bodySize);
  return out;
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
