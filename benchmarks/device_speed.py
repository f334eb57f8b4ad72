"""Cold start to the first answer, and steady state over the bare LiteRT call plus decoding.

    python benchmarks/device_speed.py [--save device-speed]

EfficientNet-Lite0 INT8 at 224 on two threads. Cold start is the whole command: start of Python,
verification, self-test, answer, end.
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
ROUNDS = 20


def main() -> None:
    """Measure and print (or save)."""
    path, pictures = bundle(), images(30)
    starts = []
    for _ in range(STARTS):
        begin = time.perf_counter()
        subprocess.run([sys.executable, "-m", "bedside.cli", "predict", str(path),
                        "--store", str(path.parent / "store"),
                        str(pictures[0]), "--json"], check=True, stdout=subprocess.DEVNULL)
        starts.append(time.perf_counter() - begin)
    opened = open_bundle(path, ())
    model = LiteRTModel(path, 2, content=bytes(opened.files[opened.manifest.model.file]))
    data = [p.read_bytes() for p in pictures]
    ratios = []
    with Device(opened) as device:
        for _ in range(ROUNDS):
            begin = time.perf_counter()
            for image in data:
                device.image(image, "x")
            middle = time.perf_counter()
            for image in data:
                model.run(to_tensor(image, opened.manifest.preprocess))
            ratios.append((middle - begin) / (time.perf_counter() - middle))
    finish({"what": "cold start to the first answer, and steady state over bare LiteRT plus "
                    "decoding", "cold_start_s_median": round(float(np.median(starts)), 3),
            "cold_start_s_max": round(max(starts), 3), "starts": STARTS,
            "steady_ratio_median": round(float(np.median(ratios)), 3),
            "ratios": [round(r, 3) for r in ratios], "goal_cold_start_s": 1.5,
            "goal_steady_ratio": 1.05})


if __name__ == "__main__":
    main()
