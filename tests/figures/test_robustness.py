"""The robustness figure of a small run."""

from __future__ import annotations

import numpy as np
import pytest
from analyse_fixture import figure_data
from sklearn.metrics import roc_auc_score

from bedside.core.errors import BadInput
from bedside.core.study import EvidenceConfig, ModelConfig, Study
from bedside.core.types import Case, Task
from bedside.figures import inputs
from bedside.figures import robustness as figure
from bedside.figures.base import NotAvailable
from bedside.figures.corrupt import table
from bedside.flows.check import check as check_study
from bedside.runfolder import stored


def test_the_figure_of_a_real_run(run):
    f = figure_data(run, "robustness").facts
    assert f["schemes"] == ["float32", "int8"]
    assert f["n"] == sum(c.split == "val" for c in stored.cases(run))
    assert len(f["tests"]) == 5 and [t["scheme"] for t in f["overall"]] == ["int8"]
    means = [np.mean([t["test"][side] for t in f["tests"]]) for side in ("old", "new")]
    assert [f["overall"][0]["test"][side] for side in ("old", "new")] == pytest.approx(means)
    for t in [*f["overall"], *f["tests"]]:
        assert (t["needed"] is None) == (t["answer"] != "not shown")
        assert t["answer"] in ("shown", "not shown", "worse")
        assert t["test"]["difference"]["value"] is not None
    saved = stored.predictions(run, "tiny-float32", "cpu").of("val")
    odds = saved.logits[:, 1] - saved.logits[:, 0]
    assert f["values"]["float32"]["clean"]["value"] == pytest.approx(
        roc_auc_score(saved.labels, odds))


def test_the_sample_is_stratified_and_bounded(monkeypatch, tmp_path):
    cases = [Case(f"c{i:03d}", "f", "malignant" if i % 4 == 0 else "benign", split="val")
             for i in range(100)]
    monkeypatch.setattr(stored, "cases", lambda _: tuple(cases))
    chosen = inputs.validation_sample(tmp_path, 20)
    assert len(chosen) == 20 and sum(c.label == "malignant" for c in chosen) == 5
    assert len(inputs.validation_sample(tmp_path, 500)) == 100


def test_it_can_be_switched_off_and_bad_numbers_are_refused(run, monkeypatch):
    monkeypatch.setattr(stored, "study", lambda _: Study(
        evidence=EvidenceConfig(robustness_images=0)))
    with pytest.raises(NotAvailable, match="switched off"):
        figure.compute(run, "tiny")
    with pytest.raises(BadInput, match="robustness_images"):
        check_study(Study(models=(ModelConfig("resnet34"),),
                          evidence=EvidenceConfig(robustness_images=-1)))


def test_three_classes_are_judged_by_accuracy():
    rng = np.random.default_rng(0)
    classes = ("a", "b", "c")
    cases = [Case(f"c{i}", "f", classes[i % 3], split="val") for i in range(30)]
    rows = 1 + sum(len(c.strengths) for c in table())
    logits = {k: rng.normal(0, 1, (rows, 30, 3)) for k in ("float32", "int8")}
    found = figure._judged("net", ["float32", "int8"], cases, table(), Task(classes), logits,
                           0.02, 0)
    assert found.facts["metric"] == "accuracy" and len(found.facts["tests"]) == 5
