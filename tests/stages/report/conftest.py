"""Finished runs with a report that the tests of this folder share."""

from __future__ import annotations

from pathlib import Path

import pytest
from analyse_fixture import flipped_run
from processors_fixture import processors_run
from report_fixture import make_run

from bedside.stages.report.build import build_report


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_run(tmp_path_factory.mktemp("run"))
    build_report(folder)
    return folder


@pytest.fixture(scope="session")
def flipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return flipped_run(tmp_path_factory)


@pytest.fixture(scope="session")
def targets_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return processors_run(tmp_path_factory)
