"""File and folder names become keyed ids, masks follow their images."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from deid_fixture import KEY

from bedside.deid import names


def test_folders_and_masks_keep_what_they_mean():
    assert names.folders(PurePosixPath("Benign/DOE/x.png"), KEY, ("benign",)).startswith("Benign/d")
    found = names.stems(["b/X (1).png", "b/X (1)_mask.png", "b/X (1)_mask_1.png", "b/a.png",
                         "b/a.jpg", "m/a.png"], KEY)
    stem = found["b/X (1).png"]
    assert found["b/X (1)_mask.png"] == stem + "_mask"
    assert found["b/X (1)_mask_1.png"] == stem + "_mask_1"
    assert len(set(found.values())) == 6


def test_a_mask_keeps_no_number_that_may_be_a_date_or_a_record():
    files = ["b/US.png", "b/US_mask.png", "b/US_mask_1.png", "b/US_mask_19620314.png",
             "b/US_mask_４７.png", "b/US_mask_123.png", "b/lost_mask_4711999.png"]
    found = names.stems(iter(files), KEY)
    image = found["b/US.png"]
    assert [found[f] for f in files[1:6]] == [
        image + tail for tail in ("_mask", "_mask_1", "_mask_2", "_mask_3", "_mask_4")]
    # Without its image it stays a mask, so that nobody takes it for an image.
    assert re.fullmatch(r"f[a-z0-9]+_mask", found[files[6]])
    assert "4711999" not in found[files[6]]
    assert len(set(found.values())) == len(files)
