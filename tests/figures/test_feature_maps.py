"""Figure 7: noise of feature maps and filters by scheme."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from analyse_fixture import figure_data

from bedside.figures import (
    feature_maps,
)


def test_half_precision_errs_less_than_int8_in_every_layer(run: Path) -> None:
    for layer in figure_data(run, "feature_maps").facts["layers"].values():
        half, integer = layer["schemes"]["float16"], layer["schemes"]["int8"]
        assert half["maps_sqnr_db"] > integer["maps_sqnr_db"] > 15
        assert half["filters_sqnr_db"] > integer["filters_sqnr_db"] > 30
        assert integer["filters_sqnr_db"] == layer["schemes"]["dynamic"]["filters_sqnr_db"]


def test_marked_channels_have_the_largest_differences(run: Path) -> None:
    first = figure_data(run, "feature_maps").facts["layers"]["first"]
    marked = {first["map_errors"][i] for i in first["marked_maps"]}
    assert marked == set(sorted(first["map_errors"], reverse=True)[:2])


def test_filter_tile_cuts_both_filters_alike() -> None:
    before = np.zeros((3, 3, 4), np.float32)
    before[1, 1, 2] = -7
    tile, other = feature_maps.filter_tile(before, before + 1)
    assert tile[1, 1] == -7 and np.array_equal(other, tile + 1)
    point = np.arange(10, dtype=np.float32).reshape(1, 1, 10)
    assert feature_maps.filter_tile(point, point)[0].tolist() == [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
