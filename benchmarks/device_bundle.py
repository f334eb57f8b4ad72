"""The bundle of the device proofs: EfficientNet-Lite0 INT8 at 224, one epoch of phantoms."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from common import ROOT, RUNS

VARIANT = "efficientnet_lite0-int8"
_STUDY = """schemes = ["int8"]
[data]
source = "phantom"
proportions = [200, 60, 40]
[data.phantom]
images = 300
[[models]]
name = "efficientnet_lite0"
epochs = 1
[evaluate]
rounds = 1
"""


def bedside(*arguments: object) -> None:
    """Run the command line."""
    subprocess.run([sys.executable, "-m", "bedside", *map(str, arguments)], check=True,
                   cwd=ROOT, stdout=subprocess.DEVNULL)


def bundle() -> Path:
    """The bundle, made where it is not there yet."""
    run = RUNS / "device"
    path = run / "device.zip"
    if not path.is_file():
        run.mkdir(parents=True, exist_ok=True)
        study = RUNS / "device-study.toml"
        study.write_text(_STUDY)
        bedside("run", "-c", study, "--out", run)
        bedside("bundle", run, "--target", "cpu", "--variant", VARIANT, "--below-floor",
                "--out", path)
    return path


def images(count: int) -> list[Path]:
    """Phantom images of the run, as PNGs of 224 pixels."""
    found = sorted((RUNS / "device" / "data" / "phantom").rglob("*.png"))
    return [p for p in found if "mask" not in p.name][:count]
