/**
 * Image files to pixels. PNG is decoded here, not by the browser: a browser's canvas keeps 8 bits,
 * multiplies by alpha and manages colour, and the network would see other pixels than it was
 * trained on. JPEG, WebP and BMP go through the browser with colour management switched off.
 */
import { decode as decodePng, hasPngSignature, type DecodedPng } from "fast-png";
import { Fault } from "../fault";
import { MAX_PIXELS, type Pixels } from "./pixels";
import { checkPng } from "./png";
import { sizeOf } from "./size";
import { turn } from "./turn";

/** As large as `MAX_PIXELS` of three channels in 16 bits; refused before the file is in memory. */
const MAX_FILE = MAX_PIXELS * 6;

/** Decode one file. Throws a Fault for what is no image, damaged, or too large. */
export async function decode(file: Blob): Promise<Pixels> {
  if (file.size === 0) throw new Fault("emptyFile");
  if (file.size > MAX_FILE) throw new Fault("fileTooLarge", String(MAX_FILE / 1e6));
  const bytes = new Uint8Array(await file.arrayBuffer());
  if (hasPngSignature(bytes)) return fromPng(bytes);
  const size = sizeOf(bytes);
  // Of a GIF the browser would give the first frame without a word.
  if (!size) throw new Fault("notAnImage");
  checkSize(size.width, size.height);
  return fromBrowser(file);
}

function checkSize(width: number, height: number): void {
  if (width * height > MAX_PIXELS) throw new Fault("tooLarge", String(MAX_PIXELS / 1e6));
}

/** Decode a PNG of any kind to grey or RGB; alpha is dropped, as Pillow does. */
export function fromPng(bytes: Uint8Array): Pixels {
  const header = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 33) throw new Fault("damaged");
  checkSize(header.getUint32(16), header.getUint32(20));
  checkPng(bytes);
  let png: DecodedPng;
  try {
    png = decodePng(bytes, { checkCrc: true });
  } catch {
    throw new Fault("damaged");
  }
  return turn(toPixels(png, bytes[25]!), pngOrientation(bytes));
}

function toPixels(png: DecodedPng, colourType: number): Pixels {
  const { width, height } = png;
  const count = width * height;
  const data = png.data as Uint8Array | Uint16Array;
  if (colourType === 3) return fromPalette(png, count);
  const planes = png.channels;
  const unpacked = png.depth < 8 ? unpack(png, count) : data;
  if (colourType === 0 || colourType === 4) {
    if (planes === 1 && colourType === 0) {
      return { width, height, channels: 1, data: unpacked };
    }
    return { width, height, channels: 1, data: pick(eightBits(unpacked), count, planes, 1) };
  }
  return { width, height, channels: 3, data: pick(eightBits(unpacked), count, planes, 3) };
}

/** Pillow keeps 16 bits for plain grey only; elsewhere it takes the high byte. */
function eightBits(data: Uint8Array | Uint16Array): Uint8Array {
  return data instanceof Uint8Array ? data : Uint8Array.from(data, (v) => v >> 8);
}

function pick(data: Uint8Array, count: number, from: number, to: 1 | 3): Uint8Array {
  if (from === to) return data;
  const out = new Uint8Array(count * to);
  for (let i = 0; i < count; i++) {
    for (let c = 0; c < to; c++) out[i * to + c] = data[i * from + c]!;
  }
  return out;
}

/** Grey of 1, 2 or 4 bits a pixel, each row starting on a byte, to 0 … 255. */
function unpack(png: DecodedPng, count: number): Uint8Array {
  const indices = unpackIndices(png, count);
  const scale = 255 / ((1 << png.depth) - 1);
  return indices.map((v) => v * scale);
}

function unpackIndices(png: DecodedPng, count: number): Uint8Array {
  const { depth, width } = png;
  const data = png.data as Uint8Array;
  if (depth === 8) return data;
  const out = new Uint8Array(count);
  const rowBytes = Math.ceil((width * depth) / 8);
  const mask = (1 << depth) - 1;
  for (let i = 0; i < count; i++) {
    const bit = (i % width) * depth;
    const byte = data[Math.floor(i / width) * rowBytes + (bit >> 3)]!;
    out[i] = (byte >> (8 - depth - (bit & 7))) & mask;
  }
  return out;
}

function fromPalette(png: DecodedPng, count: number): Pixels {
  const palette = png.palette;
  if (!palette) throw new Fault("damaged");
  const indices = unpackIndices(png, count);
  const out = new Uint8Array(count * 3);
  for (let i = 0; i < count; i++) {
    const colour = palette[indices[i]!];
    if (!colour) throw new Fault("damaged");
    for (let c = 0; c < 3; c++) out[i * 3 + c] = colour[c]!;
  }
  return { width: png.width, height: png.height, channels: 3, data: out };
}

/** The EXIF orientation (1 … 8) in a PNG's eXIf chunk; 1 where there is none. */
export function pngOrientation(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 8; at + 12 <= bytes.length;) {
    const length = view.getUint32(at);
    const type = view.getUint32(at + 4);
    if (type === 0x65584966 && at + 8 + length <= bytes.length) { // "eXIf"
      return exifOrientation(new DataView(bytes.buffer, bytes.byteOffset + at + 8, length));
    }
    at += 12 + length;
  }
  return 1;
}

/** Twin of `exif_orientation` in bedside.runtime.preprocess: EXIF alone, never XMP. */
export function exifOrientation(exif: DataView): number {
  let at = 0;
  // Some writers put JPEG's prefix "Exif", 0, 0 before the block in a PNG as well.
  while (at + 6 <= exif.byteLength && exif.getUint32(at) === 0x45786966 && exif.getUint16(at + 4) === 0) at += 6;
  if (at + 8 > exif.byteLength) return 1;
  const order = exif.getUint32(at);
  if (order !== 0x49492a00 && order !== 0x4d4d002a) return 1;
  const little = order === 0x49492a00;
  const start = at + exif.getUint32(at + 4, little);
  if (start + 2 > exif.byteLength) return 1;
  const entries = exif.getUint16(start, little);
  for (let i = 0; i < entries && start + 14 + i * 12 <= exif.byteLength; i++) {
    const entry = start + 2 + i * 12;
    if (exif.getUint16(entry, little) === 0x0112) {
      const value = exif.getUint16(entry + 8, little);
      return value >= 1 && value <= 8 ? value : 1;
    }
  }
  return 1;
}

async function fromBrowser(file: Blob): Promise<Pixels> {
  let bitmap: ImageBitmap;
  try {
    bitmap = await createImageBitmap(file, {
      colorSpaceConversion: "none", premultiplyAlpha: "none", imageOrientation: "from-image",
    });
  } catch {
    throw new Fault("notAnImage");
  }
  try {
    return fromSource(bitmap, bitmap.width, bitmap.height);
  } finally {
    bitmap.close();
  }
}

/** Read the pixels of a bitmap or a video frame; grey where all three channels are equal. */
export function fromSource(source: CanvasImageSource, width: number, height: number): Pixels {
  checkSize(width, height);
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (!context) throw new Fault("notAnImage");
  context.drawImage(source, 0, 0);
  const rgba = context.getImageData(0, 0, width, height).data;
  const count = width * height;
  const data = new Uint8Array(count * 3);
  for (let i = 0; i < count; i++) {
    for (let c = 0; c < 3; c++) data[i * 3 + c] = rgba[i * 4 + c]!;
  }
  return { width, height, channels: 3, data };
}
