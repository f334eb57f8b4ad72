"""The run with a model card that the tests of this folder share."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from card_fixture import card_run, chai_schema


@pytest.fixture(scope="session")
def schema():
    return chai_schema()


@pytest.fixture(scope="session")
def run(tiny_quantized: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return card_run(tiny_quantized, tmp_path_factory)


@pytest.fixture
def copy(run: Path, tmp_path: Path) -> Path:
    shutil.copytree(run, tmp_path / "run")
    return tmp_path / "run"
