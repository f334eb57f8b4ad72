"""Landmarks of an image that survive a crop, a flip or a change of size.

A landmark is a blob: an extremum over place and scale of the difference of Gaussians (Lowe 2004,
Int. J. Comput. Vis. 60:91). The image around it, at its own scale, becomes a 64-bit hash of
signs of DCT terms, so that a crop (which moves and enlarges everything) leaves the hashes of the
landmarks that stay. Signs are blind to gain; mirroring turns a fixed set of them, so the hash of
the mirrored image needs no second pass. Rotation is not covered: no export rotates.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

Floats = npt.NDArray[np.float32]

SIDE_PX = 128
MOST = 24
BITS = 64
RECORD = np.dtype([("code", "<u8"), ("x", "<f2"), ("y", "<f2"), ("scale", "<f2")])

_LEVELS = tuple(0.8 * 2 ** (k / 3) for k in range(13))
# Blobs are sought from this level on; the patch of one is read from this many levels below it.
_COARSE = 4
_PATCH_PX = 24
# Grey levels; below it is rounding noise of flat images.
_WEAKEST = 0.1
_PATCH_RADIUS = 3.5


@functools.lru_cache(maxsize=32)
def _blurs(n: int) -> Floats:
    """Return the filters of all levels along an axis of ``n`` pixels, (levels, n, n)."""
    return np.stack([blur(n, sigma) for sigma in _LEVELS])


def blur(n: int, sigma: float) -> Floats:
    """Return a Gaussian filter along one axis as a matrix, (n, n); all rows sum to 1."""
    at = np.arange(n)
    weights = np.exp(-0.5 * ((at[:, None] - at[None]) / sigma) ** 2)
    weights /= weights.sum(axis=1, keepdims=True)
    # Far tails would be subnormal numbers, on which processors multiply many times slower.
    weights[weights < 1e-20] = 0.0
    matrix: Floats = weights.astype(np.float32)
    return matrix


def _terms() -> list[tuple[int, int]]:
    every = ((u, v) for u in range(_PATCH_PX) for v in range(_PATCH_PX) if u + v >= 2)
    return sorted(every, key=lambda t: (t[0] + t[1], t[0]))[:BITS]


_ROWS, _COLUMNS = (np.array(axis) for axis in zip(*_terms(), strict=True))
_K = np.arange(_PATCH_PX)
_DCT = np.cos(np.pi * (2 * _K[None] + 1) * _K[:, None] / (2 * _PATCH_PX)
              )[:int(max(_ROWS.max(), _COLUMNS.max())) + 1].astype(np.float32)
_GRID = ((np.arange(_PATCH_PX) + 0.5) / _PATCH_PX * 2 - 1) * _PATCH_RADIUS


def _pack(bits: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint64]:
    rows = np.ascontiguousarray(np.packbits(bits, axis=-1))
    return rows.view(">u8")[..., 0].astype(np.uint64)


# Bits that turn when the image is mirrored left to right, and upside down.
MIRROR = {"x": _pack(_COLUMNS % 2 == 1), "y": _pack(_ROWS % 2 == 1)}


def frame(height_px: int, width_px: int) -> tuple[int, int]:
    """Return the height and width of the image in which landmarks lie: the longer side is 128."""
    factor = SIDE_PX / max(height_px, width_px)
    return max(16, round(height_px * factor)), max(16, round(width_px * factor))


def landmarks(grey: npt.NDArray[np.uint8]) -> bytes:
    """Return up to 24 landmarks of an image, strongest first, as packed :data:`RECORD` entries.

    Args:
        grey: (H, W) uint8.
    """
    height, width = frame(*grey.shape)
    image = Image.fromarray(np.ascontiguousarray(grey))
    plane = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR), np.float32)
    # One product for all levels down the columns, then one a level along the rows.
    down = (_blurs(height).reshape(-1, height) @ plane).reshape(-1, height, width)
    stack: Floats = np.empty_like(down)
    for level, across in enumerate(_blurs(width)):
        np.matmul(down[level], across.T, out=stack[level])
    k, y, x, scale = _blobs(stack)
    found = np.zeros(len(x), RECORD)
    if len(x):
        found["code"] = _pack(_signs(stack, k, y, x, scale))
    found["x"], found["y"], found["scale"] = x, y, scale
    return found.tobytes()


def _blobs(stack: Floats) -> tuple[Any, Any, Any, Any]:
    """Return level of the patch, y, x and scale (px of the 128-pixel image) of the strongest."""
    dog = stack[_COARSE + 1:] - stack[_COARSE:-1]
    strength = np.abs(dog)
    k, y, x = _peaks(strength)
    sigma = np.array(_LEVELS)[k + _COARSE]
    height, width = dog.shape[1:]
    inside = (x > sigma) & (y > sigma) & (x < width - 1 - sigma) & (y < height - 1 - sigma)
    k, y, x = k[inside], y[inside], x[inside]
    best = np.argsort(-strength[k, y, x], kind="stable")[:MOST]
    k, y, x = k[best], y[best], x[best]
    here = dog[k, y, x]
    fine_x = x + _vertex(dog[k, y, x - 1], here, dog[k, y, x + 1])
    fine_y = y + _vertex(dog[k, y - 1, x], here, dog[k, y + 1, x])
    fine_k = k + _vertex(dog[k - 1, y, x], here, dog[k + 1, y, x])
    scale = _LEVELS[0] * 2 ** ((fine_k + _COARSE) / 3 + 1 / 6)
    return k, fine_y, fine_x, scale


def _peaks(strength: Floats) -> tuple[Any, Any, Any]:
    """Return level, y and x of values that none of their 26 neighbours exceeds, edges left out."""
    inner = strength[1:-1, 1:-1, 1:-1]
    peak = inner > _WEAKEST
    for axis in range(3):
        for start in (0, 2):
            beside = [slice(1, -1)] * 3
            beside[axis] = slice(start, strength.shape[axis] - 2 + start)
            peak &= inner >= strength[tuple(beside)]
    k, y, x = (at + 1 for at in np.nonzero(peak))
    # Few are left: these are compared with all neighbours.
    steps = np.stack(np.meshgrid(*[np.arange(-1, 2)] * 3, indexing="ij")).reshape(3, -1, 1)
    around = strength[k + steps[0], y + steps[1], x + steps[2]]
    highest = strength[k, y, x] >= around.max(axis=0)
    return k[highest], y[highest], x[highest]


def _vertex(before: Floats, here: Floats, after: Floats) -> Floats:
    """Return where the parabola through three values has its extremum, within half a step."""
    bend = before - 2 * here + after
    safe = np.where(np.abs(bend) > 1e-9, bend, 1.0)
    shift: Floats = np.where(np.abs(bend) > 1e-9, 0.5 * (before - after) / safe, 0.0)
    return np.clip(shift, -0.5, 0.5)


def _signs(stack: Floats, level: Any, y: Any, x: Any, scale: Any) -> npt.NDArray[np.bool_]:
    """Return the signs of the DCT terms of the patch around each landmark, (n, 64)."""
    height, width = stack.shape[1:]
    rows = np.clip(y[:, None] + _GRID * scale[:, None], 0, height - 1.001)
    columns = np.clip(x[:, None] + _GRID * scale[:, None], 0, width - 1.001)
    r, c = rows.astype(np.intp)[:, :, None], columns.astype(np.intp)[:, None, :]
    down = (rows[:, :, None] - r).astype(np.float32)
    right = (columns[:, None, :] - c).astype(np.float32)
    k = level[:, None, None]
    above = stack[k, r, c] * (1 - right) + stack[k, r, c + 1] * right
    below = stack[k, r + 1, c] * (1 - right) + stack[k, r + 1, c + 1] * right
    patch = above * (1 - down) + below * down
    patch -= patch.mean(axis=(1, 2), keepdims=True)
    positive: npt.NDArray[np.bool_] = (_DCT @ patch @ _DCT.T)[:, _ROWS, _COLUMNS] > 0
    return positive
