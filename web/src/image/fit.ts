/**
 * Resizing as a preprocessing says: the filters `nearest` and `area`, black borders, the centre.
 * In whole numbers throughout, as `bedside.runtime.resize`, so both give the very same pixels.
 */
import type { Pixels, Preprocess } from "./pixels";
import { resize } from "./resize";

interface Box { readonly top: number; readonly left: number; readonly rows: number; readonly columns: number }

/** The quotient rounded half up. */
function rounded(numerator: number, denominator: number): number {
  return Math.floor((2 * numerator + denominator) / (2 * denominator));
}

/** The largest centred part of the shape height : width. */
export function cropBox(rows: number, columns: number, height: number, width: number): Box {
  if (columns * height > rows * width) {
    const kept = Math.max(1, rounded(rows * width, height));
    return { top: 0, left: Math.floor((columns - kept) / 2), rows, columns: kept };
  }
  const kept = Math.max(1, rounded(columns * height, width));
  return { top: Math.floor((rows - kept) / 2), left: 0, rows: kept, columns };
}

/** The whole image in the centre of height × width. */
export function fitBox(rows: number, columns: number, height: number, width: number): Box {
  if (columns * height >= rows * width) {
    const inner = Math.max(1, rounded(rows * width, columns));
    return { top: Math.floor((height - inner) / 2), left: 0, rows: inner, columns: width };
  }
  const inner = Math.max(1, rounded(columns * height, rows));
  return { top: 0, left: Math.floor((width - inner) / 2), rows: height, columns: inner };
}

function empty(like: Pixels, width: number, height: number): Pixels {
  const length = width * height * like.channels;
  const data = like.data instanceof Uint8Array ? new Uint8Array(length) : new Uint16Array(length);
  return { width, height, channels: like.channels, data };
}

/** Copy `box` of `from` (or all of it) into `to` at (top, left). */
function paste(from: Pixels, to: Pixels, source: Box, top: number, left: number): void {
  const span = source.columns * from.channels;
  for (let row = 0; row < source.rows; row++) {
    const start = ((source.top + row) * from.width + source.left) * from.channels;
    to.data.set(from.data.subarray(start, start + span), ((top + row) * to.width + left) * to.channels);
  }
}

/** The source pixel at the centre of each new one. */
function nearest(pixels: Pixels, width: number, height: number): Pixels {
  const small = empty(pixels, width, height);
  const { channels } = pixels;
  for (let y = 0; y < height; y++) {
    const row = Math.floor(((2 * y + 1) * pixels.height) / (2 * height));
    for (let x = 0; x < width; x++) {
      const column = Math.floor(((2 * x + 1) * pixels.width) / (2 * width));
      for (let c = 0; c < channels; c++) {
        small.data[(y * width + x) * channels + c] = pixels.data[(row * pixels.width + column) * channels + c]!;
      }
    }
  }
  return small;
}

/** Calls `each` with the pixels that a new one covers, and the share of each in 1 / target pixels. */
function covered(source: number, target: number, at: number, each: (old: number, share: number) => void): void {
  const low = at * source;
  const high = low + source;
  for (let old = Math.floor(low / target); old * target < high; old++) {
    each(old, Math.min(high, (old + 1) * target) - Math.max(low, old * target));
  }
}

/** The mean of what each new pixel covers, rounded half up; sums stay below 2^53. */
function area(pixels: Pixels, width: number, height: number): Pixels {
  const small = empty(pixels, width, height);
  const { channels } = pixels;
  const line = new Float64Array(pixels.width * channels);
  const total = pixels.width * pixels.height;
  for (let y = 0; y < height; y++) {
    line.fill(0);
    covered(pixels.height, height, y, (row, share) => {
      const start = row * line.length;
      for (let i = 0; i < line.length; i++) line[i]! += share * pixels.data[start + i]!;
    });
    for (let x = 0; x < width; x++) {
      for (let c = 0; c < channels; c++) {
        let sum = 0;
        covered(pixels.width, width, x, (column, share) => { sum += share * line[column * channels + c]!; });
        small.data[(y * width + x) * channels + c] = Math.floor((2 * sum + total) / (2 * total));
      }
    }
  }
  return small;
}

function scaled(pixels: Pixels, width: number, height: number, filter: string): Pixels {
  if (filter === "nearest") return nearest(pixels, width, height);
  return filter === "area" ? area(pixels, width, height) : resize(pixels, width, height);
}

/** Resize to the size of `spec`, as its `resize` says. */
export function resizeAs(pixels: Pixels, spec: Preprocess): Pixels {
  const [filter, fit] = spec.resize.split("-") as [string, string?];
  const { width_px: width, height_px: height } = spec;
  if (fit === "crop") {
    const box = cropBox(pixels.height, pixels.width, height, width);
    const part = empty(pixels, box.columns, box.rows);
    paste(pixels, part, box, 0, 0);
    return scaled(part, width, height, filter);
  }
  if (fit === "fit") {
    const box = fitBox(pixels.height, pixels.width, height, width);
    const inner = scaled(pixels, box.columns, box.rows, filter);
    const whole = empty(pixels, width, height);
    paste(inner, whole, { top: 0, left: 0, rows: box.rows, columns: box.columns }, box.top, box.left);
    return whole;
  }
  return scaled(pixels, width, height, filter);
}
