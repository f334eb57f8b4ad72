"""Dead filters: their bias must survive quantization to int32."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from bedside import schemes
from bedside.core import codec
from bedside.core.study import CalibrationConfig
from bedside.runfolder import artefact, layout, stored
from bedside.runtime.graph import parse_graph
from bedside.runtime.litert import LiteRTModel
from bedside.schemes import int8, quantizer
from bedside.schemes.biases import hold_biases
from bedside.stages import calibrate, quantize

MODEL = "resnet34"


@pytest.fixture(scope="module")
def dead(tiny_run):
    """The tiny network with four filters of its last convolution dead but for their bias."""
    data = bytearray((layout.model_dir(tiny_run, MODEL) / layout.FLOAT_MODEL).read_bytes())
    graph = parse_graph(data)
    operation = [o for o in graph.operations if o.op == "CONV_2D"][-2]
    weights, bias = (graph.constant(i) for i in operation.inputs[1:3])
    weights[:4] = 1e-12
    bias[:4] = [0.7, -0.9, 1.5, 2.5]
    folder = calibrate.calibrate(tiny_run, MODEL, CalibrationConfig(images=8))
    return bytes(data), calibrate.read_ranges(folder), operation


def _stored(data, index):
    graph = parse_graph(data)
    operation = [o for o in graph.operations if o.op == "CONV_2D"][-2]
    source, weights, bias = (graph.tensors[i] for i in operation.inputs[:3])
    scale = source.quantization.scales[0] * weights.quantization.scales
    return graph.constant(bias).astype(np.float64) * scale, scale[index]


def test_a_dead_filters_bias_is_kept(dead):
    data, ranges, operation = dead
    wanted = parse_graph(data).constant(operation.inputs[2])[:4]
    cut, _ = _stored(quantizer.apply(data, int8.recipe(frozenset()), ranges), 0)
    assert np.abs(cut[:4] - wanted).max() > 0.1  # what this guards against
    held, raised = hold_biases(data, ranges)
    assert raised == 4
    kept, scale = _stored(quantizer.apply(held, int8.recipe(frozenset()), ranges), 0)
    np.testing.assert_allclose(kept[:4], wanted, atol=2 * scale)


@pytest.mark.parametrize(("scheme", "raised"), [("int8", 4), ("int16x8", 0)])
def test_a_variant_of_a_run_holds_its_biases_and_records_how_many(dead, tiny_run, tmp_path,
                                                                  scheme, raised):
    data, ranges, operation = dead
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    with artefact.writing(layout.model_dir(run, MODEL), "convert", "dead") as scratch:
        (scratch / layout.FLOAT_MODEL).write_bytes(data)
    assert quantize.quantize(run, MODEL, schemes.parse(scheme), None, ranges)
    folder = layout.variant_dir(run, f"{MODEL}-{scheme}")
    recipe = codec.parse_json((folder / layout.RECIPE).read_text(), "")
    assert recipe["filters_raised_to_hold_their_bias"] == raised
    if raised:
        kept, scale = _stored((folder / layout.VARIANT_MODEL).read_bytes(), slice(4))
        wanted = parse_graph(data).constant(operation.inputs[2])[:4]
        # Float32 biases are known to one unit in the last place.
        np.testing.assert_array_less(np.abs(kept[:4] - wanted), 2 * scale + np.spacing(
            np.abs(wanted)))


def test_the_float_answer_does_not_change(dead, tiny_run, tmp_path):
    data, ranges, _ = dead
    held, _ = hold_biases(data, ranges)
    for name, content in (("a", data), ("b", held)):
        (tmp_path / f"{name}.tflite").write_bytes(content)
    models = [LiteRTModel(tmp_path / f"{n}.tflite") for n in "ab"]
    with stored.pixel_store(tiny_run, stored.model_spec(tiny_run, MODEL).preprocess) as store:
        for image in store.tensors(store.ids[:5]):
            a, b = (m.run(image)["logits"] for m in models)
            np.testing.assert_allclose(a, b, atol=1e-5)


def test_a_healthy_model_is_left_alone(dead, tiny_run):
    data = (layout.model_dir(tiny_run, MODEL) / layout.FLOAT_MODEL).read_bytes()
    held, raised = hold_biases(data, dead[1])
    assert raised == 0
    assert held is data
    assert schemes.parse("int8").scheme.needs_calibration
