"""Operations of published ImageNet networks at 224 × 224 × 3, from their architectures.

Published latencies refer to them; nothing here is trained or run. Batch norm is folded,
ReLU is fused, concatenations and additions move data.
Sources: He et al. 2016 (ResNet, Table 1); Szegedy et al. 2015 (GoogLeNet, Table 1), with 3×3 in
place of 5×5 as in torchvision, whose weights Qualcomm's models carry.
"""

from __future__ import annotations

from bedside.core.errors import BadInput
from bedside.core.registry import did_you_mean
from bedside.targets.roofline import Work

CLASSES = 1000


class _Builder:
    """Builder of a sequence of operations; ``px`` and ``channels`` are the last one's."""

    def __init__(self, kind: str) -> None:
        self.kind, self.rows = kind, list[Work]()
        self.px, self.channels = 224, 3

    def _add(self, op: str, macs: int, weights: int, activations: int) -> None:
        number = len(self.rows)
        self.rows.append(Work(number, op, f"{op.lower()}_{number}", self.kind, macs, weights,
                              activations))

    def conv(self, out: int, kernel: int, stride: int = 1, source: tuple[int, int] | None = None
             ) -> None:
        px, channels = source or (self.px, self.channels)
        side = -(-px // stride)
        weights = kernel * kernel * channels * out
        self._add("CONV_2D", weights * side * side, weights + out,
                  px * px * channels + side * side * out)
        self.px, self.channels = side, out

    def pool(self, stride: int) -> None:
        before = self.px * self.px * self.channels
        self.px = -(-self.px // stride)
        self._add("MAX_POOL_2D", 0, 0, before + self.px * self.px * self.channels)

    def add(self) -> None:
        self._add("ADD", 0, 0, 3 * self.px * self.px * self.channels)

    def concat(self, channels: int) -> None:
        self.channels = channels
        self._add("CONCATENATION", 0, 0, 2 * self.px * self.px * channels)

    def head(self) -> None:
        self._add("MEAN", 0, 0, self.px * self.px * self.channels + self.channels)
        weights = self.channels * CLASSES
        self._add("FULLY_CONNECTED", weights, weights + CLASSES, self.channels + CLASSES)


# Blocks per stage, and whether a block is a bottleneck (He et al. 2016, Table 1).
RESNETS = {"resnet18": ((2, 2, 2, 2), False), "resnet34": ((3, 4, 6, 3), False),
           "resnet50": ((3, 4, 6, 3), True)}

# 1×1; 3×3 reduce, 3×3; second 3×3 reduce, second 3×3; pool projection (Szegedy et al., Table 1).
INCEPTIONS = (
    (64, 96, 128, 16, 32, 32), (128, 128, 192, 32, 96, 64), None,
    (192, 96, 208, 16, 48, 64), (160, 112, 224, 24, 64, 64), (128, 128, 256, 24, 64, 64),
    (112, 144, 288, 32, 64, 64), (256, 160, 320, 32, 128, 128), None,
    (256, 160, 320, 32, 128, 128), (384, 192, 384, 48, 128, 128))


def _resnet(build: _Builder, name: str) -> None:
    blocks, bottleneck = RESNETS[name]
    build.conv(64, 7, 2)
    build.pool(2)
    for stage, count in enumerate(blocks):
        width = 64 * 2 ** stage
        out = width * (4 if bottleneck else 1)
        for number in range(count):
            stride = 2 if stage and not number else 1
            entry = (build.px, build.channels)
            if bottleneck:  # torchvision strides at the 3×3 ("v1.5")
                build.conv(width, 1)
                build.conv(width, 3, stride)
                build.conv(out, 1)
            else:
                build.conv(width, 3, stride)
                build.conv(out, 3)
            if entry != (build.px, build.channels):
                build.conv(out, 1, stride, entry)
            build.add()
    build.head()


def _googlenet(build: _Builder) -> None:
    build.conv(64, 7, 2)
    build.pool(2)
    build.conv(64, 1)
    build.conv(192, 3)
    build.pool(2)
    for widths in INCEPTIONS:
        if widths is None:
            build.pool(2)
            continue
        one, reduce3, three, reduce5, five, project = widths
        entry = (build.px, build.channels)
        build.conv(one, 1, source=entry)
        for narrow, wide in ((reduce3, three), (reduce5, five)):
            build.conv(narrow, 1, source=entry)
            build.conv(wide, 3)
        build.px, build.channels = entry
        build.pool(1)
        build.conv(project, 1)
        build.concat(one + three + five + project)
    build.head()


def network_works(name: str, kind: str = "float32") -> tuple[Work, ...]:
    """Return the operations of a published network, every number in the format ``kind``."""
    build = _Builder(kind)
    if name == "googlenet":
        _googlenet(build)
    elif name in RESNETS:
        _resnet(build, name)
    else:
        raise BadInput(f"no table of operations for {name!r}",
                       remedy=did_you_mean(name, ["googlenet", *RESNETS]))
    return tuple(build.rows)
