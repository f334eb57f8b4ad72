"""A model that asks for more memory than it may ends its own process, and is a row."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bedside.core.errors import BadInput, GateFailed
from bedside.core.study import EvaluateConfig
from bedside.core.types import Preprocess
from bedside.flows.bench import bench
from bedside.runtime import limits
from bedside.runtime.engine import Engine, Load

SIDE = 8


def greedy(path, side, image_px=SIDE):
    """A small ``.tflite`` that resizes its image to ``side`` pixels before it answers."""
    import ai_edge_litert.schema_py_generated as schema
    import flatbuffers

    model = schema.ModelT()
    model.version = 3
    graph = schema.SubGraphT()
    buffers = [schema.BufferT()]

    def tensor(name, shape, dtype=schema.TensorType.FLOAT32, data=None):
        made = schema.TensorT()
        made.name, made.shape, made.type, made.buffer = name, shape, dtype, 0
        if data is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(data.tobytes(), np.uint8)
            buffers.append(buffer)
            made.buffer = len(buffers) - 1
        graph.tensors.append(made)
        return len(graph.tensors) - 1

    codes = []

    def operation(kind, inputs, output, options_type=0, options=None):
        code = schema.OperatorCodeT()
        code.builtinCode, code.deprecatedBuiltinCode, code.version = kind, min(kind, 127), 1
        codes.append(code)
        made = schema.OperatorT()
        made.opcodeIndex, made.inputs, made.outputs = len(codes) - 1, inputs, [output]
        made.builtinOptionsType, made.builtinOptions = options_type, options
        graph.operators.append(made)

    graph.tensors, graph.operators = [], []
    image = tensor("image", [1, image_px, image_px, 1])
    size = tensor("size", [2], schema.TensorType.INT32, np.array([side, side], np.int32))
    large = tensor("large", [1, side, side, 1])
    axes = tensor("axes", [2], schema.TensorType.INT32, np.array([1, 2], np.int32))
    mean = tensor("mean", [1, 1])
    weights = tensor("weights", [2, 1], data=np.ones((2, 1), np.float32))
    logits = tensor("logits", [1, 2])
    ops, options = schema.BuiltinOperator, schema.BuiltinOptions
    operation(ops.RESIZE_NEAREST_NEIGHBOR, [image, size], large,
              options.ResizeNearestNeighborOptions, schema.ResizeNearestNeighborOptionsT())
    reduce = schema.ReducerOptionsT()
    reduce.keepDims = False
    operation(ops.MEAN, [large, axes], mean, options.ReducerOptions, reduce)
    operation(ops.FULLY_CONNECTED, [mean, weights, -1], logits, options.FullyConnectedOptions,
              schema.FullyConnectedOptionsT())
    graph.inputs, graph.outputs = [image], [logits]
    model.subgraphs, model.operatorCodes, model.buffers = [graph], codes, buffers
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(bytes(builder.Output()))
    return path


QUICK = EvaluateConfig(splits=("val",), rounds=1, warmup=0, samples=1)


@pytest.mark.parametrize(("side", "status"), [(64, "ok"), (30_000, "failed")])
def test_a_model_within_the_limit_runs_and_a_greedy_one_is_a_row(tmp_path, monkeypatch, side,
                                                                  status):
    """30,000 × 30,000 float32 are 3.6 GB; the process may take 1."""
    monkeypatch.setenv(limits.VARIABLE, "1000")
    (row,) = bench(greedy(tmp_path / "greedy.tflite", side), ["cpu"], QUICK)
    assert row.status == status, row.reason
    if status == "failed":
        assert row.reason
        assert str(tmp_path) not in row.reason


def test_a_giant_input_is_refused_before_images_are_made_for_it(tmp_path):
    with pytest.raises(BadInput, match="exceed what can be timed"):
        bench(greedy(tmp_path / "giant.tflite", 8, image_px=100_000), ["cpu"], QUICK)


def test_python_that_is_refused_memory_says_so(monkeypatch):
    monkeypatch.setenv(limits.VARIABLE, "500")
    code = ("from bedside.runtime.limits import limit_memory\nlimit_memory()\n"
            "try:\n    bytearray(10**9)\nexcept MemoryError:\n    print('refused')\n"
            "print(open('/proc/self/oom_score_adj').read())")
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["refused", "1000"]
    assert "of 0.5 GB" in limits.out_of_memory()


def test_the_limit_follows_the_machine(monkeypatch):
    import psutil

    monkeypatch.delenv(limits.VARIABLE, raising=False)
    assert limits.limit_bytes() == pytest.approx(0.75 * psutil.virtual_memory().total, rel=0.01)
    monkeypatch.setenv(limits.VARIABLE, "nonsense")
    assert limits.limit_bytes() == pytest.approx(0.75 * psutil.virtual_memory().total, rel=0.01)


def test_the_engine_of_predict_and_serve_has_the_limit_too(tmp_path, monkeypatch):
    monkeypatch.setenv(limits.VARIABLE, "700")
    small, large = (greedy(tmp_path / f"{side}.tflite", side).read_bytes() for side in
                    (64, 30_000))
    spec = Preprocess(height_px=SIDE, width_px=SIDE)
    with Engine() as engine:
        engine.open(Load((("model.tflite", small),), spec, 2, cam=False))
        raised = int(Path(f"/proc/{engine.pid}/oom_score_adj").read_text())
        assert (raised, len(engine.resized(bytes(range(SIDE * SIDE)), "x").logits)) == (1000, 2)
        with pytest.raises(GateFailed):
            engine.open(Load((("model.tflite", large),), spec, 2, cam=False))
            engine.resized(bytes(range(SIDE * SIDE)), "x")
