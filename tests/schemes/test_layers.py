"""Layers of a float model, as mixtures keep them out of int8."""

from __future__ import annotations

import outliers
import pytest

from bedside import schemes
from bedside.core.study import CalibrationConfig
from bedside.flows.search import budget
from bedside.runfolder import layout
from bedside.runtime.graph import read_graph
from bedside.schemes.layers import layers

MIXED = schemes.parse("mixed+searched")
CONFIG = CalibrationConfig(images=30)
BUDGET = budget.Budget(auroc_loss=0.02, sensitivity_loss=0.08, specificity_loss=0.08,
                flips=0.06)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return outliers.write_outlier_run(tmp_path_factory.mktemp("search") / "run")


@pytest.fixture(scope="module")
def found(run):
    return budget.search(run, outliers.MODEL, MIXED, CONFIG, BUDGET)


def test_layers_hold_every_operation_once(tiny_run):
    graph = read_graph(layout.model_dir(tiny_run, "resnet34") / layout.FLOAT_MODEL)
    found = layers(graph)
    scopes = [s for x in found for s in x.scopes]
    assert len(scopes) == len(graph.operations) == len(set(scopes))
    assert len({x.name for x in found}) == len(found) == len(graph.convolutions())
