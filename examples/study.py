"""The study of study.toml as Python: python examples/study.py DATASET."""

import sys
from pathlib import Path

from bedside.cli.output import Reporter
from bedside.core.study import DataConfig, Study
from bedside.flows.study import run_study
from bedside.models import default_config

data = Path(sys.argv[1] if len(sys.argv) > 1 else "../shared/data/busi").resolve()
study = Study(
    data=DataConfig(
        source=str(data),
        merge={"other": ("benign", "normal")},
        split_file=str(data / "official_split.csv"),
        regroup=True,
    ),
    models=(default_config("efficientnet_lite0"), default_config("resnet34")),
)
with Reporter() as progress:
    print(run_study(Path("runs/breast"), study, progress=progress))
