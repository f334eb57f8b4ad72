"""Where the operations of our four networks run on every NPU profile and on XNNPACK, at 224 pixels.

    python benchmarks/npu_placement.py --save npu-placement

The weights are random: placement depends on the graph alone. Every Hexagon profile must take all
operations in one partition, every Ethos-U profile everything but QUANTIZE and DEQUANTIZE at the
edges, and XNNPACK everything before the head's global average, for which it has no int8 kernel.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from common import ROOT, finish

from bedside import schemes, targets
from bedside.core.study import CalibrationConfig, ModelConfig
from bedside.models import MODELS
from bedside.runfolder import layout
from bedside.stages import calibrate, quantize
from bedside.stages.convert import convert
from bedside.targets import subprocess_build

sys.path.insert(0, str(ROOT / "tests" / "support"))
from tiny import write_tiny_data, write_untrained

EDGE = {"QUANTIZE", "DEQUANTIZE"}
NO_WORK = {"cpu": {"RESHAPE", "AVERAGE_POOL_2D"}, "ethos-u": EDGE, "hexagon": set()}
PX = 224


def make(run: Path, network: str) -> Path:
    """The network's INT8 file."""
    model = write_untrained(run, ModelConfig(network, image_px=PX))
    convert(run, model)
    folder = calibrate.calibrate(run, model, CalibrationConfig(images=6), None)
    quantize.quantize(run, model, schemes.parse("int8"), folder, calibrate.read_ranges(folder))
    return layout.variant_dir(run, f"{model}-int8") / layout.VARIANT_MODEL


def row(network: str, file: Path, target: targets.Target) -> dict[str, object]:
    """One network on one target."""
    placed = subprocess_build.place(file, target).placed
    assert placed is not None, (network, target.id)
    off = [p for p in placed.placement if p.runs_on != placed.accelerator]
    working = [p for p in off if p.op not in NO_WORK[target.backend]]
    # XNNPACK takes up again behind the global average.
    most = 2 if target.backend == "cpu" else 1
    return {"network": network, "target": target.id, "operations": len(placed.placement),
            "off_accelerator": [f"{p.op} {p.name}" for p in off], "partitions": placed.partitions,
            "whole": placed.accepted and not working and placed.partitions <= most}


def main() -> None:
    """All networks on all profiles."""
    wanted = [t for t in targets.profiles().values() if t.backend in ("hexagon", "ethos-u")]
    wanted.append(targets.load("cpu"))
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        run = Path(temporary) / "run"
        write_tiny_data(run, px=PX, count=12)
        for network in sorted(MODELS):
            file = make(run, network)
            rows += [row(network, file, t) for t in wanted]
    finish({"what": "operations of the four INT8 networks at 224 px on the accelerator",
            "goal": "all in one partition, edges (and on XNNPACK the global average) aside",
            "whole": sum(bool(r["whole"]) for r in rows),
            "cells": len(rows), "rows": rows})
    if not all(r["whole"] for r in rows):
        sys.exit("some operations stay off an accelerator")


if __name__ == "__main__":
    main()
