"""Integer logits: ties are the integers' ties, for every scale and zero point."""

from __future__ import annotations

import ai_edge_litert.schema_py_generated as schema
import flatbuffers
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy
from scipy.special import expit
from sklearn.metrics import roc_auc_score

from bedside.core.study import EvidenceConfig
from bedside.core.types import Task
from bedside.metrics import probability
from bedside.metrics.binary import auroc
from bedside.metrics.inputs import log_odds
from bedside.runtime import decide, grid

TASK = Task(("benign", "malignant"), "malignant")

SCALES = st.floats(2.0**-60, 2.0**60, width=32)


def dequantized(q: np.ndarray, scale: float, zero_point: int) -> np.ndarray:
    """What LiteRT's DEQUANTIZE writes: one float32 product."""
    return np.float32(scale) * (q.astype(np.int32) - zero_point).astype(np.float32)


def dequantize_file(scale: float, zero_point: int, count: int) -> bytes:
    """A ``.tflite`` of one operation, DEQUANTIZE of ``count`` int8 values."""
    model, graph, code, step = (schema.ModelT(), schema.SubGraphT(), schema.OperatorCodeT(),
                                schema.OperatorT())
    graph.tensors = []
    for name, dtype in (("codes", schema.TensorType.INT8), ("logits", schema.TensorType.FLOAT32)):
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type, tensor.buffer = name, [1, count], dtype, 0
        graph.tensors.append(tensor)
    affine = schema.QuantizationParametersT()
    affine.scale, affine.zeroPoint = [scale], [zero_point]
    graph.tensors[0].quantization = affine
    kind = schema.BuiltinOperator.DEQUANTIZE
    code.builtinCode, code.deprecatedBuiltinCode, code.version = kind, kind, 2
    step.opcodeIndex, step.inputs, step.outputs = 0, [0], [1]
    graph.inputs, graph.outputs, graph.operators = [0], [1], [step]
    model.version, model.subgraphs, model.operatorCodes = 3, [graph], [code]
    model.buffers = [schema.BufferT()]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def same_ties(scores: np.ndarray, integers: np.ndarray) -> bool:
    return bool(np.array_equal(scores[:, None] == scores, integers[:, None] == integers)
                and np.array_equal(scores[:, None] < scores, integers[:, None] < integers))


@settings(max_examples=300, deadline=None)
@given(st_numpy.arrays(np.int8, st.tuples(st.integers(1, 60), st.just(2))), SCALES,
       st.integers(-128, 127))
def test_log_odds_of_int8_logits_have_the_integers_order_and_ties(q, scale, zero_point):
    logits = dequantized(q, scale, zero_point)
    assert same_ties(log_odds(logits, 1), q[:, 1].astype(int) - q[:, 0])
    assert same_ties(log_odds(logits, 0), q[:, 0].astype(int) - q[:, 1])


@settings(max_examples=100, deadline=None)
@given(st_numpy.arrays(np.int8, st.tuples(st.integers(2, 40), st.just(3))),
       st.floats(2.0**-12, 2.0**-3, width=32), st.integers(-128, 127))
def test_several_classes_tie_where_their_integers_say_so(q, scale, zero_point):
    """Images whose differences are the same multiset of integers have one score."""
    scores = log_odds(dequantized(q, scale, zero_point), 1)
    rest = np.sort(np.delete(q, 1, axis=1).astype(int) - q[:, [1]], axis=1)
    alike = (rest[:, None] == rest[None]).all(axis=2)
    assert (scores[:, None] == scores)[alike].all()


@settings(max_examples=100, deadline=None)
@given(st_numpy.arrays(np.int16, st.tuples(st.integers(5, 60), st.just(2)), unique=True,
                       elements=st.integers(-32768, 32767)), SCALES)
def test_int16_logits_lie_on_a_grid_too(q, scale):
    logits = dequantized(q, scale, 0)
    assume(len(np.unique(np.abs(q.astype(int)))) >= 8)
    assert grid.scale_of(logits) is not None
    assert same_ties(log_odds(logits, 1), q[:, 1].astype(int) - q[:, 0])


@settings(max_examples=200, deadline=None)
@given(st_numpy.arrays(np.int8, st.tuples(st.integers(1, 60), st.just(2))), SCALES,
       st.integers(-128, 127))
def test_a_logit_moves_by_its_rounding_at_most_and_only_once(q, scale, zero_point):
    logits = dequantized(q, scale, zero_point)
    once = grid.exact(logits)
    assert np.array_equal(once.astype(np.float32), logits)
    assert np.array_equal(grid.exact(once.astype(np.float32)), once)
    # Float64 values that float32 cannot hold are already exact.
    assert np.array_equal(grid.exact(once), once)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(8, 200), st.floats(1e-3, 1e3))
def test_float32_logits_stay_as_they_are(seed, n, size):
    logits = (size * np.random.default_rng(seed).normal(size=(n, 2))).astype(np.float32)
    assert grid.scale_of(logits) is None
    assert np.array_equal(grid.exact(logits), logits.astype(np.float64))
    assert np.array_equal(log_odds(logits, 1), logits[:, 1].astype(np.float64) - logits[:, 0])


@pytest.mark.parametrize("logits", [np.zeros((3, 2)), np.zeros((0, 2)), [[np.nan, 1.0]],
                                    [[np.inf, 0.0]], [[1e300, 0.0]], [[0.1, 0.2]]])
def test_what_has_no_grid_is_left(logits):
    values = np.asarray(logits, np.float64)
    assert grid.scale_of(values) is None
    assert np.array_equal(grid.exact(values), values, equal_nan=True)


def test_the_scale_is_found_from_its_multiples():
    scale = float(np.float32(0.0473))
    logits = dequantized(np.array([[-40, 3], [77, 12], [-5, 100]], np.int8), scale, 7)
    assert grid.scale_of(logits) == scale
    # Integers that share a divisor may have a coarser grid, which has the same ties.
    coarse = grid.scale_of(dequantized(np.array([[-40, 30], [70, 120]], np.int8), scale, 0))
    assert 10 * scale / coarse == pytest.approx(round(10 * scale / coarse), rel=1e-6)


def test_published_logits_give_the_published_auc_in_sklearn():
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 2, 400)
    q = np.clip(np.rint(rng.normal(0, 30, (400, 2)) + 25 * np.eye(2)[labels]), -128, 127)
    logits = dequantized(q.astype(np.int8), 0.0731, -13)
    plain = logits.astype(np.float64)[:, 1] - logits[:, 0]
    integers = q[:, 1] - q[:, 0]
    assert len(np.unique(plain)) > len(np.unique(integers))  # what float32 makes of the ties
    truth = roc_auc_score(labels, integers)
    assert roc_auc_score(labels, plain) != truth
    assert auroc(labels, logits, 1).value == pytest.approx(truth, abs=1e-15)
    stored = grid.exact(logits)
    assert roc_auc_score(labels, stored[:, 1] - stored[:, 0]) == truth


@settings(max_examples=60, deadline=None)
@given(st_numpy.arrays(np.int8, (24, 2)), st.floats(2.0**-8, 2.0**-4, width=32),
       st.integers(-128, 127), st.floats(0.5, 4))
def test_a_device_answers_raw_logits_as_the_workbench_answers_scores(q, scale, zero_point, t):
    """A threshold between two validation scores is farther from both than a rounding."""
    logits = dequantized(q, scale, zero_point)
    scores = log_odds(logits, 1)
    cut, _, _ = probability.choose(np.arange(24) % 2, scores, EvidenceConfig())
    called = [decide.predicted_class(decide.softmax(row.tolist(), t), TASK,
                                     float(expit(cut / t))) for row in logits]
    assert called == (scores >= cut).astype(int).tolist()


@pytest.mark.parametrize("scale", [0.0731, 3.1e-4, 17.3])
def test_litert_rounds_as_assumed(scale):
    """DEQUANTIZE of a real interpreter is the float32 product of scale and integer."""
    codes = np.arange(-128, 128, dtype=np.int8)
    model = Interpreter(model_content=dequantize_file(scale, 11, len(codes)))
    model.allocate_tensors()
    model.set_tensor(model.get_input_details()[0]["index"], codes[None])
    model.invoke()
    found = model.get_tensor(model.get_output_details()[0]["index"])[0]
    assert np.array_equal(found, dequantized(codes, scale, 11))
    assert grid.scale_of(found) == float(np.float32(scale))
