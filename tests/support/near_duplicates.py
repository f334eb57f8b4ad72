"""Near-duplicates of an image as data sets hold them, by kind; for tests and benchmarks."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

Image8 = np.ndarray
Maker = Callable[[Image8, np.random.Generator], Image8]


def resize(image: Image8, rng: np.random.Generator) -> Image8:
    """To 0.4 … 1.6 of its size, the aspect changed by up to 15%."""
    factor, aspect = rng.uniform(0.4, 1.6), rng.uniform(0.87, 1.15)
    size = (max(8, round(image.shape[1] * factor)),
            max(8, round(image.shape[0] * factor * aspect)))
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))


def jpeg(image: Image8, rng: np.random.Generator) -> Image8:
    """Through JPEG at quality 30 … 90."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=int(rng.integers(30, 91)))
    return np.asarray(Image.open(buffer))


def crop(image: Image8, rng: np.random.Generator, most: float = 0.1) -> Image8:
    """Up to ``most`` of the width or height cut off each of the four sides."""
    height, width = image.shape
    top, bottom = (rng.uniform(0, most, 2) * height).astype(int)
    left, right = (rng.uniform(0, most, 2) * width).astype(int)
    return image[top:height - bottom, left:width - right].copy()


def gain(image: Image8, rng: np.random.Generator) -> Image8:
    """Times 0.5 … 1.5 with clipping, or a gamma of 0.6 … 1.6, or a gain that falls with depth."""
    kind, unit = rng.integers(3), image / 255.0
    if kind == 0:
        unit = unit * rng.uniform(0.5, 1.5)
    elif kind == 1:
        unit = unit ** rng.uniform(0.6, 1.6)
    else:
        unit = unit * np.linspace(1.0, rng.uniform(0.4, 0.9), len(image))[:, None]
    return np.rint(255 * np.clip(unit, 0, 1)).astype(np.uint8)


def flip(image: Image8, rng: np.random.Generator) -> Image8:
    """Left to right, or upside down."""
    return (image[:, ::-1] if rng.integers(2) else image[::-1]).copy()


def caliper(image: Image8, rng: np.random.Generator) -> Image8:
    """Two dotted lines with crosses at their ends, numbered, and the measured length below."""
    marked = Image.fromarray(image)
    draw = ImageDraw.Draw(marked)
    height, width = image.shape
    for number in (1, 2):
        x0, y0, x1, y1 = rng.uniform(0.15, 0.85, 4) * [width, height, width, height]
        for t in np.linspace(0, 1, max(2, int(np.hypot(x1 - x0, y1 - y0) / 8))):
            x, y = x0 + (x1 - x0) * t, y0 + (y1 - y0) * t
            draw.rectangle((x, y, x + 1, y + 1), fill=255)
        for x, y in ((x0, y0), (x1, y1)):
            draw.line((x - 6, y, x + 6, y), fill=255, width=2)
            draw.line((x, y - 6, x, y + 6), fill=255, width=2)
        draw.text((x0 + 8, y0 + 4), str(number), fill=255)
    draw.text((10, height - 20), f"D1 {rng.uniform(5, 30):.2f} mm", fill=255)
    return np.asarray(marked)


KINDS: dict[str, Maker | None] = {
    "copy": None, "resize": resize, "re-encode": jpeg, "crop": crop, "gain": gain, "flip": flip,
    "caliper": caliper}


def write_near_duplicate(kind: str, source: Path, target: Path, rng: np.random.Generator) -> Path:
    """Write a near-duplicate of ``source`` under ``target``'s stem and return its path."""
    target.parent.mkdir(parents=True, exist_ok=True)
    make = KINDS[kind]
    if make is None:
        target = target.with_suffix(source.suffix)
        target.write_bytes(source.read_bytes())
        return target
    with Image.open(source) as stored:
        image = np.asarray(stored.convert("L"))
    if kind == "re-encode":
        target = target.with_suffix(".jpg")
        Image.fromarray(image).save(target, quality=int(rng.integers(30, 91)))
        return target
    target = target.with_suffix(".png")
    Image.fromarray(make(image, rng)).save(target, compress_level=1)
    return target
