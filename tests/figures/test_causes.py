"""Causes of INT8's change, on networks that are built so that the cause is known."""

from __future__ import annotations

import hashlib
import shutil

import numpy as np
import pytest
from outliers import MODEL, write_outlier_run
from sklearn.metrics import roc_auc_score
from statsmodels.stats.proportion import proportion_confint
from tiny import write_tiny_data, write_untrained

from bedside import schemes
from bedside.core import codec
from bedside.core.study import CalibrationConfig, ModelConfig, Study
from bedside.figures import cause_words, causes, clipping, inputs
from bedside.figures.base import FigureData
from bedside.runfolder import artefact, layout, stored
from bedside.runtime.graph import parse_graph
from bedside.runtime.litert import predict
from bedside.stages import calibrate, quantize
from bedside.stages.convert import convert

NET = "resnet34"


def quantized(run, model, shrink=1.0):
    """Add float32 and int8, the ranges of all inner activations multiplied by ``shrink``."""
    config = CalibrationConfig(images=20)
    ids = calibrate.choose(run, model, config)
    ranges = calibrate.observe(run, model, ids, ["minmax"])["minmax"]
    ranges = {k: v if "serving_default" in k else (shrink * v[0], shrink * v[1])
              for k, v in ranges.items()}
    folder = calibrate.publish(run, model, config, ids, ranges)
    quantize.quantize(run, model, schemes.parse("float32"), None, None)
    quantize.quantize(run, model, schemes.parse("int8"), folder, ranges)
    return run


def studied(run, model):
    variant = inputs.variants_of(run, model)["int8"]
    cases = inputs.validation_sample(run, clipping.IMAGES)
    _, _, seen = clipping._watch(run, inputs.original_of(run, model), cases)
    return causes.study(run, variant, cases, seen, clipping.LARGEST), seen, cases


@pytest.fixture(scope="module")
def outlier(tmp_path_factory):
    run = write_outlier_run(tmp_path_factory.mktemp("outlier") / "run")
    return quantized(run, MODEL)


@pytest.fixture(scope="module")
def cut(tmp_path_factory):
    """A residual network whose ranges hold an eighth of what it computes."""
    run = tmp_path_factory.mktemp("cut") / "run"
    write_tiny_data(run, count=80)
    config = ModelConfig(NET, image_px=32, width=0.125)
    artefact.write_text(layout.study_file(run), codec.to_toml(Study(models=(config,))))
    convert(run, write_untrained(run, config))
    return quantized(run, NET, shrink=0.125)


def test_an_outlier_channel_costs_by_rounding_and_the_figure_says_so(outlier) -> None:
    found, _, _ = studied(outlier, MODEL)
    assert found["cause"] == "true_ranges"
    assert found["rows"]["true_ranges"]["share"]["low"] > 0.5
    assert found["rows"]["clipping"]["share"]["value"] < 0.05
    assert "the cause is rounding" in cause_words.sentence(found)
    # Without the outlier's ranges there is nothing to cut: the float network stays as it is.
    assert found["rows"]["clipping"]["auc"] == found["rows"]["variant"]["auc_float32"]
    assert found["auc_cause"] == "true_ranges" and "rounding is the cause that loses" in (
        cause_words.sentence(found))


def test_narrow_ranges_cost_by_clipping_and_the_figure_says_so(cut) -> None:
    found, seen, _ = studied(cut, NET)
    assert found["cause"] == "clipping"
    assert found["rows"]["clipping"]["share"]["low"] > 0.5
    assert found["rows"]["true_ranges"]["share"]["high"] < 0.1
    assert "the cause is clipping" in cause_words.sentence(found)
    files = causes.files(cut, inputs.variants_of(cut, NET)["int8"], seen)
    limits = causes.interventions.limits(parse_graph(files["true_ranges"]))
    for name, (low, high) in seen.items():
        step = (limits[name][1] - limits[name][0]) / 255
        assert limits[name][0] - step <= low and high <= limits[name][1] + step


def test_a_wrong_bias_is_named_and_is_neither_rounding_nor_clipping(cut, tmp_path) -> None:
    run = tmp_path / "run"
    shutil.copytree(cut, run, ignore=shutil.ignore_patterns("variants", "calibration"))
    quantized(run, NET)
    path = layout.variant_dir(run, f"{NET}-int8") / "model.tflite"
    data = bytearray(path.read_bytes())
    graph = parse_graph(data)
    last = graph.convolutions()[-1]
    step = graph.tensors[last.inputs[0]].quantization.scales[0] * (
        graph.tensors[last.inputs[1]].quantization.scales)
    spread = float(np.ptp(stored_range(graph, last)))
    wrong = np.array([spread, -spread]) / 8
    graph.constant(last.inputs[2])[...] += np.rint(wrong / step).astype(np.int32)
    path.write_bytes(data)
    found, _, _ = studied(run, NET)
    assert found["cause"] == "biases"
    assert found["rows"]["biases"]["shift"]["value"] == pytest.approx(-spread / 4, rel=0.02)
    assert "the cause is rounding of the biases" in cause_words.sentence(found)


def stored_range(graph, operation):
    """Lowest and highest real value that the layer's output holds."""
    q = graph.tensors[operation.outputs[0]].quantization
    return (np.array([-128, 127]) - q.zero_points[0]) * q.scales[0]


def test_the_numbers_are_those_of_the_files(cut) -> None:
    found, seen, cases = studied(cut, NET)
    variant = inputs.variants_of(cut, NET)["int8"]
    files = causes.files(cut, variant, seen)
    labels = np.array([c.label == "malignant" for c in cases], int)
    with stored.pixel_store(cut, variant.preprocess) as store:
        images = [store.tensor(c.id) for c in cases]
    base = predict((layout.model_dir(cut, NET) / layout.FLOAT_MODEL).read_bytes(), images)[0]
    whole = np.diff(predict(files["variant"], images)[0] - base)[:, 0]
    assert set(files) == set(causes.NAMES) == set(found["rows"])
    for name, data in files.items():
        row, own = found["rows"][name], predict(data, images)[0]
        moved = np.diff(own - base)[:, 0]  # of the margin
        assert row["sha256"] == hashlib.sha256(data).hexdigest()
        assert row["damage"]["value"] == pytest.approx(np.sqrt((moved ** 2).mean()) / 2, rel=1e-5)
        assert row["share"]["value"] == pytest.approx(
            (moved ** 2).sum() / (whole ** 2).sum(), rel=1e-5)
        assert row["shift"]["value"] == pytest.approx(moved.mean(), abs=1e-6)
        # Logits of an integer file tie but for float32's last digit: a tie may count either way.
        score = np.diff(own.astype(np.float64))[:, 0]
        lead = score[labels == 1][:, None] - score[labels == 0]
        near = 1e-5 * np.abs(score).max()
        assert (lead > near).mean() - 1e-9 <= row["auc"] <= (lead > -near).mean() + 1e-9
        if name == "clipping":
            assert row["auc"] == pytest.approx(roc_auc_score(labels, score))
        changed = own.argmax(1) != base.argmax(1)
        assert row["changed"]["value"] * row["changed"]["n"] == pytest.approx(changed.sum())
        low, high = proportion_confint(changed.sum(), len(cases), method="wilson")
        assert (row["changed"]["low"], row["changed"]["high"]) == pytest.approx((low, high))
        both = changed.mean() - found["rows"]["variant"]["changed"]["value"]
        assert row["changed_change"]["value"] == pytest.approx(both)
        assert row["auc_change"]["low"] <= row["auc_change"]["value"] <= row["auc_change"]["high"]
    assert found["rows"]["variant"]["share"]["value"] == 1
    assert found["rows"]["variant"]["changed_change"]["value"] == 0


def test_ranges_that_already_hold_everything_give_the_variant_itself(outlier) -> None:
    variant = inputs.variants_of(outlier, MODEL)["int8"]
    files = causes.files(outlier, variant, {})
    assert files["true_ranges"] == files["variant"]


def test_a_cause_needs_its_whole_interval_above_one_half() -> None:
    def rows(**shares):
        return {k: {"share": {"value": v, "low": low, "n": n}} for k, (v, low) in shares.items()}

    n = 10
    unsure = rows(variant=(1.0, 1.0), true_ranges=(0.6, 0.4), clipping=(0.3, 0.2),
                  biases=(0.0, None))
    assert causes.cause(unsure) is None
    assert causes.cause(unsure | rows(clipping=(0.9, 0.7))) == "clipping"
    both = unsure | rows(true_ranges=(0.7, 0.6), clipping=(0.9, 0.7), biases=(0.0, None))
    assert causes.cause(both) == "clipping"
    n = 9
    few = rows(variant=(1.0, 1.0), true_ranges=(1.0, 1.0), clipping=(0.0, None),
               biases=(0.0, None))
    assert causes.cause(few) is None


def test_a_calibration_that_is_gone_is_a_reason(cut, tmp_path) -> None:
    run = tmp_path / "run"
    shutil.copytree(cut, run)
    shutil.rmtree(layout.calibration_dir(run, NET))
    found, _, _ = studied(run, NET)
    assert found["reason"] and not found["rows"] and found["cause"] is None
    assert "not tested" in cause_words.sentence(found)


def test_the_figure_draws_and_says_the_cause(cut) -> None:
    found, _, _ = studied(cut, NET)
    shown = {"clipped": [0.1, 0.2], "n": 40, "margin_spread": 1.0, "shift": 0.5, "shift_low": 0.2,
           "shift_high": 0.8, "confidence": 0.1, "confidence_low": -0.1, "confidence_high": 0.3}
    data = FigureData(facts={"model": MODEL, "images": 40, "layers": ["a", "b"],
                             "variants": {"int8": shown}, "causes": {"int8": found}})
    said = clipping.caption(data)
    assert "the cause is clipping" in said and "likelier" not in said and "may be" not in said
    figure = clipping.draw(data)
    texts = [t.get_text() for axes in figure.axes + [a for p in figure.subfigs for a in p.axes]
             for t in axes.get_yticklabels()]
    assert any(t.startswith("clipping only: ") and "AUC" in t for t in texts)
