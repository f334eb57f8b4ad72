"""Training batches: images from the pixel store with augmentation for ultrasound.

Probe position and patient give flips, small rotations, shifts and scale; the machine's settings
give gain and contrast (dynamic range); coherent imaging gives speckle. The transforms are
MONAI's. Every image draws from a generator of its own, seeded by (seed, epoch, position), so a
training that was interrupted sees the same images as one that was not.
"""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from bedside.runtime.pixels import PixelStore
from bedside.runtime.preprocess import normalise

# MONAI's import loads optional packages that log about missing GPU libraries.
_level = logging.root.manager.disable
logging.disable(logging.WARNING)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from monai.data.meta_obj import set_track_meta
    from monai.transforms.compose import Compose
    from monai.transforms.intensity.array import RandAdjustContrast, RandScaleIntensity
    from monai.transforms.spatial.array import RandAffine, RandFlip
    from monai.transforms.transform import RandomizableTransform
logging.disable(_level)

# Strength 1: the variation between two good acquisitions of one lesion.
ROTATION_RAD = math.radians(10.0)
SHIFT = 0.06
SCALE = 0.10
GAIN = 0.20
LOG_GAMMA = 0.25
SPECKLE_SD = 0.08

Augment = Callable[[Tensor, int], Tensor]


class RandSpeckle(RandomizableTransform):
    """Multiplicative Gaussian noise, the first-order model of residual speckle.

    Args:
        sd: largest standard deviation of the factor; each image draws its own below it.
        prob: share of images it is applied to.
    """

    def __init__(self, sd: float, prob: float) -> None:
        RandomizableTransform.__init__(self, prob)
        self.sd = sd

    def __call__(self, img: Tensor) -> Tensor:
        """Map (C, H, W) float32 to the same."""
        self.randomize(None)
        if not self._do_transform:
            return img
        sd = float(self.R.uniform(0.0, self.sd))
        # torch draws 50,000 normals five times as fast as numpy's RandomState.
        generator = torch.Generator().manual_seed(int(self.R.randint(2**31 - 1)))
        return img * (1.0 + sd * torch.randn(img.shape, generator=generator))


def ultrasound(strength: float, height_px: int, width_px: int) -> Augment | None:
    """Return the augmentation of (C, H, W) float32 in [0, 1]; None at strength 0.

    Args:
        strength: multiplies every range; 1 is the default recipe.
        height_px: image height; shifts are a share of it.
        width_px: image width.

    Returns:
        A function of an image and a seed that gives an image of the same shape, in [0, 1].
    """
    if strength <= 0.0:
        return None
    logging.getLogger("monai").setLevel(logging.ERROR)
    # Plain tensors: MONAI's record of transforms costs more than the transforms.
    set_track_meta(False)
    shift = (SHIFT * strength * height_px, SHIFT * strength * width_px)
    low_gain = min(GAIN * strength, 0.9)
    chain = Compose([
        RandFlip(prob=0.5, spatial_axis=1),
        RandAffine(prob=0.8, rotate_range=ROTATION_RAD * strength, translate_range=shift,
                   scale_range=min(SCALE * strength, 0.5), mode="bilinear",
                   padding_mode="zeros", spatial_size=(height_px, width_px), cache_grid=True),
        RandScaleIntensity(factors=(-low_gain, GAIN * strength), prob=0.5),
        RandAdjustContrast(prob=0.5, gamma=(math.exp(-LOG_GAMMA * strength),
                                            math.exp(LOG_GAMMA * strength))),
        RandSpeckle(SPECKLE_SD * strength, prob=0.3),
    ])

    # One generator for all, reseeded for each image: making six costs as much as a transform.
    shared = np.random.RandomState()
    for transform in chain.transforms:
        transform.set_random_state(state=shared)

    def augment(image: Tensor, seed: int) -> Tensor:
        shared.seed(seed)
        varied: Tensor = chain(image)
        return varied.clamp_(0.0, 1.0)

    return augment


@dataclass(frozen=True)
class Batches:
    """Images of one split as batches. ``labels`` (n,) int64 fit ``ids``."""

    store: PixelStore
    ids: tuple[str, ...]
    labels: npt.NDArray[np.int64]
    size: int

    def steps(self) -> int:
        """Return the training steps per epoch, without a last batch of a single image."""
        full, rest = divmod(len(self.ids), self.size)
        return full + (rest > 1)

    def in_order(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield every image once, unchanged: (n, H, W, C) float32 in [0, 1] and labels (n,)."""
        for start in range(0, len(self.ids), self.size):
            rows = range(start, min(start + self.size, len(self.ids)))
            yield self._batch(rows, None, 0, 0)

    def shuffled(self, augment: Augment | None, seed: int, epoch: int
                 ) -> Iterator[tuple[Tensor, Tensor, list[str]]]:
        """Yield one epoch of training: images, labels, ids; determined by seed and epoch."""
        order = np.random.default_rng([seed, epoch]).permutation(len(self.ids)).tolist()
        # Made in this thread: an image costs 2% of its training step (benchmarks/data_loading.py),
        # and a worker would only take the cores that the step is using.
        for step in range(self.steps()):
            rows = order[step * self.size:(step + 1) * self.size]
            images, labels = self._batch(rows, augment, seed, epoch)
            yield images, labels, [self.ids[i] for i in rows]

    def _batch(self, rows: Sequence[int], augment: Augment | None, seed: int, epoch: int
               ) -> tuple[Tensor, Tensor]:
        spec = self.store.preprocess
        images = torch.empty((len(rows), spec.height_px, spec.width_px, spec.channels))
        for place, row in enumerate(rows):
            case_id = self.ids[row]
            image = torch.from_numpy(normalise(self.store.pixels(case_id), spec, case_id))
            if augment is not None:
                own = int(np.random.SeedSequence([seed, epoch, row]).generate_state(1)[0])
                image = augment(image.permute(2, 0, 1).contiguous(), own).permute(1, 2, 0)
            images[place] = image
        return images, torch.from_numpy(self.labels[list(rows)])
