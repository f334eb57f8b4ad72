"""The choice of the least similar maps."""

from __future__ import annotations

import numpy as np
from analyse_fixture import figure_data

from bedside.figures import least_similar


def test_each_image_is_chosen_once_by_its_least_similar_map() -> None:
    seen = [(0.9, "int8", 0), (0.2, "int8", 1), (0.1, "dynamic", 1), (0.5, "int8", 2),
            (0.6, "int8", 3), (0.7, "int8", 4)]
    assert least_similar.choose(seen) == [
        (0.1, "dynamic", 1), (0.5, "int8", 2), (0.6, "int8", 3), (0.7, "int8", 4)]


def test_the_arrays_hold_one_row_a_chosen_map(flipped) -> None:
    data = figure_data(flipped, "fidelity")
    count = len(data.facts["worst"])
    assert count == least_similar.WORST
    assert {k: len(v) for k, v in data.arrays.items()} == dict.fromkeys(
        ("images", "masks", "before", "after"), count)
    assert np.min(data.arrays["after"]) >= 0 and np.max(data.arrays["after"]) <= 1
