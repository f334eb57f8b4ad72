"""What ``--dry-run`` prints: cells at the speed of what runs them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bedside.plan import plan
from bedside.study_types import EvaluateConfig, ModelConfig, PhantomConfig, Study


def _seconds(run, config):
    return {s.subject: s.seconds for s in plan(run, config) if s.stage == "evaluate"}


@pytest.fixture
def config():
    base = Study(models=(ModelConfig("resnet34"), ModelConfig("vgg16")), schemes=("int8",),
                 targets=("cpu", "sm8650-hexagon", "ethos-u85-1024", "sd865-npu"))
    return replace(base, data=replace(base.data, phantom=PhantomConfig(images=1400)))


def test_a_simulated_cell_counts_at_the_simulators_speed_and_within_its_budget(tmp_path, config):
    """FACTS of one machine: 3.5 s an image for ResNet34, 11.5 s for VGG16; ten minutes a cell."""
    found = _seconds(tmp_path, config)
    resnet = found["resnet34-int8@sm8650-hexagon"]
    assert 64 * 3.0 < resnet < 64 * 3.0 + 120
    assert 600 < found["vgg16-int8@sm8650-hexagon"] < 720
    assert resnet > 5 * found["resnet34-int8@cpu"]
    assert found["resnet34-int8@sd865-npu"] < 5
    assert found["resnet34-int8@ethos-u85-1024"] > 64 * 2


def test_fewer_images_take_less(tmp_path, config):
    few = replace(config, evaluate=EvaluateConfig(images=8))
    assert (_seconds(tmp_path, few)["vgg16-int8@sm8650-hexagon"]
            < 0.5 * _seconds(tmp_path, config)["vgg16-int8@sm8650-hexagon"])
