"""Any model file on any target, without a study."""

from __future__ import annotations

import json
import struct

import ai_edge_litert.schema_py_generated as schema
import numpy as np
import pytest

from bedside.cli.app import main
from bedside.core.errors import BadInput
from bedside.core.study import EvaluateConfig
from bedside.flows.bench import bench
from bedside.flows.doctor import lint
from bedside.foreign.tflite_writer import TfliteWriter
from bedside.runfolder import layout

QUICK = EvaluateConfig(splits=("val",), rounds=2, warmup=0, samples=3)


@pytest.fixture(scope="module")
def file(tiny_run):
    return layout.model_dir(tiny_run, "resnet34") / layout.FLOAT_MODEL


def test_rows_come_in_the_order_asked_for_and_speak_of_no_accuracy(file):
    rows = bench(file, ["sd865-npu", "cpu", "sd865-cpu"], QUICK)
    assert [r.target for r in rows] == ["sd865-npu", "cpu", "sd865-cpu"]
    npu, cpu, guess = rows
    assert (npu.status, npu.latency_ms) == ("unsupported", None)
    assert cpu.latency_ms.n == 6
    assert cpu.evidence == {"latency": "measured"}
    assert guess.evidence == {"latency": "estimated"}
    assert all(r.metrics == {} and r.predictions is None for r in rows)


def test_the_command_prints_one_document(file, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["bench", str(file), "--target", "sd8gen3-npu", "--rounds", "1", "--json"])
    assert ended.value.code == 0
    document = json.loads(capsys.readouterr().out)
    assert document["file"] == file.name
    assert document["rows"][0]["evidence"] == {"latency": "estimated"}


def _conv(w, x, name, channels, size):
    options = schema.Conv2DOptionsT()
    options.strideH = options.strideW = 1
    weights = np.random.default_rng(0).normal(0, 1, (channels, 3, 3, w.shape(x)[3]))
    inputs = [x, w.constant(f"{name}_w", weights.astype(np.float32)),
              w.constant(f"{name}_b", np.zeros(channels, np.float32))]
    return w.operation("CONV_2D", inputs, name, (1, size, size, channels), options)


def _detector():
    """Boxes and scores of an image: two outputs, neither a row of logits."""
    w = TfliteWriter()
    x = w.tensor("image", (1, 32, 32, 3))
    return w.finish({"image": x}, {"boxes": _conv(w, x, "boxes", 4, 32),
                                   "scores": _conv(w, x, "scores", 7, 32)})


def _segmenter():
    w = TfliteWriter()
    x = w.tensor("image", (1, 24, 24, 1))
    return w.finish({"image": x}, {"mask": _conv(w, x, "mask", 2, 24)})


def _two_inputs():
    """An image of any channels and a table of numbers."""
    w = TfliteWriter()
    x, age = w.tensor("image", (1, 16, 16, 5)), w.tensor("age", (1, 1, 1, 4))
    y = w.operation("ADD", [_conv(w, x, "c", 4, 16), age], "y", (1, 16, 16, 4),
                    schema.AddOptionsT())
    return w.finish({"image": x, "age": age}, {"y": y})


def _bytes_in():
    """Raw bytes in, without a scale."""
    w = TfliteWriter()
    x = w.tensor("image", (1, 16, 16, 3), "uint8")
    y = w.operation("CAST", [x], "real", (1, 16, 16, 3), schema.CastOptionsT())
    return w.finish({"image": x}, {"y": _conv(w, y, "y", 2, 16)})


@pytest.mark.parametrize("make", [_detector, _segmenter, _two_inputs, _bytes_in])
def test_any_file_is_timed_as_it_is(tmp_path, make):
    (tmp_path / "any.tflite").write_bytes(make())
    cpu, guess = bench(tmp_path / "any.tflite", ["cpu", "sd865-cpu"], QUICK)
    assert (cpu.status, cpu.reason) == ("ok", None)
    assert cpu.latency_ms.n == 6
    assert cpu.evidence == {"latency": "measured"}
    assert cpu.metrics == {}
    assert guess.status == "ok"
    ((_, placed),) = lint(tmp_path / "any.tflite", ["cpu"], None)
    assert len(placed.placed.placement) >= 1


def test_a_target_that_needs_logits_says_so_of_a_detector(tmp_path):
    (tmp_path / "detector.tflite").write_bytes(_detector())
    cpu, other = bench(tmp_path / "detector.tflite", ["cpu", "onnxruntime"], QUICK)
    assert cpu.status == "ok"
    assert other.status == "unsupported"
    assert "logits" in other.reason


def test_onnx_runtime_takes_a_classifier_of_any_names(tmp_path):
    """As exporters call them: args_0 in, output_0 out."""
    w = TfliteWriter()
    x = w.tensor("args_0", (1, 16, 16, 1))
    options = schema.ReducerOptionsT()
    y = w.operation("MEAN", [_conv(w, x, "c", 3, 16), w.constant("axes", np.int32([1, 2]))],
                    "output_0", (1, 3), options)
    (tmp_path / "m.tflite").write_bytes(w.finish({"args_0": x}, {"output_0": y}))
    (row,) = bench(tmp_path / "m.tflite", ["onnxruntime"], QUICK)
    assert (row.status, row.reason) == ("ok", None)


def test_int8_in_and_out_is_timed_as_a_classifier(tiny_run, tmp_path):
    from bedside import schemes
    from bedside.core.study import CalibrationConfig
    from bedside.flows import variants

    variants.make(tiny_run, "resnet34", schemes.parse("int8+io8"), CalibrationConfig(images=4))
    made = layout.variant_dir(tiny_run, "resnet34-int8+io8") / layout.VARIANT_MODEL
    (row,) = bench(made, ["cpu"], QUICK)
    assert (row.status, row.compute_dtype) == ("ok", "int8")


@pytest.mark.parametrize("bad", ["missing", "text", "truncated", "target"])
def test_bad_input_is_said_before_anything_is_built(file, tmp_path, bad):
    path, names = tmp_path / "m.tflite", ["cpu"]
    if bad == "text":
        path.write_text("not a model")
    elif bad == "truncated":
        path.write_bytes(file.read_bytes()[:64] + struct.pack("<I", 2**31))
    elif bad == "target":
        path, names = file, ["cpuu"]
    with pytest.raises(BadInput):
        bench(path, names, QUICK)
