"""Facts about the model."""

from __future__ import annotations

from card_fixture import MODEL

from bedside.card import documents
from bedside.runfolder import layout, stored


def test_parameters_are_those_of_torch(run):
    from bedside.models.head import folded_parameters
    from bedside.stages.convert import load_module

    module = load_module(stored.model_spec(run, MODEL), layout.model_dir(run, MODEL)
                         / layout.WEIGHTS)
    found = documents.read(run, MODEL).value("architecture", "Parameters")
    assert found == folded_parameters(module)
