"""What the harness around Qualcomm's simulator costs: worker process against the bare session.

    python benchmarks/simulator_harness.py [IMAGES] --save simulator-harness

Both run the same compiled GoogLeNet (224 pixels, random weights) on the same images, each in a
fresh process from start to end, in alternating order; the figure is the median ratio of the pairs.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import ROOT, finish, positional

from bedside import schemes
from bedside.core.study import CalibrationConfig, ModelConfig
from bedside.runfolder import artefact, layout, stored
from bedside.runtime.launch import run_worker
from bedside.runtime.worker import Job
from bedside.stages import calibrate, quantize
from bedside.stages.build import build
from bedside.stages.convert import convert
from bedside.targets import hexagon, qnn_context

sys.path.insert(0, str(ROOT / "tests" / "support"))
from tiny import write_tiny_data, write_untrained

PX, PAIRS, TARGET = 224, 3, "sm8650-hexagon"

# The bare simulator: ONNX Runtime and Qualcomm's provider, nothing of bedside.
BARE = """
import json, sys
import numpy as np, onnxruntime as ort, onnxruntime_qnn as qnn
path, images, soc, out = sys.argv[1:]
ort.set_default_logger_severity(4)
ort.register_execution_provider_library("QNNExecutionProvider", qnn.get_library_path())
options = ort.SessionOptions()
options.add_provider_for_devices(
    [d for d in ort.get_ep_devices() if d.ep_name == "QNNExecutionProvider"],
    {"backend_path": qnn.get_qnn_htp_path(), "soc_model": soc})
session = ort.InferenceSession(path, options)
name = session.get_inputs()[0].name
rows = [session.run(None, {name: image}) for image in np.load(images)]
np.save(out, np.concatenate([r.reshape(1, -1) for r in
        (next(v for v in row if v.ndim == 2) for row in rows)]))
"""


def main() -> None:
    """Pairs of bare and harnessed runs."""
    import numpy as np

    count = int(positional()[0]) if positional() else 16
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        run = work / "run"
        write_tiny_data(run, px=PX, count=max(12, count))
        model = write_untrained(run, ModelConfig("googlenet", image_px=PX))
        convert(run, model)
        ranges = calibrate.calibrate(run, model, CalibrationConfig(images=6), None)
        quantize.quantize(run, model, schemes.parse("int8"), ranges, calibrate.read_ranges(ranges))
        build(run, f"{model}-int8", TARGET)
        folder = layout.build_dir(run, f"{model}-int8", TARGET)
        context = folder / hexagon.CONTEXT
        preprocess = stored.model_spec(run, model).preprocess
        with stored.pixel_store(run, preprocess) as store:
            ids = tuple(store.ids)[:count]
            np.save(work / "images.npy", np.stack([store.tensor(i) for i in ids]))
        job = Job("predict", hexagon.RUNNER, str(context), artefact.sha256_file(context), 1,
                  str(layout.cache_dir(run, preprocess)), ids, str(work / "r.json"))
        seconds: dict[str, list[float]] = {"bare": [], "harness": []}

        def bare() -> None:
            subprocess.run([sys.executable, "-c", BARE, str(context), str(work / "images.npy"),
                            qnn_context.soc_of(context), str(work / "bare.npy")], check=True,
                           capture_output=True)

        def harness() -> None:
            assert run_worker(job, work).fault is None

        for pair in range(PAIRS):
            both = [("bare", bare), ("harness", harness)]
            for name, call in both if pair % 2 == 0 else both[::-1]:
                start = time.perf_counter()
                call()
                seconds[name].append(time.perf_counter() - start)
        same = bool((np.load(work / "bare.npy") == np.load(work / "r.json.npy")).all())
    ratios = [h / b for h, b in zip(seconds["harness"], seconds["bare"], strict=True)]
    finish({"what": "bedside's worker over the bare Hexagon simulator, GoogLeNet at 224 px, "
                    "whole processes", "images": count, "pairs": PAIRS, "identical_logits": same,
            "seconds": {k: [round(s, 2) for s in v] for k, v in seconds.items()},
            "ratio_median": round(statistics.median(ratios), 3), "goal": 1.05})
    if not same:
        sys.exit("the harness changes the logits")


if __name__ == "__main__":
    main()
