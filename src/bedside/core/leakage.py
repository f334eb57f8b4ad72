"""Published comparison of a split by image with a split by group. No logic lives here."""

from __future__ import annotations

from dataclasses import dataclass

from bedside.core.types import Estimate


@dataclass(frozen=True, slots=True)
class Arm:
    """One way to split: metrics of all images, and of those that share a group with another."""

    split: str
    metrics: dict[str, Estimate]
    related: dict[str, Estimate]


@dataclass(frozen=True, slots=True)
class Leakage:
    """``leakage.json``. ``related``: images that share a group with another image.

    ``difference``: AUC (macro one against rest where no class is positive) by image less by
    group, on the same images. Its interval resamples groups: it covers the draw of the images,
    not that of another training seed.
    """

    model: str
    image_px: int
    epochs: int
    folds: int
    seed: int
    images: int
    related: int
    arms: tuple[Arm, ...]
    difference: Estimate
    cases_sha256: str = ""
    schema: int = 1
