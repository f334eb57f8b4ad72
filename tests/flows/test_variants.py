"""From a model and a scheme to a variant."""

from __future__ import annotations

import shutil

import outliers
import pytest

from bedside import schemes
from bedside.core.errors import BadInput
from bedside.core.study import CalibrationConfig
from bedside.flows import variants
from bedside.runfolder import layout

MIXED = schemes.parse("mixed+searched")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return outliers.write_outlier_run(tmp_path_factory.mktemp("search") / "run")


def test_a_mixture_needs_its_search(tiny_run, tmp_path):
    other = tmp_path / "run"
    shutil.copytree(tiny_run, other)
    shutil.rmtree(layout.search_dir(other, "resnet34"), ignore_errors=True)
    with pytest.raises(BadInput, match="bedside search RUN"):
        variants.make(other, "resnet34", MIXED, CalibrationConfig(images=4))
