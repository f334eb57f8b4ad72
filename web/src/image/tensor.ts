/** From decoded pixels to what the network sees. */
import { Fault } from "../fault";
import type { Pixels, Preprocess } from "./pixels";
import { resizeAs } from "./fit";

/** Colour to grey by ITU-R 601 in Pillow's fixed point; grey to three equal channels. */
export function toChannels(pixels: Pixels, channels: 1 | 3): Pixels {
  if (pixels.channels === channels) return pixels;
  const { data, width, height } = pixels;
  const count = width * height;
  if (channels === 3) {
    const wide = data instanceof Uint8Array ? new Uint8Array(count * 3) : new Uint16Array(count * 3);
    for (let i = 0; i < count; i++) wide.fill(data[i]!, i * 3, i * 3 + 3);
    return { width, height, channels, data: wide };
  }
  const grey = new Uint8Array(count);
  for (let i = 0; i < count; i++) {
    const at = i * 3;
    grey[i] = (data[at]! * 19595 + data[at + 1]! * 38470 + data[at + 2]! * 7471 + 0x8000) >>> 16;
  }
  return { width, height, channels, data: grey };
}

/** The resized pixels before the division: the stage that the golden vectors hold. */
export function prepare(pixels: Pixels, spec: Preprocess): Pixels {
  return resizeAs(toChannels(pixels, spec.channels), spec);
}

/**
 * Divide by the maximum (paper, Section 4.1), then apply mean and standard deviation.
 * The result has shape (1, H, W, C), float32.
 */
export function normalise(resized: Pixels, spec: Preprocess): Float32Array {
  const { data, channels } = resized;
  let peak = 0;
  for (const value of data) if (value > peak) peak = value;
  if (peak === 0) throw new Fault("allBlack");
  if (spec.normalise === "dtype") peak = data instanceof Uint8Array ? 255 : 65535;
  // A division in float32, as numpy does it: the double quotient of two float32 rounds alike.
  const tensor = Float32Array.from(data, (v) => v / peak);
  if (spec.mean.some((m) => m !== 0) || spec.std.some((s) => s !== 1)) {
    for (let i = 0; i < tensor.length; i++) {
      const c = i % channels;
      const mean = Math.fround(spec.mean[spec.mean.length === 1 ? 0 : c]!);
      const std = Math.fround(spec.std[spec.std.length === 1 ? 0 : c]!);
      tensor[i] = Math.fround(tensor[i]! - mean) / std;
    }
  }
  return tensor;
}
