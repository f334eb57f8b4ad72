/** The golden vectors of tests/golden: from the same files, at most one grey level apart. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { exifOrientation, fromPng, pngOrientation } from "../src/image/decode";
import { type Preprocess, RESIZES } from "../src/image/pixels";
import { resize } from "../src/image/resize";
import { normalise, prepare } from "../src/image/tensor";
import { turn } from "../src/image/turn";

const GOLDEN = new URL("../../tests/golden/", import.meta.url);

interface Entry {
  input: string; channels: 1 | 3; shape: [number, number, number];
  dtype: "uint8" | "uint16"; max: number; pixels: string; resize?: Preprocess["resize"];
}

const entries = JSON.parse(readFileSync(new URL("golden.json", GOLDEN), "utf8")) as Entry[];

function spec(entry: Entry): Preprocess {
  return {
    height_px: entry.shape[0], width_px: entry.shape[1], channels: entry.channels,
    resize: entry.resize ?? "bilinear", normalise: "max", mean: [0], std: [1],
  };
}

function expected(entry: Entry): Uint8Array | Uint16Array {
  const bytes = Uint8Array.from(Buffer.from(entry.pixels, "base64"));
  return entry.dtype === "uint8" ? bytes : new Uint16Array(bytes.buffer);
}

function load(entry: Entry) {
  return prepare(fromPng(new Uint8Array(readFileSync(new URL(entry.input, GOLDEN)))), spec(entry));
}

test("the golden file holds every kind of image", () => {
  expect(entries.length).toBe(66 + 64);
  expect(new Set(entries.map((e) => e.resize ?? "bilinear"))).toEqual(new Set(RESIZES));
  expect(new Set(entries.map((e) => e.dtype))).toEqual(new Set(["uint8", "uint16"]));
});

describe.each(entries.map((e) => ({ name: `${e.input} ${e.shape.join("x")} ${e.resize ?? "bilinear"}`, e })))("$name", ({ e }) => {
  test("resized pixels", () => {
    const small = load(e);
    const wanted = expected(e);
    expect(small.data.constructor).toBe(wanted.constructor);
    expect(small.data.length).toBe(wanted.length);
    let largest = 0;
    wanted.forEach((v, i) => { largest = Math.max(largest, Math.abs(v - small.data[i]!)); });
    // One grey level is what is promised; the same arithmetic gives none.
    expect(largest).toBe(0);
  });

  test("tensor", () => {
    const tensor = normalise(load(e), spec(e));
    const wanted = expected(e);
    wanted.forEach((v, i) => { expect(tensor[i]).toBe(Math.fround(v / e.max)); });
  });
});

test("normalise by type, mean and standard deviation", () => {
  const small = { width: 2, height: 1, channels: 1 as const, data: Uint8Array.of(51, 102) };
  const base = { height_px: 1, width_px: 2, channels: 1 as const, resize: "bilinear" as const };
  expect([...normalise(small, { ...base, normalise: "dtype", mean: [0], std: [1] })])
    .toEqual([Math.fround(0.2), Math.fround(0.4)]);
  const moved = normalise(small, { ...base, normalise: "max", mean: [0.5], std: [0.25] });
  expect([...moved]).toEqual([0, 2]);
});

test("an all-black image has no maximum", () => {
  const black = { width: 2, height: 2, channels: 1 as const, data: new Uint8Array(4) };
  expect(() => normalise(black, spec(entries[0]!))).toThrow("allBlack");
});

test("a damaged PNG is refused", () => {
  const bytes = new Uint8Array(readFileSync(new URL("grey8.png", GOLDEN)));
  expect(() => fromPng(bytes.slice(0, bytes.length / 2))).toThrow("damaged");
  const flipped = bytes.slice();
  flipped[200]! ^= 1;
  expect(() => fromPng(flipped)).toThrow("damaged");
});

test("a PNG that claims too many pixels is refused before it is decoded", () => {
  const bytes = new Uint8Array(readFileSync(new URL("grey8.png", GOLDEN)));
  new DataView(bytes.buffer).setUint32(16, 100_000);
  new DataView(bytes.buffer).setUint32(20, 100_000);
  expect(() => fromPng(bytes)).toThrow("tooLarge");
});

test("orientation: six is a quarter turn, and undone by eight", () => {
  const image = { width: 3, height: 2, channels: 1 as const, data: Uint8Array.of(1, 2, 3, 4, 5, 6) };
  const turned = turn(image, 6);
  expect([turned.width, turned.height, ...turned.data]).toEqual([2, 3, 4, 1, 5, 2, 6, 3]);
  expect(turn(turned, 8)).toEqual(image);
  const said = (name: string) => pngOrientation(new Uint8Array(readFileSync(new URL(name, GOLDEN))));
  expect(["rgb.png", "xmp_not_turned.png", "exif_turned.png"].map(said)).toEqual([1, 1, 6]);
});

test("damaged EXIF turns nothing", () => {
  const view = (bytes: number[]) => new DataView(Uint8Array.from(bytes).buffer);
  const whole = [0x49, 0x49, 42, 0, 8, 0, 0, 0, 1, 0, 0x12, 1, 3, 0, 1, 0, 0, 0, 6, 0, 0, 0];
  expect(exifOrientation(view(whole))).toBe(6);
  expect(exifOrientation(view([0x45, 0x78, 0x69, 0x66, 0, 0, ...whole]))).toBe(6);
  for (let length = 0; length < whole.length; length++) expect(exifOrientation(view(whole.slice(0, length)))).toBe(1);
  expect(exifOrientation(view([0x58, 0x58, ...whole.slice(2)]))).toBe(1);
  expect(exifOrientation(view(whole.with(18, 9)))).toBe(1);
  expect(exifOrientation(view([...whole.slice(0, 4), 255, 255, 255, 255, ...whole.slice(8)]))).toBe(1);
});

test("shrinking averages (antialiasing)", () => {
  const data = Uint8Array.from({ length: 64 * 64 }, (_, i) => (i % 2 ? 0 : 200));
  const small = resize({ width: 64, height: 64, channels: 1, data }, 16, 16);
  for (const v of small.data) expect(Math.abs(v - 100)).toBeLessThanOrEqual(15);
});
