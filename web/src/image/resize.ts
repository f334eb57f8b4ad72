/**
 * Pillow's `BILINEAR` resampling: a triangle filter, widened when shrinking (antialiasing), along
 * rows and along columns, rounding to the integer type between the two. 8-bit images
 * use Pillow's fixed-point arithmetic, 16-bit ones go through 32-bit floats as in
 * `bedside.runtime.preprocess.resize`, so both give Pillow's very pixels.
 *
 * Source: Pillow's src/libImaging/Resample.c.
 */
import type { Pixels } from "./pixels";

const PRECISION_BITS = 32 - 8 - 2;

interface Taps {
  readonly reach: number;
  /** First source pixel and number of source pixels for each output pixel. */
  readonly first: Int32Array;
  readonly count: Int32Array;
  /** `reach` weights for each output pixel; they sum to 1. */
  readonly weights: Float64Array;
}

function triangle(x: number): number {
  const distance = Math.abs(x);
  return distance < 1 ? 1 - distance : 0;
}

function taps(source: number, target: number): Taps {
  const scale = source / target;
  const support = Math.max(scale, 1);
  const reach = Math.ceil(support) * 2 + 1;
  const first = new Int32Array(target);
  const count = new Int32Array(target);
  const weights = new Float64Array(target * reach);
  for (let out = 0; out < target; out++) {
    const centre = (out + 0.5) * scale;
    const from = Math.max(0, Math.trunc(centre - support + 0.5));
    const n = Math.min(source, Math.trunc(centre + support + 0.5)) - from;
    let sum = 0;
    for (let i = 0; i < n; i++) {
      const weight = triangle((i + from - centre + 0.5) * (1 / support));
      weights[out * reach + i] = weight;
      sum += weight;
    }
    for (let i = 0; i < n; i++) weights[out * reach + i]! /= sum;
    first[out] = from;
    count[out] = n;
  }
  return { reach, first, count, weights };
}

/** Weights as integers of `PRECISION_BITS` binary places, rounded half up. */
function fixed(weights: Float64Array): Int32Array {
  return Int32Array.from(weights, (w) => Math.trunc(0.5 + w * (1 << PRECISION_BITS)));
}

type Plane = Uint8Array | Float32Array;

/** One pass: along rows (`lineStep` between lines, `step` between pixels of a line). */
function pass<T extends Plane>(
  source: T, target: T, lines: number, channels: number, t: Taps,
  place: { sourceLine: number; sourceStep: number; targetLine: number; targetStep: number },
): void {
  const eight = source instanceof Uint8Array;
  const weights = eight ? fixed(t.weights) : t.weights;
  const start = eight ? 1 << (PRECISION_BITS - 1) : 0;
  for (let line = 0; line < lines; line++) {
    for (let out = 0; out < t.first.length; out++) {
      const from = line * place.sourceLine + t.first[out]! * place.sourceStep;
      const to = line * place.targetLine + out * place.targetStep;
      const n = t.count[out]!;
      const w = out * t.reach;
      for (let c = 0; c < channels; c++) {
        let sum = start;
        for (let i = 0; i < n; i++) sum += source[from + i * place.sourceStep + c]! * weights[w + i]!;
        target[to + c] = eight ? Math.min(255, Math.max(0, sum >> PRECISION_BITS)) : sum;
      }
    }
  }
}

function resample<T extends Plane>(
  source: T, width: number, height: number, channels: number, toWidth: number, toHeight: number,
  make: (length: number) => T,
): T {
  const rows = (from: T, lines: number): T => {
    if (toWidth === width) return from;
    const to = make(lines * toWidth * channels);
    pass(from, to, lines, channels, taps(width, toWidth), {
      sourceLine: width * channels, sourceStep: channels,
      targetLine: toWidth * channels, targetStep: channels,
    });
    return to;
  };
  const columns = (from: T, across: number): T => {
    if (toHeight === height) return from;
    const to = make(toHeight * across * channels);
    pass(from, to, across, channels, taps(height, toHeight), {
      sourceLine: channels, sourceStep: across * channels,
      targetLine: channels, targetStep: across * channels,
    });
    return to;
  };
  // Pillow 13 takes the cheaper order of the two passes; measured on 700 random sizes.
  const columnsFirst = toHeight < height && 2 * (width - toWidth) < height - toHeight;
  return columnsFirst ? rows(columns(source, width), toHeight)
    : columns(rows(source, height), toWidth);
}

/** Round half to even, as numpy's `rint`. */
function rint(value: number): number {
  const floor = Math.floor(value);
  const part = value - floor;
  if (part !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}

/** Resize to `width` × `height`, keeping the integer type and the number of channels. */
export function resize(pixels: Pixels, width: number, height: number): Pixels {
  const { data, channels } = pixels;
  if (data instanceof Uint8Array) {
    const small = resample<Uint8Array>(
      data, pixels.width, pixels.height, channels, width, height, (n) => new Uint8Array(n));
    return { width, height, channels, data: small };
  }
  const wide = resample<Float32Array>(
    Float32Array.from(data), pixels.width, pixels.height, channels, width, height,
    (n) => new Float32Array(n));
  const rounded = Uint16Array.from(wide, (v) => Math.min(65535, Math.max(0, rint(v))));
  return { width, height, channels, data: rounded };
}
