/** Decoded pixels, row by row, channels last: 8 or 16 bits, one channel (grey) or three (RGB). */
export interface Pixels {
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 3;
  readonly data: Uint8Array | Uint16Array;
}

/** A filter and, where the shape of an image is kept, how: black borders, or its centre. */
export const RESIZES = [
  "bilinear", "bilinear-fit", "bilinear-crop", "nearest", "nearest-fit", "nearest-crop",
  "area", "area-fit", "area-crop",
] as const;
export type Resize = (typeof RESIZES)[number];

/** How an image becomes a tensor; the same fields as `bedside.core.types.Preprocess`. */
export interface Preprocess {
  readonly height_px: number;
  readonly width_px: number;
  readonly channels: 1 | 3;
  readonly resize: Resize;
  readonly normalise: "max" | "dtype";
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/**
 * Larger PNG, JPEG, BMP and WebP files are refused before they are decoded, as in
 * `bedside.runtime.preprocess`; what else a browser may read, as soon as it has told the size.
 */
export const MAX_PIXELS = 40_000_000;
