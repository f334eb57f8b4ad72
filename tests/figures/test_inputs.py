"""Layers and noise that several figures read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bedside.figures import (
    inputs,
)
from bedside.runfolder import layout
from bedside.runtime.graph import read_graph


def test_sqnr_falls_20_db_for_ten_times_the_noise() -> None:
    rng = np.random.default_rng(0)
    signal, noise = rng.normal(size=500), rng.normal(size=500)
    near, far = inputs.sqnr_db(signal, signal + 0.01 * noise), inputs.sqnr_db(
        signal, signal + 0.1 * noise)
    assert near is not None and far is not None
    assert near - far == pytest.approx(20.0)
    assert inputs.sqnr_db(signal, signal) is None
    assert inputs.sqnr_db(np.zeros(3), np.ones(3)) is None


def test_last_convolution_is_the_one_before_the_classifier(run: Path) -> None:
    graph = read_graph(layout.model_dir(run, "tiny") / layout.FLOAT_MODEL)
    layers = [graph.layer(o) for o in graph.convolutions()]
    assert layers[-2].endswith("last") and layers[-1].endswith("head")
    for name in (None, "no such layer", layers[-2]):
        assert inputs.last_conv(graph, name, 2) == len(layers) - 2
    assert inputs.last_conv(graph, layers[1], 2) == 1
