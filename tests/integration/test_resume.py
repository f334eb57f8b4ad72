"""A killed run gives what a run that was never killed gives."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

STUDY = """
seed = 3
schemes = ["float32", "float16", "dynamic", "int8"]
[data]
source = "phantom"
proportions = [40, 10, 10]
[data.phantom]
images = 60
height_px = 64
width_px = 64
[[models]]
name = "resnet34"
width = 0.125
image_px = 32
epochs = 4
batch_size = 8
[calibration]
images = 8
[evaluate]
rounds = 1
warmup = 0
samples = 2
"""
KILLS = int(os.environ.get("BEDSIDE_KILLS", "6"))



def _start(study: Path, out: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "bedside", "run", "-c", str(study), "--out",
                             str(out)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                            start_new_session=True)


def _content(run: Path) -> dict[str, str]:
    """Hashes of what must be byte-identical: split, weights, history, float model, variants."""
    files = [run / "data" / "cases.csv", run / "data" / "task.json", run / "study.toml",
             *(run / "models").rglob("*.safetensors"), *(run / "models").rglob("history.csv"),
             *(run / "models").rglob("float.tflite"), *(run / "variants").rglob("*.*")]
    return {str(p.relative_to(run)): hashlib.sha256(p.read_bytes()).hexdigest()
            for p in sorted(files) if p.is_file()}


def _finish(study: Path, out: Path) -> float:
    start = time.monotonic()
    process = _start(study, out)
    _, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors.decode()[-2000:]
    return time.monotonic() - start


def test_killed_at_random_moments_the_result_is_the_same(tmp_path):
    study = tmp_path / "study.toml"
    study.write_text(STUDY)
    seconds = _finish(study, tmp_path / "whole")
    expected = _content(tmp_path / "whole")
    assert sum("variants" in name for name in expected) >= 16
    dice = random.Random(0)
    killed = 0
    for _ in range(6 * KILLS):
        process = _start(study, tmp_path / "killed")
        try:
            process.wait(timeout=dice.uniform(0.3, max(1.5, seconds / 2)))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            killed += 1
        process.wait()
        assert process.stderr is not None
        process.stderr.close()
        if process.returncode == 0:
            # It came to the end before the dice: compare, and start from nothing again.
            assert _content(tmp_path / "killed") == expected
            shutil.rmtree(tmp_path / "killed")
        if killed == KILLS:
            break
    assert killed == KILLS
    _finish(study, tmp_path / "killed")
    assert _content(tmp_path / "killed") == expected
    # And once more: everything is finished, so nothing is made again.
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "killed").rglob("model.tflite")}
    _finish(study, tmp_path / "killed")
    assert before == {p: p.stat().st_mtime_ns for p in (tmp_path / "killed").rglob("model.tflite")}
