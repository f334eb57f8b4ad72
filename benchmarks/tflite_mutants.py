"""Damaged ``.tflite`` files: what becomes of each, and that the parent lives.

    python benchmarks/tflite_mutants.py [N] --save tflite-mutants

N (2,000) mutants of four INT8 files and one float file, in turn on the CPU, Hexagon, Ethos-U and
GPU targets; each load in a child of its own. None may end the parent, hang, or go without a
reason.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections import Counter
from pathlib import Path

from common import ROOT, finish, positional

from bedside import calibrate, quantize, rundir, targets
from bedside.convert import convert
from bedside.study_types import CalibrationConfig, ModelConfig
from bedside.targets import child

sys.path.insert(0, str(ROOT / "tests" / "unit"))
from test_lint import mutants
from tiny import write_tiny_data, write_untrained

TARGETS = ("cpu", "sm8650-hexagon", "ethos-u55-128", "ethos-u85-256", "gpu")
TIMEOUT_S = 60.0


def originals(run: Path) -> list[bytes]:
    """The files to damage."""
    write_tiny_data(run)
    found = []
    for network in ("resnet34", "googlenet"):
        model = write_untrained(run, ModelConfig(network, image_px=32, width=0.125))
        convert(run, model)
        folder = calibrate.calibrate(run, model, CalibrationConfig(images=6), None)
        quantize.quantize(run, model, "int8", folder, calibrate.read_ranges(folder))
        found.append((rundir.variant_dir(run, f"{model}-int8") / rundir.VARIANT_MODEL)
                     .read_bytes())
    found.append((rundir.model_dir(run, "resnet34") / rundir.FLOAT_MODEL).read_bytes())
    return found


def main() -> None:
    """Damage, load, count."""
    count = int(positional()[0]) if positional() else 2000
    status: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    silent = 0
    with tempfile.TemporaryDirectory() as temporary:
        os.environ["BEDSIDE_CACHE"] = str(Path(temporary) / "cache")
        files = originals(Path(temporary) / "run")
        share = -(-count // len(files))
        made = [m for i, data in enumerate(files) for m in mutants(data, share, seed=i)][:count]
        for i, data in enumerate(made):
            path = Path(temporary) / "mutant.tflite"
            path.write_bytes(data)
            outcome = child.place(path, targets.load(TARGETS[i // 5 % len(TARGETS)]), TIMEOUT_S)
            status[f"{TARGETS[i // 5 % len(TARGETS)]}: {outcome.status}"] += 1
            silent += outcome.placed is None and not outcome.reason
            if outcome.reason:
                reasons[" ".join(w for w in outcome.reason.split()
                                 if not any(c.isdigit() for c in w))[:100]] += 1
    finish({"what": "damaged .tflite files on five targets, each load in a child",
            "mutants": len(made), "parent_ended": 0, "without_reason": silent,
            "stopped_for_time": sum(n for r, n in reasons.items() if "was stopped after" in r),
            "status": dict(sorted(status.items())), "reasons": dict(reasons.most_common(25))})
    if silent:
        sys.exit("a load ended without a reason")


if __name__ == "__main__":
    main()
