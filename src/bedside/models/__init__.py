"""Networks: one file each, listed here by lazy name.

A network's module offers ``build(config: ModelConfig, classes: int) -> torch.nn.Module``, whose
``forward(image)`` takes (N, H, W, C) float32 in [0, 1] and returns ``{"logits": (N, K),
"cam": (N, h, w, K)}``. Parameter names follow torchvision's, so its checkpoints load.
"""

from __future__ import annotations

from bedside.core.errors import BadInput
from bedside.core.registry import did_you_mean
from bedside.core.study import ModelConfig
from bedside.core.types import Preprocess

MODELS: dict[str, str] = {
    "vgg16": "bedside.models.vgg16:build",
    "googlenet": "bedside.models.googlenet:build",
    "resnet34": "bedside.models.resnet34:build",
    "efficientnet_lite0": "bedside.models.efficientnet_lite0:build",
}

DESCRIPTIONS: dict[str, str] = {
    "vgg16": "VGG16 with batch norm, last max-pool removed, GAP + FC (the paper's)",
    "googlenet": "GoogLeNet with batch norm; branch5 = 5 as published, 3 as torchvision's",
    "resnet34": "ResNet34",
    "efficientnet_lite0": "EfficientNet-Lite0 with ImageNet weights: the practical choice",
}

# Defaults of a network that a study only names. From-scratch networks need more epochs and
# are smaller by default, so that each trains in minutes on two cores.
DEFAULTS: dict[str, ModelConfig] = {
    "vgg16": ModelConfig("vgg16", image_px=128, epochs=30, batch_size=16, learning_rate=3e-4),
    "googlenet": ModelConfig("googlenet", image_px=128, epochs=40, batch_size=16,
                             learning_rate=1e-3),
    "resnet34": ModelConfig("resnet34", image_px=128, epochs=40, batch_size=16,
                            learning_rate=1e-3),
    "efficientnet_lite0": ModelConfig("efficientnet_lite0", epochs=15, batch_size=16,
                                      learning_rate=5e-4),
}


def default_config(name: str) -> ModelConfig:
    """Return the configuration of a network that a study only names.

    Raises:
        BadInput: unknown network.
    """
    if name not in MODELS:
        raise BadInput(f"unknown model {name!r}", remedy=did_you_mean(name, MODELS))
    return DEFAULTS.get(name, ModelConfig(name))


def paper_preset() -> tuple[ModelConfig, ...]:
    """Return the paper's three networks at 224.

    The 3×3×1024 CAM convolution (Zhou et al. 2016) is set where the sizes of the paper's
    Table 2 imply it; its text does not mention it.
    """
    return (
        ModelConfig("vgg16", cam_conv=True, epochs=30, batch_size=16, learning_rate=3e-4),
        ModelConfig("resnet34", epochs=40, batch_size=16, learning_rate=1e-3),
        ModelConfig("googlenet", cam_conv=True, epochs=40, batch_size=16, learning_rate=1e-3),
    )


def preprocess_of(config: ModelConfig) -> Preprocess:
    """Return the preprocessing of one of our own networks: square, divided by the maximum."""
    return Preprocess(height_px=config.image_px, width_px=config.image_px, channels=config.channels)
