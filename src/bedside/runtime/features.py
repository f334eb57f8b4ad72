"""Features and quality measures of an image and its outputs (formulas: ``docs/bundle.md``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from bedside.runtime.litert import CAM, LOGITS

Real = npt.NDArray[np.float64]
_TINY = 1e-6
# Added before a logarithm of a pixel measure, to bound it: a quarter of a grey level.
_SMALL = 1e-3
# Distance between the pixels compared by ``coarseness``.
_FAR_PX = 4
IMAGE = ("brightness", "contrast", "sharpness", "skewness", "direction", "coarseness")


def names(classes: int, cam: bool) -> tuple[str, ...]:
    """Return the names of :func:`of_outputs` and :func:`of_image`, in their order."""
    found = [f"logit:{k}" for k in range(classes)]
    if cam:
        found += [f"spread:{j}:{k}" for k in range(classes) for j in range(k + 1)]
        found += [f"peak:{k}" for k in range(classes)]
        found += [f"rough:{k}" for k in range(classes)]
    return (*found, *(f"image:{name}" for name in IMAGE))


def of_outputs(outputs: Mapping[str, npt.NDArray[np.float32]]) -> list[float]:
    """Return features of an image's ``logits`` (1, K) and, if there, ``cam`` (1, h, w, K)."""
    logits = outputs[LOGITS][0].astype(np.float64)
    found: list[float] = logits.tolist()
    if CAM not in outputs:
        return found
    cam = outputs[CAM][0].astype(np.float64)
    flat = cam.reshape(-1, cam.shape[2])
    centred = flat - flat.mean(axis=0)
    spread = centred.T @ centred / len(flat)
    for k in range(cam.shape[2]):
        found += [float(spread[j, k]) for j in range(k)]
        found.append(float(np.log(spread[k, k] + _TINY)))
    found += centred.max(axis=0).tolist()
    steps = np.concatenate([np.diff(cam, axis=0).reshape(-1, cam.shape[2]),
                            np.diff(cam, axis=1).reshape(-1, cam.shape[2])])
    rough = np.log((steps ** 2).mean(axis=0) + _TINY) if len(steps) else np.zeros(cam.shape[2])
    found += rough.tolist()
    return found


def of_image(resized: npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
             ) -> tuple[dict[str, float], list[float]]:
    """Return quality measures, and features, of resized pixels (H, W, C), before the division."""
    # A histogram and differences of integers: a sixth of the time of floating point on every
    # pixel.
    grey = resized[..., 0] if resized.shape[2] == 1 else resized.sum(axis=2, dtype=np.uint32)
    top = int(np.iinfo(resized.dtype).max) * resized.shape[2]
    counts = _counts(grey, top)
    levels = np.arange(top + 1) / top
    brightness = float(counts @ levels / grey.size)
    offset = levels - brightness
    contrast = float(np.sqrt(counts @ offset ** 2 / grey.size))
    down, across = _steps(grey[1:], grey[:-1]), _steps(grey[:, 1:], grey[:, :-1])
    neighbours = 2 * grey.size - sum(grey.shape)
    sharpness = (down + across) / neighbours / top if neighbours else 0.0
    quality = {"brightness": brightness, "contrast": contrast,
               "saturated": int(counts[top]) / grey.size, "black": int(counts[0]) / grey.size,
               "sharpness": sharpness / (contrast + _TINY)}
    far = sum(_mean(_steps(a, b), a.size, top) for a, b in (
        (grey[_FAR_PX:], grey[:-_FAR_PX]), (grey[:, _FAR_PX:], grey[:, :-_FAR_PX])))
    vertical = _mean(down, grey[1:].size, top)
    horizontal = _mean(across, grey[:, 1:].size, top)
    return quality, [
        brightness, float(np.log(contrast + _SMALL)), float(np.log(quality["sharpness"] + _SMALL)),
        float(counts @ offset ** 3 / grey.size / (contrast + _TINY) ** 3),
        float(np.log((horizontal + _SMALL) / (vertical + _SMALL))),
        float(np.log((far + _SMALL) / (horizontal + vertical + _SMALL)))]


def _mean(total: int, count: int, top: int) -> float:
    return total / count / top if count else 0.0


def _counts(grey: npt.NDArray[Any], top: int) -> npt.NDArray[Any]:
    """Return the number of pixels of each level, (top + 1)."""
    if grey.dtype == np.uint8:  # a third of the time
        return np.asarray(Image.fromarray(np.ascontiguousarray(grey)).histogram())
    return np.bincount(grey.ravel(), minlength=top + 1)


def _steps(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> int:
    """Return the sum of absolute differences of unsigned integers."""
    larger = np.maximum(one, other)
    larger -= np.minimum(one, other)
    # Half the time in 32 bits, where the sum cannot overflow.
    small = larger.size * int(np.iinfo(larger.dtype).max) < 2**32
    return int(np.add.reduce(larger, axis=None, dtype=np.uint32 if small else np.uint64))


def fit(features: Real) -> tuple[Real, Real]:
    """Return mean (d) and precision (d, d) of features (n, d).

    The correlation matrix is shrunk a tenth towards the identity, so that few images or
    features that depend on one another still give a finite distance.
    """
    mean: Real = features.mean(axis=0)
    scale = np.maximum(features.std(axis=0), _TINY)
    standard = (features - mean) / scale
    correlation = standard.T @ standard / len(features)
    shrunk = 0.9 * correlation + 0.1 * np.eye(len(mean))
    precision: Real = np.linalg.inv(shrunk) / np.outer(scale, scale)
    return mean, (precision + precision.T) / 2


def distances(features: Real, mean: Real, precision: Real) -> Real:
    """Return squared Mahalanobis distances of features (n, d)."""
    offset = features - mean
    found: Real = np.einsum("ni,ij,nj->n", offset, precision, offset)
    return found
