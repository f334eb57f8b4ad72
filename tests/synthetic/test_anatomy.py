"""The echo map of a breast: layers in decibels, the same for the same seed."""

from __future__ import annotations

import numpy as np

from bedside.core.study import PhantomConfig
from bedside.synthetic import phantom
from bedside.synthetic.anatomy import breast


def test_the_tissue_follows_from_the_seed_alone() -> None:
    grid = phantom.grid_of(PhantomConfig(images=2, height_px=120, width_px=160))
    first, again, other = (breast(np.random.default_rng(s), grid) for s in (1, 1, 2))
    for name in ("level_db", "specular", "gain_db"):
        plane = getattr(first, name)
        assert plane.dtype == np.float32 and plane.shape == (120, 160)
        assert np.isfinite(plane).all() and np.array_equal(plane, getattr(again, name))
    assert not np.array_equal(first.level_db, other.level_db)
    assert (first.specular >= 0).all()
