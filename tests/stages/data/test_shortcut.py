"""A planted shortcut is reported, and noise is not."""

from __future__ import annotations

import numpy as np

from bedside.core.types import Case
from bedside.stages.data import audit
from bedside.stages.data.overlays import OverlayFindings
from bedside.stages.data.scan import ScannedImage
from bedside.stages.data.shortcut import shortcuts


def image(i: int, label: str, width_px: int, calipers: int = 0) -> ScannedImage:
    case = Case(f"c{i}", f"{i}.png", label, group=f"g{i // 2}", split="train", height_px=100,
                width_px=width_px)
    return ScannedImage(case, "", bytes(32), overlays=OverlayFindings(calipers=calipers))


def test_a_planted_shortcut_is_named_and_noise_is_not() -> None:
    rng = np.random.default_rng(0)
    labels = ["malignant" if i % 2 else "benign" for i in range(200)]
    widths = [int(rng.integers(100, 120)) for _ in labels]
    calipers = [int(rng.random() < (0.8 if name == "malignant" else 0.2)) for name in labels]
    images = [image(i, *values) for i, values in enumerate(
        zip(labels, widths, calipers, strict=True))]
    by_name = {s.name: s for s in shortcuts(images, ("benign", "malignant"), "malignant", 0)}
    size, marks = by_name["picture size"], by_name["marks on the picture"]
    assert marks.warning and 0.7 < marks.auc.value < 0.9
    assert not size.warning and size.auc.low < 0.5
    note, = audit.shortcut_notes(list(by_name.values()))
    assert "image marks alone predict" in note and "malignant 0." in note


def test_no_figure_where_images_are_alike_or_few() -> None:
    alike = [image(i, "ab"[i % 2], 100) for i in range(40)]
    result = shortcuts(alike, ("a", "b"), "b", 0)
    assert {s.auc.reason for s in result} == {"all images are alike in it"}
    few = [image(i, "ab"[i % 2], 100 + i) for i in range(8)]
    result = shortcuts(few, ("a", "b"), "b", 0)
    assert all(s.auc.value is None and s.auc.reason for s in result)
