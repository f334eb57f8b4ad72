"""VGG16 with batch norm (Simonyan and Zisserman 2015), as the paper changed it.

2-2-3-3-3 convolutions of 3×3, batch norm after each, the last max-pool removed for a finer
class activation map, global average pooling instead of the fully connected layers.
Parameter names are those of torchvision's ``vgg16_bn``.
"""

from __future__ import annotations

from torch import Tensor, nn

from bedside.core.study import ModelConfig
from bedside.models.head import Checkpoint, Head, Network, check_config, initialise, scaled

_BLOCKS = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))


class VGG16(Network):
    """The network that the module's docstring describes."""

    checkpoint = Checkpoint("features.0", "features.1", (0.485, 0.456, 0.406),
                            (0.229, 0.224, 0.225), ("classifier.",))

    def __init__(self, config: ModelConfig, classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = config.channels
        for block, (filters, count) in enumerate(_BLOCKS):
            if block:
                layers.append(nn.MaxPool2d(2))
            for _ in range(count):
                wide = scaled(filters, config.width)
                layers += [nn.Conv2d(before, wide, 3, padding=1), nn.BatchNorm2d(wide),
                           nn.ReLU(inplace=True)]
                before = wide
        self.features = nn.Sequential(*layers)
        self.head = Head(before, classes, config)

    def extract(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, F, ⌊H/16⌋, ⌊W/16⌋)."""
        maps: Tensor = self.features(x)
        return maps


def build(config: ModelConfig, classes: int) -> Network:
    """Return VGG16 with random weights; smallest image 32 px. Raises BadInput."""
    check_config(config, classes, smallest_px=32)
    network = VGG16(config, classes)
    initialise(network)
    return network
