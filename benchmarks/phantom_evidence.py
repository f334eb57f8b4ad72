"""2,000 synthetic test images through the commands: a sound INT8 is shown to be no worse than
float32, and a deliberately damaged network is worse and stops the gate.

    python benchmarks/phantom_evidence.py [--save phantom-evidence]

``bedside run`` trains a small ResNet34 on synthetic ultrasound and takes it to the paired tests
with the default margins (2 points of sensitivity and of AUC), ``bedside recommend`` and
``bedside gate`` answer. The damaged one is the same trained network with noise added to its
weights (as strong as half of each tensor's own spread), brought in as a model trained elsewhere
on the same images; ``bedside gate --against`` compares it with the sound one. Resumes under
runs/proof/phantom-evidence.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from common import RUNS, finish

from bedside.runfolder import layout, stored
from bedside.runtime.graph import read_graph

MODEL, PX, TEST, DAMAGE = "resnet34", 96, 2000, 0.5
STUDY = f"""
schemes = ["float32", "float16", "dynamic", "int8"]
[data]
source = "phantom"
proportions = [1200, 600, {TEST}]
[data.phantom]
images = {1200 + 600 + TEST}
height_px = 128
width_px = 128
difficulty = 0.2
"""
NETWORK = f"""
[[models]]
name = "{MODEL}"
width = 0.25
image_px = {PX}
epochs = 10
"""
EVALUATE = """
[train]
threads = 1
[evaluate]
rounds = 3
warmup = 3
samples = 10
"""


def bedside(*arguments: object) -> tuple[int, dict[str, Any]]:
    """Exit code of a command, and its document where it prints one."""
    done = subprocess.run([sys.executable, "-m", "bedside", *map(str, arguments)],
                          stdout=subprocess.PIPE, text=True)
    return done.returncode, json.loads(done.stdout) if "--json" in arguments else {}


def damage(source: Path, path: Path) -> None:
    """The same ``.tflite`` with noise in its convolutions' weights."""
    data, graph = bytearray(source.read_bytes()), read_graph(source)
    rng = np.random.default_rng(0)
    for tensor in graph.tensors:
        weights = graph.constant(tensor)
        if weights is None or weights.dtype != np.float32 or weights.ndim != 4:
            continue
        at = data.find(weights.tobytes())
        assert at >= 0, tensor.name
        noise = rng.normal(0, DAMAGE * float(weights.std()), weights.shape)
        data[at:at + weights.nbytes] = (weights + noise).astype(np.float32).tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(data))


def answers(run: Path) -> list[dict[str, Any]]:
    """What the paired tests of a run say on its test images."""
    return [{"variant": c.variant, "target": c.target, "against": c.against, "n": c.n,
             "answer": c.answer, "p_shown_holm": c.p_shown, "p_worse_holm": c.p_worse,
             "tests": {k: {"old": t.old, "new": t.new, "margin": t.margin, "gained": t.gained,
                           "lost": t.lost, "difference": [t.difference.value, t.difference.low,
                                                          t.difference.high]}
                       for k, t in c.tests.items() if t.margin is not None}}
            for c in stored.comparisons(run) if c.split == "test" and c.tests]


def main() -> None:
    """Run, recommend, gate; damage, run, gate."""
    home = RUNS / "phantom-evidence"
    home.mkdir(parents=True, exist_ok=True)
    good, bad = home / "good", home / "damaged"
    (home / "study.toml").write_text(STUDY + NETWORK + EVALUATE)
    ran, _ = bedside("run", "-c", home / "study.toml", "--out", good)
    gate, _ = bedside("gate", good, "--json")
    _, chosen = bedside("recommend", good, "--json")
    damage(layout.model_dir(good, MODEL) / layout.FLOAT_MODEL, home / "weights" / f"{MODEL}.tflite")
    (home / "damaged.toml").write_text(STUDY + EVALUATE)
    (home / "preprocess.toml").write_text(f"height_px = {PX}\nwidth_px = {PX}\nchannels = 1\n")
    again, _ = bedside("run", "-c", home / "damaged.toml", "--preprocess",
                       home / "preprocess.toml", "--float-model",
                       home / "weights" / f"{MODEL}.tflite", "--model-classes",
                       "benign,malignant", "--out", bad)
    stopped, checks = bedside("gate", bad, "--against", good, "--json")
    said = answers(good)
    worse = [c for c in checks["checks"] if c["result"] == "fail"]
    finish({"what": f"synthetic ultrasound, {TEST} test images, through run, recommend and gate: "
                    "variants of a trained network against float32, and the same network damaged "
                    "against the sound one",
            "exit_codes": {"run": ran, "gate": gate, "run of the damaged": again,
                           "gate of the damaged": stopped},
            "chosen": [{k: r[k] for k in ("target", "chosen", "test")}
                       for r in chosen["recommendations"]],
            "answers": said, "failed_checks_of_the_damaged": worse})
    shown = {a["variant"] for a in said if a["answer"] == "shown"}
    if f"{MODEL}-int8" not in shown or (ran, gate, again, stopped) != (0, 0, 0, 1):
        sys.exit("not as it must be")


if __name__ == "__main__":
    main()
