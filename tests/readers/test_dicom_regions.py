"""Tissue regions of ultrasound images."""

from __future__ import annotations

from bedside.readers.dicom_regions import Region, tissue_box


def test_tissue_regions():
    inside = Region(10, 20, 209, 169, 1, 1)
    assert tissue_box([inside], 200, 300) == (20, 10, 170, 210)
    for other in (Region(0, 0, 99, 99, 2, 1), Region(0, 0, 99, 99, 1, 3),
                  Region(0, 0, 300, 99, 1, 1), Region(-1, 0, 99, 99, 1, 1),
                  Region(99, 99, 0, 0, 1, 1), Region(0, 0, 20, 20, 1, 1)):
        assert tissue_box([other], 200, 300) is None
        assert tissue_box([other, inside], 200, 300) == (20, 10, 170, 210)
    assert tissue_box([Region(0, 0, 99, 99, 1, 1), Region(150, 50, 249, 149, 1, 1)],
                      200, 300) == (0, 0, 150, 250)
    assert tissue_box([Region(2, 2, 297, 197, 1, 1)], 200, 300) is None
    assert tissue_box([], 200, 300) is None
