"""Ultrasound regions, (0018,6011): the part of the image that is tissue (PS3.3 C.8.5.5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bedside.core.types import Box

TWO_D = 1  # Region Spatial Format: 2D
TISSUE = 1  # Region Data Type: tissue
# A region that is nearly the whole image includes the text around the tissue: vendors write
# such regions by habit, and they say nothing.
_NEARLY_ALL = 0.95
_SMALLEST_PX = 32


@dataclass(frozen=True, slots=True)
class Region:
    """One item of (0018,6011): corners in pixels, the lower right one inclusive."""

    x0: int
    y0: int
    x1: int
    y1: int
    spatial_format: int
    data_type: int


def regions_of(ds: Any) -> tuple[Region, ...]:
    """Return the regions of a ``pydicom.Dataset`` with a position and a meaning."""
    found = []
    for item in ds.get("SequenceOfUltrasoundRegions") or ():
        try:
            found.append(Region(*(int(item[k].value) for k in (
                "RegionLocationMinX0", "RegionLocationMinY0", "RegionLocationMaxX1",
                "RegionLocationMaxY1", "RegionSpatialFormat", "RegionDataType"))))
        except (KeyError, TypeError, ValueError):
            continue
    return tuple(found)


def tissue_box(regions: Sequence[Region], rows: int, columns: int) -> Box | None:
    """Return the smallest box around all 2-D tissue regions, or None where none can be trusted.

    A region counts if it is 2-D and of tissue, lies inside the image and has sides of at least
    32 pixels. A box that covers 95% of the image or more is not trusted.

    Returns:
        (top, left, bottom, right) in pixels, bottom and right exclusive.
    """
    boxes = [r for r in regions if r.spatial_format == TWO_D and r.data_type == TISSUE
             and r.x0 >= 0 and r.y0 >= 0 and r.x1 < columns and r.y1 < rows
             and min(r.x1 - r.x0, r.y1 - r.y0) + 1 >= _SMALLEST_PX]
    if not boxes:
        return None
    top, left = min(r.y0 for r in boxes), min(r.x0 for r in boxes)
    bottom, right = max(r.y1 for r in boxes) + 1, max(r.x1 for r in boxes) + 1
    if (bottom - top) * (right - left) >= _NEARLY_ALL * rows * columns:
        return None
    return top, left, bottom, right

