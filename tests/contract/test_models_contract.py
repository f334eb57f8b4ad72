"""Every network of the table keeps the contract: outputs, gradients, conversion."""

from pathlib import Path

import pytest
import torch

from bedside.core import registry
from bedside.core.study import ModelConfig
from bedside.models import DESCRIPTIONS, MODELS
from bedside.runtime.graph import read_graph

# Operations that split a delegate's graph, or that NPU compilers leave on the host.
UNWANTED = {"MEAN", "PADV2", "TRANSPOSE", "BROADCAST_TO", "GATHER_ND", "SELECT_V2"}


def build(name: str, px: int = 64, **options) -> torch.nn.Module:
    torch.manual_seed(0)
    config = ModelConfig(name, image_px=px, width=0.125, **options)
    module: torch.nn.Module = registry.lookup(MODELS, name, "model")(config, 2)
    return module


def test_every_network_is_described_where_the_networks_are_listed():
    assert set(DESCRIPTIONS) == set(MODELS)
    assert all(DESCRIPTIONS.values())


@pytest.mark.parametrize("name", MODELS)
def test_every_parameter_learns(name):
    module = build(name).train()
    out = module(torch.rand(4, 64, 64, 1))
    torch.nn.functional.cross_entropy(out["logits"], torch.tensor([0, 1, 0, 1])).backward()
    assert [n for n, p in module.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize("name", MODELS)
def test_images_of_a_batch_do_not_meet_in_evaluation(name):
    module = build(name).eval()
    x = torch.rand(3, 64, 64, 1)
    with torch.inference_mode():
        together = module(x)["logits"]
        alone = torch.cat([module(x[i:i + 1])["logits"] for i in range(3)])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_converts_without_operations_that_split_the_graph(name, tmp_path: Path, capfd):
    import litert_torch

    module = build(name, px=64, cam_conv=name == "vgg16").eval()
    sample = {"image": torch.zeros(1, 64, 64, 1)}
    path = tmp_path / "float.tflite"
    litert_torch.signature("serving_default", module, sample_kwargs=sample).convert().export(
        str(path))
    capfd.readouterr()
    graph = read_graph(path)
    kinds = {o.op for o in graph.operations}
    assert "AVERAGE_POOL_2D" in kinds
    assert kinds & UNWANTED == set()
    assert set(graph.output_names) == {"logits", "cam"}
