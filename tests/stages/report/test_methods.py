"""The methods section."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from report_fixture import (
    make_run,
)
from report_reader import page, read

from bedside.core import codec
from bedside.core.build import ModelSpec
from bedside.core.contract import Contract, ContractCheck, Parity
from bedside.core.model_files import Trial, Tuning
from bedside.core.types import Estimate, Preprocess, Task
from bedside.runfolder import artefact, layout, stored
from bedside.runtime.graph import Quantization, dequantize
from bedside.stages.report import methods


def test_the_recipe_that_tuning_chose_is_the_one_shown(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    model = stored.model_specs(run)[0].id
    tuning = Tuning(2, (Trial(5e-4, 0.05, 1.5, 0.7),
                               Trial(2e-3, 0.01, 0.25, 0.8)), 1)
    with artefact.writing(layout.model_dir(run, model), "train", "tuned") as scratch:
        artefact.write_text(scratch / layout.TUNING, codec.to_json(tuning))
    facts = dict(dict(methods.training(run, stored.study(run), stored.model_specs(run)))[model])
    assert facts["Tuning"] == "2 trials of 2 epochs, chosen on validation AUC (0.800 in trial 2)"
    for shown in ("learning rate 0.002", "weight decay 0.01", "augmentation 0.25"):
        assert shown in facts["Recipe"]


def test_the_papers_two_formulas_differ_in_the_sign_of_z(run: Path) -> None:
    """Formula (1) put into (4) is off by twice the zero point; with + Z it is not."""
    values, scale, zero = np.linspace(-3, 5, 60), 0.05, 17
    back = {sign: scale * ((np.rint(values / scale) + sign * zero) - zero) for sign in (1, -1)}
    assert np.abs(back[1] - values).max() <= scale / 2 + 1e-12
    assert back[-1] - back[1] == pytest.approx(-2 * scale * zero)
    codes = np.rint(values / scale).astype(np.int64) + zero
    ours = dequantize(codes, Quantization(np.float32([scale]), np.array([zero]), 0))
    assert ours == pytest.approx(back[1], rel=1e-6)
    text = " ".join("".join(read(page(run)).words).split())
    assert "do not agree in the sign of Z" in text and "R − 2SZ" in text


def test_methods_say_what_was_done(run: Path) -> None:
    text = " ".join("".join(read(page(run)).words).split())
    assert "20 in int8; image in float32, logits in float32" in text
    assert "3 of 4; best validation AUC 0.910 after epoch 2" in text
    assert "numpy2.4" in text


def test_a_model_trained_elsewhere_is_shown_with_its_contract(tmp_path: Path) -> None:
    spec = ModelSpec("clinic", "clinic", Preprocess(64, 64, 1, "area-crop", "dtype"),
                     Task(("benign", "malignant"), "malignant"), origin="external")
    assert methods.contracts(tmp_path, [spec]) == ()
    contract = Contract(1, "clinic.tflite", "0" * 64, "1" * 64, ("benign", "malignant"),
                        (-1.0, 1.0), (), (), "grey", "probabilities", spec.preprocess,
                        ("malignant", "benign"),
                        {"classes": "labels.txt packed in the model", "input_range": "declared"})
    found = ContractCheck(80, Estimate(0.91, 0.84, 0.95, 80), 0.91,
                          {"benign": 50, "malignant": 30}, Parity(80, 0, 2e-8))
    with artefact.writing(layout.model_dir(tmp_path, "clinic"), "convert", "k") as scratch:
        artefact.write_text(scratch / layout.CONTRACT, codec.to_toml(contract))
        artefact.write_text(scratch / layout.CONTRACT_CHECK, codec.to_json(found))
    ((name, text),) = methods.contracts(tmp_path, [spec])
    assert name == "clinic, contract"
    for said in ("pixels as -1 to 1 (declared)", "classes labels.txt packed in the model",
                 "output probabilities", "AUC is 0.910 [0.840, 0.950]", "0 change class", "2e-08"):
        assert said in text, said
    ((_, how),) = methods.preprocessing([spec])
    assert how.startswith("grey, mean over area, its centre alone, to 64 × 64 px")
