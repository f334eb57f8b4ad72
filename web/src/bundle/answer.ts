/** From the model's outputs to an answer; the formulas of docs/bundle.md. */
import type { Output, Ran } from "../engine/protocol";
import { Fault } from "../fault";
import type { Pixels } from "../image/pixels";
import type { Familiarity, Manifest } from "./manifest";

/** A quality measure below or above every training image's. */
export interface Outside { readonly name: string; readonly high: boolean }

export interface Answer {
  readonly predicted: number;
  readonly probabilities: readonly number[];
  readonly threshold: number | null;
  readonly unlike: boolean;
  readonly quality: readonly Outside[];
  /** Why the class must not be shown: an image unlike the training images, or one too uncertain. */
  readonly withheld: "unlike" | "unsure" | null;
}

/** softmax(logits / temperature), in double precision. */
export function softmax(logits: ArrayLike<number>, temperature: number): number[] {
  const scaled = Array.from(logits, (z) => z / temperature);
  const top = Math.max(...scaled);
  const shares = scaled.map((z) => Math.exp(z - top));
  const sum = shares.reduce((a, b) => a + b, 0);
  return shares.map((s) => s / sum);
}

export function logitsOf(ran: Ran, classes: number): Float32Array {
  const outputs = Object.entries(ran.outputs);
  const found = ran.outputs["logits"] ?? (outputs.length === 1 ? outputs[0]![1] : undefined);
  if (!found || found.data.length !== classes) throw new Fault("engine", "no logits");
  if (!found.data.every(Number.isFinite)) throw new Fault("engine", "the logits are not finite");
  return found.data;
}

export function answer(manifest: Manifest, known: Familiarity | null, ran: Ran, resized: Pixels): Answer {
  const { classes, positive } = manifest.task;
  const { threshold, temperature } = manifest.operating_point;
  const logits = logitsOf(ran, classes.length);
  const probabilities = softmax(logits, temperature);
  // The first of equals, as numpy's argmax.
  let predicted = logits.indexOf(Math.max(...logits));
  if (positive !== null && threshold !== null) predicted = probabilities[1]! >= threshold ? 1 : 0;
  const cam = manifest.model.cam ? ran.outputs["cam"] : undefined;
  const seen = known === null ? null : measures(resized);
  const unlike = seen !== null
    && distance(new Map([...features(logits, cam), ...seen.features]), known!) > known!.limit;
  return {
    predicted, probabilities, threshold, unlike,
    quality: seen === null ? [] : outside(seen.quality, known!),
    withheld: unlike ? "unlike" : unsure(manifest, probabilities) ? "unsure" : null,
  };
}

function unsure(manifest: Manifest, probabilities: readonly number[]): boolean {
  const band = manifest.operating_point.abstention;
  if (!band) return false;
  if (band.low !== null && band.high !== null) return probabilities[1]! >= band.low && probabilities[1]! < band.high;
  return band.confidence !== null && Math.max(...probabilities) < band.confidence;
}

/** Features of the outputs by name, in the order of docs/bundle.md. */
export function features(logits: ArrayLike<number>, cam: Output | undefined): Map<string, number> {
  const found = new Map<string, number>();
  const classes = logits.length;
  for (let k = 0; k < classes; k++) found.set(`logit:${k}`, logits[k]!);
  if (!cam) return found;
  const [, h = 1, w = 1] = cam.shape;
  const area = h * w;
  const map = (k: number, at: number) => cam.data[at * classes + k]!;
  const means = Array.from({ length: classes }, (_, k) => {
    let sum = 0;
    for (let i = 0; i < area; i++) sum += map(k, i);
    return sum / area;
  });
  for (let j = 0; j < classes; j++) {
    for (let k = j; k < classes; k++) {
      let sum = 0;
      for (let i = 0; i < area; i++) sum += (map(j, i) - means[j]!) * (map(k, i) - means[k]!);
      found.set(`spread:${j}:${k}`, j === k ? Math.log(sum / area + 1e-6) : sum / area);
    }
  }
  for (let k = 0; k < classes; k++) {
    let top = -Infinity;
    for (let i = 0; i < area; i++) top = Math.max(top, map(k, i));
    found.set(`peak:${k}`, top - means[k]!);
  }
  for (let k = 0; k < classes; k++) {
    const steps = neighbours(h, w, (i) => map(k, i), (d) => d * d);
    found.set(`rough:${k}`, steps.count === 0 ? 0 : Math.log(steps.sum / steps.count + 1e-6));
  }
  return found;
}

/** Sum over horizontal and vertical neighbours of `of` their difference. */
function neighbours(h: number, w: number, at: (i: number) => number, of: (d: number) => number) {
  let sum = 0;
  let count = 0;
  for (let y = 0; y < h; y++) {
    for (let x = 0; x < w; x++) {
      const here = at(y * w + x);
      if (x + 1 < w) { sum += of(at(y * w + x + 1) - here); count++; }
      if (y + 1 < h) { sum += of(at((y + 1) * w + x) - here); count++; }
    }
  }
  return { sum, count };
}

/** Squared Mahalanobis distance. */
export function distance(found: Map<string, number>, known: Familiarity): number {
  const d = known.names.map((name, i) => (found.get(name) ?? NaN) - known.mean[i]!);
  let sum = 0;
  known.precision.forEach((row, i) => row.forEach((p, j) => { sum += d[i]! * p * d[j]!; }));
  if (Number.isNaN(sum)) throw new Fault("engine", "a feature is missing");
  return sum;
}

/** How far apart the pixels of `coarseness` stand. */
const FAR = 4;

/** Quality measures of the resized pixels, and the features that they give. */
export function measures(resized: Pixels): { quality: Record<string, number>; features: Map<string, number> } {
  const { data, channels, width, height } = resized;
  const largest = data instanceof Uint8Array ? 255 : 65535;
  const count = width * height;
  const grey = new Float64Array(count);
  for (let i = 0; i < count; i++) {
    let sum = 0;
    for (let c = 0; c < channels; c++) sum += data[i * channels + c]!;
    grey[i] = sum / channels / largest;
  }
  const mean = grey.reduce((a, b) => a + b, 0) / count;
  const contrast = Math.sqrt(grey.reduce((a, b) => a + (b - mean) ** 2, 0) / count);
  const cubes = grey.reduce((a, b) => a + (b - mean) ** 3, 0) / count;
  const across = steps(grey, width, height, 1, 0);
  const down = steps(grey, width, height, 0, 1);
  const pairs = across.count + down.count;
  const quality = {
    brightness: mean, contrast,
    saturated: grey.filter((v) => v === 1).length / count,
    black: grey.filter((v) => v === 0).length / count,
    sharpness: (pairs ? (across.sum + down.sum) / pairs : 0) / (contrast + 1e-6),
  };
  const far = steps(grey, width, height, FAR, 0).mean + steps(grey, width, height, 0, FAR).mean;
  const log = (v: number) => Math.log(v + 1e-3);
  return { quality, features: new Map([
    ["image:brightness", mean],
    ["image:contrast", log(contrast)],
    ["image:sharpness", log(quality.sharpness)],
    ["image:skewness", cubes / (contrast + 1e-6) ** 3],
    ["image:direction", log(across.mean) - log(down.mean)],
    ["image:coarseness", log(far) - log(across.mean + down.mean)],
  ]) };
}

/** Absolute differences of all pairs of pixels that stand (dx, dy) apart. */
function steps(grey: Float64Array, width: number, height: number, dx: number, dy: number) {
  let sum = 0;
  for (let y = 0; y + dy < height; y++) {
    for (let x = 0; x + dx < width; x++) {
      sum += Math.abs(grey[(y + dy) * width + x + dx]! - grey[y * width + x]!);
    }
  }
  const count = Math.max(0, width - dx) * Math.max(0, height - dy);
  return { sum, count, mean: count ? sum / count : 0 };
}

function outside(found: Record<string, number>, known: Familiarity): Outside[] {
  return Object.entries(known.quality).flatMap(([name, range]) => {
    const value = found[name];
    if (value === undefined || (value >= range.low && value <= range.high)) return [];
    return [{ name, high: value > range.high }];
  });
}
