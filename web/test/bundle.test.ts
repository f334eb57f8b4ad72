/** The bundle reader against the bundle that Python wrote (tests/golden/bundle.zip). */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { openBundle } from "../src/bundle/bundle";
import { build, type Entries, readZip } from "../src/bundle/zip";
import { Fault } from "../src/fault";

const GOLDEN = new URL("../../tests/golden/", import.meta.url);
const data = new Uint8Array(readFileSync(new URL("bundle.zip", GOLDEN)));
const key = (JSON.parse(readFileSync(new URL("bundle.json", GOLDEN), "utf8")) as { public_key: string }).public_key;
const text = (value: string) => new TextEncoder().encode(value);

/** The name of the fault that opening gives, or "opened". */
async function fault(bytes: Uint8Array, trusted: readonly string[] = [key]): Promise<string> {
  try {
    await openBundle(bytes, trusted);
    return "opened";
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return error.text;
  }
}

async function digest(bytes: Uint8Array): Promise<Uint8Array> {
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes as BufferSource));
  return text(Array.from(hash, (b) => b.toString(16).padStart(2, "0")).join(""));
}

/** The bundle unsigned, after a change to its manifest, with the seal over it made anew. */
async function sealed(change: (manifest: string) => string): Promise<Uint8Array> {
  const entries: Entries = new Map(readZip(data));
  entries.delete("manifest.sig");
  const manifest = text(change(new TextDecoder().decode(entries.get("manifest.json")!)));
  entries.set("manifest.json", manifest);
  entries.set("manifest.sha256", await digest(manifest));
  return build(entries);
}

function rezip(change: (entries: [string, Uint8Array][]) => [string, Uint8Array][]): Uint8Array {
  return build(new Map(change([...readZip(data)])));
}

test("what Python wrote opens, and says what Python says", async () => {
  const bundle = await openBundle(data, [key]);
  expect(bundle.digest).toBe(new TextDecoder().decode(readZip(data).get("manifest.sha256")!));
  expect(bundle.id).toBe(bundle.digest.slice(0, 16));
  expect(bundle.signer).toMatch(/^[0-9a-f]{16}$/);
  expect(bundle.manifest.task.classes).toEqual(["benign", "malignant"]);
  expect(bundle.familiarity!.limit).toBe(9);
  expect(new TextDecoder().decode(bundle.files.get("model/model.tflite")!)).toBe("model bytes");
});

test("it says that it is not good enough for use, and where it gives no answer", async () => {
  const { manifest } = await openBundle(data, [key]);
  expect(manifest.below_floor).toEqual(["AUC of 0.612 on test images"]);
  expect(manifest.operating_point.abstention).toMatchObject({ low: 0.35, high: 0.8, risks: { missed: 0.05 } });
});

test("a bundle of the first schema opens; one of the second cannot leave the floor out", async () => {
  const older = new Uint8Array(readFileSync(new URL("bundle_schema1.zip", GOLDEN)));
  expect((await openBundle(older, [key])).manifest.operating_point.abstention).toBeUndefined();
  expect(await fault(await sealed((m) => m.replace(/,\s*"below_floor":\s*\[[^\]]*\]/, "")), [])).toBe("bundleChanged");
});

test("a band that does not hold the threshold is refused", async () => {
  expect(await fault(await sealed((m) => m.replace('"low": 0.35', '"low": 0.6')), [])).toBe("bundleChanged");
  expect(await fault(await sealed((m) => m.replace('"high": 0.8', '"high": 1.8')), [])).toBe("bundleChanged");
  expect(await fault(await sealed((m) => m.replace('"low": 0.35', '"low": 0.36')), [])).toBe("opened");
});

test("its zip is rebuilt to the same bytes", () => {
  expect(build(readZip(data))).toEqual(data);
});

test("every byte with one flipped bit is refused", async () => {
  for (let at = 0; at < data.length; at++) {
    const bad = data.slice();
    bad[at]! ^= 1 << (at % 8);
    expect(await fault(bad), `byte ${at}`).not.toBe("opened");
  }
}, 120_000);

test("every truncation is refused", async () => {
  for (let end = 0; end < data.length; end += 7) {
    expect(await fault(data.slice(0, end)), `${end} bytes`).not.toBe("opened");
  }
});

test("trust comes from outside", async () => {
  const stranger = key.startsWith("00") ? `11${key.slice(2)}` : `00${key.slice(2)}`;
  expect(await fault(data, [stranger])).toBe("unknownSigner");
  expect(await fault(data, [])).toBe("unknownSigner");
  const unsigned = rezip((e) => e.filter(([name]) => name !== "manifest.sig"));
  expect(await fault(unsigned, [key])).toBe("unsignedRefused");
  expect((await openBundle(unsigned, [])).signer).toBeNull();
});

describe("a zip that is not the canonical one is refused", () => {
  const big = (at: number, value: number) => {
    const bad = data.slice();
    bad[at] = value;
    return bad;
  };
  const named = (name: string) => rezip((e) => [...e, [name, text("x")]]);
  const cases: [string, () => Uint8Array][] = [
    ["empty", () => new Uint8Array()],
    ["trailing byte", () => Uint8Array.of(...data, 0)],
    ["leading byte", () => Uint8Array.of(0, ...data)],
    ["deflated", () => big(8, 8)],
    ["dated", () => big(10, 1)],
    ["parent folder", () => named("../x")],
    ["absolute", () => named("/x")],
    ["backslash", () => named("a\\x")],
    ["capital", () => named("X")],
    ["extra file", () => named("zz")],
    ["missing file", () => rezip((e) => e.filter(([n]) => n !== "licence.txt"))],
    ["another order", () => rezip((e) => [...e.slice(0, 3), ...e.slice(3).reverse()])],
    ["no manifest", () => rezip((e) => e.slice(1))],
    ["contents swapped", () => rezip((e) => e.map(([n, d]) =>
      [n, n === "licence.txt" ? e.find(([o]) => o === "model-card.md")![1] : d]))],
    ["an empty signature", () => rezip((e) => e.map(([n, d]) => [n, n === "manifest.sig" ? new Uint8Array() : d]))],
    ["a signature of zeros", () => rezip((e) => e.map(([n, d]) => [n, n === "manifest.sig" ? new Uint8Array(96) : d]))],
  ];
  test.each(cases)("%s", async (_, make) => {
    expect(await fault(make())).not.toBe("opened");
  });
});

describe("a manifest that makes no sense is refused, also with a fitting seal", () => {
  const cases: [string, (m: string) => string][] = [
    ["labels swapped", (m) => m.replace(/"benign",(\s*)"malignant"/, '"malignant",$1"benign"')],
    ["schema", (m) => m.replace('"schema": 2', '"schema": 3')],
    ["another notice", (m) => m.replace("not a medical device", "a medical device")],
    ["another name", (m) => m.replace(/"name": "/, '"name": "x')],
    ["a backend that nobody knows", (m) => m.replace('"backend": "cpu"', '"backend": "cpu2"')],
    ["a class without a name", (m) => m.replace('"benign"', '" "')],
    ["an unknown key", (m) => m.replace('"kind"', '"more": 1, "kind"')],
    ["a key twice", (m) => m.replace('"kind"', '"kind": "bedside bundle", "kind"')],
    ["no number", (m) => m.replace(/"temperature": [\d.]+/, '"temperature": NaN')],
    ["a temperature of 0", (m) => m.replace(/"temperature": [\d.]+/, '"temperature": 0.0')],
    ["a threshold of 1", (m) => m.replace(/"threshold": [\d.]+/, '"threshold": 1.0')],
    ["a model that is none", (m) => m.replace('"file": "model/model.tflite"', '"file": "licence.txt"')],
    ["a name of Object's", (m) => m.replace('"file": "model/model.tflite"', '"file": "__proto__"')],
    ["another digest", (m) => m.replace(/"sha256": "../, '"sha256": "zz')],
    ["no JSON", () => "{"],
  ];
  test("the seal made anew opens without a change", async () => {
    expect(await fault(await sealed((m) => m), [])).toBe("opened");
  });
  test.each(cases)("%s", async (_, change) => {
    const bytes = await sealed((m) => {
      const changed = change(m);
      expect(changed).not.toBe(m);
      return changed;
    });
    expect(await fault(bytes, [])).not.toBe("opened");
  });
});
