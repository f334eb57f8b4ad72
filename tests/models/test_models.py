"""Networks: sizes, names, head identities, loading of checkpoints."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional as F  # noqa: N812

from bedside.core import registry
from bedside.core.errors import BadInput
from bedside.core.study import ModelConfig
from bedside.models import MODELS, default_config, paper_preset
from bedside.models.head import folded_parameters, max_pool, same_padding
from bedside.models.weights import default_weights, initial_weights, load_weights, weights_bytes

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


def test_same_padding_is_tensorflows():
    assert same_padding(224, 3, 2) == (0, 1)
    assert same_padding(225, 3, 2) == (1, 1)
    assert same_padding(14, 5, 1) == (2, 2)


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
