"""What does a split by image claim too much on BUSI? One training on folds by image and by group.

    python benchmarks/prove_leakage.py

BreastMNIST's task, EfficientNet-Lite0 from its pretrained weights at 64 px. Saves
docs/proof/leakage.json; resumable by epoch under runs/proof/leakage.
"""

from __future__ import annotations

from common import RUNS, need_busi, save

from bedside.cli.output import Reporter
from bedside.core import codec
from bedside.core.study import DataConfig, ModelConfig, Study
from bedside.flows import study
from bedside.flows.check import check as check_study
from bedside.flows.leakage import leakage

MODEL = ModelConfig("efficientnet_lite0", image_px=64, epochs=8)
FOLDS = 3


def main() -> None:
    """Train both arms, and save the comparison."""
    config = check_study(Study(data=DataConfig(
        source=str(need_busi()), merge={"other": ("benign", "normal")}), models=(MODEL,)))
    run = RUNS / "leakage"
    with study.locked(run), Reporter() as progress:
        found = leakage(run, config, config.models[0], FOLDS, progress)
    encoded = codec.encode(found)
    del encoded["schema"], encoded["cases_sha256"]
    save("leakage", {"what": "the same training on BUSI with folds by image and by group",
                     **encoded})


if __name__ == "__main__":
    main()
