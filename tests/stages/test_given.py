"""Files quantized elsewhere as variants: with their float parent, alone, and refused."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny import write_tiny_data

from bedside import schemes
from bedside.core import codec
from bedside.core.errors import BadInput
from bedside.core.study import (
    CalibrationConfig,
    EvaluateConfig,
    EvidenceConfig,
    QuantizedModelConfig,
    Study,
)
from bedside.core.types import Preprocess
from bedside.flows import study as flow
from bedside.flows import variants
from bedside.runfolder import artefact, layout, protocol_file, stored
from bedside.runtime.litert import LiteRTModel, TensorFacts
from bedside.schemes import given as quantized
from bedside.stages import build, given
from bedside.stages.evaluate import stage as evaluate
from bedside.stages.evidence.stage import evidence
from bedside.stages.recommend.stage import recommend

MODEL = "resnet34"


@pytest.fixture(scope="module")
def file(tiny_run, tmp_path_factory):
    """An INT8 file with int8 in and out, as another tool would have made it of the tiny model."""
    variants.make(tiny_run, MODEL, schemes.parse("int8+io8"), CalibrationConfig(images=8))
    made = tmp_path_factory.mktemp("given") / "other.tflite"
    shutil.copyfile(layout.variant_dir(tiny_run, f"{MODEL}-int8+io8") / layout.VARIANT_MODEL, made)
    return made


@pytest.fixture
def run(tiny_run, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(tiny_run, copy, ignore=shutil.ignore_patterns("variants", "builds", "meas*"))
    return copy


def _preprocess(folder: Path, **changes) -> str:
    path = folder / "pre.toml"
    path.write_text(codec.to_toml(replace(Preprocess(32, 32, 1), **changes)))
    return str(path)


def test_with_its_parent_it_is_tested_against_it(run, file):
    config = QuantizedModelConfig(str(file))
    assert given.enter(run, config, MODEL)
    assert not given.enter(run, config, MODEL)
    variants.make(run, MODEL, schemes.parse("float32"), CalibrationConfig())
    made = next(v for v in stored.variants(run) if v.scheme == "given")
    assert (made.id, made.input_dtype, made.output_dtype) == (f"{MODEL}-given", "int8", "int8")
    assert made.sha256 == artefact.sha256_file(file)
    pairs = [(f"{MODEL}-{s}", "cpu") for s in ("float32", "given")]
    for variant, target in pairs:
        build.build(run, variant, target)
    evaluate.evaluate(run, pairs, EvaluateConfig(rounds=1, warmup=0, samples=2))
    evidence(run, EvidenceConfig())
    found = [c for c in stored.comparisons(run) if c.variant == f"{MODEL}-given"]
    assert {c.against for c in found} == {f"{MODEL}-float32@cpu"}
    recommend(run, Study())
    assert stored.recommendations(run).recommendations
    assert next(b for b in stored.builds(run) if b.variant == f"{MODEL}-given"
                ).quantizer == "quantized elsewhere"


def test_without_its_parent_nothing_is_shown(file, tmp_path):
    run = tmp_path / "run"
    write_tiny_data(run)
    config = QuantizedModelConfig(str(file), _preprocess(tmp_path))
    spec = given.enter_alone(run, config, stored.task(run))
    assert (spec.id, spec.origin) == ("other", "quantized")
    assert not (layout.model_dir(run, "other") / layout.FLOAT_MODEL).exists()
    artefact.write_text(layout.study_file(run), codec.to_toml(Study(quantized_model=config)))
    assert given.enter(run, config, "other")
    build.build(run, "other-given", "cpu")
    evaluate.evaluate(run, [("other-given", "cpu")],
                      EvaluateConfig(rounds=1, warmup=0, samples=2))
    evidence(run, EvidenceConfig())
    (row,) = stored.measurements(run)
    assert row.status == "ok"
    assert row.metrics["test"]["accuracy"].n == 10
    for comparison in stored.comparisons(run):
        assert comparison.answer is None
        assert "nothing can be shown without its float model" in comparison.reason
    planned = protocol_file.compose(run, Study(quantized_model=config))
    assert planned.planned == ("other-given@cpu",)
    assert planned.float_models == {"given": artefact.sha256_file(file)}


def test_the_study_plans_it_beside_its_parent(file):
    study = Study(quantized_model=QuantizedModelConfig(str(file)), schemes=("float32",))
    assert flow.pairs([], study) == [("other", "given")]
    from bedside.core.study import FloatModelConfig

    study = replace(study, float_model=FloatModelConfig("parent.tflite"))
    assert flow.pairs(["parent"], study) == [("parent", "float32"), ("parent", "given")]


def test_a_range_that_is_not_the_images_is_refused(run, file, tmp_path):
    """Images divided to [0, 1] for a file that was quantized for [-1, 1] × 40."""
    config = QuantizedModelConfig(str(file), _preprocess(tmp_path, mean=(0.5,), std=(0.0125,)))
    with pytest.raises(BadInput, match=r"input covers .* images are prepared to \[-40, 40\]"):
        given.check(config, has_parent=False)
    with pytest.raises(BadInput, match="32×32×1 and images are prepared to 32×48×1"):
        given.check(replace(config, preprocess=_preprocess(tmp_path, width_px=48)),
                    has_parent=False)


@pytest.mark.parametrize(("mean", "std"), [((0.5,), (0.5,)), ((0.0,), (1 / 255,))])
def test_the_usual_other_ranges_are_told_apart(file, tmp_path, mean, std):
    """[-1, 1] and [0, 255] for a file that was quantized for [0, 1]."""
    config = QuantizedModelConfig(str(file), _preprocess(tmp_path, mean=mean, std=std))
    with pytest.raises(BadInput, match="its input covers"):
        given.check(config, has_parent=False)


def _logits(run, path):
    model = LiteRTModel(path)
    with stored.pixel_store(run, stored.model_spec(run, MODEL).preprocess) as store:
        return np.array([model.run(i)["logits"][0] for i in store.tensors(store.ids[:6])])


def test_a_file_in_another_order_of_classes_is_refused_and_put_right(run, file, tmp_path):
    """Malignant first, as another label order has it: never mirrored without a word."""
    mirrored = tmp_path / "mirrored.tflite"
    mirrored.write_bytes(quantized.reordered(file.read_bytes(), (1, 0)))
    np.testing.assert_array_equal(_logits(run, mirrored), _logits(run, file)[:, ::-1])
    config = QuantizedModelConfig(str(mirrored))
    with pytest.raises(BadInput, match=r"another order \(malignant, benign\)"):
        given.enter(run, config, MODEL)
    assert not layout.variant_dir(run, f"{MODEL}-given").exists() or not artefact.finished(
        layout.variant_dir(run, f"{MODEL}-given"), "quantize")
    assert given.enter(run, replace(config, classes=("malignant", "benign")), MODEL)
    made = layout.variant_dir(run, f"{MODEL}-given") / layout.VARIANT_MODEL
    np.testing.assert_array_equal(_logits(run, made), _logits(run, file))
    with pytest.raises(BadInput, match="in the same words"):
        given.enter(run, replace(config, classes=("malignant", "other")), MODEL)


@pytest.mark.parametrize(("low_high", "mean", "std"), [
    ((0, 255), (0.0,), (1.0,)), ((-1, 1), (), ()), ((0, 1), (0.485, 0.4), (0.229, 0.2))])
def test_a_range_becomes_mean_and_deviation_of_pixels(low_high, mean, std):
    found = given.prepared(Preprocess(8, 8, 1, normalise="dtype"), low_high, mean, std)
    low, high = low_high
    for pixel in (0.0, 0.3, 1.0):
        want = [(low + pixel * (high - low) - m) / s
                for m, s in zip(mean or (0.0,), std or (1.0,), strict=True)]
        got = [(pixel - m) / s for m, s in zip(found.mean, found.std, strict=True)]
        np.testing.assert_allclose(got, want)


def test_what_its_float_model_took_before_it_entered_holds(run, file, tmp_path):
    """A float model that was put into the task's order at import: the file keeps its own."""
    mirrored = tmp_path / "mirrored.tflite"
    mirrored.write_bytes(quantized.reordered(file.read_bytes(), (1, 0)))
    spec = stored.model_spec(run, MODEL)
    parent = given.Meaning(spec.preprocess, ("malignant", "benign"))
    assert given.enter(run, QuantizedModelConfig(str(mirrored)), MODEL, parent)
    made = layout.variant_dir(run, f"{MODEL}-given") / layout.VARIANT_MODEL
    np.testing.assert_array_equal(_logits(run, made), _logits(run, file))


def test_what_no_range_is_known_of_is_refused(file):
    with pytest.raises(BadInput, match="range of its input is unknown"):
        given.check(QuantizedModelConfig(str(file)), has_parent=False)


def test_a_float_model_is_refused(tiny_run):
    path = layout.model_dir(tiny_run, MODEL) / layout.FLOAT_MODEL
    with pytest.raises(BadInput, match="floating point"):
        given.check(QuantizedModelConfig(str(path)), has_parent=True)


def test_a_file_of_other_classes_is_refused(run, file):
    spec = stored.model_spec(run, MODEL)
    three = replace(spec.task, classes=("a", "b", "c"), positive=None)
    with pytest.raises(BadInput, match="2 classes and the task 3"):
        given._order(given.check(QuantizedModelConfig(str(file)), True), three.classes, three)


@pytest.mark.parametrize(("dtype", "scale", "zero", "want"), [
    ("uint8", 1.0, 0, (0, 255)), ("int8", 1 / 255, -128, (0, 1)), ("float32", 0.0, 0, None)])
def test_the_range_of_an_input(dtype, scale, zero, want):
    found = given.input_range(TensorFacts("x", 0, (1, 2, 2, 1), dtype, scale, zero))
    assert found == (None if want is None else pytest.approx(want))


def test_the_command_line_names_the_fault(file, tmp_path, capsys):
    from bedside.cli.app import guarded

    np.savez(tmp_path / "d.npz", train_images=np.zeros((4, 8, 8), np.uint8))
    code = guarded(["run", str(tmp_path / "d.npz"), "--quantized-model", str(file),
                    "--out", str(tmp_path / "run"), "--dry-run"])
    said = capsys.readouterr().err
    assert code == 2
    assert "--preprocess" in said
    code = guarded(["run", str(tmp_path / "d.npz"), "--scheme", "given",
                    "--out", str(tmp_path / "run"), "--dry-run"])
    assert code == 2
    assert "--quantized-model" in capsys.readouterr().err
