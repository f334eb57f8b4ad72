/** `manifest.json`, `reference.json` and `familiarity.json`: the shapes of docs/bundle.md. */
import { type Preprocess, RESIZES } from "../image/pixels";
import { type Check, flag, list, nullable, one, real, record, table, text, whole } from "./shape";

export interface Manifest {
  schema: number;
  kind: string;
  name: string;
  bedside: string;
  notice: string;
  model: {
    variant: string; network: string; scheme: string; target: string; backend: string;
    format: string; file: string; threads: number; cam: boolean; compute_dtype: string | null;
    evidence: Record<string, string>;
  };
  task: { classes: string[]; positive: string | null; exclude: string[]; merge: Record<string, string[]> };
  preprocess: Preprocess;
  operating_point: {
    threshold: number | null; temperature: number; locked: boolean; rule: string;
    abstention?: Abstention | null;
  };
  files: Record<string, { role: string; sha256: string; size_bytes: number }>;
  /** Why the model is not good enough for use; empty where it is. */
  below_floor?: string[];
}

/** Where no class is answered: probabilities of the positive class in [low, high), or too low a largest one. */
export interface Abstention {
  low: number | null; high: number | null; confidence: number | null;
  risks: Record<string, number>; n: Record<string, number>; reason: string | null;
}

/** Schemas that this app reads; the first lacks `below_floor` and `abstention`. */
export const SCHEMAS = [1, 2];

export const ONCE = ["reference", "evidence", "model-card", "licence", "change"] as const;
/** What a bundle must say of itself, whatever language the app speaks. */
export const NOTICE = "Research software, not a medical device.";
/** What runs a build somewhere; tests/runtime/bundle/test_reader.py holds it against Python's table. */
export const BACKENDS = ["cpu", "ethos-u", "gpu", "hexagon", "estimate", "onnxruntime", "openvino", "ssh"];
const ROLES = ["model", "reference-image", "reference-pixels", "familiarity", ...ONCE];

export const manifestShape: Check = record({
  schema: whole, kind: text, name: text, bedside: text, notice: text,
  model: record({
    variant: text, network: text, scheme: text, target: text, backend: text, format: text,
    file: text, threads: whole, cam: flag, compute_dtype: nullable(text),
    evidence: table(one("measured", "emulated", "simulated", "estimated")),
  }),
  task: record({
    classes: list(text), positive: nullable(text), exclude: list(text), merge: table(list(text)),
  }),
  preprocess: record({
    height_px: whole, width_px: whole, channels: whole, resize: one(...RESIZES),
    normalise: one("max", "dtype"), mean: list(real), std: list(real),
  }),
  operating_point: record({
    threshold: nullable(real), temperature: real, locked: flag, rule: text,
  }, {
    abstention: nullable(record({
      low: nullable(real), high: nullable(real), confidence: nullable(real),
      risks: table(real), n: table(whole), reason: nullable(text),
    })),
  }),
  files: table(record({ role: one(...ROLES), sha256: text, size_bytes: whole })),
}, { below_floor: list(text) });

export interface Reference {
  vectors: { image: string; pixels: string; logits: number[] }[];
  logit_tolerance: number;
  basis: string;
  pixel_tolerance: number;
}

export const referenceShape: Check = record({
  vectors: list(record({ image: text, pixels: text, logits: list(real) })),
  logit_tolerance: real, basis: text, pixel_tolerance: whole,
});

export interface Familiarity {
  names: string[];
  mean: number[];
  precision: number[][];
  limit: number;
  quality: Record<string, { low: number; high: number }>;
  training_images: number;
  validation_images: number;
  false_alarms: number;
  quality_alarms: number;
}

export const familiarityShape: Check = record({
  names: list(text), mean: list(real), precision: list(list(real)), limit: real,
  quality: table(record({ low: real, high: real })),
  training_images: whole, validation_images: whole, false_alarms: whole, quality_alarms: whole,
});
