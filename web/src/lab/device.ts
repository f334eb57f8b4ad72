/** What this device says of itself: model and browser, no serial number and no account. */
import { offered, threadCount } from "../engine/engine";
import type { Device } from "./api";

interface Hints {
  getHighEntropyValues(names: string[]): Promise<{ model?: string; platform?: string; platformVersion?: string }>;
  brands: { brand: string; version: string }[];
}

function browserName(): string {
  const agent = navigator.userAgent;
  const brands = (navigator as { userAgentData?: Hints }).userAgentData?.brands ?? [];
  const brand = brands.find((b) => !/Not|Chromium/.test(b.brand)) ?? brands.find((b) => b.brand === "Chromium");
  if (brand) return `${brand.brand} ${brand.version}`;
  for (const [name, pattern] of [["Firefox", /Firefox\/(\d+)/], ["Edge", /Edg\/(\d+)/], ["Chrome", /Chrome\/(\d+)/], ["Safari", /Version\/(\d+)/]] as const) {
    const found = pattern.exec(agent);
    if (found) return `${name} ${found[1]}`;
  }
  return "unknown";
}

export async function describe(): Promise<Device> {
  const agent = navigator.userAgent;
  const hints = (navigator as { userAgentData?: Hints }).userAgentData;
  const high = await hints?.getHighEntropyValues(["model", "platform", "platformVersion"]).catch(() => undefined);
  const system = /\(([^)]*)\)/.exec(agent)?.[1] ?? "unknown";
  const guess = /iPhone|iPad|Macintosh|Windows|Android|Linux/.exec(agent)?.[0] ?? "device";
  const gpu = (navigator as { gpu?: { requestAdapter(): Promise<{ info?: { vendor: string; architecture: string } } | null> } }).gpu;
  const info = (await gpu?.requestAdapter().catch(() => null))?.info;
  return {
    name: (high?.model || guess).slice(0, 60), browser: browserName().slice(0, 60),
    platform: (high?.platform ? `${high.platform} ${high.platformVersion ?? ""}`.trim() : system).slice(0, 100),
    secure: self.isSecureContext, threads: threadCount(), accelerators: await offered(),
    gpu: info ? `${info.vendor} ${info.architecture}`.trim().slice(0, 100) : "",
  };
}
