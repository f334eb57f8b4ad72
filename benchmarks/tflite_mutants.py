"""Damaged ``.tflite`` files: what becomes of each, and that the parent lives.

    python benchmarks/tflite_mutants.py [N] --save tflite-mutants

N (2,000) mutants of two INT8 files and one float file, in turn on the CPU, Hexagon, Ethos-U and
GPU targets; each load in a child of its own. None may end the parent, hang, or go without a
reason.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from common import ROOT, RUNS, finish, positional

from bedside import schemes, targets
from bedside.core.study import CalibrationConfig, ModelConfig
from bedside.runfolder import layout
from bedside.stages import calibrate, quantize
from bedside.stages.convert import convert
from bedside.targets import subprocess_build

sys.path.insert(0, str(ROOT / "tests" / "support"))
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
        quantize.quantize(run, model, schemes.parse("int8"), folder, calibrate.read_ranges(folder))
        found.append((layout.variant_dir(run, f"{model}-int8") / layout.VARIANT_MODEL)
                     .read_bytes())
    found.append((layout.model_dir(run, "resnet34") / layout.FLOAT_MODEL).read_bytes())
    return found


def tried(number: int, data: bytes, folder: Path) -> list[object]:
    """[number, target, status, reason] of one mutant."""
    name = TARGETS[number // 5 % len(TARGETS)]
    path = folder / f"mutant-{number}.tflite"
    path.write_bytes(data)
    outcome = subprocess_build.place(path, targets.load(name), TIMEOUT_S)
    path.unlink()
    return [number, name, outcome.status,
            outcome.reason or ("" if outcome.placed is not None else None)]


def main() -> None:
    """Damage, load, count. What was tried before is not tried again (runs/proof)."""
    count = int(positional()[0]) if positional() else 2000
    RUNS.mkdir(parents=True, exist_ok=True)
    log = RUNS / "tflite-mutants.jsonl"
    rows = {r[0]: r for r in map(json.loads, log.read_text().splitlines())} if log.is_file() else {}
    with tempfile.TemporaryDirectory() as temporary, ThreadPoolExecutor(2) as pool:
        folder = Path(temporary)
        os.environ["BEDSIDE_CACHE"] = str(folder / "cache")
        files = originals(folder / "run")
        share = -(-count // len(files))
        made = [m for i, data in enumerate(files) for m in mutants(data, share, seed=i)][:count]
        waiting = [pool.submit(tried, i, m, folder) for i, m in enumerate(made) if i not in rows]
        with log.open("a", buffering=1) as out:
            for done in as_completed(waiting):
                row = done.result()
                rows[row[0]] = row
                out.write(json.dumps(row) + "\n")
    found = [rows[i] for i in range(len(made))]
    status = Counter(f"{name}: {kind}" for _, name, kind, _ in found)
    reasons = Counter(" ".join(w for w in said.split() if not any(c.isdigit() for c in w))[:100]
                      for _, _, _, said in found if said)
    silent = sum(said is None for _, _, _, said in found)
    finish({"what": "damaged .tflite files on five targets, each load in a child",
            "mutants": len(made), "parent_ended": 0, "without_reason": silent,
            "stopped_for_time": sum("was stopped after" in (said or "") for *_, said in found),
            "status": dict(sorted(status.items())), "reasons": dict(reasons.most_common(25))})
    if silent:
        sys.exit("a load ended without a reason")


if __name__ == "__main__":
    main()
