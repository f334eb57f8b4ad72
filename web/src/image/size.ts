/**
 * The size of a JPEG, BMP or WebP by its header, before a browser decodes it: a file of some
 * kilobytes can claim gigabytes of pixels, and the browser takes the memory before it says so.
 */
import { Fault } from "../fault";

export interface Size { readonly width: number; readonly height: number }

/**
 * Width and height in pixels as stored, not turned; undefined for a file of another kind. Throws
 * `damaged` where a file of these kinds ends, or its pixels begin, before the size, and
 * `severalFrames` for an animated WebP.
 */
export function sizeOf(bytes: Uint8Array): Size | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  try {
    if (starts(bytes, 0, "\xff\xd8\xff")) return jpegSize(view);
    if (starts(bytes, 0, "BM")) return bmpSize(view);
    if (starts(bytes, 0, "RIFF") && starts(bytes, 8, "WEBP")) return webpSize(bytes, view);
  } catch (error) {
    // A DataView throws a RangeError past its end.
    if (!(error instanceof RangeError)) throw error;
    throw new Fault("damaged");
  }
  return undefined;
}

function starts(bytes: Uint8Array, at: number, text: string): boolean {
  return [...text].every((letter, i) => bytes[at + i] === letter.charCodeAt(0));
}

/** The first frame header (SOF), on the way that libjpeg takes: rubbish between segments is skipped. */
function jpegSize(view: DataView): Size {
  for (let at = 2; ;) {
    while (view.getUint8(at) !== 0xff) at++;
    while (view.getUint8(at) === 0xff) at++;
    const marker = view.getUint8(at++);
    // 0xff00 is no marker; TEM, RST0 … RST7 and SOI have no length.
    if (marker <= 0x01 || (marker >= 0xd0 && marker <= 0xd8)) continue;
    // The end, or pixels without a frame header.
    if (marker === 0xd9 || marker === 0xda) throw new Fault("damaged");
    const length = view.getUint16(at);
    // SOF0 … SOF15 without DHT, JPG and DAC, whose numbers lie between.
    if (marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc) {
      return { height: view.getUint16(at + 3), width: view.getUint16(at + 5) };
    }
    if (length < 2) throw new Fault("damaged");
    at += length;
  }
}

function bmpSize(view: DataView): Size {
  const header = view.getUint32(14, true);
  if (header === 12) return { width: view.getUint16(18, true), height: view.getUint16(20, true) };
  // A negative height means that the rows begin at the top.
  return { width: Math.abs(view.getInt32(18, true)), height: Math.abs(view.getInt32(22, true)) };
}

/** Of the canvas where the file is extended: no frame may be larger. */
function webpSize(bytes: Uint8Array, view: DataView): Size {
  if (starts(bytes, 12, "VP8X")) {
    // The flag of an animation.
    if (view.getUint8(20) & 2) throw new Fault("severalFrames");
    const side = (at: number) => 1 + view.getUint16(at, true) + (view.getUint8(at + 2) << 16);
    return { width: side(24), height: side(27) };
  }
  if (starts(bytes, 12, "VP8L")) {
    const bits = view.getUint32(21, true);
    return { width: 1 + (bits & 0x3fff), height: 1 + ((bits >> 14) & 0x3fff) };
  }
  if (!starts(bytes, 12, "VP8 ")) throw new Fault("damaged");
  return { width: view.getUint16(26, true) & 0x3fff, height: view.getUint16(28, true) & 0x3fff };
}
