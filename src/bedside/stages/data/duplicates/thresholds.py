"""How alike two images must be, learned from how alike the data set's different images are.

Chest radiographs share ribs and a heart: at 28 pixels two patients correlate by 0.27 on average and
by 0.91 at most, where ultrasound of two patients hardly correlates at all. A fixed limit joins the
former. So the correlation of random pairs is measured first, nearly all of them pairs of different
images, and a pair must lie beyond what so many pairs reach by chance.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

Mode = Literal["exact", "strict", "default", "off"]
MODES: tuple[Mode, ...] = ("exact", "strict", "default", "off")

MIN_CORRELATION = 0.5
# From here on the correlation of whole thumbnails needs no second witness.
SURE_CORRELATION = 0.7
# Medians over the blocks of an overlay. On BUSI pairs that an eye calls one scan have 0.46 or
# more and others 0.43 or less; without like layouts (landmarks) the gap is wider.
MIN_MEDIAN_WHOLE = 0.45
MIN_MEDIAN = 0.6

# Fewer images say nothing about a distribution.
FEWEST = 32
_SMALL_PX = 48
_PAIRS = 4096
_PAIRS_OF_BLOCKS = 192
# Beyond the largest of so many normal values. On PneumoniaMNIST it is exceeded by 0.8, on BUSI
# by nothing; near-duplicates begin at 7.5 there.
_SPARE = 1.6
# A class has fewer pairs, and images that resemble all of them weigh more.
_SPARE_OF_CLASS = 0.7
# A data set of one video must not teach that its frames are different images.
_HIGHEST = 0.97
_SEED = 20220103


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Least correlations of near-duplicates.

    ``weak`` and ``whole_median``: both are needed where the correlation is below ``sure``.
    ``part_median``: of a pair that its landmarks found. ``floors``: by row, what images of its
    class reach among each other, where that is more.
    """

    sure: float = SURE_CORRELATION
    weak: float = MIN_CORRELATION
    whole_median: float = MIN_MEDIAN_WHOLE
    part_median: float = MIN_MEDIAN
    floors: Mapping[int, float] = field(default_factory=dict)

    def floor(self, a: int, b: int) -> float:
        """Return the least correlation of two rows by their classes."""
        return max(self.floors.get(a, 0.0), self.floors.get(b, 0.0))


_STRICT = Thresholds(0.9, 0.9, 0.8, 0.8)

Score = Callable[[npt.NDArray[np.int64], npt.NDArray[np.int64]], npt.NDArray[np.float64]]


def learn(images: Sequence[int], sides_px: Sequence[int], correlation: Score, median: Score,
          strict: bool = False, labels: Sequence[str] = ()) -> Thresholds:
    """Return the thresholds for one data set.

    The correlations of random pairs, made normal by Fisher's z, have a median m and a spread s
    (the distance from m to the 16th percentile, which near-duplicates cannot widen). The largest
    of N normal values lies near m + s √(2 ln N); pairs must exceed that by 1.6 s. A data set of
    several organs or views has a distribution for each, so that classes are measured by themselves,
    too.

    Args:
        images: rows of the images to be compared, one of each set of equal ones.
        sides_px: the shorter side of each.
        correlation: of pairs of rows, whole thumbnails.
        median: of pairs of rows, over the blocks of the thumbnails.
        strict: whether only near-identical images may be joined.
        labels: the class of each image, or none.
    """
    base = _STRICT if strict else Thresholds()
    n = len(images)
    if n < FEWEST:
        # Of few small images nothing can be learned, and their detail is what all share.
        small = n > 0 and float(np.median(np.asarray(sides_px))) < _SMALL_PX
        return _STRICT if small else base
    rng = np.random.default_rng(_SEED)
    reach = _reach(n)
    whole = _beyond(correlation(*_pairs(images, _PAIRS, rng)), reach)
    # The second witness of a pair that is likely already needs to exclude less by itself.
    blocks = median(*_pairs(images, _PAIRS_OF_BLOCKS, rng))
    return Thresholds(
        max(base.sure, whole), max(base.weak, whole),
        max(base.whole_median, _beyond(blocks, reach - 2.6)),
        max(base.part_median, _beyond(blocks, reach)), _floors(images, labels, correlation, rng))


def _reach(n: int) -> float:
    return float(np.sqrt(2 * np.log(n * (n - 1) / 2))) + _SPARE


def _floors(images: Sequence[int], labels: Sequence[str], correlation: Score,
            rng: np.random.Generator) -> dict[int, float]:
    by_class: dict[str, list[int]] = {}
    for row, label in zip(images, labels, strict=False):
        by_class.setdefault(label, []).append(row)
    floors: dict[int, float] = {}
    if len(by_class) > 1:
        for rows in by_class.values():
            if len(rows) >= FEWEST:
                pairs = _pairs(rows, _PAIRS // len(by_class) + _PAIRS_OF_BLOCKS, rng)
                floors |= dict.fromkeys(rows, _beyond(
                    correlation(*pairs), _reach(len(rows)) + _SPARE_OF_CLASS))
    return floors


def _pairs(images: Sequence[int], count: int, rng: np.random.Generator
           ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    rows = np.asarray(images, np.int64)
    first = rng.integers(0, len(rows), count)
    second = (first + rng.integers(1, len(rows), count)) % len(rows)
    return rows[first], rows[second]


def _beyond(scores: npt.NDArray[np.float64], reach: float) -> float:
    z = np.arctanh(np.clip(scores, -0.9999, 0.9999))
    low, middle = np.quantile(z, [0.16, 0.5])
    return min(_HIGHEST, float(np.tanh(middle + reach * max(0.02, middle - low))))
