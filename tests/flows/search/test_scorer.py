"""Scoring of candidates on validation images."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest

from bedside.core import codec
from bedside.core.errors import BadInput
from bedside.flows.search.scorer import CandidateScorer
from bedside.runfolder import artefact, layout, stored
from bedside.runfolder.cases import cases_to_csv


def test_the_float_model_loses_nothing_against_itself(tiny_run):
    scorer = CandidateScorer(tiny_run, "resnet34", 6)
    assert len(scorer.ids) == 6
    again = scorer.score(scorer.float_bytes)
    assert (again.flips, again.logit_damage, again.logit_shift) == (0, 0.0, 0.0)
    assert (again.images, again.size_bytes) == (6, len(scorer.float_bytes))
    other = scorer.score_logits(scorer.float_logits[:, ::-1], 1, 1.0)
    odds = scorer.float_logits[:, 1].astype(np.float64) - scorer.float_logits[:, 0]
    cut = scorer._float.point.threshold_log_odds
    assert other.flips == int(((odds >= cut) != (-odds >= cut)).sum()) > 0
    # All that an identical model loses is what so few images can show.
    assert again.sensitivity_low < 0 and other.sensitivity_low <= again.sensitivity_low


def test_validation_without_a_class_is_refused(tiny_run, tmp_path):
    other = tmp_path / "run"
    shutil.copytree(tiny_run, other)
    cases = [replace(c, split="train") if c.split == "val" and c.label == "malignant" else c
             for c in stored.cases(other)]
    with artefact.writing(layout.data_dir(other), "data", "changed") as scratch:
        artefact.write_text(scratch / layout.CASES, cases_to_csv(cases))
        artefact.write_text(scratch / layout.TASK, codec.to_json(stored.task(tiny_run)))
    with pytest.raises(BadInput, match="no validation image of class 'malignant'"):
        CandidateScorer(other, "resnet34")
