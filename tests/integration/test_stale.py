"""What was made from settings, weights or a task that have changed is made again or refused."""

from __future__ import annotations

import dataclasses
import shutil

import numpy as np
import pytest
from tiny import publish_mixture, write_tiny_data, write_untrained

from bedside import schemes
from bedside.core import codec
from bedside.core.build import Measurement, Variant
from bedside.core.contract import Declared
from bedside.core.errors import BadInput
from bedside.core.study import (
    CalibrationConfig,
    EvaluateConfig,
    EvidenceConfig,
    FloatModelConfig,
    ModelConfig,
)
from bedside.core.types import Task
from bedside.flows import variants
from bedside.runfolder import artefact, layout, stored
from bedside.stages import convert
from bedside.stages.build import build
from bedside.stages.bundle import build as bundle
from bedside.stages.evaluate import stage as evaluation
from bedside.stages.evidence import stage as evidence

NET = ModelConfig("resnet34", image_px=32, width=0.125)
QUICK = EvaluateConfig(rounds=1, warmup=0, samples=1)
CELL = ("resnet34-float32", "cpu")


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    run = tmp_path_factory.mktemp("stale") / "run"
    write_tiny_data(run)
    write_untrained(run, NET)
    convert.convert(run, "resnet34")
    return run


@pytest.fixture
def run(converted, tmp_path):
    return shutil.copytree(converted, tmp_path / "run")


def retrained(run):
    write_untrained(run, NET, seed=7)
    convert.convert(run, "resnet34")


def measured(run, config=QUICK):
    variants.make(run, "resnet34", schemes.parse("float32"), CalibrationConfig(images=8))
    build(run, *CELL)
    return evaluation.evaluate(run, [CELL], config)


def entered(run, tmp_path, text=None, last_conv=None):
    """A model trained elsewhere, taken in, quantized and evaluated; its int8 variant."""
    file = tmp_path / "foreign.tflite"
    shutil.copy(layout.model_dir(run, "resnet34") / layout.FLOAT_MODEL, file)
    given = None
    if text is not None:
        given = tmp_path / "preprocess.toml"
        given.write_text(text)
    if given is None:
        declared = Declared(("benign", "malignant"), (0.0, 1.0), resize="stretch", normalise="max")
    else:
        declared = Declared(("benign", "malignant"))
    convert.import_float_model(run, FloatModelConfig(str(file), given and str(given), last_conv,
                                                     declared), stored.task(run))
    spec = stored.model_spec(run, "foreign")
    cache = layout.cache_dir(run, spec.preprocess)
    if not cache.exists():
        old = layout.cache_dir(run, stored.model_spec(run, "resnet34").preprocess)
        with artefact.writing(cache, "cache", "tiny") as scratch:
            shutil.copy(old / "pixels.bin", scratch / "pixels.bin")
            index = codec.parse_json((old / "index.json").read_text(), "")
            artefact.write_text(scratch / "index.json", codec.to_json(
                index | {"preprocess": spec.preprocess}))
    variants.make(run, "foreign", schemes.parse("int8"), CalibrationConfig(images=8))
    build(run, "foreign-int8", "cpu")
    evaluation.evaluate(run, [("foreign-int8", "cpu")], QUICK)
    return (codec.read_json(Variant, layout.variant_dir(run, "foreign-int8") / layout.VARIANT),
            stored.predictions(run, "foreign-int8", "cpu"))


def test_a_model_from_elsewhere_with_other_preprocessing_is_made_and_measured_again(
        run, tmp_path):
    before, old = entered(run, tmp_path)
    after, new = entered(run, tmp_path, "height_px = 32\nwidth_px = 32\nchannels = 1\n"
                                        "mean = [0.5]\nstd = [0.25]\n")
    assert (before.preprocess.mean, after.preprocess.mean) == ((0.0,), (0.5,))
    assert before.calibration != after.calibration
    assert abs(old.logits - new.logits).max() > 0


def test_another_last_convolution_reaches_the_variant(run, tmp_path):
    from bedside.runtime.graph import read_graph

    before, _ = entered(run, tmp_path)
    graph = read_graph(tmp_path / "foreign.tflite")
    name = next(n for n in map(graph.layer, graph.convolutions()) if n != before.last_conv)
    after, _ = entered(run, tmp_path, last_conv=name)
    assert after.last_conv == name != before.last_conv


def test_predictions_follow_the_order_of_the_classes(run, tmp_path):
    _, old = entered(run, tmp_path)
    turned = Task(("malignant", "benign"), "benign")
    with artefact.writing(layout.data_dir(run), "data", "turned") as scratch:
        shutil.copy(layout.data_dir(run) / layout.CASES, scratch / layout.CASES)
        artefact.write_text(scratch / layout.TASK, codec.to_json(turned))
    _, new = entered(run, tmp_path)
    assert (old.labels == 1 - new.labels).all()
    # A model from elsewhere is put into the task's order: each class keeps its logit.
    np.testing.assert_allclose(new.logits[:, ::-1], old.logits, atol=1e-6)


def test_a_mixture_that_was_searched_for_with_other_weights_is_refused(run):
    publish_mixture(run, "resnet34", ("layer1.1.conv1",))
    mixed = schemes.parse("mixed+searched")
    assert variants.make(run, "resnet34", mixed, CalibrationConfig(images=8))
    retrained(run)
    with pytest.raises(BadInput, match="other weights"):
        variants.make(run, "resnet34", mixed, CalibrationConfig(images=8))


def test_a_bundle_does_not_take_the_threshold_of_other_weights(run):
    measured(run)
    evidence.evidence(run, EvidenceConfig())
    first = bundle.operating_point(bundle.cell(run, *CELL))
    assert first.locked
    retrained(run)
    measured(run)
    with pytest.raises(BadInput, match="older than the predictions"):
        bundle.operating_point(bundle.cell(run, *CELL))
    evidence.evidence(run, EvidenceConfig())
    assert bundle.operating_point(bundle.cell(run, *CELL)) != first


def test_a_build_that_was_not_measured_makes_no_bundle(run):
    measured(run)
    place = layout.measurement_dir(run, *CELL) / layout.MEASUREMENT
    kept = codec.read_json(Measurement, place)
    assert kept.build_key == artefact.record(layout.build_dir(run, *CELL), "build").key
    key = artefact.record(layout.measurement_dir(run, *CELL), "evaluate").key
    with artefact.writing(layout.measurement_dir(run, *CELL), "evaluate", key) as scratch:
        artefact.write_text(scratch / layout.MEASUREMENT, codec.to_json(
            dataclasses.replace(kept, build_key="0" * 64)))
        artefact.write_text(scratch / layout.LATENCY, "round,sample,ms\n")
    with pytest.raises(BadInput, match="made again since it was measured"):
        bundle.cell(run, *CELL)


def test_a_cell_that_ran_out_of_time_is_tried_again_with_more(run):
    place = layout.measurement_dir(run, *CELL) / layout.MEASUREMENT
    short = dataclasses.replace(QUICK, timeout_s=0.05)
    assert measured(run, short) and codec.read_json(Measurement, place).status == "failed"
    assert not measured(run, short), "as little time fails again"
    assert measured(run) and codec.read_json(Measurement, place).status == "ok"
