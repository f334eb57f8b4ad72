/** `npx vite build --config bench/vite.config.ts --outDir DIR`: the page of benchmarks/web_speed.py. */
import { defineConfig } from "vite";

export default defineConfig({
  root: "bench",
  base: "./",
  build: { target: "es2022", modulePreload: false, emptyOutDir: true },
  worker: { format: "iife" },
});
