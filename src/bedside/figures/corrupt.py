"""Degraded images: speckle, gain, blur, JPEG compression, rotation."""

from __future__ import annotations

import functools
import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

from bedside.core import codec
from bedside.runtime.preprocess import Pixels

Floats = npt.NDArray[np.float64]
DYNAMIC_RANGE_DB = 60.0


@dataclass(frozen=True, slots=True)
class Corruption:
    """One kind of degradation at its strengths, in ``unit``; the weakest first."""

    kind: str
    strengths: tuple[float, ...]
    unit: str
    what: str


@dataclass(frozen=True, slots=True)
class _Table:
    corruptions: tuple[Corruption, ...]


@functools.cache
def table() -> tuple[Corruption, ...]:
    """Read the rows of ``corruptions.toml``."""
    return codec.read_toml(_Table, Path(__file__).with_name("corruptions.toml")).corruptions


def corrupt(pixels: Pixels, kind: str, strength: float, name: str) -> Pixels:
    """Degrade one image, reproducibly.

    Args:
        pixels: (H, W, C) uint8 or uint16.
        kind: a row of :func:`table`.
        strength: in the row's unit.
        name: the case, which seeds the noise, so that all models see the same image.

    Returns:
        The same shape and dtype. An image that would turn all black stays as it was.
    """
    peak = float(np.iinfo(pixels.dtype).max)
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
    changed = _KINDS[kind](pixels.astype(np.float64) / peak, strength, np.random.default_rng(seed))
    whole = np.rint(np.clip(changed, 0.0, 1.0) * peak)
    if not whole.any():
        return pixels
    return whole.astype(np.uint8) if pixels.dtype == np.uint8 else whole.astype(np.uint16)


def _speckle(image: Floats, strength: float, rng: np.random.Generator) -> Floats:
    # One number a pixel: colour channels of ultrasound are copies of one another.
    noise: Floats = image * (1.0 + strength * rng.standard_normal(image.shape[:2])[..., None])
    return noise


def _gain(image: Floats, strength: float, rng: np.random.Generator) -> Floats:
    del rng
    return image + strength / DYNAMIC_RANGE_DB


def _blur(image: Floats, strength: float, rng: np.random.Generator) -> Floats:
    del rng
    sigma = strength / 100 * min(image.shape[:2])
    blurred: Floats = ndimage.gaussian_filter(image, (sigma, sigma, 0), mode="nearest")
    return blurred


def _jpeg(image: Floats, strength: float, rng: np.random.Generator) -> Floats:
    del rng
    planes = np.rint(255 * image).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(planes[..., 0] if planes.shape[2] == 1 else planes).save(
        buffer, format="JPEG", quality=round(strength))
    back: Floats = np.asarray(Image.open(buffer), np.float64).reshape(image.shape) / 255
    return back


def _rotation(image: Floats, strength: float, rng: np.random.Generator) -> Floats:
    del rng
    turned: Floats = ndimage.rotate(image, strength, axes=(1, 0), reshape=False, order=1,
                                    mode="nearest")
    return turned


_KINDS: dict[str, Callable[[Floats, float, np.random.Generator], Floats]] = {
    "speckle": _speckle, "gain": _gain, "blur": _blur, "jpeg": _jpeg, "rotation": _rotation}
