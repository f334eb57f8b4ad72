"""The bundle of a network trained on BUSI (the run of ``prove_training.py``), made once."""

from __future__ import annotations

from pathlib import Path

import prove_training
from common import RUNS
from device_bundle import bedside

from bedside.runfolder import artefact, layout


def trained_run(network: str = "efficientnet_lite0") -> Path:
    """The trained run; trains where it is not finished."""
    run = RUNS / f"training-{network}"
    if not artefact.finished(layout.model_dir(run, network), "convert"):
        prove_training.main(network)
    return run


def bundle(network: str = "efficientnet_lite0", scheme: str = "int8") -> Path:
    """A bundle of one of its variants for the CPU target."""
    run, variant = trained_run(network), f"{network}-{scheme}"
    path = run / f"{variant}.zip"
    if not path.is_file():
        bedside("quantize", run, "--only", variant)
        bedside("build", run, "--only", f"{variant}@cpu")
        bedside("evaluate", run, "--only", f"{variant}@cpu")
        bedside("bundle", run, "--target", "cpu", "--variant", variant, "--below-floor",
                "--out", path)
    return path
