"""Figure 8: the weight distribution of the last convolution."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from analyse_fixture import figure_data


def test_weights_of_a_channel_take_at_most_255_values(run: Path) -> None:
    data = figure_data(run, "weights")
    rows = data.facts["schemes"]
    assert rows["int8"]["distinct_codes"] <= 255
    assert rows["int8"]["distinct"] <= rows["float32"]["distinct"]
    assert data.arrays["codes"][0] == 0 and data.arrays["codes"].sum() == rows["int8"]["values"]
    assert data.arrays["original"].sum() == data.arrays["quantized"].sum()
    assert rows["float32"]["sqnr_db"] is None and rows["float32"]["max_abs_difference"] == 0
    largest = max(np.abs([rows["float32"]["low"], rows["float32"]["high"]]))
    assert rows["int8"]["max_abs_difference"] <= largest / 127 / 2 * 1.001
