"""Loading of weights: folding, mismatches, refused files."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from bedside.core import registry
from bedside.core.errors import BadInput
from bedside.core.study import ModelConfig
from bedside.models import MODELS
from bedside.models.weights import default_weights, initial_weights, load_weights, weights_bytes


def build(name, classes=2, **options):
    torch.manual_seed(0)
    return registry.lookup(MODELS, name, "model")(ModelConfig(name, **options), classes).eval()


NAMES = {
    "vgg16": ["features.0.weight", "features.0.bias", "features.1.running_var",
              "features.40.weight", "features.41.weight"],
    "resnet34": ["conv1.weight", "bn1.weight", "layer1.0.conv1.weight",
                 "layer2.0.downsample.0.weight", "layer4.2.bn2.bias"],
    "googlenet": ["conv1.conv.weight", "conv1.bn.weight", "inception3a.branch1.conv.weight",
                  "inception4e.branch2.1.bn.weight", "inception5b.branch4.1.conv.weight"],
}


@pytest.mark.parametrize("name", NAMES)
def test_names_are_torchvisions(name):
    names = set(build(name, width=0.125).state_dict())
    assert set(NAMES[name]) <= names


@pytest.mark.parametrize("channels", [1, 3])
def test_imagenet_weights_see_what_they_were_trained_on(channels):
    """The folded network on [0, 1] equals the raw one on (pixel − 127) / 128 inside the border."""
    folded = build("efficientnet_lite0", channels=channels)
    assert initial_weights(folded, ModelConfig("efficientnet_lite0", channels=channels)) == (
        "imagenet")
    raw = build("efficientnet_lite0", channels=3)
    state = default_weights("efficientnet_lite0")
    assert state is not None
    raw.load_state_dict({k: v for k, v in state.items() if not k.startswith("_fc.")},
                        strict=False)
    grey = torch.rand(1, 1, 64, 64)
    with torch.inference_mode():
        theirs = raw._bn0(raw._conv_stem((grey.expand(1, 3, 64, 64) * 255 - 127) / 128))
        ours = folded._bn0(folded._conv_stem(grey.expand(1, channels, 64, 64)))
    torch.testing.assert_close(ours[..., :-1, :-1], theirs[..., :-1, :-1], atol=1e-4, rtol=1e-4)


def _checkpoint(tmp_path: Path, name="resnet34", change=None, **options) -> Path:
    state = {k: v.clone() for k, v in build(name, channels=3, width=0.125,
                                           **options).state_dict().items()
             if not k.startswith("head.")}
    state["fc.weight"], state["fc.bias"] = torch.zeros(1000, 64), torch.zeros(1000)
    if change:
        change(state)
    path = tmp_path / "weights.safetensors"
    save_file(state, path)
    return path


def test_torchvision_checkpoint_is_folded_for_unit_range_grey(tmp_path):
    path = _checkpoint(tmp_path)
    rgb, grey = build("resnet34", channels=3, width=0.125), build("resnet34", width=0.125)
    load_weights(grey, path)
    x = torch.rand(1, 1, 64, 64)
    mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    with torch.inference_mode():
        theirs = rgb.bn1(rgb.conv1((x.expand(1, 3, 64, 64) - mean) / std))
        ours = grey.bn1(grey.conv1(x))
    torch.testing.assert_close(ours[..., 2:-2, 2:-2], theirs[..., 2:-2, 2:-2],
                               atol=1e-4, rtol=1e-4)


def test_auxiliary_heads_are_skipped(tmp_path):
    def add(state):
        state["aux1.conv.conv.weight"] = torch.zeros(3)
        state["aux2.fc1.weight"] = torch.zeros(3)
    path = _checkpoint(tmp_path, "googlenet", add)
    load_weights(build("googlenet", channels=3, width=0.125), path)


def test_own_weights_come_back_unchanged(tmp_path):
    first = build("efficientnet_lite0", width=0.125)
    path = tmp_path / "own.safetensors"
    path.write_bytes(weights_bytes(first.state_dict()))
    torch.manual_seed(1)
    second = registry.lookup(MODELS, "efficientnet_lite0", "model")(
        ModelConfig("efficientnet_lite0", width=0.125), 2)
    load_weights(second, path)
    a, b = first.state_dict(), second.state_dict()
    assert all(torch.equal(a[k], b[k]) for k in a if not k.startswith("head."))


@pytest.mark.parametrize(("change", "said"), [
    (lambda s: s.pop("layer1.0.conv1.weight"), "layer1.0.conv1.weight is missing"),
    (lambda s: s.update(extra=torch.zeros(1)), "extra is not of this network"),
    (lambda s: s.update({"bn1.weight": torch.zeros(3)}), "bn1.weight is 3, not 8"),
    (lambda s: s["bn1.weight"].fill_(float("nan")), "bn1.weight holds values"),
])
def test_mismatches_are_listed_and_nothing_is_loaded(tmp_path, change, said):
    path = _checkpoint(tmp_path, change=change)
    module = build("resnet34", channels=3, width=0.125)
    before = {k: v.clone() for k, v in module.state_dict().items()}
    with pytest.raises(BadInput, match=said):
        load_weights(module, path)
    assert all(torch.equal(v, before[k]) for k, v in module.state_dict().items())


@pytest.mark.parametrize("name", ["a.pth", "a.pt", "a.PKL"])
def test_pickles_are_refused_with_the_remedy(tmp_path, name):
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(BadInput, match=r"docs/weights\.md"):
        load_weights(build("resnet34", width=0.125), tmp_path / name)


def test_damaged_file_is_refused(tmp_path):
    path = tmp_path / "w.safetensors"
    path.write_bytes(b"\xff" * 100)
    with pytest.raises(BadInput, match="safetensors"):
        load_weights(build("resnet34", width=0.125), path)
