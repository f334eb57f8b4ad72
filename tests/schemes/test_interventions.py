"""One cause of an integer file's error at a time, recomputed with torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from outliers import MODEL, write_outlier_run

from bedside import schemes
from bedside.core.errors import BadInput
from bedside.core.study import CalibrationConfig
from bedside.runfolder import layout, stored
from bedside.runtime.graph import parse_graph
from bedside.runtime.litert import LiteRTModel, predict
from bedside.schemes import interventions
from bedside.stages import calibrate, quantize


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Float and integer file of a small network, and its test images."""
    run = write_outlier_run(tmp_path_factory.mktemp("interventions") / "run", factor=1.0)
    folder = calibrate.calibrate(run, MODEL, CalibrationConfig(images=2))
    quantize.quantize(run, MODEL, schemes.parse("int8"), folder, calibrate.read_ranges(folder))
    with stored.pixel_store(run, stored.model_spec(run, MODEL).preprocess) as store:
        images = [store.tensor(c.id) for c in stored.cases(run) if c.split == "test"][:12]
    return ((layout.model_dir(run, MODEL) / layout.FLOAT_MODEL).read_bytes(),
            (layout.variant_dir(run, f"{MODEL}-int8") / "model.tflite").read_bytes(), images)


def clipped_by_torch(model: bytes, image: np.ndarray, limits) -> np.ndarray:
    """The float network, operation by operation, with every activation cut."""
    import torch
    from torch.nn import functional

    graph = parse_graph(model)

    def cut(values, index):
        low, high = limits[graph.tensors[index].name]
        return values.clamp(low, high)

    x = cut(torch.from_numpy(image).permute(0, 3, 1, 2), graph.inputs[0])
    for operation in graph.operations:
        if operation.op == "PAD":
            amounts = graph.constant(operation.inputs[1])
            x = functional.pad(x, [int(v) for v in (*amounts[2], *amounts[1])])
        elif operation.op in ("CONV_2D", "DEPTHWISE_CONV_2D"):
            weights = torch.from_numpy(graph.constant(operation.inputs[1]).copy())
            weights = weights.permute((3, 0, 1, 2) if operation.op.startswith("D")
                                      else (0, 3, 1, 2))
            out = graph.tensors[operation.outputs[0]].shape[1]
            stride = x.shape[2] // out if x.shape[2] - weights.shape[2] + 1 > out else 1
            x = functional.conv2d(x, weights, torch.from_numpy(
                graph.constant(operation.inputs[2]).copy()), stride)
            if graph.activation(operation) == "RELU":
                x = x.relu()
        elif operation.op == "AVERAGE_POOL_2D":
            x = x.mean((2, 3), keepdim=True)
        else:
            x = x.reshape(1, -1)
        x = cut(x, operation.outputs[0])
    return x.numpy()[0]


def test_clipping_alone_is_the_float_network_cut_at_the_integer_ranges(pair) -> None:
    model, own, images = pair
    limits = interventions.limits(parse_graph(own))
    names = {t.name for t in parse_graph(model).tensors if t.dtype == "float32" and not t.buffer}
    assert names <= set(limits)
    found = predict(interventions.clip_activations(model, limits), images)[0]
    wanted = np.stack([clipped_by_torch(model, x, limits) for x in images])
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)
    assert np.abs(found - predict(model, images)[0]).max() > 1e-3  # two images clip others


def test_limits_are_what_the_integer_file_can_hold(pair) -> None:
    _, own, images = pair
    graph = parse_graph(own)
    limits = interventions.limits(graph)
    loaded = LiteRTModel(Path("int8.tflite"), preserve_all=True, content=own)
    for image in images:
        loaded.run(image)
        for tensor in graph.tensors:
            if tensor.dtype == "int8" and not tensor.buffer:
                scale = tensor.quantization.scales[0]
                real = (loaded.tensor(tensor.index).astype(float)
                        - tensor.quantization.zero_points[0]) * scale
                name = tensor.name.removesuffix("_quantized")
                assert limits[name][0] - 1e-4 <= real.min() and real.max() <= limits[name][1] + 1e-4
                assert limits[name][1] - limits[name][0] == pytest.approx(255 * scale)


def test_wide_limits_change_nothing(pair) -> None:
    model, _, images = pair
    wide = {t.name: (-1e9, 1e9) for t in parse_graph(model).tensors}
    found = interventions.clip_activations(model, wide)
    kinds = [o.op for o in parse_graph(found).operations]
    before = parse_graph(model).operations
    assert kinds.count("MINIMUM") == kinds.count("MAXIMUM") == len(before) + 1
    np.testing.assert_allclose(predict(found, images)[0], predict(model, images)[0], rtol=1e-5)
    bare = interventions.clip_activations(model, {})
    assert len(parse_graph(bare).operations) == len(before)
    np.testing.assert_array_equal(predict(bare, images)[0], predict(model, images)[0])


def test_rounded_weights_and_biases_are_those_of_the_file_and_nothing_else_changes(pair) -> None:
    model, own, _ = pair
    plain, other = parse_graph(model), parse_graph(own)
    weights, biases = (parse_graph(f(model, own)) for f in (
        interventions.round_weights, interventions.round_biases))
    moved = 0
    for a, b in zip(plain.convolutions(), other.convolutions(), strict=True):
        axis = 3 if a.op.startswith("DEPTHWISE") else 0
        scales = other.tensors[b.inputs[1]].quantization.scales
        codes = np.moveaxis(other.constant(b.inputs[1]).astype(np.float64), axis, -1)
        np.testing.assert_allclose(np.moveaxis(weights.constant(a.inputs[1]), axis, -1),
                                   codes * scales, rtol=1e-6)
        np.testing.assert_array_equal(biases.constant(a.inputs[1]), plain.constant(a.inputs[1]))
        np.testing.assert_array_equal(weights.constant(a.inputs[2]), plain.constant(a.inputs[2]))
        step = other.tensors[b.inputs[0]].quantization.scales[0] * scales
        away = np.abs(biases.constant(a.inputs[2]) - plain.constant(a.inputs[2]))
        assert (away <= 0.5001 * step + 1e-7).all()
        moved += int((away > 0).sum())
    assert moved > 5


def test_ranges_widen_and_never_narrow() -> None:
    found = interventions.widened({"a": (0.0, 1.0), "b": (-1.0, 1.0)}, {"a": (-0.5, 0.7)})
    assert found == {"a": (-0.5, 1.0), "b": (-1.0, 1.0)}


def test_files_of_two_networks_are_refused(pair, tiny_run) -> None:
    other = (layout.model_dir(tiny_run, "resnet34") / layout.FLOAT_MODEL).read_bytes()
    with pytest.raises(BadInput, match="order of the layers"):
        interventions.round_weights(other, pair[1])
