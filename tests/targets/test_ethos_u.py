"""Vela, really run: cycles and memory, what stays on the host and why, faults."""

from __future__ import annotations

import csv
import shutil

import numpy as np
import pytest

from bedside import targets
from bedside.core import codec
from bedside.core.build import Build, Target
from bedside.core.errors import BadInput
from bedside.core.study import EvaluateConfig
from bedside.runfolder import layout, stored
from bedside.runtime.litert import LiteRTModel, reference_model
from bedside.stages.build import build
from bedside.stages.evaluate.stage import evaluate
from bedside.targets import ethos_u

TARGET = "ethos-u55-128"


@pytest.fixture(scope="module")
def run(tiny_quantized, tmp_path_factory):
    copy = tmp_path_factory.mktemp("ethos") / "run"
    shutil.copytree(tiny_quantized, copy)
    for name in ("builds", "measurements"):
        shutil.rmtree(copy / name, ignore_errors=True)
    for scheme in ("int8", "float32"):
        assert build(copy, f"resnet34-{scheme}", TARGET)
    evaluate(copy, [(f"resnet34-{s}", TARGET) for s in ("int8", "float32")],
             EvaluateConfig(rounds=1, warmup=0, samples=2))
    return copy


def _build(run, scheme):
    return codec.read_json(Build, layout.build_dir(run, f"resnet34-{scheme}", TARGET)
                           / layout.BUILD)


def test_everything_but_the_edges_runs_on_the_npu(run):
    made = _build(run, "int8")
    assert (made.status, made.delegated_fraction, made.partitions) == ("ok", 1.0, 1)
    off = [p for p in made.placement if p.runs_on != "ethos-u"]
    assert [p.op for p in off] == ["QUANTIZE", "DEQUANTIZE", "DEQUANTIZE"]
    assert all(p.reason and p.remedy for p in off)


def test_latency_is_velas_cycles_at_its_clock(run):
    made = _build(run, "int8")
    facts = made.facts
    assert made.latency_ms.median == pytest.approx(
        1e3 * facts["cycles"] / facts["clock_hz"], rel=1e-6)
    assert facts["clock_hz"] == 500e6
    assert min(facts["sram_bytes"], facts["flash_bytes"], facts["macs"]) > 0
    (row,) = (m for m in stored.measurements(run) if m.scheme == "int8")
    assert row.evidence == {"accuracy": "emulated", "latency": "estimated"}
    assert (row.latency_ms.n, row.latency_ms.p95) == (0, None)
    assert row.latency_note
    assert row.peak_memory_bytes is None
    assert row.facts["cycles"] == facts["cycles"]


def test_accuracy_is_that_of_the_reference_kernels(run):
    predictions = stored.predictions(run, "resnet34-int8", TARGET)
    file = layout.variant_dir(run, "resnet34-int8") / "model.tflite"
    reference, usual = reference_model(file), LiteRTModel(file)
    with stored.pixel_store(run, stored.model_spec(run, "resnet34").preprocess) as store:
        images = [store.tensor(str(i)) for i in predictions.ids]
    ours = [reference.run(i)["logits"][0].tolist() for i in images]
    # Published on their grid, exactly; the kernels give the nearest float32.
    assert predictions.logits.astype(np.float32).tolist() == ours
    assert ours != [usual.run(i)["logits"][0].tolist() for i in images]


def test_a_float_file_is_unsupported_and_the_layer_is_named(run):
    (row,) = (m for m in stored.measurements(run) if m.scheme == "float32")
    assert row.status == "unsupported"
    assert "'conv1'" in row.reason
    assert "Float32" in row.reason
    assert (row.latency_ms, row.metrics, row.facts, row.delegated_fraction) == (None, {}, {}, 0.0)


@pytest.mark.parametrize("target", sorted(
    t for t, v in targets.profiles().items() if v.backend == "ethos-u"))
def test_every_profile_names_what_vela_knows(target):
    assert len(ethos_u.settings(targets.load(target))) == 3


def test_a_setting_that_vela_does_not_know_is_refused():
    options = dict(targets.load(TARGET).options)
    with pytest.raises(BadInput, match="Did you mean 'ethos-u55-128'"):
        ethos_u.settings(Target("t", "ethos-u", options=options | {"accelerator": "ethos-u55-12"}))
    with pytest.raises(BadInput, match=r"options\.memory: missing"):
        ethos_u.settings(Target("t", "ethos-u", options={
            k: v for k, v in options.items() if k != "memory"}))


def test_the_summary_is_read_with_its_units(tmp_path):
    path = tmp_path / "s.csv"
    with path.open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["inference_time", "cycles_total", "sram_memory_used", "nn_macs"])
        writer.writerow(["0.002", "1000", "8.125", "nan"])
    assert ethos_u.summary(path.read_text()) == {
        "latency_ms": 2.0, "cycles": 1000.0, "sram_bytes": 8320.0}


def test_refusals_are_read_by_tensor():
    log = ("Warning (supported operators) operator: MEAN, ofm: 'a b'\n"
           "Reason: Operation has tensor with unsupported DataType Float32 (x)\nmore\n"
           "Warning (supported operators) operator: FOO, ofm: 'c'\n\nReason: Unsupported opType\n")
    assert ethos_u.refusals(log) == {
        "a b": "Operation has tensor with unsupported DataType Float32",
        "c": "Unsupported opType"}
