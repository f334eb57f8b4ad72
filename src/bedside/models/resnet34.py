"""ResNet34 (He et al. 2016), parameter names as in torchvision."""

from __future__ import annotations

import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from bedside.core.study import ModelConfig
from bedside.models.head import (
    Checkpoint,
    Head,
    Network,
    check_config,
    initialise,
    max_pool,
    scaled,
)

_STAGES = ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2))


class BasicBlock(nn.Module):
    """Two 3×3 convolutions and the shortcut."""

    def __init__(self, before: int, filters: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, filters, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(filters)
        self.conv2 = nn.Conv2d(filters, filters, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(filters)
        self.downsample: nn.Sequential | None = None
        if stride != 1 or before != filters:
            self.downsample = nn.Sequential(nn.Conv2d(before, filters, 1, stride, bias=False),
                                            nn.BatchNorm2d(filters))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, before, H, W) to (N, filters, H/stride, W/stride)."""
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet34(Network):
    """3-4-6-3 basic blocks."""

    checkpoint = Checkpoint("conv1", "bn1", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), ("fc.",))

    def __init__(self, config: ModelConfig, classes: int) -> None:
        super().__init__()
        before = scaled(64, config.width)
        self.conv1 = nn.Conv2d(config.channels, before, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(before)
        for number, (filters, count, stride) in enumerate(_STAGES, 1):
            wide = scaled(filters, config.width)
            blocks = [BasicBlock(before, wide, stride)]
            blocks += [BasicBlock(wide, wide, 1) for _ in range(count - 1)]
            self.add_module(f"layer{number}", nn.Sequential(*blocks))
            before = wide
        self.head = Head(before, classes, config)

    def extract(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, F, ⌈H/32⌉, ⌈W/32⌉)."""
        x = max_pool(F.relu(self.bn1(self.conv1(x))), 3, 2, padding=1)
        for number in range(1, len(_STAGES) + 1):
            x = self.get_submodule(f"layer{number}")(x)
        return x


def build(config: ModelConfig, classes: int) -> Network:
    """Return ResNet34 with random weights; smallest image 32 px. Raises BadInput."""
    check_config(config, classes, smallest_px=32)
    network = ResNet34(config, classes)
    initialise(network)
    return network
