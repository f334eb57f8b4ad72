"""The scan decodes an image once, whatever it needs of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from data_fixture import save, scanned, texture

from bedside.readers.load import pixels_of
from bedside.stages.data import scan


def coloured(seed: int) -> np.ndarray:
    rgb = np.repeat(texture(seed, 120, 160)[..., None], 3, axis=2)
    rgb[20:60, 20:60] = (250, 40, 10)
    return rgb


@pytest.mark.parametrize(("name", "pixels", "is_16bit", "colour"), [
    ("grey.png", texture(1), False, False),
    ("deep.png", texture(1).astype(np.uint16) * 200, True, False),
    ("colour.png", coloured(2), False, True),
    ("equal.png", np.repeat(texture(3)[..., None], 3, axis=2), False, False)])
def test_an_image_is_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str,
                                  pixels: np.ndarray, is_16bit: bool, colour: bool) -> None:
    save(tmp_path / name, pixels)
    grey = pixels_of(tmp_path, name, 1)
    decoded = []

    def counted(*arguments):
        decoded.append(arguments)
        return pixels_of(*arguments)

    monkeypatch.setattr(scan, "pixels_of", counted)
    with scan.Thumbs() as thumbs:
        image, = scanned(tmp_path, [name], thumbs)
    assert len(decoded) == 1
    assert image.content == scan.content_hash(grey)
    assert (image.is_16bit, image.overlays.colour > 0) == (is_16bit, colour)
