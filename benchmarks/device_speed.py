"""Cold start to the first answer, and steady state over the bare LiteRT call plus decoding.

    python benchmarks/device_speed.py [--save device-speed]

EfficientNet-Lite0 INT8 at 224 on two threads. Cold start is the whole command: start of Python,
verification, self-test, answer, end.

Steady state: the same PNGs as bytes in memory, in blocks of ten by turns (the order of the three
drawn anew for each block):

bare     decode, resize, divide and the LiteRT call, in this process: no check, no judgement
many     what ``predict`` does with a folder: engine in a child process, quality, features,
         familiarity and decision of every image; the next image is decoded during the call
single   the same one image at a time, as the server asks: nothing overlaps
"""

from __future__ import annotations

import subprocess
import sys
import time

import numpy as np
from common import finish
from device_bundle import bundle, images

from bedside.runtime.bundle.reader import open_bundle
from bedside.runtime.device import Device
from bedside.runtime.litert import LiteRTModel
from bedside.runtime.preprocess import to_tensor

STARTS = 10
BLOCKS = 60
BLOCK = 10


def main() -> None:
    """Measure and print (or save)."""
    path, pictures = bundle(), images(30)
    starts = []
    for _ in range(STARTS):
        begin = time.perf_counter()
        subprocess.run([sys.executable, "-m", "bedside", "predict", str(path),
                        "--store", str(path.parent / "store"),
                        str(pictures[0]), "--json"], check=True, stdout=subprocess.DEVNULL)
        starts.append(time.perf_counter() - begin)
    opened = open_bundle(path, (), allow_unsigned=True)
    model = LiteRTModel(path, 2, content=bytes(opened.files[opened.manifest.model.file]))
    data = [p.read_bytes() for p in pictures]
    taken: dict[str, list[float]] = {"bare": [], "many": [], "single": []}
    order = np.random.default_rng(0)
    with Device(opened) as device:
        def bare(block: list[bytes]) -> None:
            for image in block:
                model.run(to_tensor(image, opened.manifest.preprocess))

        def many(block: list[bytes]) -> None:
            for _ in device.images(("x", image) for image in block):
                pass

        def single(block: list[bytes]) -> None:
            for image in block:
                device.image(image, "x")

        ways = {"bare": bare, "many": many, "single": single}
        for number in range(-3, BLOCKS):
            block = [data[(number * BLOCK + i) % len(data)] for i in range(BLOCK)]
            for name in order.permutation(list(ways)):
                begin = time.perf_counter()
                ways[name](block)
                if number >= 0:
                    taken[name].append((time.perf_counter() - begin) * 1e3 / BLOCK)
    ms = {name: np.array(values) for name, values in taken.items()}
    many_ratio, single_ratio = ms["many"] / ms["bare"], ms["single"] / ms["bare"]
    finish({"what": "cold start to the first answer, and steady state over bare LiteRT plus "
                    "decoding", "cold_start_s_median": round(float(np.median(starts)), 3),
            "cold_start_s_max": round(max(starts), 3), "starts": STARTS,
            "steady_ratio_median": round(float(np.median(many_ratio)), 3),
            "steady_ratio_p5_p95": np.percentile(many_ratio, [5, 95]).round(3).tolist(),
            "single_ratio_median": round(float(np.median(single_ratio)), 3),
            "ms_per_image_median": {n: round(float(np.median(v)), 3) for n, v in ms.items()},
            "blocks": BLOCKS, "images_per_block": BLOCK, "goal_cold_start_s": 1.5,
            "goal_steady_ratio": 1.05})


if __name__ == "__main__":
    main()
