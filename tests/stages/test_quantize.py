"""What the written files hold, read back and held against the paper's formulas."""

from __future__ import annotations

import numpy as np
import pytest

from bedside import schemes
from bedside.core.study import CalibrationConfig
from bedside.runfolder import artefact, layout, stored
from bedside.runtime.graph import CONVOLUTIONS, read_graph
from bedside.runtime.litert import LiteRTModel
from bedside.stages import calibrate, quantize

MODEL = "resnet34"


def _weights(graph):
    """(operation, weights tensor) of every convolution."""
    return [(o, graph.tensors[o.inputs[1]]) for o in graph.operations if o.op in CONVOLUTIONS]


@pytest.fixture(scope="module")
def ranges(tiny_run):
    folder = calibrate.calibrate(tiny_run, MODEL, CalibrationConfig(images=12))
    return folder, calibrate.read_ranges(folder)


@pytest.fixture(scope="module")
def graphs(tiny_run, ranges):
    found = {}
    for scheme in [*schemes.SCHEMES, "int8+io8"]:
        needed = schemes.parse(scheme).scheme.needs_calibration
        quantize.quantize(tiny_run, MODEL, schemes.parse(scheme), ranges[0] if needed else None,
                          ranges[1] if needed else None)
        folder = layout.variant_dir(tiny_run, layout.variant_id(MODEL, scheme))
        found[scheme] = read_graph(folder / layout.VARIANT_MODEL)
    return found


def test_weights_are_symmetric_per_channel_int8(graphs):
    original = graphs["float32"]
    for scheme in ("dynamic", "int8", "int8+io8"):
        pairs = list(zip(_weights(original), _weights(graphs[scheme]), strict=True))
        assert len(pairs) > 30
        for (_, real), (operation, tensor) in pairs:
            codes = graphs[scheme].constant(tensor)
            real_values = original.constant(real)
            parameters = tensor.quantization
            assert tensor.dtype == "int8"
            assert codes.min() >= -127
            assert not parameters.zero_points.any()
            axis = 3 if operation.op == "DEPTHWISE_CONV_2D" else 0
            assert parameters.axis == axis
            assert parameters.scales.size == tensor.shape[axis]
            # S = max|R| / 127 (FACTS' reading of eq. 2 for [-127, 127]); eq. 3: round(R / S).
            others = tuple(i for i in range(4) if i != axis)
            peak = np.abs(real_values).max(axis=others)
            np.testing.assert_allclose(parameters.scales, peak / 127, rtol=1e-5)
            shape = [1] * 4
            shape[axis] = -1
            steps = real_values / parameters.scales.reshape(shape)
            assert np.abs(codes - steps).max() <= 0.5 + 1e-3


def test_activations_are_asymmetric_int8_in_the_calibrated_ranges(graphs, ranges):
    graph = graphs["int8"]
    checked = 0
    for operation in graph.operations:
        for index in operation.outputs:
            tensor = graph.tensors[index]
            if tensor.dtype != "int8" or tensor.name not in ranges[1]:
                continue
            low, high = ranges[1][tensor.name]
            low, high = min(low, 0.0), max(high, 0.0)  # zero must be exact (paper, 3.2.1)
            scale = float(tensor.quantization.scales[0])
            zero = int(tensor.quantization.zero_points[0])
            assert -128 <= zero <= 127
            if operation.op in ("CONV_2D", "ADD"):
                # eq. 2 with b = 8: 255 steps; q = round(R / S) + Z.
                assert scale == pytest.approx((high - low) / 255, rel=1e-4)
                assert abs(zero - (-128 - low / scale)) <= 0.5 + 1e-3
                checked += 1
    assert checked > 40


def test_the_papers_golden_case():
    """Figure 3: [-0.5, 1.5] gives S = 2/255 and Z = -64 (by FACTS' reading of eqs. 1 and 4)."""
    from bedside.runtime.graph import Quantization, dequantize

    low, high = -0.5, 1.5
    scale = (high - low) / (2**8 - 1)
    zero = round(-128 - low / scale)
    assert scale == pytest.approx(2 / 255)
    assert zero == -64
    codes = np.array([-128, zero, 127], np.int8)
    real = dequantize(codes, Quantization(np.float32([scale]), np.int64([zero]), 0))
    np.testing.assert_allclose(real, [low, 0.0, high], atol=scale / 2)


def test_weight_buffers_are_exactly_a_half_and_a_quarter(graphs):
    def total(graph):
        return sum(graph.constant(t).nbytes for _, t in _weights(graph))

    def half(graph):
        return sum(graph.constant(t).nbytes for t in graph.tensors
                   if t.dtype == "float16" and t.buffer and len(t.shape) == 4)

    full = total(graphs["float32"])
    assert half(graphs["float16"]) * 2 == full
    assert total(graphs["dynamic"]) * 4 == full
    assert total(graphs["int8"]) * 4 == full


def test_float16_computes_in_float32_here(tiny_run, graphs, tmp_path):
    """The same logits, to the last bit, as float32 arithmetic on weights rounded to float16."""
    from bedside.runtime.graph import parse_graph
    from bedside.targets.cpu import compute_dtype

    data = bytearray((layout.model_dir(tiny_run, MODEL) / layout.FLOAT_MODEL).read_bytes())
    graph = parse_graph(data)
    rounded = 0
    for tensor in graph.tensors:
        values = graph.constant(tensor)
        if values is not None and tensor.dtype == "float32" and values.ndim == 4:
            before = values.copy()
            values[...] = values.astype(np.float16).astype(np.float32)
            rounded += int((before != values).sum())
    assert rounded > 10_000
    (tmp_path / "rounded.tflite").write_bytes(data)
    half = LiteRTModel(layout.variant_dir(tiny_run, f"{MODEL}-float16") / "model.tflite")
    full = LiteRTModel(tmp_path / "rounded.tflite")
    with stored.pixel_store(tiny_run, stored.model_spec(tiny_run, MODEL).preprocess) as store:
        for case_id in store.ids[:5]:
            image = store.tensor(case_id)
            np.testing.assert_array_equal(half.run(image)["logits"], full.run(image)["logits"])
    assert compute_dtype(graphs["float16"]) == "float32"


def test_io_dtypes(tiny_run, graphs):
    import json

    for scheme, dtype in (("int8", "float32"), ("int8+io8", "int8"), ("float32", "float32")):
        facts = json.loads((layout.variant_dir(tiny_run, layout.variant_id(MODEL, scheme))
                            / layout.VARIANT).read_text())
        assert facts["input_dtype"] == dtype
        assert facts["output_dtype"] == dtype
    assert graphs["int8"].operations[0].op == "QUANTIZE"


def test_int8_in_and_out_answers_as_float_in_and_out(tiny_run, graphs):
    del graphs
    spec = stored.model_spec(tiny_run, MODEL)
    models = [LiteRTModel(layout.variant_dir(tiny_run, f"{MODEL}-{s}") / "model.tflite")
              for s in ("int8", "int8+io8")]
    with stored.pixel_store(tiny_run, spec.preprocess) as store:
        for case_id in store.ids[:5]:
            a, b = (m.run(store.tensor(case_id))["logits"] for m in models)
            np.testing.assert_allclose(a, b, atol=1e-5)


def test_variants_are_byte_identical_when_made_again(tiny_run, ranges, tmp_path):
    import shutil

    before = {}
    for scheme in schemes.SCHEMES:
        needed = schemes.parse(scheme).scheme.needs_calibration
        arguments = (ranges[0], ranges[1]) if needed else (None, None)
        quantize.quantize(tiny_run, MODEL, schemes.parse(scheme), *arguments)
        folder = layout.variant_dir(tiny_run, f"{MODEL}-{scheme}")
        before[scheme] = artefact.check(folder, "quantize")
        shutil.rmtree(folder)
        assert quantize.quantize(tiny_run, MODEL, schemes.parse(scheme), *arguments)
        assert artefact.check(folder, "quantize") == before[scheme]
        assert not quantize.quantize(tiny_run, MODEL, schemes.parse(scheme), *arguments)
