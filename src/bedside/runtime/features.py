"""What an answer is judged by besides its logits; ``docs/bundle.md`` states every formula."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from bedside.runtime.litert import CAM, LOGITS

Real = npt.NDArray[np.float64]
_TINY = 1e-6


def names(classes: int, cam: bool) -> tuple[str, ...]:
    """The names of :func:`of_outputs`, in its order."""
    found = [f"logit:{k}" for k in range(classes)]
    if cam:
        found += [f"spread:{j}:{k}" for k in range(classes) for j in range(k + 1)]
        found += [f"peak:{k}" for k in range(classes)]
        found += [f"rough:{k}" for k in range(classes)]
    return tuple(found)


def of_outputs(outputs: Mapping[str, npt.NDArray[np.float32]]) -> list[float]:
    """Features of one image's outputs: ``logits`` (1, K) and, if there, ``cam`` (1, h, w, K)."""
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


def of_pixels(resized: npt.NDArray[np.uint8] | npt.NDArray[np.uint16]) -> dict[str, float]:
    """Quality measures of resized pixels (H, W, C), before the division."""
    # A histogram and differences of whole numbers: a sixth of the time that floats of every
    # pixel take.
    grey = resized[..., 0] if resized.shape[2] == 1 else resized.sum(axis=2, dtype=np.uint32)
    top = int(np.iinfo(resized.dtype).max) * resized.shape[2]
    counts = np.bincount(grey.ravel(), minlength=top + 1)
    levels = np.arange(top + 1) / top
    brightness = float(counts @ levels / grey.size)
    contrast = float(np.sqrt(counts @ (levels - brightness) ** 2 / grey.size))
    steps = _steps(grey[1:], grey[:-1]) + _steps(grey[:, 1:], grey[:, :-1])
    neighbours = 2 * grey.size - sum(grey.shape)
    sharpness = steps / neighbours / top if neighbours else 0.0
    return {"brightness": brightness, "contrast": contrast,
            "saturated": int(counts[top]) / grey.size, "black": int(counts[0]) / grey.size,
            "sharpness": sharpness / (contrast + _TINY)}


def _steps(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> int:
    """Sum of absolute differences of unsigned whole numbers."""
    larger = np.maximum(one, other)
    larger -= np.minimum(one, other)
    return int(np.add.reduce(larger, axis=None, dtype=np.uint64))


def fit(features: Real) -> tuple[Real, Real]:
    """Mean (d) and precision (d, d) of features (n, d).

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
    """Squared Mahalanobis distances of features (n, d)."""
    offset = features - mean
    found: Real = np.einsum("ni,ij,nj->n", offset, precision, offset)
    return found
