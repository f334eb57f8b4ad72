"""Shared fixtures: the checkout, real data where it lies beside it, tiny models and images."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared" / "data"


@pytest.fixture(scope="session")
def checkout() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def busi() -> Path:
    folder = SHARED / "busi"
    if not folder.is_dir():
        pytest.skip("the BUSI images are not beside this checkout (shared/data/busi)")
    return folder
