"""A training killed by SIGKILL ends with the bytes of one never killed."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from train_fixture import NET, STUDY, make_run, published

from bedside.core import codec
from bedside.runfolder import artefact, layout
from bedside.stages.train.stage import train

CHILD = """
import sys
from pathlib import Path
from bedside.core import codec
from bedside.core.study import Study
from bedside.stages.train.stage import train
study = codec.read_toml(Study, Path(sys.argv[2]))
train(Path(sys.argv[1]), study, study.models[0],
      lambda stage, done, total, text="": print(done, flush=True))
"""


def _run_child(run: Path, study: Path, kill_at: int | None) -> int:
    """Start training in a process; kill it (SIGKILL) once it reports step ``kill_at``."""
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(run), str(study)],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    first = -1
    assert child.stdout is not None
    for line in child.stdout:
        first = int(line) if first < 0 else first
        if kill_at is not None and int(line) >= kill_at:
            os.kill(child.pid, signal.SIGKILL)
            break
    child.communicate(timeout=120)
    assert child.returncode == (0 if kill_at is None else -signal.SIGKILL)
    return first


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"optimizer": "sgd", "schedule": "cosine",
                                          "ema_decay": 0.9, "clip_norm": 1.0}])
def test_killed_training_gives_the_bytes_of_one_never_killed(tmp_path, options):
    study = replace(STUDY, train=replace(STUDY.train, **options))
    whole, killed = make_run(tmp_path / "whole"), make_run(tmp_path / "killed")
    train(whole, study, NET)
    file = tmp_path / "study.toml"
    file.write_text(codec.to_toml(study))
    # 32 images, batch 8: 4 steps an epoch. In epoch 2, then in epoch 3 after a resume.
    _run_child(killed, file, 6)
    assert not artefact.finished(layout.model_dir(killed, "resnet34"), "train")
    assert _run_child(killed, file, 10) == 5, "the second process goes on after epoch 1"
    assert _run_child(killed, file, None) == 9
    assert published(killed) == published(whole)
