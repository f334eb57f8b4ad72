/**
 * What a PNG may cost, by its chunks, before it is decoded: a megabyte of deflated zeros becomes a
 * gigabyte, and the decoder would take the memory before it compared that with the header's size.
 */
import { Unzlib } from "fflate";
import { Fault } from "../fault";

/** Deflate grows at most 1032-fold, so one step holds four megabytes at most. */
const STEP = 4096;
/** Colour profiles are of kilobytes; the largest in use have some megabytes. */
const MAX_PROFILE = 2 ** 24;
/** Some writers leave a few bytes after the last row, which Pillow passes over too. */
const SLACK = 2 ** 16;
const CHANNELS: Record<number, number> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };
/** First column, first row and the steps between columns and rows of Adam7's passes. */
const ADAM7 = [[0, 0, 8, 8], [4, 0, 8, 8], [0, 4, 4, 8], [2, 0, 4, 4], [0, 2, 2, 4], [1, 0, 2, 2], [0, 1, 1, 2]] as const;

/**
 * Throws `severalFrames` for an animated PNG and `damaged` where its pixels or its colour profile
 * inflate to more than the header says or a profile may have. `bytes` begin with the signature and
 * a whole IHDR chunk (33 bytes).
 */
export function checkPng(bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const pixels = bounded(inflatedSize(view) + SLACK);
  for (let at = 8; at + 12 <= bytes.length;) {
    const length = view.getUint32(at);
    const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    const data = bytes.subarray(at + 8, at + 8 + length);
    if (type === "IEND") return;
    if (type === "acTL") throw new Fault("severalFrames");
    if (type === "IDAT") pixels(data);
    // A name, its end and the method stand before the profile.
    if (type === "iCCP") bounded(MAX_PROFILE)(data.subarray(data.indexOf(0) + 2));
    at += 12 + length;
  }
}

/** Bytes of the filtered rows, as they are deflated. */
function inflatedSize(header: DataView): number {
  const width = header.getUint32(16), height = header.getUint32(20);
  const bits = header.getUint8(24) * (CHANNELS[header.getUint8(25)] ?? 4);
  const size = (w: number, h: number) => (w > 0 && h > 0 ? h * (1 + Math.ceil((w * bits) / 8)) : 0);
  if (header.getUint8(28) === 0) return size(width, height);
  return ADAM7.reduce((sum, [x, y, dx, dy]) => sum + size(Math.ceil((width - x) / dx), Math.ceil((height - y) / dy)), 0);
}

/** Takes a deflated stream in parts, and throws once it inflates to more than `limit` bytes. */
function bounded(limit: number): (part: Uint8Array) => void {
  let left = limit;
  const inflator = new Unzlib((part) => { left -= part.length; });
  return (part) => {
    for (let at = 0; at < part.length; at += STEP) {
      try {
        inflator.push(part.subarray(at, at + STEP));
      } catch {
        throw new Fault("damaged");
      }
      if (left < 0) throw new Fault("damaged");
    }
  };
}
