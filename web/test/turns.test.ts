/** What a newer request has overtaken shows nothing, its fault included. */
import { expect, test } from "vitest";
import { Turns } from "../src/turns";
import { promised } from "./promised";

test("the newest request gets its outcome, at every step", async () => {
  const newest = new Turns().begin();
  expect(await newest(Promise.resolve("decoded"))).toBe("decoded");
  await expect(newest(Promise.reject(new Error("damaged")))).rejects.toThrow("damaged");
});

test("an overtaken request gets neither an outcome nor a fault", async () => {
  const turns = new Turns();
  const slow = promised<string>(), failing = promised<string>();
  const older = turns.begin();
  const outcomes = [older(slow.promise), older(failing.promise)];
  const newer = turns.begin();
  expect(await newer(Promise.resolve("newer"))).toBe("newer");
  slow.resolve("older");
  failing.reject(new Error("the engine was closed"));
  expect(await Promise.all(outcomes)).toEqual([undefined, undefined]);
  expect(await older(Promise.resolve("a later step"))).toBeUndefined();
});
