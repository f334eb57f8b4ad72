/** Sizes from headers: what claims too many pixels must not reach the browser's decoder. */
import { afterEach, expect, test, vi } from "vitest";
import { checkZipSize } from "../src/bundle/zip";
import { decode } from "../src/image/decode";
import { sizeOf } from "../src/image/size";

type Size = [width: number, height: number];

const ascii = (text: string) => [...text].map((c) => c.charCodeAt(0));
const little = (value: number, count: number) => Array.from({ length: count }, (_, i) => (value >> (8 * i)) & 255);
const big = (value: number, count: number) => little(value, count).reverse();

const segment = (marker: number, body: number[]) => [0xff, marker, ...big(body.length + 2, 2), ...body];
const frame = (marker: number, [width, height]: Size) => segment(marker, [8, ...big(height, 2), ...big(width, 2), 1, 1, 0x11, 0]);
const app0 = segment(0xe0, [...ascii("JFIF\0"), 1, 1, 0, 0, 1, 0, 1, 0, 0]);
// A thumbnail with a frame header of its own, as EXIF holds one.
const app1 = segment(0xe1, [...ascii("Exif\0\0"), 0xff, 0xd8, ...frame(0xc0, [160, 120])]);
const huffman = segment(0xc4, [0, ...Array<number>(16).fill(0)]);

const jpeg = (size: Size, marker = 0xc0, before: number[] = [...app0, ...app1]) => [0xff, 0xd8, ...before, ...frame(marker, size)];
const bmp = ([width, height]: Size) => [...ascii("BM"), ...Array<number>(12).fill(0), ...little(40, 4), ...little(width, 4), ...little(height, 4)];
const oldBmp = ([width, height]: Size) => [...ascii("BM"), ...Array<number>(12).fill(0), ...little(12, 4), ...little(width, 2), ...little(height, 2)];
const webp = (kind: string, body: number[]) => [...ascii("RIFF"), ...little(0, 4), ...ascii("WEBP"), ...ascii(kind), ...little(0, 4), ...body];
const lossy = ([width, height]: Size) => webp("VP8 ", [0, 0, 0, 0x9d, 0x01, 0x2a, ...little(width, 2), ...little(height, 2)]);
const lossless = ([width, height]: Size) => webp("VP8L", [0x2f, ...little((width - 1) | ((height - 1) << 14), 4)]);
const extended = ([width, height]: Size) => webp("VP8X", [0, 0, 0, 0, ...little(width - 1, 3), ...little(height - 1, 3)]);

const large: Size = [10_000, 9_001];
const headers: [name: string, bytes: number[]][] = [
  ["JPEG", jpeg(large)],
  ["progressive JPEG", jpeg(large, 0xc2)],
  ["JPEG with tables before the frame", jpeg(large, 0xc0, huffman)],
  ["JPEG with rubbish and fill bytes between segments", jpeg(large, 0xc1, [...app0, 7, 7, 0xff, 0, 0xff, 0xff])],
  ["BMP", bmp(large)], ["BMP from the top", bmp([large[0], -large[1]])], ["BMP of OS/2", oldBmp(large)],
  ["WebP", lossy(large)], ["lossless WebP", lossless(large)], ["extended WebP", extended(large)],
];

const sized = (bytes: number[]) => sizeOf(Uint8Array.from(bytes));
const refusal = (bytes: number[]) => decode(new Blob([Uint8Array.from(bytes)])).then(() => "decoded", (e: Error) => e.message);

afterEach(() => vi.unstubAllGlobals());

test.each(headers)("the size of a %s", (_, bytes) => {
  expect(sized(bytes)).toEqual({ width: large[0], height: large[1] });
});

test.each(headers)("a large %s is refused before the browser decodes it", async (_, bytes) => {
  const decoder = vi.fn(() => Promise.reject(new Error("asked")));
  vi.stubGlobal("createImageBitmap", decoder);
  expect(await refusal(bytes)).toBe("tooLarge: 40");
  expect(decoder).not.toHaveBeenCalled();
});

test.each(headers)("a %s that ends in its header is refused", async (_, bytes) => {
  const decoder = vi.fn(() => Promise.reject(new Error("asked")));
  vi.stubGlobal("createImageBitmap", decoder);
  // A JPEG's frame header is followed by five more bytes than the size; enough is known without them.
  const whole = bytes[0] === 0xff ? bytes.length - 4 : bytes.length;
  expect(sized(bytes.slice(0, whole))).toBeDefined();
  // Before twelve bytes nothing says what the file is.
  for (let length = 12; length < whole; length++) {
    expect(() => sized(bytes.slice(0, length)), `${length} bytes`).toThrow("damaged");
  }
  expect(await refusal(bytes.slice(0, whole - 1))).toBe("damaged");
  expect(decoder).not.toHaveBeenCalled();
});

test("a JPEG whose pixels begin or that ends without a frame header is damaged", () => {
  for (const marker of [0xda, 0xd9]) {
    expect(() => sized([0xff, 0xd8, ...app0, 0xff, marker, ...frame(0xc0, [4, 4])])).toThrow("damaged");
  }
  expect(() => sized([0xff, 0xd8, 0xff, 0xe0, 0, 1, ...frame(0xc0, [4, 4])])).toThrow("damaged");
});

test("a small JPEG goes to the browser; a file of another kind does not", async () => {
  const decoder = vi.fn(() => Promise.reject(new Error("asked")));
  vi.stubGlobal("createImageBitmap", decoder);
  expect(await refusal(jpeg([640, 480]))).toBe("notAnImage");
  expect(sized(ascii("GIF89a"))).toBeUndefined();
  expect(sized([])).toBeUndefined();
  expect(await refusal(ascii("GIF89a"))).toBe("notAnImage");
  expect(decoder).toHaveBeenCalledTimes(1);
});

test("an animated WebP is refused, and a file of another kind by its size alone", async () => {
  const animated = extended([4, 4]);
  animated[20] = 2;
  expect(await refusal(animated)).toBe("severalFrames");
  const unread = { size: 250e6, arrayBuffer: () => Promise.reject(new Error("read")) } as unknown as Blob;
  await expect(decode(unread)).rejects.toThrow("fileTooLarge: 240");
  expect(() => checkZipSize(2 ** 30)).not.toThrow();
  expect(() => checkZipSize(3 * 2 ** 30)).toThrow("bundleTooLarge: 3072 MiB");
});
