"""Parts shared by the networks: input layout, classifier head, pooling that converts well."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from bedside.core.errors import BadInput
from bedside.core.study import ModelConfig

LARGEST_PX = 2048


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Differences of a public checkpoint from the network as built here.

    ``stem`` and ``stem_norm`` name the first convolution and its batch norm; ``mean`` and
    ``std`` (RGB, of values in [0, 1]) are the normalisation it was trained with; keys that
    begin with one of ``skipped`` are its classifier and auxiliary heads.
    """

    stem: str
    stem_norm: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    skipped: tuple[str, ...]


def scaled(channels: int, width: float) -> int:
    """Return channels times the width multiplier, to the nearest multiple of 8 (8 at least)."""
    return channels if width == 1.0 else max(8, round(channels * width / 8) * 8)


def check_config(config: ModelConfig, classes: int, smallest_px: int) -> None:
    """Refuse an invalid configuration.

    Raises:
        BadInput: image size, channels, width or number of classes out of range.
    """
    def refuse(fault: str, remedy: str) -> BadInput:
        return BadInput(fault, where=f"model {config.id or config.name}", remedy=remedy)

    if not smallest_px <= config.image_px <= LARGEST_PX:
        raise refuse(f"image_px = {config.image_px}",
                     f"Choose a size from {smallest_px} to {LARGEST_PX}.")
    if config.channels not in (1, 3):
        raise refuse(f"channels = {config.channels}", "Choose 1 (grey) or 3 (RGB).")
    if not 0.0 < config.width <= 4.0:
        raise refuse(f"width = {config.width}", "Choose a multiplier above 0 and at most 4.")
    if classes < 2:
        raise refuse(f"{classes} classes", "A classifier needs two at least.")


class Head(nn.Module):
    """1×1 convolution, then the mean over the map: GAP + FC with the CAM as a by-product.

    ``mean(W·f) = W·mean(f)``, so the logits equal those of global average pooling and a fully
    connected layer (Zhou et al. 2016). With ``cam_conv`` a 3×3×1024 convolution with batch
    norm and ReLU goes before, as in that paper.
    """

    def __init__(self, features: int, classes: int, config: ModelConfig,
                 dropout: float = 0.0) -> None:
        super().__init__()
        self.cam_conv: nn.Conv2d | None = None
        if config.cam_conv:
            wide = scaled(1024, config.width)
            self.cam_conv = nn.Conv2d(features, wide, 3, padding=1, bias=False)
            self.cam_norm = nn.BatchNorm2d(wide)
            features = wide
        # Whole channels are dropped, which equals dropping features after the mean.
        self.dropout = nn.Dropout2d(dropout)
        self.classifier = nn.Conv2d(features, classes, 1)

    def forward(self, features: Tensor) -> dict[str, Tensor]:
        """Map (N, F, h, w) to ``logits`` (N, K) and ``cam`` (N, h, w, K)."""
        if self.cam_conv is not None:
            features = F.relu(self.cam_norm(self.cam_conv(features)))
        maps = self.classifier(self.dropout(features))
        # avg_pool2d becomes AVERAGE_POOL_2D, which NPU compilers take; a mean becomes MEAN,
        # which some leave on the host.
        logits = F.avg_pool2d(maps, (maps.shape[2], maps.shape[3])).flatten(1)
        return {"logits": logits, "cam": maps.permute(0, 2, 3, 1)}


class Network(nn.Module):
    """A backbone and its head."""

    head: Head
    checkpoint: Checkpoint

    def extract(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, F, h, w): the backbone."""
        raise NotImplementedError

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Map (N, H, W, C) float32 in [0, 1] to ``logits`` (N, K) and ``cam`` (N, h, w, K)."""
        outputs: dict[str, Tensor] = self.head(self.extract(image.permute(0, 3, 1, 2)))
        return outputs


def max_pool(x: Tensor, kernel: int, stride: int, padding: int = 0,
             ceil_mode: bool = False) -> Tensor:
    """Return ``F.max_pool2d`` of values that are never negative (after a ReLU).

    Padding is a zero pad, which equals torch's −∞ there: −∞ becomes PADV2, which no CPU
    delegate takes. ``ceil_mode`` pads right and bottom, as far as a window reaches.
    """
    ends = []
    for size in (x.shape[2], x.shape[3]):
        span = size + 2 * padding - kernel
        steps = -(-span // stride) if ceil_mode else span // stride
        if ceil_mode and steps * stride >= size + padding:
            steps -= 1  # torch: the last window must begin inside the image
        ends.append(max(steps * stride + kernel - size - padding, 0))
    if padding or any(ends):
        x = F.pad(x, (padding, ends[1], padding, ends[0]))
    return F.max_pool2d(x, kernel, stride)


def initialise(module: nn.Module) -> None:
    """Initialise: Kaiming (He et al. 2015) convolutions, batch norm 1 and 0, small classifier."""
    for name, part in module.named_modules():
        if isinstance(part, nn.Conv2d):
            if name == "head.classifier":
                nn.init.normal_(part.weight, std=0.01)
            else:
                # torch's own fan_out ignores the groups of a depthwise convolution.
                fan_out = part.out_channels * part.kernel_size[0] * part.kernel_size[1]
                nn.init.normal_(part.weight, std=math.sqrt(2.0 * part.groups / fan_out))
            if part.bias is not None:
                nn.init.zeros_(part.bias)
        elif isinstance(part, nn.BatchNorm2d):
            nn.init.ones_(part.weight)
            nn.init.zeros_(part.bias)


def folded_parameters(module: nn.Module) -> int:
    """Return the parameter count with batch norm folded: weights and one bias per filter."""
    return sum(int(m.weight.numel()) + m.out_channels
               for m in module.modules() if isinstance(m, nn.Conv2d))


def grey_stem(weights: Tensor) -> Tensor:
    """Return an RGB first convolution (F, 3, k, k) summed for grey input, (F, 1, k, k)."""
    return torch.sum(weights, dim=1, keepdim=True)
