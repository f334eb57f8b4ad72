"""Figure 2: stages and counts of the network's file."""

from __future__ import annotations

from pathlib import Path

from analyse_fixture import figure_data

from bedside.figures import (
    network,
)


def test_network_counts_by_hand(run: Path) -> None:
    found = figure_data(run, "network").facts
    area = 16 * 16
    macs = area * (8 * 25 + 2 * 8 * 8 * 9 + 8 * 8 + 8 * 8 * 9 + 12 * 16 * 9 + 2 * 12)
    assert found["macs"] == macs
    assert found["parameters"] == sum((8 * 25 + 8, 2 * (8 * 8 * 9 + 8), 8 * 8 + 8,
                                       8 * 8 * 9 + 8, 12 * 16 * 9 + 12, 2 * 12 + 2))
    assert [s["kind"] for s in found["stages"]] == [
        "conv", "residual", "inception", "conv", "head"]
    assert found["stages"][0]["shape"] == [16, 16, 8]
    assert [d["kind"] for d in found["details"]] == ["inception", "residual"]


def test_chain_is_cut_everywhere_and_a_shortcut_nowhere() -> None:
    def node(index: int, inputs_: tuple[int, ...], kind: str = "conv") -> network.Node:
        return network.Node(index, kind, inputs_, index, (1, 4, 4, 8), (3, 3), 1, 1)

    chain = network.blocks((node(1, (0,)), node(2, (1,)), node(3, (2,))))
    assert [len(b) for b in chain] == [1, 1, 1]
    short = network.blocks((node(1, (0,)), node(2, (1,)), node(3, (2,)), node(4, (3, 1), "add")))
    assert [len(b) for b in short] == [1, 3]
    assert network.kind_of(short[1]) == "residual"
