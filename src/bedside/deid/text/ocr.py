"""The text detector of RapidOCR (PP-OCR, Apache-2.0): the only file that imports it.

Its models lie inside the package; they are named by path, so that nothing is ever downloaded.
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
import numpy.typing as npt

from bedside.core.errors import MissingComponent

_DETECTOR = "PP-OCRv6_det_small.onnx"
_RECOGNISER = "PP-OCRv6_rec_small.onnx"
_GRID = 32
# A larger picture is looked at in bands, which keeps memory bounded; they overlap by more than
# the highest letters.
_MOST_PX, _OVERLAP_PX = 2_500_000, 64


def _models() -> tuple[Path, Path]:
    found = importlib.util.find_spec("rapidocr")
    folder = Path(found.origin).parent / "models" if found and found.origin else None
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
    """Raises MissingComponent where the engine or its models are not installed."""
    _models()


def probability(picture: npt.NDArray[np.uint8], scale: float = 1.0) -> npt.NDArray[np.float32]:
    """How likely each pixel lies in the middle of a line of text.

    Args:
        picture: (H, W) or (H, W, 3) uint8.
        scale: by how much it is enlarged before.

    Returns:
        (H, W) float32 in [0, 1].

    Raises:
        MissingComponent: the engine or its models are not installed.
    """
    height, width = picture.shape[:2]
    bands = math.ceil(height * width * scale**2 / _MOST_PX)
    if bands == 1:
        return _probability(picture, scale)
    found = np.zeros((height, width), np.float32)
    edges = np.linspace(0, height, bands + 1).astype(int)
    for start, stop in itertools.pairwise(edges):
        rows = slice(max(0, start - _OVERLAP_PX), stop + _OVERLAP_PX)
        found[rows] = np.maximum(found[rows], _probability(picture[rows], scale))
    return found


def _probability(picture: npt.NDArray[np.uint8], scale: float) -> npt.NDArray[np.float32]:
    import cv2

    engine = _engine()
    height, width = picture.shape[:2]
    colour = picture if picture.ndim == 3 else np.repeat(picture[..., None], 3, axis=2)
    size = tuple(max(_GRID, round(n * scale / _GRID) * _GRID) for n in (width, height))
    big = cv2.resize(colour, size, interpolation=cv2.INTER_LINEAR)
    tensor = ((big[..., ::-1].astype(np.float32) / 255 - 0.5) / 0.5).transpose(2, 0, 1)[None]
    answer = engine.text_det.session(np.ascontiguousarray(tensor))
    found: npt.NDArray[np.float32] = cv2.resize(
        np.asarray(answer)[0, 0], (width, height), interpolation=cv2.INTER_LINEAR)
    return found


def read(lines: list[npt.NDArray[np.uint8]]) -> list[tuple[str, float]]:
    """What each cropped line says, and how sure that is (0 to 1)."""
    from rapidocr.ch_ppocr_rec import TextRecInput

    if not lines:
        return []
    colour = [p if p.ndim == 3 else np.repeat(p[..., None], 3, axis=2) for p in lines]
    found = _engine().text_rec(TextRecInput(img=[np.ascontiguousarray(c[..., ::-1])
                                                 for c in colour], return_word_box=False))
    return [(str(t), float(s)) for t, s in zip(found.txts, found.scores, strict=True)]
