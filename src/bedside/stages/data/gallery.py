"""Thumbnails of a data set's images, for a page that stays on this machine."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from bedside.core.errors import BadInput
from bedside.readers.load import pixels_of
from bedside.readers.parallel import ordered_map
from bedside.stages.data.scan import to_8bit

SIDE_PX = 224


def thumbnails(root: Path, files: Iterable[str], workers: int = 2) -> dict[str, str]:
    """Return JPEG data URIs by file, of at most 224 px, grey; unreadable images are absent.

    Args:
        root: the data set's folder, or its ``.npz``.
        files: names under it.
        workers: threads that decode.
    """
    names = list(dict.fromkeys(files))

    def small(file: str) -> str | None:
        try:
            grey = to_8bit(pixels_of(root, file, 1))
        except (BadInput, OSError):
            return None
        image = Image.fromarray(np.ascontiguousarray(grey))
        image.thumbnail((SIDE_PX, SIDE_PX))
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=72)
        return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()

    found = zip(names, ordered_map(small, names, workers), strict=True)
    return {name: uri for name, uri in found if uri is not None}
