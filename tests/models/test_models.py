"""Networks: sizes, names, head identities, loading of checkpoints."""

import pytest
import torch

from bedside.core import registry
from bedside.core.errors import BadInput
from bedside.core.study import ModelConfig
from bedside.models import (
    MODELS,
    default_config,
    efficientnet_lite0,
    googlenet,
    paper_preset,
    resnet34,
    vgg16,
)
from bedside.models.head import folded_parameters

RGB = {"channels": 3}


def build(name, classes=2, **options):
    torch.manual_seed(0)
    return registry.lookup(MODELS, name, "model")(ModelConfig(name, **options), classes).eval()


# Decimal MB of FP32 files as measured after conversion, rounded to 0.1. A file also holds the
# graph and the tensors' names, most for EfficientNet-Lite0 (0.09 MB).
SIZES = [
    ("vgg16", {}, 58.9), ("vgg16", {"cam_conv": True}, 77.7),
    ("googlenet", {"branch5": 5}, 23.9), ("googlenet", {"cam_conv": True}, 61.7),
    ("resnet34", {}, 85.1), ("efficientnet_lite0", {}, 13.5),
]


@pytest.mark.parametrize(("name", "options", "megabytes"), SIZES)
def test_parameters_give_the_known_file_size(name, options, megabytes):
    module = build(name, **options, **RGB)
    assert folded_parameters(module) * 4 / 1e6 == pytest.approx(megabytes, abs=0.1)


@pytest.mark.parametrize(("name", "count"), [("resnet34", 21_284_672), ("vgg16", 14_723_136),
                                             ("efficientnet_lite0", 3_371_008)])
def test_trainable_backbone_matches_the_published_count(name, count):
    """torchvision's and the wheel's parameter counts without their classifiers."""
    module = build(name, **RGB)
    assert sum(p.numel() for n, p in module.named_parameters()
               if not n.startswith("head.")) == count


@pytest.mark.parametrize("options", [{"image_px": 8}, {"channels": 2}, {"width": 0.0},
                                     {"width": float("nan")}])
def test_configurations_that_cannot_work_are_refused(options):
    with pytest.raises(BadInput, match="resnet34"):
        build("resnet34", **options)


def test_defaults_and_preset_name_real_networks():
    assert all(default_config(n).epochs for n in MODELS)
    assert {c.name: c.cam_conv for c in paper_preset()} == {
        "vgg16": True, "resnet34": False, "googlenet": True}
    with pytest.raises(BadInput, match="resnet34"):
        default_config("resnet3")


def test_the_table_names_a_builder_of_every_network():
    for module in (efficientnet_lite0, googlenet, resnet34, vgg16):
        name = module.__name__.rsplit(".", 1)[-1]
        assert registry.lookup(MODELS, name, "model") is module.build
