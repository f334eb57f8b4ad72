"""Text detection and recognition by RapidOCR (PP-OCR, Apache-2.0); no other file imports it.

Its models ship inside the package and are named by path, so that nothing is ever downloaded.
"""

from __future__ import annotations

import functools
import importlib.util
import itertools
import logging
import math
from pathlib import Path
from typing import Any

import numpy as np

from bedside.core.errors import MissingComponent
from bedside.deid.text.background import Floats, Image
from bedside.deid.text.parameters import OCR

_DETECTOR = "PP-OCRv6_det_small.onnx"
_RECOGNISER = "PP-OCRv6_rec_small.onnx"


def _models() -> tuple[Path, Path]:
    spec = importlib.util.find_spec("rapidocr")
    folder = Path(spec.origin).parent / "models" if spec and spec.origin else None
    if folder is None or not all((folder / m).is_file() for m in (_DETECTOR, _RECOGNISER)):
        raise MissingComponent(
            "the search for text in pixels needs rapidocr 3.10 with its models",
            remedy="Install the workbench: pip install 'bedside[workbench]'.")
    return folder / _DETECTOR, folder / _RECOGNISER


@functools.cache
def _engine() -> Any:
    detector, recogniser = _models()
    try:
        from rapidocr import RapidOCR
    except ImportError:
        raise MissingComponent("rapidocr cannot be imported (it needs onnxruntime and OpenCV)",
                               remedy="Install the workbench: pip install 'bedside[workbench]'."
                               ) from None
    engine = RapidOCR(params={
        "Global.log_level": "critical", "Det.model_path": str(detector),
        "Rec.model_path": str(recogniser), "EngineConfig.onnxruntime.intra_op_num_threads": 1,
        "EngineConfig.onnxruntime.inter_op_num_threads": 1})
    logging.getLogger("RapidOCR").setLevel(logging.CRITICAL + 1)
    engine._load_det_model()  # type: ignore[no-untyped-call]
    engine._load_rec_model()  # type: ignore[no-untyped-call]
    return engine


def check() -> None:
    """Raise MissingComponent where the engine or its models are not installed."""
    _models()


def probability(image: Image, scale: float = 1.0) -> Floats:
    """Return the probability of each pixel to lie in the middle of a line of text.

    Args:
        image: (H, W) or (H, W, 3) uint8.
        scale: enlargement before the detection.

    Returns:
        (H, W) float32 in [0, 1].

    Raises:
        MissingComponent: the engine or its models are not installed.
    """
    height, width = image.shape[:2]
    bands = math.ceil(height * width * scale**2 / OCR.band_px)
    if bands == 1:
        return _probability(image, scale)
    out = np.zeros((height, width), np.float32)
    edges = np.linspace(0, height, bands + 1).astype(int)
    for start, stop in itertools.pairwise(edges):
        rows = slice(max(0, start - OCR.overlap_px), stop + OCR.overlap_px)
        out[rows] = np.maximum(out[rows], _probability(image[rows], scale))
    return out


def _probability(image: Image, scale: float) -> Floats:
    import cv2

    engine = _engine()
    height, width = image.shape[:2]
    colour = image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)
    grid = OCR.grid_px
    size = tuple(max(grid, round(n * scale / grid) * grid) for n in (width, height))
    big = cv2.resize(colour, size, interpolation=cv2.INTER_LINEAR)
    tensor = ((big[..., ::-1].astype(np.float32) / 255 - 0.5) / 0.5).transpose(2, 0, 1)[None]
    answer = engine.text_det.session(np.ascontiguousarray(tensor))
    out: Floats = cv2.resize(np.asarray(answer)[0, 0], (width, height),
                             interpolation=cv2.INTER_LINEAR)
    return out


def read(lines: list[Image]) -> list[tuple[str, float]]:
    """Return the text of each cropped line and its score in [0, 1]."""
    from rapidocr.ch_ppocr_rec import TextRecInput

    if not lines:
        return []
    colour = [p if p.ndim == 3 else np.repeat(p[..., None], 3, axis=2) for p in lines]
    answer = _engine().text_rec(TextRecInput(img=[np.ascontiguousarray(c[..., ::-1])
                                                  for c in colour], return_word_box=False))
    return [(str(t), float(s)) for t, s in zip(answer.txts, answer.scores, strict=True)]
