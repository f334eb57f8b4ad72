import { createHash } from "node:crypto";
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { defineConfig, type Plugin } from "vite";

const OUT = "../src/bedside/services/app/dist";
const ENGINE = "node_modules/@litertjs/core";

/** The engine, compressed (38 MB become 11), the licences, and the service worker's list. */
function finish(): Plugin {
  return {
    name: "bedside-finish",
    apply: "build",
    closeBundle() {
      mkdirSync(join(OUT, "wasm"), { recursive: true });
      for (const name of readdirSync(join(ENGINE, "wasm"))) {
        const data = readFileSync(join(ENGINE, "wasm", name));
        writeFileSync(join(OUT, "wasm", `${name}.gz`), gzipSync(data, { level: 9 }));
      }
      mkdirSync(join(OUT, "licences"), { recursive: true });
      for (const name of ["fast-png", "fflate", "iobuffer"]) {
        copyFileSync(`node_modules/${name}/LICENSE`, join(OUT, "licences", `${name}.txt`));
      }
      writeFileSync(join(OUT, "licences", "litertjs.txt"), "@litertjs/core and @litertjs/wasm-utils: Apache-2.0, Google LLC\n");
      const assets = readdirSync(join(OUT, "assets")).map((n) => `assets/${n}`).sort();
      const app = assets.filter((n) => !n.includes("/workbench-") && !n.includes("/lab-"));
      const shell = ["./", "manifest.webmanifest", "icon.svg", "icon-192.png", ...app];
      const hash = createHash("sha256");
      for (const name of ["index.html", ...shell.slice(1)]) hash.update(readFileSync(join(OUT, name)));
      const worker = join(OUT, "sw.js");
      writeFileSync(worker, readFileSync(worker, "utf8")
        .replaceAll("__PRECACHE__", JSON.stringify(shell))
        .replaceAll("__VERSION__", JSON.stringify(hash.digest("hex").slice(0, 16))));
    },
  };
}

export default defineConfig({
  base: "./",
  build: {
    outDir: OUT,
    emptyOutDir: true,
    target: "es2022",
    modulePreload: false,
    rollupOptions: {
      input: { index: "index.html", lab: "lab.html", workbench: "src/lab/workbench.ts", sw: "src/sw.ts" },
      output: {
        entryFileNames: (chunk) => (chunk.name === "sw" ? "sw.js" : "assets/[name]-[hash].js"),
      },
    },
  },
  worker: { format: "iife" },
  plugins: [finish()],
  test: { include: ["test/**/*.test.ts"] },
} as Parameters<typeof defineConfig>[0]);
