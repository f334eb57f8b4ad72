/** PNGs that cost more than their header says, or that hold more than one picture. */
import { encode } from "fast-png";
import { zlibSync } from "fflate";
import { expect, test } from "vitest";
import { fromPng } from "../src/image/decode";
import { checkPng } from "../src/image/png";

const big = (value: number) => [24, 16, 8, 0].map((shift) => (value >>> shift) & 255);
const ascii = (text: string) => [...text].map((c) => c.charCodeAt(0));

function crc(data: number[]): number {
  let c = 0xffffffff;
  for (const byte of data) {
    c ^= byte;
    for (let k = 0; k < 8; k++) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
  }
  return (c ^ 0xffffffff) >>> 0;
}

function chunk(type: string, data: ArrayLike<number>): number[] {
  const body = [...ascii(type), ...Array.from(data)];
  return [...big(data.length), ...body, ...big(crc(body))];
}

interface Kind { depth?: number; colour?: number; interlace?: number }

function png(width: number, height: number, inflated: number, { depth = 8, colour = 0, interlace = 0 }: Kind = {}, before: number[] = []): Uint8Array {
  return Uint8Array.from([137, 80, 78, 71, 13, 10, 26, 10,
    ...chunk("IHDR", [...big(width), ...big(height), depth, colour, 0, 0, interlace]), ...before,
    ...chunk("IDAT", zlibSync(new Uint8Array(inflated))), ...chunk("IEND", [])]);
}

const BOMB = 64 * 2 ** 20;

test("pixels that inflate beyond the header's size are refused", () => {
  expect(() => fromPng(png(200, 200, BOMB))).toThrow("damaged");
  // Not by the decoder, which would have inflated all of it: it lets what follows the last row pass.
  expect(fromPng(png(200, 200, 200 * 201 + 5)).data).toHaveLength(200 * 200);
});

test("a colour profile that inflates to more than any has is refused", () => {
  const profile = (size: number) => chunk("iCCP", [...ascii("name"), 0, 0, ...zlibSync(new Uint8Array(size))]);
  expect(() => fromPng(png(8, 8, 72, {}, profile(BOMB)))).toThrow("damaged");
  expect(fromPng(png(8, 8, 72, {}, profile(3000))).width).toBe(8);
});

test.each<[string, Kind, number]>([
  ["grey of 1 bit", { depth: 1 }, 100 * 14], ["RGBA of 16 bits", { depth: 16, colour: 6 }, 100 * 801],
  // 13 x 13, 12 x 13, 25 x 12, 25 x 25, 50 x 25, 50 x 50 and 100 x 50 pixels in the passes.
  ["interlaced grey", { interlace: 1 }, 13 * 14 + 13 * 13 + 12 * 26 + 25 * 26 + 25 * 51 + 50 * 51 + 50 * 101],
])("the limit of %s is the size of its rows", (_, kind, rows) => {
  expect(() => checkPng(png(100, 100, rows + 2 ** 16, kind))).not.toThrow();
  expect(() => checkPng(png(100, 100, rows + 2 ** 16 + 1, kind))).toThrow("damaged");
});

test("noise, which deflates to more than one step, passes", () => {
  const data = Uint8Array.from({ length: 300 * 300 * 3 }, (_, i) => (i * 2654435761) >>> 24);
  expect(fromPng(encode({ width: 300, height: 300, data, channels: 3, depth: 8 })).data).toEqual(data);
});

test("an animated PNG is refused", () => {
  expect(() => fromPng(png(8, 8, 72, {}, chunk("acTL", [...big(2), ...big(0)])))).toThrow("severalFrames");
});
