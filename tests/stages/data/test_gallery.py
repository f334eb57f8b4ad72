"""Thumbnails of readable images, none of the others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from data_fixture import save, texture

from bedside.stages.data.gallery import thumbnails


def test_readable_images_alone_have_a_thumbnail(tmp_path: Path) -> None:
    save(tmp_path / "a.png", texture(1, 300, 400))
    save(tmp_path / "deep.png", texture(2).astype(np.uint16) * 200)
    (tmp_path / "bad.png").write_bytes(b"no image")
    result = thumbnails(tmp_path, ["a.png", "bad.png", "deep.png", "a.png", "gone.png"])
    assert list(result) == ["a.png", "deep.png"]
    assert all(uri.startswith("data:image/jpeg;base64,") for uri in result.values())
