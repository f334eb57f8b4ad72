"""ReLUs that change nothing leave the converted file; all others stay."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from tiny import write_tiny_data, write_untrained
from torch import nn

from bedside import schemes, targets
from bedside.core.study import CalibrationConfig, ModelConfig
from bedside.models.redundant_relu import remove_redundant_relus
from bedside.runfolder import layout
from bedside.runtime.graph import parse_graph, read_graph
from bedside.runtime.litert import LiteRTModel
from bedside.stages import calibrate, convert, quantize
from bedside.targets import subprocess_build


class Twice(nn.Module):
    """A ReLU of signed values (the image itself), and one of values that are never negative."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.left, self.right = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, image):
        first = F.relu(image.permute(0, 3, 1, 2))
        both = torch.cat([F.relu(self.left(first)), F.relu(self.right(first))], 1)
        pooled = F.max_pool2d(F.pad(F.relu(both), (1, 1, 1, 1)), 3, 1)
        return {"logits": (pooled - both).mean((2, 3))}


@pytest.fixture(scope="module")
def content():
    import litert_torch

    sample = {"image": torch.zeros(1, 8, 8, 3)}
    return litert_torch.signature("serving_default", Twice().eval(), sample_kwargs=sample
                                  ).convert().model_content()


def _operations(model):
    return [o.op for o in parse_graph(model).operations]


def test_the_idle_one_goes_and_the_other_stays(content, tmp_path):
    lean = remove_redundant_relus(content)
    assert _operations(content).count("RELU") == 2
    assert _operations(lean).count("RELU") == 1
    image = np.random.default_rng(0).standard_normal((1, 8, 8, 3)).astype(np.float32)
    answers = []
    for name, model in (("as", content), ("lean", lean)):
        path = tmp_path / f"{name}.tflite"
        path.write_bytes(model)
        answers.append(LiteRTModel(path).run(image)["logits"])
    np.testing.assert_array_equal(*answers)
    with torch.inference_mode():
        expected = Twice()(torch.from_numpy(image))["logits"].numpy()
    np.testing.assert_allclose(answers[0], expected, atol=1e-6)


def test_a_model_without_any_is_the_same_bytes(content):
    lean = remove_redundant_relus(content)
    assert remove_redundant_relus(lean) is lean


def test_googlenets_padded_pools_do_not_break_xnnpack_into_pieces(tmp_path):
    run = tmp_path / "run"
    write_tiny_data(run, px=64, count=12)
    model = write_untrained(run, ModelConfig("googlenet", image_px=64, width=0.125))
    convert.convert(run, model)
    folder = calibrate.calibrate(run, model, CalibrationConfig(images=6), None)
    quantize.quantize(run, model, schemes.parse("int8"), folder, calibrate.read_ranges(folder))
    file = layout.variant_dir(run, f"{model}-int8") / layout.VARIANT_MODEL
    assert "RELU" not in {o.op for o in read_graph(file).operations}
    placed = subprocess_build.place(file, targets.load("cpu")).placed
    off = {p.op for p in placed.placement if p.runs_on != placed.accelerator}
    assert off <= {"AVERAGE_POOL_2D", "RESHAPE"}
    assert placed.partitions <= 2
