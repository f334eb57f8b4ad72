"""Figure 2: the layout of a block."""

from __future__ import annotations

from bedside.figures import network_drawing


def test_network_layout_keeps_chains_on_a_line() -> None:
    nodes = [{"inputs": [-1]}, {"inputs": [-1]}, {"inputs": [1]}, {"inputs": [-1]},
             {"inputs": [0, 2, 3]}]
    assert network_drawing.layout(nodes) == [(0, 0), (0, 1), (1, 1), (0, 2), (2, 0)]
