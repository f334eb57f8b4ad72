/** Open a bundle: every check of docs/bundle.md, in order, before anything in it is used. */
import { Fault } from "../fault";
import {
  BACKENDS, type Familiarity, familiarityShape, type Manifest, manifestShape, NOTICE, ONCE,
  SCHEMAS,
  type Reference, referenceShape,
} from "./manifest";
import { parse } from "./shape";
import { type Entries, readZip } from "./zip";

const HEAD = ["manifest.json", "manifest.sha256", "manifest.sig"];
const MAX_MANIFEST = 2 ** 20;

export interface Bundle {
  /** The first 16 digits of the manifest's SHA-256. */
  readonly id: string;
  readonly digest: string;
  /** The fingerprint of the trusted key that signed, or null: unsigned. */
  readonly signer: string | null;
  readonly manifest: Manifest;
  readonly reference: Reference;
  readonly familiarity: Familiarity | null;
  readonly files: Entries;
  readonly sizeBytes: number;
}

export function hex(bytes: ArrayBuffer | Uint8Array): string {
  return Array.from(new Uint8Array(bytes), (b) => b.toString(16).padStart(2, "0")).join("");
}

export async function sha256(data: Uint8Array): Promise<string> {
  if (!globalThis.crypto?.subtle) throw new Fault("unsupported", "no secure connection");
  return hex(await crypto.subtle.digest("SHA-256", data as BufferSource));
}

/** How a person names a key: the first 16 digits of the SHA-256 of its 32 bytes. */
export async function fingerprint(publicKey: Uint8Array): Promise<string> {
  return (await sha256(publicKey)).slice(0, 16);
}

/**
 * Verify a bundle. `trusted` holds public keys as hexadecimal digits; where any key is trusted an
 * unsigned bundle is refused too.
 */
export async function openBundle(data: Uint8Array, trusted: readonly string[]): Promise<Bundle> {
  const entries = readZip(data);
  const names = [...entries.keys()];
  const head = HEAD.filter((n) => entries.has(n));
  const rest = names.slice(head.length);
  const order = [...head, ...[...rest].sort()];
  if (head[0] !== HEAD[0] || head[1] !== HEAD[1] || names.join("\n") !== order.join("\n")) {
    throw new Fault("bundleChanged", "files are missing or out of order");
  }
  const manifestBytes = entries.get("manifest.json")!;
  if (manifestBytes.length > MAX_MANIFEST) throw new Fault("bundleTooLarge", "manifest");
  const digest = await sha256(manifestBytes);
  if (new TextDecoder().decode(entries.get("manifest.sha256")!) !== digest) {
    throw new Fault("bundleChanged", "manifest.json differs from its SHA-256");
  }
  const signer = await checkSeal(entries.get("manifest.sig"), manifestBytes, trusted);
  const manifest = parse<Manifest>(manifestBytes, manifestShape, "manifest.json");
  const files: Entries = new Map(rest.map((n) => [n, entries.get(n)!]));
  await checkFiles(manifest, files);
  checkMeaning(manifest);
  const bundle = {
    id: digest.slice(0, 16), digest, signer, manifest, files, sizeBytes: data.length,
    reference: parse<Reference>(file(manifest, files, "reference")!, referenceShape, "reference"),
    familiarity: familiarityOf(manifest, files),
  };
  checkReference(bundle);
  return bundle;
}

function file(manifest: Manifest, files: Entries, role: string): Uint8Array | undefined {
  const found = Object.entries(manifest.files).find(([, f]) => f.role === role);
  return found && files.get(found[0]);
}

async function checkSeal(seal: Uint8Array | undefined, message: Uint8Array, trusted: readonly string[]
): Promise<string | null> {
  if (!seal) {
    if (trusted.length > 0) throw new Fault("unsignedRefused");
    return null;
  }
  if (seal.length !== 96) throw new Fault("badSignature");
  const key = seal.slice(0, 32);
  if (!(await signatureFits(key, seal.slice(32), message))) throw new Fault("badSignature");
  const name = await fingerprint(key);
  if (!trusted.includes(hex(key))) throw new Fault("unknownSigner", name);
  return name;
}

async function signatureFits(key: Uint8Array, signature: Uint8Array, message: Uint8Array) {
  let imported: CryptoKey;
  try {
    imported = await crypto.subtle.importKey("raw", key as BufferSource, { name: "Ed25519" }, false, ["verify"]);
  } catch (error) {
    if (error instanceof DOMException && error.name === "NotSupportedError") {
      throw new Fault("unsupported", "Ed25519");
    }
    return false;
  }
  return crypto.subtle.verify({ name: "Ed25519" }, imported, signature as BufferSource, message as BufferSource);
}

async function checkFiles(manifest: Manifest, files: Entries): Promise<void> {
  for (const name of Object.keys(manifest.files)) {
    if (!files.has(name)) throw new Fault("bundleChanged", `${name} is missing`);
  }
  for (const [name, data] of files) {
    const entry = Object.hasOwn(manifest.files, name) ? manifest.files[name]! : undefined;
    if (!entry) throw new Fault("bundleChanged", `${name} is not listed`);
    if (data.length !== entry.size_bytes || (await sha256(data)) !== entry.sha256) {
      throw new Fault("bundleChanged", `${name} differs from its SHA-256`);
    }
  }
}

function checkMeaning(m: Manifest): void {
  const roles = Object.values(m.files).map((f) => f.role);
  const count = (role: string) => roles.filter((r) => r === role).length;
  const { classes, positive } = m.task;
  const { threshold, temperature } = m.operating_point;
  const spec = m.preprocess;
  const fits = (v: readonly number[]) => v.length === 1 || v.length === spec.channels;
  const within = (v: number, low: number, high: number) => v >= low && v <= high;
  const chosen = Object.hasOwn(m.files, m.model.file) ? m.files[m.model.file] : undefined;
  const faults: [string, boolean][] = [
    ["schema", SCHEMAS.includes(m.schema) && (m.schema === 1) === (m.below_floor === undefined)
      && m.kind === "bedside bundle"],
    ["the notice", m.notice === NOTICE],
    ["the name", m.name === `${m.model.variant}@${m.model.target}`],
    ["the backend", BACKENDS.includes(m.model.backend)],
    ["the model's file", chosen?.role === "model"],
    ["the parts", ONCE.every((r) => count(r) === 1) && count("familiarity") <= 1],
    ["classes", classes.length >= 2 && classes.every((c) => c.trim() !== "") && new Set(classes).size === classes.length],
    ["the positive class", positive === null || (classes.length === 2 && classes[1] === positive)],
    ["the threshold", (threshold === null) === (positive === null)
      && (threshold === null || (threshold > 0 && threshold < 1))],
    ["the temperature", within(temperature, 1e-3, 1e3)],
    ["the band without an answer", bandFits(m)],
    ["the image size", within(spec.height_px, 1, 4096) && within(spec.width_px, 1, 4096)],
    ["channels, mean and std", [1, 3].includes(spec.channels) && fits(spec.mean) && fits(spec.std)
      && spec.std.every((s) => s > 0)],
    ["threads", within(m.model.threads, 1, 256)],
  ];
  for (const [what, fine] of faults) if (!fine) throw new Fault("bundleChanged", what);
}

function bandFits(m: Manifest): boolean {
  const { threshold, abstention: band } = m.operating_point;
  if (!band) return true;
  const { low, high, confidence } = band;
  if (threshold === null) return low === null && high === null && (confidence === null || (confidence >= 0 && confidence <= 1));
  if (confidence !== null || (low === null) !== (high === null)) return false;
  return low === null || (low >= 0 && low <= threshold && threshold <= high! && high! <= 1);
}

function familiarityOf(manifest: Manifest, files: Entries): Familiarity | null {
  const data = file(manifest, files, "familiarity");
  if (!data) return null;
  const found = parse<Familiarity>(data, familiarityShape, "familiarity");
  const size = found.names.length;
  if (found.mean.length !== size || found.precision.length !== size
    || found.precision.some((row) => row.length !== size)) {
    throw new Fault("bundleChanged", "familiarity");
  }
  return found;
}

function checkReference(bundle: Bundle): void {
  const { manifest: m, reference } = bundle;
  const bytes = m.preprocess.height_px * m.preprocess.width_px * m.preprocess.channels;
  const wanted = new Set(reference.vectors.flatMap((v) => [v.image, v.pixels]));
  const held = Object.entries(m.files).filter(([, f]) => f.role.startsWith("reference-")).map(([n]) => n);
  const fine = reference.vectors.length > 0 && reference.logit_tolerance > 0
    && held.length === wanted.size && held.every((n) => wanted.has(n))
    && reference.vectors.every((v) => v.logits.length === m.task.classes.length
      && m.files[v.pixels]?.size_bytes === bytes);
  if (!fine) throw new Fault("bundleChanged", "the reference vectors");
}
