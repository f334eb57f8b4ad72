"""The analysed run that the figures' tests share."""

from __future__ import annotations

from pathlib import Path

import pytest
from analyse_fixture import analysed_run, flipped_run
from processors_fixture import processors_run


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return analysed_run(tmp_path_factory)


@pytest.fixture(scope="session")
def flipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return flipped_run(tmp_path_factory)


@pytest.fixture(scope="session")
def targets_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return processors_run(tmp_path_factory)
