"""Operations of published networks."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bedside.models import MODELS, default_config
from bedside.targets import networks


# GMAC and parameters as torchvision's documentation gives them (batch norm folded here).
@pytest.mark.parametrize(("name", "gmac", "parameters"), [
    ("googlenet", 1.50, 6_624_904), ("resnet18", 1.81, 11_689_512),
    ("resnet34", 3.66, 21_797_672), ("resnet50", 4.09, 25_557_032)])
def test_reference_networks_are_as_big_as_published(name, gmac, parameters):
    works = networks.network_works(name)
    assert sum(w.macs for w in works) / 1e9 == pytest.approx(gmac, abs=0.01)
    # Batch norm has two parameters a channel, of which folding leaves one as a bias.
    assert sum(w.weights for w in works) == pytest.approx(parameters, rel=2e-3)


def test_the_table_of_operations_is_the_graph_of_the_real_network():
    """ResNet34 from torch, counted by forward hooks, multiplies as often layer by layer."""
    import torch

    from bedside.core import registry

    module = registry.lookup(MODELS, "resnet34", "model")(
        replace(default_config("resnet34"), channels=3, weights="random"), 1000).eval()
    counted = []

    def hook(layer, _, output):
        counted.append(layer.weight.numel() * output.shape[2] * output.shape[3])

    for layer in module.modules():
        if isinstance(layer, torch.nn.Conv2d):
            layer.register_forward_hook(hook)
    with torch.no_grad():
        module(torch.zeros(1, 224, 224, 3))
    ours = sorted(w.macs for w in networks.network_works("resnet34") if w.op == "CONV_2D")
    # Ours classifies by a 1×1 convolution before the mean, the published one after it.
    assert sorted(c for c in counted if c != 512 * 1000 * 49) == ours
