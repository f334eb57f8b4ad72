"""Equalization and bias correction: the float function stays, the integer one gets better."""

from __future__ import annotations

import numpy as np
import outliers
import pytest

from bedside import schemes
from bedside.core import codec
from bedside.core.build import ModelSpec, Variant
from bedside.core.errors import BadInput
from bedside.core.study import CalibrationConfig
from bedside.flows import variants
from bedside.runfolder import layout, stored
from bedside.runtime.graph import parse_graph, read_graph
from bedside.schemes import biascorrect, int8, quantizer
from bedside.schemes import equalize as equalization
from bedside.stages import calibrate, transform

CONFIG = CalibrationConfig(images=30)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return outliers.write_outlier_run(tmp_path_factory.mktemp("outlier") / "run")


def _variant(run, scheme):
    variants.make(run, outliers.MODEL, schemes.parse(scheme), CONFIG)
    folder = layout.variant_dir(run, f"{outliers.MODEL}-{scheme}")
    return codec.read_json(Variant, folder / layout.VARIANT), folder / layout.VARIANT_MODEL


def test_plain_int8_fails_on_the_outlier_channel_and_equalization_rescues_it(run):
    full = outliers.auroc(run, layout.model_dir(run, outliers.MODEL) / layout.FLOAT_MODEL)
    plain, plain_file = _variant(run, "int8")
    better, better_file = _variant(run, "int8+equalized")
    assert full > 0.9
    assert outliers.auroc(run, plain_file) < full - 0.2
    assert outliers.auroc(run, better_file) > full - 0.02
    assert plain.parent is None
    assert better.parent == f"{outliers.MODEL}+equalized"
    assert codec.read_json(ModelSpec, layout.model_dir(run, better.parent) / layout.SPEC
                           ).parent == outliers.MODEL
    assert [s.id for s in stored.model_specs(run)] == [outliers.MODEL]


def test_equalization_does_not_change_the_float_answer(run):
    _variant(run, "int8+equalized")
    before, after = (outliers.logits(run, layout.model_dir(run, m) / layout.FLOAT_MODEL)[1]
                     for m in (outliers.MODEL, f"{outliers.MODEL}+equalized"))
    np.testing.assert_allclose(after, before, atol=2e-4 * np.abs(before).max())


def test_channels_behind_relu6_are_scaled_only_below_six(tmp_path):
    run = outliers.write_outlier_run(tmp_path / "run", relu6=True)
    path = layout.model_dir(run, outliers.MODEL) / layout.FLOAT_MODEL
    graph = read_graph(path)
    pair = equalization.pairs(graph)[0]
    assert pair.limited
    largest = np.linspace(0.1, 7.9, 8).astype(np.float32)
    largest[6:] = 6.0
    data, _ = equalization.equalize(path.read_bytes(), {pair.tensor: largest})
    changed = parse_graph(data)
    weights, before = (g.constant(o.inputs[1]) for g, o in
                       ((changed, pair.first), (graph, pair.first)))
    axis = 3 if pair.first.op == "DEPTHWISE_CONV_2D" else 0
    factor = np.abs(np.moveaxis(weights, axis, 0).reshape(8, -1)).max(1) / np.abs(
        np.moveaxis(before, axis, 0).reshape(8, -1)).max(1)
    np.testing.assert_allclose(factor[largest >= 4.5], 1.0, rtol=1e-6)
    assert (largest * factor)[largest < 4.5].max() <= 4.5 * (1 + 1e-5)
    assert not np.allclose(factor, 1.0)


def test_a_network_without_neighbours_is_refused(run):
    path = layout.model_dir(run, outliers.MODEL) / layout.FLOAT_MODEL
    with pytest.raises(BadInput, match="no two neighbouring layers"):
        equalization.equalize(path.read_bytes(), {})


def test_bias_correction_brings_the_mean_logits_back(tiny_run):
    ids = calibrate.choose(tiny_run, "resnet34", CONFIG)
    folder = calibrate.calibrate(tiny_run, "resnet34", CONFIG)
    ranges = calibrate.read_ranges(folder)
    child = transform.correct_biases(tiny_run, "resnet34", "resnet34+test",
                                     int8.recipe(frozenset()), ranges, ids)
    source, corrected = (
        (layout.model_dir(tiny_run, m) / layout.FLOAT_MODEL).read_bytes()
        for m in ("resnet34", child))
    wanted, plain, better = (transform._mean_logits(tiny_run, "resnet34", d, ids) for d in (
        source, *(quantizer.apply_int8(d, int8.recipe(frozenset()), ranges)
                  for d in (source, corrected))))
    assert np.abs(better - wanted).max() < 0.5 * np.abs(plain - wanted).max()
    assert codec.read_json(ModelSpec, layout.model_dir(tiny_run, child) / layout.SPEC
                           ).parent == "resnet34"


def test_a_layers_own_bias_makes_up_for_its_rounded_weights(tiny_run):
    """Before the classifier is corrected besides, which hides what a layer did wrong."""
    def coarse(data):
        """The same model with the weights of its last layer in steps of 1/8."""
        changed = bytearray(data)
        graph = parse_graph(changed)
        weights = graph.constant(graph.convolutions()[-1].inputs[1])
        weights[:] = np.round(weights * 8) / 8
        return bytes(changed)

    ids = calibrate.choose(tiny_run, "resnet34", CONFIG)
    path = layout.model_dir(tiny_run, "resnet34") / layout.FLOAT_MODEL
    data, graph = path.read_bytes(), read_graph(path)
    means = transform._means(tiny_run, "resnet34", path, graph,
                           [o.inputs[0] for o in graph.convolutions()], ids, None, "")
    corrected = coarse(biascorrect.correct_weights(data, coarse(data), means))
    wanted, plain, better = (transform._mean_logits(tiny_run, "resnet34", d, ids)
                             for d in (data, coarse(data), corrected))
    assert np.abs(plain - wanted).max() > 0.01
    np.testing.assert_allclose(better, wanted, atol=1e-4)


def test_the_response_of_a_layer_is_that_of_torch():
    import torch

    class Fake:
        def __init__(self, weights):
            self.weights = weights

        def real_constant(self, index):
            return self.weights

    class Operation:
        op, inputs = "CONV_2D", (0, 1)

    weights = np.random.default_rng(0).normal(size=(4, 3, 3, 5)).astype(np.float32)
    mean = np.arange(5.0)
    image = torch.from_numpy(np.broadcast_to(mean, (1, 3, 3, 5)).copy()).permute(0, 3, 1, 2)
    wanted = torch.nn.functional.conv2d(image, torch.from_numpy(weights).double().permute(
        0, 3, 1, 2)).numpy().ravel()
    np.testing.assert_allclose(biascorrect.response(Fake(weights), Operation, mean), wanted,
                               rtol=1e-6)
