"""Geometry of graph operations."""

from __future__ import annotations

from bedside.runtime.graph import same_padding


def test_same_padding_is_tensorflows():
    assert same_padding(224, 3, 2) == (0, 1)
    assert same_padding(225, 3, 2) == (1, 1)
    assert same_padding(14, 5, 1) == (2, 2)
