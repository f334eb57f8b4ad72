"""GoogLeNet (Szegedy et al. 2015) with batch norm, parameter names as in torchvision.

``branch5 = 5`` is the published 5×5 branch; torchvision's checkpoint holds 3×3 in its place
(a known slip of its TensorFlow source), so that checkpoint needs ``branch5 = 3``. The
auxiliary heads are not built.
"""

from __future__ import annotations

import torch
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

# name: 1×1, 3×3 reduce, 3×3, 5×5 reduce, 5×5, pool projection (Szegedy et al., Table 1)
_INCEPTIONS = {
    "3a": (64, 96, 128, 16, 32, 32), "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64), "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64), "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128), "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}
# the pool before an inception: kernel (stride 2, ceil mode)
_POOL_BEFORE = {"4a": 3, "5a": 2}


class BasicConv2d(nn.Module):
    """Convolution, batch norm (eps 0.001), ReLU."""

    def __init__(self, before: int, filters: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(before, filters, kernel, stride, kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(filters, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, before, H, W) to (N, filters, H/stride, W/stride)."""
        return F.relu(self.bn(self.conv(x)))


class MaxPool3(nn.Module):
    """3×3 max-pool of the pool branch, size kept."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W), never negative, to the same shape."""
        if self.training:
            return F.max_pool2d(x, 3, 1, padding=1)
        # The ReLU changes nothing, but gives the pad a separate input: where it shares one
        # with convolutions the converter leaves it in NCHW, between transposes. It is removed
        # from the converted file (redundant_relu).
        return max_pool(F.relu(x), 3, 1, padding=1)


class Inception(nn.Module):
    """Four branches side by side."""

    def __init__(self, before: int, sizes: tuple[int, ...], branch5: int) -> None:
        super().__init__()
        one, reduce3, three, reduce5, five, pool = sizes
        self.branch1 = BasicConv2d(before, one, 1)
        self.branch2 = nn.Sequential(BasicConv2d(before, reduce3, 1),
                                     BasicConv2d(reduce3, three, 3))
        self.branch3 = nn.Sequential(BasicConv2d(before, reduce5, 1),
                                     BasicConv2d(reduce5, five, branch5))
        self.branch4 = nn.Sequential(MaxPool3(), BasicConv2d(before, pool, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, before, H, W) to (N, sum of the branches, H, W)."""
        return torch.cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], 1)


class GoogLeNet(Network):
    """The network that the module's docstring describes."""

    # torchvision's checkpoint is TensorFlow's: it expects (x − 0.5) / 0.5 (``transform_input``).
    checkpoint = Checkpoint("conv1.conv", "conv1.bn", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5),
                            ("fc.", "aux1.", "aux2."))

    def __init__(self, config: ModelConfig, classes: int) -> None:
        super().__init__()
        first, third = scaled(64, config.width), scaled(192, config.width)
        self.conv1 = BasicConv2d(config.channels, first, 7, 2)
        self.conv2 = BasicConv2d(first, first, 1)
        self.conv3 = BasicConv2d(first, third, 3)
        before = third
        for name, sizes in _INCEPTIONS.items():
            wide = tuple(scaled(n, config.width) for n in sizes)
            self.add_module(f"inception{name}", Inception(before, wide, config.branch5))
            before = wide[0] + wide[2] + wide[4] + wide[5]
        self.head = Head(before, classes, config, dropout=0.2)

    def extract(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, F, ⌈H/32⌉, ⌈W/32⌉)."""
        x = max_pool(self.conv1(x), 3, 2, ceil_mode=True)
        x = max_pool(self.conv3(self.conv2(x)), 3, 2, ceil_mode=True)
        for name in _INCEPTIONS:
            if name in _POOL_BEFORE:
                x = max_pool(x, _POOL_BEFORE[name], 2, ceil_mode=True)
            x = self.get_submodule(f"inception{name}")(x)
        return x


def build(config: ModelConfig, classes: int) -> Network:
    """Return GoogLeNet with random weights; smallest image 32 px. Raises BadInput."""
    check_config(config, classes, smallest_px=32)
    network = GoogLeNet(config, classes)
    initialise(network)
    return network
