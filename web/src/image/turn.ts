/** The eight EXIF orientations, as Pillow's `ImageOps.exif_transpose`. */
import type { Pixels } from "./pixels";

export function turn(pixels: Pixels, orientation: number): Pixels {
  if (orientation === 1) return pixels;
  const { width, height, channels, data } = pixels;
  const swap = orientation >= 5;
  const out = data.slice();
  const toWidth = swap ? height : width;
  const toHeight = swap ? width : height;
  for (let y = 0; y < toHeight; y++) {
    for (let x = 0; x < toWidth; x++) {
      const [sx, sy] = source(orientation, x, y, width, height);
      for (let c = 0; c < channels; c++) {
        out[(y * toWidth + x) * channels + c] = data[(sy * width + sx) * channels + c]!;
      }
    }
  }
  return { width: toWidth, height: toHeight, channels, data: out };
}

function source(o: number, x: number, y: number, w: number, h: number): [number, number] {
  switch (o) {
    case 2: return [w - 1 - x, y];
    case 3: return [w - 1 - x, h - 1 - y];
    case 4: return [x, h - 1 - y];
    case 5: return [y, x];
    case 6: return [y, h - 1 - x];
    case 7: return [w - 1 - y, h - 1 - x];
    case 8: return [w - 1 - y, x];
    default: return [x, y];
  }
}
