"""Class activation maps: agreement and drawing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bedside.figures import (
    cam,
)
from bedside.figures.base import NotAvailable


def test_cam_agreement_of_equal_and_opposite_maps() -> None:
    plane = np.zeros((8, 8), np.float32)
    plane[:4] = 1
    assert cam.agreement(plane, plane) == {"correlation": pytest.approx(1), "iou": 1}
    assert cam.agreement(plane, 1 - plane) == {"correlation": pytest.approx(-1), "iou": 0}
    assert cam.agreement(plane, np.zeros_like(plane))["correlation"] is None


def test_cam_needs_the_output_and_says_so(run: Path) -> None:
    with pytest.raises(NotAvailable, match="'cam'"):
        cam.compute(run, "foreign")


def test_overlay_leaves_the_image_where_the_map_is_low() -> None:
    image = np.full((4, 4), 100, np.uint8)
    plane = np.zeros((4, 4), np.float32)
    plane[0, 0] = 1
    mixed = cam.overlay(image, plane)
    assert mixed[2, 2].tolist() == [100, 100, 100]
    assert mixed[0, 0].tolist() != [100, 100, 100]
