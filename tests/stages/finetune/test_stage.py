"""Quantization-aware fine-tuning: it rescues; the file stays the same kind; torch agrees."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import outliers
import pytest
import torch

from bedside import schemes
from bedside.core import codec
from bedside.core.build import ModelSpec, Variant
from bedside.core.errors import BadInput
from bedside.core.study import CalibrationConfig
from bedside.flows import variants
from bedside.flows.search import tuned
from bedside.flows.search.budget import Budget
from bedside.flows.search.scorer import CandidateScorer
from bedside.runfolder import layout, stored
from bedside.runtime.graph import parse_graph, read_graph
from bedside.stages import quantize
from bedside.stages.finetune import replay, stage

CONFIG = CalibrationConfig(images=30)
BUDGET = Budget(auroc_loss=0.05, sensitivity_loss=0.2, specificity_loss=0.2,
                flips=0.06)
# One channel so much larger that INT8 misses the budget, yet the others keep a step or two.
FACTOR = 30.0


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return outliers.write_outlier_run(tmp_path_factory.mktemp("qat") / "run", factor=FACTOR)


@pytest.fixture(scope="module")
def found(run):
    torch.set_num_threads(1)
    return tuned.fine_tune(run, outliers.MODEL, schemes.parse("int8+qat"), CONFIG, BUDGET)


def _file(run, scheme):
    variants.make(run, outliers.MODEL, schemes.parse(scheme), CONFIG)
    folder = layout.variant_dir(run, f"{outliers.MODEL}-{scheme}")
    return codec.read_json(Variant, folder / layout.VARIANT), folder / layout.VARIANT_MODEL


def test_fine_tuning_meets_a_budget_that_plain_int8_misses(run, found):
    scorer = CandidateScorer(run, outliers.MODEL)
    plain = scorer.score(_file(run, "int8")[1].read_bytes())
    assert not BUDGET.holds(plain, scorer.reference)
    assert plain.flips > 0.2 * plain.images
    assert found.within and BUDGET.holds(found.score, scorer.reference)
    assert found.score.logit_damage < plain.logit_damage / 4


def test_the_child_names_its_parent_and_lies_like_any_variant(run, found):
    variant, _ = _file(run, "int8+qat")
    assert variant.parent == found.parent == f"{outliers.MODEL}+int8+qat"
    folder = layout.model_dir(run, variant.parent)
    assert codec.read_json(ModelSpec, folder / layout.SPEC).parent == outliers.MODEL
    assert not variants.make(run, outliers.MODEL, schemes.parse("int8+qat"), CONFIG)
    assert [s.id for s in stored.model_specs(run)] == [outliers.MODEL]


def test_the_epoch_is_chosen_on_validation_with_plain_int8_among_them(run, found):
    facts = json.loads((layout.model_dir(run, found.parent) / stage.FACTS).read_text())
    epochs = [stage.Epoch(**e) for e in facts["epochs"]]
    assert [e.epoch for e in epochs] == list(range(len(epochs)))
    assert epochs[0].loss is None
    parent = CandidateScorer(run, outliers.MODEL).reference.auroc
    best = min(epochs, key=lambda e: e.rank(parent))
    assert facts["chosen_epoch"] == best.epoch
    # An epoch counts flips of the largest logit; the search, at the float model's threshold.
    assert best.auroc == pytest.approx(found.score.auroc)


def test_the_file_format_and_the_ranges_are_those_of_plain_int8(run, found):
    plain, plain_file = _file(run, "int8")
    better, better_file = _file(run, "int8+qat")
    assert better.ops_by_dtype == plain.ops_by_dtype
    assert (better.input_dtype, better.output_dtype) == (plain.input_dtype, plain.output_dtype)
    assert better.calibration == plain.calibration
    first, second = read_graph(plain_file), read_graph(better_file)
    assert replay.grids(first) == replay.grids(second)
    assert [(t.name, t.shape, t.dtype) for t in first.tensors] == [
        (t.name, t.shape, t.dtype) for t in second.tensors]


# ------------------------------------------------------------------ torch against LiteRT


def _replayed(run, model, data, quantized=None):
    """Logits of validation images by torch; rounded as ``quantized`` rounds where it is given."""
    graph = parse_graph(data)
    grids = replay.grids(quantized) if quantized is not None else {}
    weights = replay.rounded_weights(quantized) if quantized is not None else frozenset()
    ids = [c.id for c in stored.cases(run) if c.split == "val"]
    with (torch.no_grad(), stored.pixel_store(run, stored.model_spec(run, model).preprocess)
          as store):
        images = torch.from_numpy(np.concatenate([store.tensor(i) for i in ids]))
        found = replay.run(graph, stage.constants_of(graph), images, grids, weights)
    return stage.logits_of(graph, found).numpy(), stage.answers(run, model, data, ids), ids


def test_rounded_torch_and_the_int8_file_agree_within_three_steps_of_the_logits(run, found):
    data = (layout.model_dir(run, found.parent) / layout.FLOAT_MODEL).read_bytes()
    _, path = _file(run, "int8+qat")
    quantized = read_graph(path)
    mine, _, ids = _replayed(run, outliers.MODEL, data, quantized)
    theirs = stage.answers(run, outliers.MODEL, path.read_bytes(), ids)
    step = next(g.step for n, g in replay.grids(quantized).items() if "logits" in n)
    assert np.abs(mine - theirs).max() <= 3 * step
    # Without the rounding they are apart: the agreement is not for want of a difference.
    assert np.abs(_replayed(run, outliers.MODEL, data)[0] - theirs).max() > 3 * step


# ------------------------------------------------------------------ bad input


def test_an_operation_that_is_not_known_is_refused(run):
    graph = read_graph(layout.model_dir(run, outliers.MODEL) / layout.FLOAT_MODEL)
    odd = replace(graph, operations=(replace(graph.operations[0], op="TANH"),
                                     *graph.operations[1:]))
    with pytest.raises(BadInput, match="TANH cannot be fine-tuned"):
        replay.check(odd, "model")


def test_training_that_diverges_publishes_nothing(run, monkeypatch):
    _, _, ranges = variants.prepared(run, outliers.MODEL, schemes.parse("int8"), CONFIG)
    rules = quantize.recipe(run, outliers.MODEL, schemes.parse("int8"),
                            layout.model_dir(run, outliers.MODEL) / layout.FLOAT_MODEL)
    with pytest.raises(BadInput, match=r"not finite|left what an INT8 file can hold"):
        stage.finetune(run, outliers.MODEL, "outlier+wild", rules, ranges,
                       stage.Recipe(rate=1e30))
    real = stage.logits_of
    monkeypatch.setattr(stage, "logits_of", lambda graph, values: real(graph, values) / 0)
    with pytest.raises(BadInput, match="not finite in epoch 1"):
        stage.finetune(run, outliers.MODEL, "outlier+wild", rules, ranges)
    assert not (layout.model_dir(run, "outlier+wild") / "manifest.json").exists()
