"""The app in Chromium: time to the first result, and its engine against a bare LiteRT.js loop.

    python benchmarks/web_speed.py [--save web-speed]

EfficientNet-Lite0 INT8 at 224. First result: a new browser each time, nothing cached; from the
page's ``load`` event (and from the start of the navigation) to the verdict on an image that was
chosen at once; fetching, verification, self-test and the answer are in it. Engine: the page asks
its worker image by image, hand-over included; the bare loop runs in a worker that has LiteRT.js
only; both in one page, by turns (``web/bench``).
"""

from __future__ import annotations

import shutil
import subprocess

import numpy as np
from common import ROOT, RUNS, finish
from device_bundle import bundle, images
from headless import chromium, served

from bedside.runtime.bundle.reader import open_bundle
from bedside.services.app import export, files

STARTS = 10
ROUNDS = 30
ROUND = 10


def _first_results(picture: str) -> dict[str, object]:
    from_load, from_start = [], []
    with served(RUNS / "web-site") as url:
        for _ in range(STARTS):
            # A browser of its own: compiled WebAssembly is kept between pages of one.
            with chromium() as browser:
                page = browser.new_page()
                page.goto(url, wait_until="commit")
                page.set_input_files("#file", picture)
                page.wait_for_selector("#verdict", timeout=120_000)
                now, load = page.evaluate(
                    "[performance.now(), performance.getEntriesByType('navigation')[0]"
                    ".loadEventEnd]")
                from_start.append(now / 1e3)
                from_load.append((now - load) / 1e3)
    return {"first_result_s_median": round(float(np.median(from_load)), 2),
            "first_result_s_max": round(max(from_load), 2),
            "from_navigation_s_max": round(max(from_start), 2), "starts": STARTS}


def _engine(model: bytes, side: int, channels: int) -> dict[str, object]:
    site = RUNS / "web-bench"
    subprocess.run(["npx", "vite", "build", "--config", "bench/vite.config.ts", "--outDir",
                    str(site), "--logLevel", "error"], cwd=ROOT / "web", check=True)
    for name in files.names():
        found = files.read_plain(name)
        if name.startswith("wasm/litert_wasm_threaded") and found is not None:
            (site / name).parent.mkdir(exist_ok=True)
            (site / name).write_bytes(found.data)
    (site / "model.tflite").write_bytes(model)
    ratios, app, bare = [], [], []
    with served(site) as url, chromium() as browser:
        page = browser.new_page()
        page.goto(url)
        page.wait_for_function("window.bench !== undefined")
        threads = page.evaluate("([s, c]) => bench.start(s, c)", [side, channels])
        for number in range(-2, ROUNDS):
            ms = page.evaluate("([n, first]) => bench.round(n, first)", [ROUND, number % 2 == 0])
            if number >= 0:
                app.append(float(np.median(ms["app"])))
                bare.append(float(np.median(ms["bare"])))
                ratios.append(app[-1] / bare[-1])
        version = browser.version
    shutil.rmtree(site)
    return {"engine_ratio_median": round(float(np.median(ratios)), 3),
            "engine_ratio_p5_p95": np.percentile(ratios, [5, 95]).round(3).tolist(),
            "app_ms_median": round(float(np.median(app)), 2),
            "bare_ms_median": round(float(np.median(bare)), 2), "threads": threads,
            "rounds": ROUNDS, "images_per_round": ROUND, "chromium": version}


def main() -> None:
    """Measure and print (or save)."""
    path = bundle()
    opened = open_bundle(path, (), allow_unsigned=True)
    export.export([path], RUNS / "web-site")
    spec = opened.manifest.preprocess
    facts = _first_results(str(images(1)[0]))
    facts |= _engine(bytes(opened.files[opened.manifest.model.file]), spec.height_px,
                     spec.channels)
    finish({"what": "the web app in Chromium: first result after load, and its engine against a "
                    "bare LiteRT.js loop, EfficientNet-Lite0 INT8 at 224", **facts,
            "goal_first_result_s": 5.0, "goal_engine_ratio": 1.1})


if __name__ == "__main__":
    main()
