"""Head, pooling and padding shared by the networks."""

import pytest
import torch
from torch.nn import functional as F  # noqa: N812

from bedside.core import registry
from bedside.core.study import ModelConfig
from bedside.models import MODELS
from bedside.models.head import max_pool


def build(name, classes=2, **options):
    torch.manual_seed(0)
    return registry.lookup(MODELS, name, "model")(ModelConfig(name, **options), classes).eval()


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("px", [32, 65])
def test_logits_are_the_mean_of_the_map(name, px):
    module = build(name, classes=3, image_px=px, width=0.125)
    with torch.inference_mode():
        out = module(torch.rand(2, px, px, 1))
    assert out["logits"].shape == (2, 3)
    assert out["cam"].shape[0] == 2 and out["cam"].shape[-1] == 3
    torch.testing.assert_close(out["logits"], out["cam"].mean(dim=(1, 2)), atol=1e-5, rtol=1e-4)


def test_head_equals_gap_and_fully_connected():
    module = build("resnet34", width=0.125, image_px=64)
    with torch.inference_mode():
        x = torch.rand(2, 64, 64, 1)
        features = module.extract(x.permute(0, 3, 1, 2)).mean(dim=(2, 3))
        weight, bias = module.head.classifier.weight[:, :, 0, 0], module.head.classifier.bias
        torch.testing.assert_close(module(x)["logits"], F.linear(features, weight, bias))


@pytest.mark.parametrize("size", [7, 8, 13, 14, 56, 57])
@pytest.mark.parametrize(("kernel", "stride", "padding", "ceil_mode"),
                         [(3, 2, 1, False), (3, 2, 0, True), (2, 2, 0, True), (3, 1, 1, False)])
def test_max_pool_equals_torch_after_relu(size, kernel, stride, padding, ceil_mode):
    x = F.relu(torch.randn(1, 2, size, size + 1, generator=torch.Generator().manual_seed(size)))
    expected = F.max_pool2d(x, kernel, stride, padding, ceil_mode=ceil_mode)
    torch.testing.assert_close(max_pool(x, kernel, stride, padding, ceil_mode), expected)
