"""Foreign classifiers against their normalised form on real images, and the import of VGG16.

``python benchmarks/foreign_models.py --save foreign-models``. The files lie beside the checkout
(shared/cases); VGG16 is made here, with random weights.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from common import ROOT, finish

sys.path.insert(0, str(ROOT / "tests" / "support"))

from foreign_models import vgg16

from bedside.core.contract import Declared
from bedside.foreign.normalise import normalise
from bedside.foreign.reference import agreement
from bedside.foreign.understand import understand
from bedside.runtime.litert import LOGITS, LiteRTModel

CASES = ROOT.parent / "shared" / "cases"
RANGES = {"pneu_u255": (0.0, 255.0), "pneu_pm1": (-1.0, 1.0)}


def parity() -> dict[str, Any]:
    """Every file on the 200 test images of the cases, whose labels are not looked at."""
    with np.load(CASES / "pneumonia_520.npz") as data:
        pixels = data["test_images"]
    found: dict[str, Any] = {}
    for file in sorted((CASES / "models").glob("*.tflite")):
        declared = Declared(("0", "1"), RANGES.get(file.stem, (0.0, 1.0)), colour="rgb"
                            if file.stem == "pneu_rgb" else None, resize="stretch",
                            output="output_0" if file.stem == "pneu_twoout" else None)
        opened = understand(file, declared)
        reference, channels = opened.reference(), opened.opened.size[2]
        done = normalise(opened)
        model = LiteRTModel(file, content=done.content)
        images = [np.repeat((p.astype(np.float32) / np.float32(255))[None, :, :, None], channels,
                            axis=3) for p in pixels]
        own = np.asarray([reference.probabilities(i) for i in images])
        logits = np.asarray([model.run(i)[LOGITS][0].copy() for i in images])
        figure = agreement(logits, own, done.contract.output_kind)
        found[file.stem] = {"classes_differ": figure.classes_differ,
                            "largest_difference": figure.largest_difference}
    return found


def vgg16_import() -> dict[str, float]:
    """The whole command, start of Python and comparison with the file included."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "vgg16.tflite"
        file.write_bytes(vgg16())
        load = os.getloadavg()[0]
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "bedside", "import-model", str(file), "--out",
                        str(Path(folder) / "out"), "--model-classes", "a,b", "--input-range",
                        "0,255", "--resize", "stretch"], check=True, capture_output=True)
        seconds = time.perf_counter() - start
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return {"megabytes": round(file.stat().st_size / 1e6, 1), "seconds": round(seconds, 2),
                "processor_seconds": round(used.ru_utime + used.ru_stime, 2),
                "load_before": round(load, 1), "peak_mb": round(used.ru_maxrss / 1e3)}


def main() -> None:
    files = parity()
    finish({"what": "classifiers in foreign shapes, normalised, against their files on 200 chest "
                    "X-rays; bedside import-model of VGG16, start of Python included",
            "images": 200, "files": files,
            "classes_differ": sum(f["classes_differ"] for f in files.values()),
            "largest_difference": max(f["largest_difference"] for f in files.values()),
            "vgg16": vgg16_import()})


if __name__ == "__main__":
    main()
