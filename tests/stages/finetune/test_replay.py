"""Replay of a float graph in torch, rounded as its INT8 file."""

from __future__ import annotations

import numpy as np
import outliers
import pytest
import torch
from torch import nn

from bedside import schemes
from bedside.core.study import CalibrationConfig
from bedside.core.types import Preprocess
from bedside.flows.search import tuned
from bedside.flows.search.budget import Budget
from bedside.runfolder import layout, stored
from bedside.runtime.graph import parse_graph, read_graph
from bedside.runtime.litert import LOGITS, LiteRTModel
from bedside.stages.finetune import replay, stage

CONFIG = CalibrationConfig(images=30)
BUDGET = Budget(auroc_loss=0.02, sensitivity_loss=0.08, specificity_loss=0.08,
                flips=0.06)
# One channel so much larger that INT8 misses the budget, yet the others keep a step or two.
FACTOR = 30.0


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return outliers.write_outlier_run(tmp_path_factory.mktemp("qat") / "run", factor=FACTOR)


@pytest.fixture(scope="module")
def found(run):
    torch.set_num_threads(1)
    return tuned.fine_tune(run, outliers.MODEL, schemes.parse("int8+qat"), CONFIG, BUDGET)


def _replayed(run, model, data, quantized=None):
    """Logits of validation images by torch; rounded as ``quantized`` rounds where it is given."""
    graph = parse_graph(data)
    grids = replay.grids(quantized) if quantized is not None else {}
    weights = replay.rounded_weights(quantized) if quantized is not None else frozenset()
    ids = [c.id for c in stored.cases(run) if c.split == "val"]
    with (torch.no_grad(), stored.pixel_store(run, stored.model_spec(run, model).preprocess)
          as store):
        images = torch.from_numpy(np.concatenate([store.tensor(i) for i in ids]))
        found = replay.run(graph, stage.constants_of(graph), images, grids, weights)
    return stage.logits_of(graph, found).numpy(), stage.answers(run, model, data, ids), ids


def test_a_residual_network_replays_as_litert_runs_it(tiny_run):
    data = (layout.model_dir(tiny_run, "resnet34") / layout.FLOAT_MODEL).read_bytes()
    mine, theirs, _ = _replayed(tiny_run, "resnet34", data)
    np.testing.assert_allclose(mine, theirs, atol=1e-4 * max(1.0, float(np.abs(theirs).max())))


def test_a_residual_network_rounded_replays_as_its_int8_file(tiny_quantized):
    folder = layout.variant_dir(tiny_quantized, "resnet34-int8")
    quantized = read_graph(folder / layout.VARIANT_MODEL)
    data = (layout.model_dir(tiny_quantized, "resnet34") / layout.FLOAT_MODEL).read_bytes()
    mine, plain, ids = _replayed(tiny_quantized, "resnet34", data, quantized)
    theirs = stage.answers(tiny_quantized, "resnet34",
                           (folder / layout.VARIANT_MODEL).read_bytes(), ids)
    # Over 36 layers roundings of half a step drift; they stay well inside what INT8 itself does.
    assert np.sqrt(np.square(mine - theirs).mean()) < 0.5 * np.sqrt(
        np.square(plain - theirs).mean())


class Odd(nn.Module):
    """What the other networks have: concatenation, odd strides, both poolings, ReLU6, depthwise."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 8, 3, 2, 1)
        self.deep = nn.Conv2d(8, 8, 5, 2, 2, groups=8)
        self.left, self.right = nn.Conv2d(8, 4, 1), nn.Conv2d(8, 6, 3, 1, 2, dilation=2)
        self.classifier = nn.Conv2d(10, 2, 1)

    def forward(self, image):
        x = nn.functional.relu6(self.stem(image.permute(0, 3, 1, 2)) * 4)
        x = nn.functional.max_pool2d(nn.functional.relu6(self.deep(x)), 2, 2)
        x = torch.cat([torch.relu(self.left(x)), torch.relu(self.right(x))], 1)
        maps = self.classifier(x)
        return {"logits": nn.functional.avg_pool2d(maps, maps.shape[2:]).flatten(1),
                "cam": maps.permute(0, 2, 3, 1)}


def test_every_other_operation_of_our_networks_replays(tmp_path):
    from bedside.stages.convert import _export

    torch.manual_seed(0)
    path = tmp_path / "odd.tflite"
    _export(Odd().eval(), Preprocess(32, 32, 1), path)
    graph = read_graph(path)
    replay.check(graph, "odd")
    assert {"CONCATENATION", "MAX_POOL_2D", "AVERAGE_POOL_2D", "DEPTHWISE_CONV_2D"} <= {
        o.op for o in graph.operations}
    images = torch.rand(3, 32, 32, 1)
    found = replay.run(graph, stage.constants_of(graph), images, {}, frozenset())
    model = LiteRTModel(path)
    expected = np.concatenate([model.run(i[None].numpy())[LOGITS] for i in images])
    np.testing.assert_allclose(stage.logits_of(graph, found).detach().numpy(), expected, atol=1e-5)


def test_rounding_passes_gradients_inside_the_range_and_none_outside():
    grid = replay.Grid(0.5, -1.0, 1.0)
    x = torch.tensor([-2.0, -0.7, 0.2, 0.3, 5.0], requires_grad=True)
    y = grid.round(x)
    y.sum().backward()
    assert y.tolist() == [-1.0, -0.5, 0.0, 0.5, 1.0]
    assert x.grad.tolist() == [0.0, 1.0, 1.0, 1.0, 0.0]


def test_filters_are_rounded_as_torch_does_it():
    """Against torch's own fake quantization for each channel."""
    torch.manual_seed(0)
    weights = torch.randn(5, 3, 3, 4)
    scale = weights.abs().amax((1, 2, 3)) / 127
    expected = torch.fake_quantize_per_channel_affine(
        weights, scale, torch.zeros(5, dtype=torch.int32), 0, -127, 127)
    np.testing.assert_allclose(replay.round_filters(weights, 0), expected, atol=1e-6)
