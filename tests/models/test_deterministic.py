"""Deterministic torch, and the settings put back afterwards."""

from __future__ import annotations

import pytest
import torch

from bedside.models.deterministic import deterministic


def test_threads_and_kernels_are_put_back_after_an_error_too():
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    with pytest.raises(KeyError), deterministic(1):
        assert torch.get_num_threads() == 1
        assert torch.are_deterministic_algorithms_enabled()
        raise KeyError
    assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == before
