/** A class activation map, drawn over the image. */
import type { Output } from "../engine/protocol";

/** One class's map (h, w) scaled to 0 … 1; all zeros where it is flat. */
export function classMap(cam: Output, index: number): { width: number; height: number; values: Float32Array } {
  const [, height = 1, width = 1, classes = 1] = cam.shape;
  const values = Float32Array.from({ length: height * width }, (_, i) => cam.data[i * classes + index]!);
  let low = Infinity;
  let high = -Infinity;
  for (const v of values) { low = Math.min(low, v); high = Math.max(high, v); }
  const span = high - low;
  return { width, height, values: values.map((v) => (span > 0 ? (v - low) / span : 0)) };
}

/** Stops of matplotlib's "inferno", which stays ordered for colour-blind eyes and in grey. */
const STOPS = [[0, 0, 4], [51, 10, 95], [120, 28, 109], [186, 54, 85], [237, 105, 37], [251, 180, 26], [252, 255, 164]] as const;

function colour(value: number): [number, number, number] {
  const at = value * (STOPS.length - 1);
  const i = Math.min(STOPS.length - 2, Math.floor(at));
  const part = at - i;
  return [0, 1, 2].map((c) => STOPS[i]![c]! * (1 - part) + STOPS[i + 1]![c]! * part) as [number, number, number];
}

/** Paint a map on a canvas of its own size; CSS scales it smoothly over the image. */
export function paintMap(canvas: HTMLCanvasElement, cam: Output, index: number): void {
  const { width, height, values } = classMap(cam, index);
  canvas.width = width;
  canvas.height = height;
  const image = new ImageData(width, height);
  values.forEach((v, i) => {
    image.data.set([...colour(v), Math.round(255 * Math.min(1, v * 1.4))], i * 4);
  });
  canvas.getContext("2d")!.putImageData(image, 0, 0);
}

/** Paint decoded pixels, 16 bits by their high byte. */
export function paintPixels(canvas: HTMLCanvasElement, pixels: import("./pixels").Pixels): void {
  const { width, height, channels, data } = pixels;
  canvas.width = width;
  canvas.height = height;
  const image = new ImageData(width, height);
  const shift = data instanceof Uint8Array ? 0 : 8;
  for (let i = 0; i < width * height; i++) {
    for (let c = 0; c < 3; c++) image.data[i * 4 + c] = data[i * channels + (channels === 3 ? c : 0)]! >> shift;
    image.data[i * 4 + 3] = 255;
  }
  canvas.getContext("2d")!.putImageData(image, 0, 0);
}
